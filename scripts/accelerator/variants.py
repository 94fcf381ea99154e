"""The variants of the recipe that a sweep compares, by name."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from keras_efgsm.checks import check_choice
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS

BASE = "base"
# Of the re-constructor, as the paper has it on CIFAR-10.
_LAMBDA = 0.05


def sweep_base(preset: TrainingConfig, network: str) -> TrainingConfig:
    """What all variants start from: a preset without re-constructor and regulariser.

    Nothing is held out in a training, which runs to its end whatever becomes of it.

    Args:
        preset: the recipe.
        network: name of the classifier.
    """
    preset = dataclasses.replace(preset, regularizer_warmup_epochs=0.0)
    if preset.method == "combined":
        preset = _without_reconstructor(preset)
    base = dataclasses.replace(
        preset,
        classifier=network,
        overfitting_stop=False,
        keep_best=False,
        momentum_reset_epochs=0,
        # Of so few epochs the usual average would remember the first.
        weight_averaging=min(preset.weight_averaging, 0.995),
    )
    return _options(consistency_weight=0.0, nuclear_weight=0.0)(base)


def make_variants(base: TrainingConfig, names: Sequence[str] = ()) -> dict[str, TrainingConfig]:
    """The base and all variants that differ from it, in the order of their interest.

    Args:
        base: what `sweep_base` made.
        names: of the variants beside the base. Defaults to all.

    Raises:
        ValueError: if there is no variant of a name.
    """
    for name in names:
        check_choice(name, "variants", tuple(VARIANTS))
    made = {name: VARIANTS[name](base) for name in names or VARIANTS}
    return {BASE: base} | {name: config for name, config in made.items() if config != base}


def _options(**options: Any) -> Callable[[TrainingConfig], TrainingConfig]:
    """Changes options of the method."""
    return lambda base: dataclasses.replace(base, method_options={**base.method_options, **options})


def _fields(**fields: Any) -> Callable[[TrainingConfig], TrainingConfig]:
    """Changes fields of the configuration."""
    return lambda base: dataclasses.replace(base, **fields)


def _reconstructor(base: TrainingConfig) -> TrainingConfig:
    """The base with re-constructor and the paper's lambda; the classifier makes the same steps."""
    known = METHODS["combined"].options
    options = {name: value for name, value in base.method_options.items() if name in known}
    return dataclasses.replace(
        base,
        method="combined",
        method_options={**options, "lambda": _LAMBDA},
        learning_rate=base.learning_rate / _LAMBDA,
        weight_decay=base.weight_decay * _LAMBDA,
    )


def _without_reconstructor(preset: TrainingConfig) -> TrainingConfig:
    known, weight = METHODS["efgsm"].options, preset.method_options["lambda"]
    options = {name: value for name, value in preset.method_options.items() if name in known}
    return dataclasses.replace(
        preset,
        method="efgsm",
        method_options=options,
        learning_rate=preset.learning_rate * weight,
        weight_decay=preset.weight_decay / weight,
    )


VARIANTS: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    "consistency": _options(consistency_weight=10.0),
    "nuat": _options(nuclear_weight=4.0),
    "universal": _options(memory="universal"),
    "unaligned": _fields(align_momentum=False),
    "reconstructor": _reconstructor,
    "decay-0.3": _options(decay=0.3),
    "smoothing-0.4": _fields(label_smoothing=0.4),
    "smoothing-0.3": _fields(label_smoothing=0.3),
    "smoothing-0.1": _fields(label_smoothing=0.1),
    "full-step": lambda base: _options(step_size=base.epsilon)(base),
    "gaussian-start": _options(first_visit="gaussian"),
    "corner-start": _options(first_visit="corner"),
    "evaluation-mode": _fields(attack_in_training_mode=False),
    "silu": _fields(activation="silu"),
}
