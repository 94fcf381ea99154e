"""The options of a configuration, made from its fields, and the command made from its values."""

import argparse
import dataclasses
import json
import random
import shlex
import subprocess
import sys

import pytest

import keras_efgsm
from keras_efgsm.attacks import FGSM
from keras_efgsm.cli import COMMANDS, make_parser
from keras_efgsm.cli.config_options import add_config_options, read_config, read_request
from keras_efgsm.cli.values import number
from keras_efgsm.objectives import AdversarialCrossEntropy
from keras_efgsm.recipes import ATTACKS, METHODS, OBJECTIVES, PRESETS, TrainingConfig
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.option import GROUPS, flag_of
from keras_efgsm.recipes.request import at_epsilon


def parser_for(words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_config_options(parser, words)
    return parser


def parsed(*words):
    return read_config(parser_for(words).parse_args(list(words)))


# Each option that the command line had when its table was written by hand, and a value.
OF_BEFORE = {
    "--dataset": ("dataset", "cifar10"),
    "--data-dir": ("data_dir", "somewhere"),
    "--epsilon": ("epsilon", 0.1),
    "--label-smoothing": ("label_smoothing", 0.2),
    "--momentum-dtype": ("momentum_dtype", "float16"),
    "--momentum-storage": ("momentum_storage", "disk"),
    "--momentum-directory": ("momentum_directory", "/somewhere"),
    "--epochs": ("epochs", 3),
    "--train-images": ("train_images", 500),
    "--batch-size": ("batch_size", 16),
    "--activation": ("activation", "silu"),
    "--optimizer": ("optimizer", "sgd"),
    "--optimizer-momentum": ("optimizer_momentum", 0.8),
    "--weight-decay": ("weight_decay", 5e-4),
    "--learning-rate": ("learning_rate", 0.01),
    "--schedule": ("schedule", "one-cycle"),
    "--warmup-epochs": ("warmup_epochs", 1.5),
    "--peak-share": ("peak_share", 0.3),
    "--crop-padding": ("crop_padding", 2),
    "--flip": ("flip", True),
    "--no-flip": ("flip", False),
    "--cutout": ("cutout", 3),
    "--align-momentum": ("align_momentum", True),
    "--no-align-momentum": ("align_momentum", False),
    "--momentum-reset-epochs": ("momentum_reset_epochs", 5),
    "--attack-in-training-mode": ("attack_in_training_mode", True),
    "--no-attack-in-training-mode": ("attack_in_training_mode", False),
    "--epsilon-warmup-epochs": ("epsilon_warmup_epochs", 2.0),
    "--epsilon-factor": ("epsilon_factor", 1.2),
    "--weight-averaging": ("weight_averaging", 0.9),
    "--probe-images": ("probe_images", 100),
    "--keep-best": ("keep_best", True),
    "--no-keep-best": ("keep_best", False),
    "--classifier": ("classifier", "mnist"),
    "--reconstructor": ("reconstructor", "mnist"),
    "--dtype-policy": ("dtype_policy", "mixed_bfloat16"),
    "--seed": ("seed", 7),
    "--no-overfitting-stop": ("overfitting_stop", False),
}


@pytest.mark.parametrize("flag", OF_BEFORE)
def test_every_option_of_before_still_means_the_same(flag):
    field, value = OF_BEFORE[flag]
    words = [] if isinstance(value, bool) else [str(value)]
    # The start of the attack, half of epsilon there, goes with epsilon.
    base = at_epsilon(PRESETS["digits"], value) if field == "epsilon" else PRESETS["digits"]
    assert parsed("digits", flag, *words) == dataclasses.replace(base, **{field: value})


@pytest.mark.parametrize(
    ("method", "words", "options"),
    [
        ("combined", "--lambda 0.05 --consistency-weight 1", {"lambda": 0.05}),
        ("efgsm", "--sigma 8/255 --decay 0.9 --rivals all", {"sigma": 8 / 255, "rivals": "all"}),
        ("efgsm", "--overshoot 1.5 --use-projection false", {"use_projection": False}),
        ("efgsm", "--first-visit corner --memory universal", {"memory": "universal"}),
        ("efgsm", "--momentum-from perturbation --nuclear-weight 2", {"nuclear_weight": 2}),
        ("n-fgsm", "--noise-scale 1 --step-size 1/10", {"noise_scale": 1, "step_size": 0.1}),
        ("trades", "--beta 6 --steps 3 --step-size null", {"beta": 6, "steps": 3}),
        ("alp", "--pairing-weight 1", {"pairing_weight": 1}),
        ("free", "--replays 3", {"replays": 3}),
        ("yopo", "--outer-steps 2 --inner-steps 2", {"outer_steps": 2, "inner_steps": 2}),
        ("gradient-regularisation", "--gradient-weight 3", {"gradient_weight": 3}),
    ],
)
def test_every_method_option_of_before_still_means_the_same(method, words, options):
    config = parsed("digits", "--method", method, *words.split())
    assert config.method == method
    assert options.items() <= config.method_options.items()
    assert set(config.method_options) == set(METHODS[method].options)


def test_every_field_has_its_option_in_its_group_and_its_words_in_help_and_docstring():
    parser = parser_for(["digits"])
    groups = {group.title: group for group in parser._action_groups}
    for field in dataclasses.fields(TrainingConfig):
        text = field.metadata["text"]
        assert field.metadata["group"] in GROUPS
        assert text[:40] in " ".join(TrainingConfig.__doc__.split())
        if not field.metadata["flag"]:
            continue
        options = groups[field.metadata["group"]]._group_actions
        (action,) = [one for one in options if flag_of(field.name) in one.option_strings]
        assert action.help == text.replace("None", "none")


def test_a_fraction_is_a_number_on_every_command():
    assert number("8/255") == 8 / 255
    assert parsed("digits", "--epsilon", "8/255", "--learning-rate", "1/500").epsilon == 8 / 255
    words = {
        "evaluate": ["run", "--epsilon", "8/255", "--step-size", "2/255"],
        "compare": ["a", "b", "--epsilon", "8/255", "--step-size", "2/255"],
        "diagnose": ["run", "--epsilon", "8/255"],
        "universal": ["run", "--epsilon", "8/255", "--step-size", "1/255"],
        "measure": ["export", "--epsilon", "8/255"],
        "report": ["model.keras", "--epsilon", "8/255"],
        "tune": ["digits", "--epsilon", "8/255"],
    }
    for command, given in words.items():
        read = make_parser().parse_args([command, *given]).epsilon
        assert read == ((8 / 255,) if command == "evaluate" else 8 / 255)
    for wrong in ("8/0", "eight", "1/2/3"):
        with pytest.raises(argparse.ArgumentTypeError, match="a fraction such as 8/255"):
            number(wrong)


# The command of a configuration.

VALUES = {
    "dataset": ["digits", "a folder/of images", "mnist", "cifar10", "mnist-paper", "-odd"],
    "epsilon": [0.1, 8 / 255, 4 / 255, 0.123456789],
    "momentum_dtype": ["int8", "float32"],
    "momentum_storage": ["disk"],
    "momentum_directory": [None, "/a place"],
    "label_smoothing": [0.0, 0.25, 4 / 9],
    "epochs": [1, 77],
    "train_images": [None, 5000],
    "activation": ["relu", "silu"],
    "optimizer": ["adam", "sgd"],
    "weight_decay": [0.0, 1e-5],
    "learning_rate": [1e-4, 0.3],
    "schedule": ["cosine", "piecewise"],
    "flip": [False, True],
    "overfitting_stop": [True],
    "keep_best": [False, True],
    "weight_averaging": [0.0, 0.99],
    "dtype_policy": ["auto", "float32"],
    "seed": [0, 12],
    "image_size": [None, (24, 20)],
    "channels": [None, 3],
    "freeze_until": [None, "a layer"],
    "reconstructor": ["digits", "mnist"],
}
PAIRS = [
    {},
    {"method": "trades", "method_options": {"beta": 2.5}},
    {"method": "efgsm", "reconstructor": None},
    {"attack": "pgd", "objective": "trades", "method_options": {"steps": 3, "step_size": 0.01}},
    {"attack": "efgsm", "objective": "joint", "method_options": {"lambda": 0.3, "rivals": "all"}},
    {"attack": "keras_efgsm.attacks.fgsm:FGSM", "objective": "logit-pairing"},
]


@pytest.mark.parametrize("seed", range(24))
def test_the_command_of_any_configuration_gives_it_back(seed):
    draw = random.Random(seed)
    changes = {name: draw.choice(values) for name, values in VALUES.items() if draw.random() < 0.5}
    changes |= PAIRS[seed % len(PAIRS)]
    base = PRESETS[draw.choice(sorted(PRESETS))]
    if "method" in changes or "attack" in changes:
        base = base.with_method("standard")
    config = dataclasses.replace(base, **changes)
    words = shlex.split(command_line(config))
    assert words[:2] == ["keras-efgsm", "train"]
    assert parsed(*words[2:]) == config


def test_a_configuration_of_this_run_survives_its_file():
    config = dataclasses.replace(PRESETS["digits"], image_size=(24, 20), attack="pgd",
                                 method_options={})  # fmt: skip
    again = TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert (again.attack, again.objective, again.method) == ("pgd", "joint", "pgd+joint")


# Data and recipe.


@pytest.mark.parametrize(
    ("words", "dataset", "classifier"),
    [
        ("mnist", "mnist", "tone-curve"),
        ("mnist --recipe mnist-paper", "mnist", "mnist-paper"),
        ("photographs --recipe cifar10-cpu", "photographs", "cifar10-strided"),
        ("cifar10-cpu --dataset photographs", "photographs", "cifar10-strided"),
        ("cifar10-cpu --recipe mnist", "cifar10", "tone-curve"),
    ],
)
def test_what_is_trained_on_and_how_are_two_arguments(words, dataset, classifier):
    config = parsed(*words.split())
    assert (config.dataset, config.classifier) == (dataset, classifier)


def test_an_unknown_recipe_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="`recipe` must be one of 'automatic', 'digits'"):
        parsed("digits", "--recipe", "no-such")


