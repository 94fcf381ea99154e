"""One variant of a configuration for each piece of the recipe: the piece taken out, or put in."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_efgsm.config import TrainingConfig
from keras_efgsm.methods import METHODS

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


def _field(name: str, off: Any, on: Any) -> Callable[[TrainingConfig], TrainingConfig]:
    """Switches a field: off where it is on, and else to `on`, or what `on` makes of the epochs."""

    def change(base: TrainingConfig) -> TrainingConfig:
        value = off if getattr(base, name) != off else on
        return dataclasses.replace(base, **{name: value(base.epochs) if callable(value) else value})

    return change


def _option(name: str, value: Callable[[Any], Any]) -> Callable[[TrainingConfig], TrainingConfig]:
    """Changes an option of the method."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if name not in base.method_options:
            raise ValueError(
                f"The variant changes `{name}`, which the method {base.method!r} does not have. "
                f"Received: method={base.method!r}"
            )
        options = {**base.method_options, name: value(base.method_options[name])}
        return dataclasses.replace(base, method_options=options)

    return change


def _unaligned(base: TrainingConfig) -> TrainingConfig:
    if base.augmentation() is None:
        raise ValueError(
            "The variant of the alignment needs a base with crops or flips; give --crop-padding or "
            "--flip, or leave it out of --variants. "
            f"Received: crop_padding={base.crop_padding}, flip={base.flip}"
        )
    return _field("align_momentum", False, True)(base)


def _crop_and_flip(base: TrainingConfig) -> TrainingConfig:
    if base.crop_padding or base.flip:
        return dataclasses.replace(base, crop_padding=0, flip=False)
    return dataclasses.replace(base, crop_padding=4, flip=True)


def _without_reconstructor(base: TrainingConfig) -> TrainingConfig:
    if base.method != "combined":
        raise ValueError(
            "The variant without re-constructor needs a base that has one. "
            f"Received: method={base.method!r}"
        )
    options = {k: v for k, v in base.method_options.items() if k in METHODS["efgsm"].options}
    changes: dict[str, Any] = {}
    if base.optimizer == "sgd":
        # The loss is now the classification loss itself and no longer lambda times it: the
        # classifier is to make the same steps as before.
        weight = base.method_options["lambda"]
        changes["learning_rate"] = base.learning_rate * weight
        changes["weight_decay"] = base.weight_decay / weight
    return dataclasses.replace(base, method="efgsm", method_options=options, **changes)


def _other_optimizer(base: TrainingConfig) -> TrainingConfig:
    if base.optimizer == "sgd":
        return dataclasses.replace(base, optimizer="adam", learning_rate=2e-3, weight_decay=0.0)
    return dataclasses.replace(
        base, optimizer="sgd", learning_rate=0.1 / base.method_options.get("lambda", 1.0)
    )


PIECES: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    "alignment": _unaligned,
    "crop-flip": _crop_and_flip,
    "cutout": _field("cutout", 0, 8),
    "schedule": _field("schedule", "cosine", "one-cycle"),
    "optimizer": _other_optimizer,
    "weight-decay": _field("weight_decay", 0.0, 5e-4),
    "label-smoothing": _field("label_smoothing", 0.0, 0.1),
    "averaging": _field("weight_averaging", 0.0, 0.999),
    "attack-mode": _field("attack_in_training_mode", False, True),
    "epsilon-warmup": _field("epsilon_warmup_epochs", 0.0, lambda epochs: 0.3 * epochs),
    "momentum-reset": _field("momentum_reset_epochs", 0, lambda epochs: max(1, epochs // 3)),
    "consistency": _option("consistency_weight", lambda weight: 0.0 if weight else 10.0),
    "consistency-weak": _option("consistency_weight", lambda weight: 0.0 if weight else 1.0),
    # The logits of the start and those of the example under the same statistics of batch norm.
    "consistency-training-mode": lambda base: dataclasses.replace(
        PIECES["consistency"](base), attack_in_training_mode=True
    ),
    "activation": _field("activation", "relu", "silu"),
    "reconstructor": _without_reconstructor,
    "sigma-half": _option("sigma", lambda sigma: sigma / 2),
    "sigma-double": _option("sigma", lambda sigma: sigma * 2),
    "decay": _option("decay", lambda decay: 0.8 if decay > 0.8 else 0.95),
    "projection": _option("use_projection", lambda used: not used),
}
"""What makes the variant of each piece of the recipe from the base."""
