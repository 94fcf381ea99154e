"""Variants of an ablation: one piece of the recipe changed, nothing else."""

import dataclasses
import json

import pytest

from experiments.ablate import keep, read_options
from experiments.ablation.planning import plan
from experiments.ablation.variants import PIECES, describe, make_variant, pieces_of
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs.training import train

ALONE, JOINT, SGD = PRESETS["mnist-threshold"], PRESETS["mnist-joint"], PRESETS["cifar10-paper"]


def differing(variant, base):
    before, after = base.to_dict(), variant.to_dict()
    return {name for name in after if after[name] != before[name]}


def test_the_reconstructor_is_put_in_where_there_is_none_and_taken_out_where_there_is_one():
    joint = make_variant("reconstructor", ALONE)
    assert joint.method == "combined" and joint.method_options["lambda"] == 0.1
    assert joint.method_options["sigma"] == ALONE.method_options["sigma"]
    assert differing(joint, ALONE) == {"method", "method_options"}
    assert make_variant("reconstructor", joint) == ALONE
    alone = make_variant("reconstructor", JOINT)
    assert alone.method == "efgsm" and "lambda" not in alone.method_options
    assert differing(alone, JOINT) == {"method", "method_options"}


def test_with_sgd_the_classifier_makes_the_same_steps_with_and_without_reconstructor():
    weight = SGD.method_options["lambda"]
    alone = make_variant("reconstructor", SGD)
    assert alone.learning_rate == pytest.approx(SGD.learning_rate * weight)
    assert alone.weight_decay == pytest.approx(SGD.weight_decay / weight)
    back = make_variant("reconstructor", alone)
    # The method's own lambda, 0.1, takes the place of the preset's.
    assert back.learning_rate * back.method_options["lambda"] == pytest.approx(
        SGD.learning_rate * weight
    )


def test_the_reconstructor_is_put_in_by_any_lambda():
    joint = make_variant("lambda-0.5", ALONE)
    assert joint.method == "combined" and joint.method_options["lambda"] == 0.5
    assert differing(joint, ALONE) == {"method", "method_options"}
    # The classifier makes the same steps whatever weight SGD has its loss by.
    for base in (SGD, make_variant("reconstructor", SGD)):
        variant = make_variant("lambda-0.5", base)
        weight = base.method_options.get("lambda", 1.0)
        assert variant.learning_rate * 0.5 == pytest.approx(base.learning_rate * weight)
        assert variant.weight_decay / 0.5 == pytest.approx(base.weight_decay / weight)


def test_a_lambda_that_the_base_has_already_is_no_variant():
    with pytest.raises(ValueError, match="needs a base with another"):
        make_variant("lambda-0.05", SGD)


def test_a_sample_is_met_as_for_the_first_time_without_memory():
    variant = make_variant("no-memory", ALONE)
    assert differing(variant, ALONE) == {"method_options"}
    assert ALONE.make_attack().uses_momentum and not variant.make_attack().uses_momentum
    assert make_variant("no-memory", variant) == ALONE


def test_without_memory_the_start_can_be_as_far_out_all_the_same():
    attack = make_variant("random-corner", ALONE).make_attack()
    assert (attack.memory, attack.first_visit) == ("none", "corner")
    of_corner = make_variant("first-visit", ALONE)
    attack = make_variant("random-noise", of_corner).make_attack()
    assert (attack.memory, attack.first_visit) == ("none", "gaussian")
    for name, base in (("random-corner", of_corner), ("random-noise", ALONE)):
        with pytest.raises(ValueError, match="needs a base that first visits elsewhere"):
            make_variant(name, base)


def test_all_rivals_compete_for_the_boundary_in_place_of_the_runner_up():
    variant = make_variant("rivals", ALONE)
    assert (ALONE.make_attack().rivals, variant.make_attack().rivals) == (1, "all")
    assert make_variant("rivals", variant) == ALONE


@pytest.mark.parametrize(("base", "left"), [(ALONE, "standard"), (JOINT, "rec")])
def test_without_efgsm_ordinary_training_or_the_reconstructor_alone_is_left(base, left):
    variant = make_variant("efgsm", dataclasses.replace(base, momentum_reset_epochs=3))
    assert variant.method == left
    assert variant.label_smoothing == base.label_smoothing
    assert not variant.make_attack().uses_momentum


def test_the_threshold_is_taken_off_and_put_on():
    plain = make_variant("threshold", ALONE)
    assert plain.classifier == "mnist"
    assert differing(plain, ALONE) == {"classifier"}
    assert make_variant("threshold", plain) == ALONE


def test_the_curve_is_let_fall_or_made_a_threshold():
    rising = dataclasses.replace(ALONE, classifier="tone-curve")
    free = make_variant("free-curve", rising)
    assert free.classifier == "free-curve" and differing(free, rising) == {"classifier"}
    assert make_variant("free-curve", free) == rising
    assert make_variant("threshold", rising).classifier == "threshold"