# Composition.

EFGSM_ALONE = ("digits", "--method", "efgsm")


def test_attack_and_objective_are_named_one_by_one_and_keep_what_the_other_part_had():
    changes = {"label_smoothing": 0.3, "method_options": {"nuclear_weight": 2.0}}
    base = dataclasses.replace(PRESETS["mnist"], **changes)
    config = dataclasses.replace(base, **base.part_changes("pgd", None, {"steps": 5}))
    assert (config.attack, config.objective) == ("pgd", "regularised-cross-entropy")
    assert config.method_options["nuclear_weight"] == 2.0
    assert (config.method_options["steps"], config.label_smoothing) == (5, 0.3)
    assert config.make_objective().get_config()["nuclear_weight"] == 2.0
    other = parsed("digits", "--method", "efgsm", "--objective", "trades", "--beta", "6")
    assert other.make_objective().get_config() == {"beta": 6, "label_smoothing": 0.0}
    assert other.make_attack().get_config() == parsed(*EFGSM_ALONE).make_attack().get_config()


class Halved(FGSM):
    """FGSM within half of the ball."""

    def __init__(self, *, epsilon: float, share: float = 0.5):
        super().__init__(epsilon=epsilon * share)


class Doubled(AdversarialCrossEntropy):
    """As good as any."""

    def __init__(self, label_smoothing: float = 0.3, weight: float = 2.0):
        super().__init__(label_smoothing)
        self.weight = weight


