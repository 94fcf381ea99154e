"""An attack of the user's own: its class and one line, from outside of the package."""

import json
import shlex

import keras
import numpy as np
import pytest

from keras_efgsm import recipes
from keras_efgsm.attacks import (
    ATTACKS,
    PGD,
    Attack,
    Budget,
    Identity,
    Perturbed,
    find_attack,
    register_attack,
)
from keras_efgsm.cli import main, make_parser
from keras_efgsm.cli.config_options import read_config
from keras_efgsm.equations import project
from keras_efgsm.evaluation import evaluate_robustness, make_attacks
from keras_efgsm.objectives import OBJECTIVES
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.parts import find_part
from keras_efgsm.recipes.regularised import regularised_cross_entropy
from keras_efgsm.recipes.signature import resolve


@pytest.fixture(autouse=True)
def same_table_afterwards(monkeypatch):
    monkeypatch.setattr("keras_efgsm.attacks.registry.ATTACKS", table := dict(ATTACKS))
    return table


@pytest.fixture
def brighten():
    @register_attack
    class Brighten(Attack):
        """Makes all pixels brighter, in steps."""

        kind = "brighten"
        needs_gradient = False
        evaluation_options = ("steps",)

        def __init__(self, *, epsilon, steps=4, darker=False):
            super().__init__(epsilon=epsilon)
            self.steps, self.darker = steps, darker

        @property
        def budget(self):
            return Budget(steps=None, queries=self.steps)

        def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
            sign = -1.0 if self.darker else 1.0
            return Perturbed(images=project(x + sign * self.epsilon, x, self.epsilon))

    return Brighten


@pytest.fixture
def model():
    """Takes an image for class 1 if its mean is above a half."""
    layers = [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.set_weights([np.array([[0.0, 1.0]] * 4), np.array([0.0, -2.0])])
    return model


X = np.array([0.3, 0.45, 0.7], "float32")[:, None, None, None] * np.ones((1, 2, 2, 1), "float32")
Y = np.array([0, 0, 1])


def test_it_evaluates_by_name_and_says_all_about_itself(brighten, model):
    (attack, _) = attacks = make_attacks("brighten,pgd-ce", 0.1, steps=7)
    assert (type(attack), attack.steps) == (brighten, 7)
    report = evaluate_robustness(model, (X, Y), attacks, progress=False)
    first = report.to_dict()["attacks"][0]
    assert first["name"] == "brighten"
    assert first["robust_accuracy"] == pytest.approx(2 / 3)
    told = ("loss", "steps", "step_size", "rounds", "queries", "restarts", "random_start")
    assert [first[name] for name in told] == [None, None, None, 1, 7, 1, False]
    assert attack.get_config() == {"epsilon": 0.1, "steps": 7, "darker": False}


@pytest.mark.tensorflow("the command")
def test_the_command_evaluates_with_it(brighten, model, tmp_path):
    model.save(tmp_path / "model.keras")
    images = (255 * X).astype("uint8")
    np.savez(tmp_path / "images.npz", x_test=images, y_test=Y, x_train=images, y_train=Y)
    words = ["evaluate", str(tmp_path / "model.keras"), "--attacks", "brighten", "--steps", "2"]
    data = ["--dataset", str(tmp_path / "images.npz"), "--epsilon", "0.1"]
    out = tmp_path / "robustness.json"
    assert main([*words, *data, "--json", str(out)]) in (None, 0)
    (attack,) = json.loads(out.read_text())["attacks"]
    assert (attack["name"], attack["queries"]) == ("brighten", 2)


def test_it_trains_by_name_with_its_own_options(brighten, capsys):
    words = ["train", "digits", "--attack", "brighten", "--objective", "cross-entropy"]
    words += ["--steps", "7", "--darker", "true"]
    config = read_config(make_parser(words).parse_args(words))
    attack = config.make_attack()
    assert (type(attack), attack.steps, attack.darker) == (brighten, 7, True)
    again = shlex.split(command_line(config))[1:]
    assert read_config(make_parser(again).parse_args(again)) == config
    assert main(["methods"]) == 0
    listed = " ".join(capsys.readouterr().out.split())
    assert "brighten" in listed.partition("train --attack")[2].partition("train --objective")[0]
    with pytest.raises(ValueError, match="one of 'brighten', 'none', .*Received: attack='darken'"):
        find_part("darken", "attack")


def test_of_the_package_what_is_registered_trains_or_evaluates_and_what_trains_is_registered():
    trains = {resolve(find_part(name, "attack").made_by) for name in recipes.ATTACKS}
    assert trains <= set(ATTACKS.values())
    assert all(other.evaluation_options is not None for other in set(ATTACKS.values()) - trains)
    minimised = {resolve(find_part(name, "objective").made_by) for name in recipes.OBJECTIVES}
    assert minimised == {regularised_cross_entropy, *OBJECTIVES.values()}


def test_it_is_named_in_refusals(brighten):
    with pytest.raises(ValueError, match="attacks separated by commas out of .*brighten.*Received"):
        make_attacks("darken", 0.1)
    with pytest.raises(ValueError, match="`queries` is an option of .*square"):
        make_attacks("brighten", 0.1, queries=3)


def test_a_subclass_of_an_attack_has_its_losses_and_options(same_table_afterwards):
    @register_attack
    class Twice(PGD):
        kind = "twice"

    (attack,) = make_attacks("twice-cw", 0.3, steps=2)
    assert (type(attack), attack.loss, attack.name) == (Twice, "cw", "twice-cw")
    assert attack.step_size == pytest.approx(0.01)
    assert find_attack("twice").attack is Twice


def test_an_attack_without_a_name_of_its_own_or_with_that_of_another_is_refused(brighten):
    with pytest.raises(ValueError, match="`kind` of its own.*attack=Nameless, kind='pgd'"):

        @register_attack
        class Nameless(PGD):
            pass

    for taken in ("pgd", "pgd-cw", "brighten"):
        with pytest.raises(ValueError, match=f"registered under that name.*kind='{taken}'"):
            register_attack(type("Other", (Attack,), {"kind": taken}))


def test_an_attack_that_is_defined_once_more_takes_its_own_place(same_table_afterwards):
    made = [type("Mine", (Attack,), {"kind": "mine", "__module__": "book"}) for _ in range(2)]
    for attack in made:
        register_attack(attack)
    assert same_table_afterwards["mine"] is made[1]


def test_an_option_that_is_not_kept_is_named():
    class Forgets(Identity):
        def __init__(self, *, epsilon, steps):
            super().__init__(epsilon=epsilon)

    with pytest.raises(TypeError, match=r"override `get_config`.*without an attribute=\['steps'\]"):
        Forgets(epsilon=0.1, steps=3).get_config()