def test_a_curve_is_put_before_a_network_of_the_pixels_and_taken_off():
    plain = make_variant("curve", dataclasses.replace(ALONE, classifier="tone-curve"))
    assert plain.classifier == "strided-conv"
    assert make_variant("curve", plain).classifier == "tone-curve"


def test_the_reconstructor_alone_attacks_nothing():
    variant = make_variant("reconstructor-alone", ALONE)
    assert (variant.method, variant.method_options["lambda"]) == ("rec", 0.1)
    assert not variant.make_attack().uses_momentum


def test_the_memory_adds_up_what_is_printed_or_the_gradients():
    variant = make_variant("momentum-from", ALONE)
    assert variant.make_attack().momentum_from == "perturbation"
    assert make_variant("momentum-from", variant) == ALONE


def test_the_rival_with_a_random_start_keeps_all_else_and_gets_the_rise_of_epsilon_it_needs():
    variant = make_variant("fgsm-rs", ALONE)
    assert variant.method == "fgsm-rs"
    assert variant.epsilon_warmup_epochs == pytest.approx(0.3 * ALONE.epochs)
    assert variant.label_smoothing == ALONE.label_smoothing
    assert differing(variant, ALONE) == {"method", "method_options", "epsilon_warmup_epochs"}


def test_other_rivals_have_their_own_options_and_keep_all_else():
    noisy = make_variant("n-fgsm", ALONE)
    assert differing(noisy, ALONE) == {"method", "method_options"}
    assert noisy.method_options["noise_scale"] == 2.0
    # One that has a memory keeps what is done with it.
    base = dataclasses.replace(ALONE, momentum_reset_epochs=5)
    prior = make_variant("fgsm-pgi", base)
    assert prior.method_options["consistency_weight"] == 0.0
    assert differing(prior, base) == {"method", "method_options"}
    assert make_variant("n-fgsm", base).momentum_reset_epochs == 0


@pytest.mark.parametrize(
    "name", ["reconstructor", "lambda-1", "efgsm", "fgsm-rs", "n-fgsm", "fgsm-pgi", "free-curve"]
)
def test_a_variant_that_a_base_cannot_have_is_refused(name):
    other = dataclasses.replace(ALONE.with_method("pgd"), classifier="mnist-madry")
    with pytest.raises(ValueError, match="needs a base"):
        make_variant(name, other)


def test_every_variant_of_the_preset_differs_from_it_and_says_how():
    for name in PIECES:
        try:
            variant = make_variant(name, ALONE)
        except ValueError as error:
            assert "needs a base" in str(error)
            continue
        assert variant != ALONE, name
        assert "->" in describe(variant, ALONE), name


def test_a_training_without_memory_runs_to_its_end(tmp_path):
    base = dataclasses.replace(PRESETS["digits"].with_method("efgsm"), epochs=1, train_images=300)
    folder = train(make_variant("no-memory", base), tmp_path / "run", verbose=0)
    assert (tmp_path / "run" / "metrics.json").is_file(), folder


def test_a_preset_has_all_variants_but_those_that_it_cannot_have():
    names, reasons = pieces_of(PRESETS["cifar10-small"])
    assert {"threshold", "free-curve", "lambda-0.05", "nuclear"} <= set(reasons)
    assert "Received: lambda=0.05" in reasons["lambda-0.05"]
    assert "alignment" in names and not set(names) & set(reasons)
    assert "alignment" in pieces_of(PRESETS["mnist"])[1]


def test_the_steps_of_the_training_are_not_those_of_the_attacks_upon_it():
    words = ["--preset", "digits", "--method", "pgd", "--steps", "3", "--attack-steps", "7"]
    base, options = read_options(words)
    assert base.method_options["steps"] == 3 and options.attack_steps == 7


def test_a_run_that_another_process_added_meanwhile_is_kept(tmp_path):
    base = dataclasses.replace(PRESETS["digits"], epochs=1)
    planned = plan(base, [], [1, 0], tmp_path / "runs")
    target, key = tmp_path / "ablation.json", {"attacks": "adp", "images": 10, "steps": None}
    figures = {"changes": "-", "margin_robust_accuracy": 0.5, "training_seconds": 1.0}
    for one, share in zip(planned, (0.25, 0.75), strict=True):
        found = {**figures, "natural_accuracy": 1.0, "robust_accuracy": share}
        found["config"] = one.config.to_dict()
        # As of a process that began when there was nothing yet.
        all_runs = keep(target, key, base, planned, one, found)
    assert set(all_runs) == {"base-seed0", "base-seed1"}
    (row,) = json.loads(target.read_text())["summary"]
    assert row["seeds"] == [0, 1] and row["robust_accuracy"] == 0.5
    assert row["differences"] == [0.0, 0.0] and row["robust_spread"] == 0.5