def test_one_line_makes_an_attack_and_an_objective_of_others_options_of_the_command_line(
    monkeypatch,
):
    monkeypatch.setitem(ATTACKS, "halved", Halved)
    monkeypatch.setitem(OBJECTIVES, "doubled", Doubled)
    words = ["--attack", "halved", "--objective", "doubled", "--share", "1/4", "--weight", "3"]
    config = parsed("digits", *words)
    assert config.make_attack().epsilon == pytest.approx(0.05)
    assert (config.make_objective().weight, config.label_smoothing) == (3, 0.3)
    assert parsed(*shlex.split(command_line(config))[2:]) == config


def test_an_attack_of_another_package_is_named_by_its_place():
    spec = "keras_efgsm.attacks.random_sampling:RandomSampling"
    config = parsed("digits", "--attack", spec, "--objective", "cross-entropy", "--samples", "3")
    assert config.make_attack().samples == 3
    with pytest.raises(ValueError, match="Received: name='no_such_package:Attack'"):
        parsed("digits", "--attack", "no_such_package:Attack")


def test_a_step_of_given_length_and_what_changes_the_other_step_exclude_each_other():
    with pytest.raises(ValueError, match="`use_projection` changes the step to the boundary"):
        parsed("digits", "--step-size", "0.1", "--use-projection", "false")
    parsed("digits", "--step-size", "0.1", "--use-projection", "true", "--overshoot", "1.0")
    # As it was read before, a file with both still is.
    options = {"step_size": 0.1, "use_projection": False}
    assert dataclasses.replace(PRESETS["digits"], method_options=options)


# Quiet and quick.


