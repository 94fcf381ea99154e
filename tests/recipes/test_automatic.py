"""Signatures as options, and the recipe that is chosen by the images."""

import dataclasses
import sys

import pytest

from keras_efgsm.recipes import ATTACKS, METHODS, OBJECTIVES, PRESETS, automatic
from keras_efgsm.recipes.automatic import TrainingImages, choose
from keras_efgsm.recipes.parts import find_part
from keras_efgsm.recipes.request import Request
from keras_efgsm.recipes.signature import _read, arguments_of, resolve


@pytest.fixture
def facts(monkeypatch):
    """Puts a data set there that has these facts."""

    def put(*values):
        images = TrainingImages(*values, ["a note"])
        monkeypatch.setattr(automatic, "describe_training_images", lambda *_: images)

    return put


SPECS = [
    find_part(name, what).made_by
    for what, table in (("attack", ATTACKS), ("objective", OBJECTIVES))
    for name in table
]


@pytest.mark.parametrize("spec", sorted(set(SPECS)))
def test_a_signature_is_read_from_the_source_as_it_is(spec):
    module, _, name = spec.partition(":")
    read, inspected = _read(module, name), arguments_of(resolve(spec))
    assert [one[:2] for one in read] == [one[:2] for one in inspected]
    assert [one.text for one in read] == [one.text for one in inspected]
    assert module in sys.modules


def test_the_options_of_a_method_are_those_of_the_two_signatures():
    assert METHODS["pgd"].options == {"steps": 40, "step_size": None, "norm": "linf"}
    assert METHODS["nuat"].options == {"nuclear_weight": 4.0, "step_size": None}
    assert METHODS["rec"].options == {"lambda": 0.1}
    taken = {one.name for one in arguments_of("keras_efgsm.attacks.efgsm:EFGSM")} - {"epsilon"}
    assert set(METHODS["combined"].options) == taken | {"lambda", "consistency_weight"}
    assert all(argument.text for argument in METHODS["combined"].arguments().values())


def test_what_all_rivals_cost_follows_from_the_number_of_classes():
    method = METHODS["efgsm"]
    options = method.complete({"rivals": "all"})
    assert method.passes(options, num_classes=26) == pytest.approx((1 + 25) / 3 + 1)
    with pytest.raises(ValueError, match="number of classes"):
        method.passes(options)


def test_photographs_without_epsilon_are_a_question(facts):
    facts((64, 64, 3), 5, 500)
    with pytest.raises(ValueError, match=r"Which epsilon\?.*4/255.*8/255.*Received: epsilon=None"):
        choose(Request("photographs"))


def test_size_and_number_of_the_images_choose_what_is_not_given(facts):
    facts((32, 32, 3), 10, 50_000)
    many = choose(Request("photographs", changes={"epsilon": 8 / 255}))
    assert (many.config.optimizer, many.config.schedule) == ("sgd", "one-cycle")
    assert many.config.flip and many.config.crop_padding == 4
    assert many.config.method_options["first_visit"] == "corner"
    assert many.config.method_options["step_size"] == 8 / 255
    assert many.config.batch_size == 128
    facts((36, 36, 1), 26, 1000)
    few = choose(Request("letters", changes={"epsilon": 0.2})).config
    assert (few.optimizer, few.flip, few.crop_padding) == ("adam", False, 2)
    assert few.method_options["first_visit"] == "gaussian"
    assert few.method_options["step_size"] is None
    assert few.method_options["sigma"] == pytest.approx(0.2 / 3)
    assert few.batch_size == 64 and few.epochs == 60
    assert few.classifier != many.config.classifier
    assert many.notes == ["a note"]


def test_what_is_given_wins_and_is_not_said_to_be_chosen(facts):
    facts((32, 32, 3), 10, 50_000)
    given = {"epsilon": 0.1, "epochs": 3, "classifier": "cifar10-wrn10-1", "flip": False}
    chosen = choose(Request("photographs", changes=given, method_options={"sigma": 0.01}))
    values = dataclasses.asdict(chosen.config)
    assert given.items() <= values.items()
    assert values["method_options"]["sigma"] == 0.01
    assert {one.name for one in chosen.choices} == {"schedule", "batch", "epochs", "averaging"}
    for choice in chosen.choices:
        assert all(values[name] == value for name, value in choice.fields.items())


def test_a_preset_is_made_when_it_is_asked_for_and_once():
    assert PRESETS["mnist-threshold-deep"] is PRESETS["mnist-threshold-deep"]
    assert "no-such" not in PRESETS
    with pytest.raises(KeyError):
        PRESETS["no-such"]


def test_any_method_is_trained_on_any_images(facts):
    facts((24, 20, 3), 4, 145)
    epsilon = {"epsilon": 0.09}
    combined = choose(Request("photographs", changes={**epsilon, "method": "combined"}))
    assert combined.config.reconstructor == "subpixel"
    assert combined.config.method_options["sigma"] == pytest.approx(0.03)
    assert combined.config.method_options["first_visit"] == "corner"
    named = {one.name: one for one in combined.choices}
    assert "method" not in named and named["re-constructor"].value == "subpixel"
    given = {**epsilon, "objective": "joint", "reconstructor": "dense"}
    joint = choose(Request("photographs", changes=given))
    assert (joint.config.method, joint.config.reconstructor) == ("efgsm+joint", "dense")
    assert "re-constructor" not in {one.name for one in joint.choices}
    pair = choose(Request("photographs", changes={**epsilon, "attack": "pgd"})).config
    assert (pair.method, pair.reconstructor) == ("pgd+regularised-cross-entropy", None)


def test_the_updates_that_are_said_count_the_last_partial_batch(facts):
    facts((24, 20, 3), 4, 145)
    chosen = choose(Request("photographs", changes={"epsilon": 0.1, "epochs": 2}))
    assert {one.name: one.reason for one in chosen.choices}["averaging"] == "6 updates"


@pytest.mark.parametrize(
    ("images", "epochs", "momentum"),
    [(81, 3, 0.46), (130, 3, 0.6), (145, 8, 0.83), (145, 15, None), (145, None, None)],
)
def test_of_few_updates_batch_norm_forgets_what_it_began_with(facts, images, epochs, momentum):
    facts((24, 20, 3), 4, images)
    given = {"epsilon": 0.1} | ({"epochs": epochs} if epochs else {})
    chosen = choose(Request("photographs", changes=given))
    assert chosen.config.batch_norm_momentum == momentum
    assert ("batch norm" in {one.name for one in chosen.choices}) == (momentum is not None)
    if momentum is not None:
        updates = -(-images // 64) * epochs
        assert momentum**updates < 0.012
        given["batch_norm_momentum"] = 0.8
        own = choose(Request("photographs", changes=given))
        assert own.config.batch_norm_momentum == 0.8
        assert "batch norm" not in {one.name for one in own.choices}
