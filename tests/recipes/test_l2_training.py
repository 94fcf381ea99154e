"""PGD trains in L2: what a configuration makes of it, and what watches such a training."""

import dataclasses

import numpy as np
import pytest

from keras_efgsm.attacks import PGD
from keras_efgsm.callbacks import OverfittingStop
from keras_efgsm.recipes.automatic import configuration
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.request import Request
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.tuning.search_options import SearchOptions
from keras_efgsm.tuning.search_space import make_ranges

L2_PGD = {"norm": "l2", "steps": 3}


def asked(data="digits", recipe=None, epsilon=1.5, **changes):
    return configuration(Request(data, recipe, {"epsilon": epsilon, "method": "pgd"}, L2_PGD))


@pytest.mark.parametrize("recipe", [None, "automatic"])
def test_a_radius_above_one_is_one_of_l2_whatever_the_recipe(recipe):
    config = asked(recipe=recipe)
    attack = config.make_attack()
    assert (type(attack), attack.norm, attack.epsilon) == (PGD, "l2", 1.5)
    # That of the recipe in the other norm is no share of it.
    assert attack.step_size == pytest.approx(2.5 * 1.5 / 3)
    assert (config.norm, config.epsilon_in_words) == ("l2", "1.5 (L2)")
    assert attack.scaled(0.1).epsilon == pytest.approx(0.15)
    assert dataclasses.replace(config, epochs=1).method_options["norm"] == "l2"
    assert PRESETS["digits"].epsilon_in_words == "0.2"


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"method": "pgd"}, {}, "divide one given on the 0..255 scale"),
        ({"method": "pgd"}, {"norm": "l1"}, "divide one given|`norm` must be one of"),
        ({"method": "fgsm"}, {"norm": "l2"}, "The options of FGSM are"),
    ],
)
def test_a_radius_or_a_norm_that_the_attack_has_not_is_refused(changes, options, message):
    with pytest.raises(ValueError, match=message):
        configuration(Request("digits", None, {"epsilon": 1.5, **changes}, options))


def test_a_training_in_l2_is_probed_and_searched_in_l2(new_classifier):
    x = np.random.default_rng(0).random((8, 8, 8, 1), "float32")
    trainer = AdversarialTrainer(new_classifier(), PGD(epsilon=1.5, steps=2, norm="l2"))
    stop = OverfittingStop(probe=(x, np.arange(8)))
    stop.set_model(trainer)
    seen = []

    def perturb(self, *arguments):
        seen.append((self.norm, self.epsilon))
        return made(self, *arguments)

    made = PGD.perturb
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PGD, "perturb", perturb)
        stop.on_train_begin()
    assert set(seen) == {("l2", 1.5)}
    config = asked(recipe="automatic")
    ranges = make_ranges(config, ["learning_rate"])
    searched = SearchOptions(config, ranges, trials=1, epochs=1).make_attacks()
    assert {attack.norm for attack in searched} == {"l2"}