def test_help_and_version_of_every_command_import_nothing_heavy():
    script = f"""
import contextlib, io, sys
sys.argv[0] = "keras-efgsm"
from keras_efgsm.cli import main
shown = io.StringIO()
for words in [[]] + [[name] for name in {COMMANDS!r}]:
    for option in ("--help", "--version"):
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            main([*words, option])
heavy = {{"keras", "tensorflow", "matplotlib", "jax", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
versions = shown.getvalue().count("keras-efgsm {keras_efgsm.__version__}")
print(shown.getvalue().count("usage: "), versions)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == [str(len(COMMANDS) + 1)] * 2


@pytest.mark.parametrize(
    ("words", "name", "is_program"),
    [
        (["python", "-m", "keras_efgsm", "--help"], "-m", True),
        (["python", "/usr/bin/keras-efgsm"], "/usr/bin/keras-efgsm", True),
        (["python", "train.py"], "train.py", False),
        (["python", "-m", "pytest"], "-m", False),
    ],
)
def test_only_the_program_itself_puts_the_import_of_keras_off(monkeypatch, words, name, is_program):
    monkeypatch.setattr(sys, "orig_argv", words)
    monkeypatch.setattr(sys, "argv", [name])
    assert keras_efgsm._is_command_line() is is_program


def test_a_typing_error_is_answered_by_the_nearest_option(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["train", "digits", "--epsilom", "0.1"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].endswith("--epsilom 0.1 (did you mean --epsilon?)")
    assert len(lines) <= 3


def test_tune_takes_its_own_fields_alone():
    words = ["digits", "--epochs", "3", "--epsilon", "0.1"]
    options = make_parser().parse_args(["tune", *words])
    request = read_request(options, only=("dataset", "epsilon"))
    assert request.changes == {"epsilon": 0.1}


@pytest.mark.parametrize(
    "preset", ["digits", "mnist", "mnist-threshold-deep", "mnist-joint", "mnist-paper"]
)
def test_a_preset_starts_where_it_was_searched_and_at_another_radius_with_the_same_share(preset):
    config = parsed(preset)
    assert config.method_options["sigma"] == config.make_attack().sigma == 0.1
    half = parsed(preset, "--epsilon", str(config.epsilon / 2))
    assert half.make_attack().sigma == pytest.approx(0.05)


def test_the_preset_of_greys_is_trained_at_other_radii_with_its_own_shares():
    config = parsed("fashion-mnist", "--epsilon", "0.2")
    assert config.dataset == "fashion_mnist" and config.classifier == "tone-curve"
    assert config.make_attack().sigma == pytest.approx(0.2 / 3)
    assert config.make_attack().epsilon == pytest.approx(0.2 * 1.15)
    assert config.label_smoothing == 0.3 and config.activation == "silu"


@pytest.mark.parametrize(
    "words",
    [
        "digits --method efgsm",
        "digits --method efgsm-trades",
        "cifar10-cpu --method combined",
        "mnist --method standard --attack efgsm --objective logit-pairing",
        "cifar10-cpu --sigma none",
    ],
)
def test_where_nobody_says_a_start_is_drawn_with_a_third_of_the_ball(words):
    small = parsed(*words.split(), "--epsilon", "2/255", "--epsilon-factor", "1")
    assert small.method_options["sigma"] is None
    larger = dataclasses.replace(small, epsilon=0.3, epsilon_factor=1.25)
    assert small.make_attack().sigma == 2 / 255 / 3 == small.method_option("sigma")
    assert larger.make_attack().sigma == pytest.approx(0.125)
    assert parsed(*shlex.split(command_line(small))[2:]) == small
    # Of a run of before, which wrote what it took.
    old = {**small.to_dict(), "method_options": {**small.method_options, "sigma": 0.1}}
    assert TrainingConfig.from_dict(json.loads(json.dumps(old))).make_attack().sigma == 0.1


def test_a_recipe_for_another_radius_keeps_the_shares_of_its_attack():
    words = ["cifar10-cpu", "--epsilon", "4/255"]
    half, preset = parsed(*words), PRESETS["cifar10-cpu"]
    for name in ("sigma", "step_size"):
        assert half.method_options[name] == pytest.approx(preset.method_options[name] / 2)
    assert parsed(*words, "--sigma", "0.02").method_options["sigma"] == 0.02
    assert parsed("cifar10-cpu") == preset
    for config in (half, parsed(*words, "--step-size", "none", "--sigma", "0.02")):
        assert parsed(*command_line(config).split()[2:]) == config
    with pytest.raises(ValueError, match="`overshoot` changes the step to the boundary"):
        parsed(*words, "--overshoot", "2.0")
    assert parsed(*words, "--overshoot", "2.0", "--step-size", "none").epochs == preset.epochs
