"""One variant of a configuration for each piece of the recipe: the piece taken out, or put in."""

import dataclasses
from collections.abc import Callable
from typing import Any

from experiments.ablation.changes import (
    LAMBDA,
    crop_and_flip,
    field,
    full_step,
    joint,
    option,
    other_classifier,
    other_method,
    other_optimizer,
    reconstructor,
    unaligned,
    without_attack,
    without_memory,
)
from keras_efgsm.recipes.config import TrainingConfig

BASE = "base"
"""Name of the configuration itself among its variants."""


def make_variant(name: str, base: TrainingConfig) -> TrainingConfig:
    """The configuration with one piece changed.

    Args:
        name: of the piece, in `PIECES`, or `BASE`.
        base: the configuration.

    Raises:
        ValueError: if the changed configuration is none that can be trained.
    """
    return base if name == BASE else PIECES[name](base)


def pieces_of(base: TrainingConfig) -> tuple[list[str], dict[str, str]]:
    """The pieces that a configuration can have changed, and why not the others.

    Args:
        base: the configuration.

    Returns:
        Names in `PIECES`, and for each other name the reason.
    """
    reasons = {}
    for name in PIECES:
        try:
            make_variant(name, base)
        except ValueError as error:
            reasons[name] = str(error)
    return [name for name in PIECES if name not in reasons], reasons


def describe(variant: TrainingConfig, base: TrainingConfig) -> str:
    """What a variant changes, for people: `label_smoothing 0.1 -> 0`."""
    before, after = _flat(base), _flat(variant)
    words = [
        f"{name} {_text(before.get(name))} -> {_text(after[name])}"
        for name in after
        if after[name] != before.get(name)
    ]
    return ", ".join(words) or "-"


def _flat(config: TrainingConfig) -> dict[str, Any]:
    values = config.to_dict()
    return {**values.pop("method_options"), **values}


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


PIECES: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    "alignment": unaligned,
    "crop-flip": crop_and_flip,
    "cutout": field("cutout", 0, 8),
    "schedule": field("schedule", "cosine", "one-cycle"),
    "optimizer": other_optimizer,
    "weight-decay": field("weight_decay", 0.0, 5e-4),
    "label-smoothing": field("label_smoothing", 0.0, 0.1),
    "averaging": field("weight_averaging", 0.0, 0.999),
    "attack-mode": field("attack_in_training_mode", True, False),
    "epsilon-warmup": field("epsilon_warmup_epochs", 0.0, lambda epochs: 0.3 * epochs),
    "epsilon-factor": field("epsilon_factor", 1.0, 1.2),
    "momentum-reset": field("momentum_reset_epochs", 0, lambda epochs: max(1, epochs // 3)),
    "consistency": option("consistency_weight", lambda weight: 0.0 if weight else 10.0),
    "consistency-weak": option("consistency_weight", lambda weight: 0.0 if weight else 1.0),
    # With a weight that rises over the first third.
    "consistency-rising": lambda base: dataclasses.replace(
        PIECES["consistency"](base), regularizer_warmup_epochs=base.epochs / 3
    ),
    "nuclear-rising": lambda base: dataclasses.replace(
        PIECES["nuclear"](base), regularizer_warmup_epochs=base.epochs
    ),
    "activation": field("activation", "relu", "silu"),
    "reconstructor": reconstructor,
    **{f"lambda-{weight:g}": joint(weight) for weight in (0.02, 0.05, 0.2, 0.5, 1.0)},
    "efgsm": without_attack,
    "reconstructor-alone": lambda base: without_attack(joint(LAMBDA)(base)),
    "fgsm-rs": other_method("fgsm-rs", rises=True),
    "n-fgsm": other_method("n-fgsm"),
    # Another memory and the gradient of the cross-entropy in place of the margin's.
    "fgsm-pgi": other_method("fgsm-pgi", consistency_weight=0.0),
    "threshold": other_classifier(
        "threshold",
        {
            "mnist-threshold": "mnist",
            "cifar10-threshold": "cifar10-conv4",
            "mnist": "mnist-threshold",
            "tone-curve": "threshold",
        },
    ),
    # The pixels themselves in place of a learned curve of them, or the other way round.
    "curve": other_classifier(
        "curve", {"tone-curve": "strided-conv", "strided-conv": "tone-curve", "mnist": "tone-curve"}
    ),
    # Learned curves that may fall in place of the one that only rises, or the other way round.
    "free-curve": other_classifier(
        "free curve", {"tone-curve": "free-curve", "free-curve": "tone-curve"}
    ),
    "nuclear": option("nuclear_weight", lambda weight: 0.0 if weight else 4.0),
    "universal": option("memory", lambda kind: "sample" if kind == "universal" else "universal"),
    "no-memory": option("memory", lambda kind: "sample" if kind == "none" else "none"),
    # No memory, but a start as far out, in a corner of the ball that is drawn anew each time; or
    # in the noise alone, where a sample's first visit is to a corner.
    "random-corner": without_memory("corner"),
    "random-noise": without_memory("gaussian"),
    "rivals": option("rivals", lambda number: 1 if number == "all" else "all"),
    "first-visit": option(
        "first_visit", lambda where: "gaussian" if where == "corner" else "corner"
    ),
    "step": full_step,
    "width": other_classifier(
        "width",
        {
            "cifar10-strided": "cifar10-strided-wide",
            "cifar10-strided-wide": "cifar10-strided",
        },
    ),
    "sigma-half": option("sigma", lambda sigma: sigma / 2),
    "sigma-double": option("sigma", lambda sigma: sigma * 2),
    "decay": option("decay", lambda decay: 0.8 if decay > 0.8 else 0.95),
    "projection": option("use_projection", lambda used: not used),
    # What the memory adds up: the sign of the attack's step, or of the perturbation as printed.
    "momentum-from": option(
        "momentum_from",
        lambda source: "perturbation" if source == "gradient" else "gradient",
    ),
}
"""What makes the variant of each piece of the recipe from the base."""
