"""How a piece of a recipe is changed: what makes the changes that the variants name."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS

LAMBDA = METHODS["combined"].options["lambda"]
"""The weight of the classification beside a re-constructor that is put in, as the method has it."""


def field(name: str, off: Any, on: Any) -> Callable[[TrainingConfig], TrainingConfig]:
    """Switches a field: off where it is on, and else to `on`, or what `on` makes of the epochs."""

    def change(base: TrainingConfig) -> TrainingConfig:
        value = off if getattr(base, name) != off else on
        return dataclasses.replace(base, **{name: value(base.epochs) if callable(value) else value})

    return change


def option(name: str, value: Callable[[Any], Any]) -> Callable[[TrainingConfig], TrainingConfig]:
    """Makes of an option of the method what `value` makes of it."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if name not in base.method_options:
            raise ValueError(
                f"The variant changes `{name}`, which the method {base.method!r} does not have. "
                f"Received: method={base.method!r}"
            )
        options = {**base.method_options, name: value(base.method_option(name))}
        return dataclasses.replace(base, method_options=options)

    return change


def unaligned(base: TrainingConfig) -> TrainingConfig:
    """Leaves the memory of a sample where it was while its image moves."""
    if base.augmentation() is None:
        raise ValueError(
            "The variant of the alignment needs a base with crops or flips; give --crop-padding or "
            "--flip, or leave it out of --variants. "
            f"Received: crop_padding={base.crop_padding}, flip={base.flip}"
        )
    return field("align_momentum", False, True)(base)


def crop_and_flip(base: TrainingConfig) -> TrainingConfig:
    """Takes crops and flips out, or puts both in where there is none."""
    if base.crop_padding or base.flip:
        return dataclasses.replace(base, crop_padding=0, flip=False)
    return dataclasses.replace(base, crop_padding=4, flip=True)


def reconstructor(base: TrainingConfig) -> TrainingConfig:
    """Takes the re-constructor out, or puts it in with the method's lambda."""
    if base.method == "efgsm":
        return joint(LAMBDA)(base)
    if base.method != "combined":
        raise ValueError(
            "The variant of the re-constructor needs a base whose method is 'combined' or "
            f"'efgsm'. Received: method={base.method!r}"
        )
    options = {k: v for k, v in base.method_options.items() if k in METHODS["efgsm"].options}
    changes = _same_steps(base, base.method_options["lambda"])
    return dataclasses.replace(base, method="efgsm", method_options=options, **changes)


def joint(weight: float) -> Callable[[TrainingConfig], TrainingConfig]:
    """The re-constructor beside the classifier, whose loss has this weight, lambda."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if base.method not in ("efgsm", "combined"):
            raise ValueError(
                "The variant of lambda needs a base whose method is 'combined' or 'efgsm'. "
                f"Received: method={base.method!r}"
            )
        if base.method_options.get("lambda") == weight:
            raise ValueError(
                f"The variant of lambda needs a base with another. Received: lambda={weight}"
            )
        own = METHODS["combined"].options
        kept = {k: v for k, v in base.method_options.items() if k in own}
        before = base.method_options.get("lambda", 1.0)
        return dataclasses.replace(
            base,
            method="combined",
            method_options={**own, **kept, "lambda": weight},
            **_same_steps(base, before / weight),
        )

    return change


def _same_steps(base: TrainingConfig, factor: float) -> dict[str, Any]:
    """What lets the classifier make the same steps where its loss is so many times what it was."""
    if base.optimizer != "sgd":
        return {}  # Adam is indifferent to it
    return {
        "learning_rate": base.learning_rate * factor,
        "weight_decay": base.weight_decay / factor,
    }


def without_attack(base: TrainingConfig) -> TrainingConfig:
    """Ordinary training, or that of the re-constructor alone."""
    methods = {"combined": "rec", "efgsm": "standard"}
    if base.method not in methods:
        raise ValueError(
            "The variant without eFGSM needs a base whose method is 'combined' or 'efgsm'. "
            f"Received: method={base.method!r}"
        )
    method = methods[base.method]
    options = {k: v for k, v in base.method_options.items() if k in METHODS[method].options}
    return dataclasses.replace(
        base,
        method=method,
        method_options=options,
        momentum_reset_epochs=0,
        regularizer_warmup_epochs=0.0,
    )


def other_method(
    method: str, *, rises: bool = False, **options: Any
) -> Callable[..., TrainingConfig]:
    """A one-step rival in place of eFGSM, with its own options and all else as it is.

    Args:
        method: its name, see `keras-efgsm methods`.
        rises: whether it needs an epsilon that rises over the first three tenths of the training.
        options: those of its options that are not as published.
    """

    def change(base: TrainingConfig) -> TrainingConfig:
        if base.method != "efgsm":
            raise ValueError(
                f"The variant of the rival {method} needs a base whose method is 'efgsm'. "
                f"Received: method={base.method!r}"
            )
        changes = {
            **base.method_changes(method, options),
            "label_smoothing": base.label_smoothing,
        }
        if rises:
            changes["epsilon_warmup_epochs"] = 0.3 * base.epochs
        return dataclasses.replace(base, **changes)

    return change


def other_classifier(piece: str, others: dict[str, str]) -> Callable[..., TrainingConfig]:
    """Another classifier in place of each of these."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if base.classifier not in others:
            raise ValueError(
                f"The variant of the {piece} needs a base with a classifier of {list(others)}. "
                f"Received: classifier={base.classifier!r}"
            )
        return dataclasses.replace(base, classifier=others[base.classifier])

    return change


def full_step(base: TrainingConfig) -> TrainingConfig:
    """A step of epsilon in place of that to the boundary, or the other way round."""
    change = option("step_size", lambda size: None if size is not None else base.epsilon)
    return change(base)


def without_memory(first_visit: str) -> Callable[[TrainingConfig], TrainingConfig]:
    """No memory, and another start than the base has where a sample is met for the first time."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if base.method_option("first_visit") == first_visit:
            raise ValueError(
                f"The variant of the {first_visit} start needs a base that first visits "
                "elsewhere; without memory this one starts there already. "
                f"Received: method_options={base.method_options}"
            )
        there = option("first_visit", lambda _: first_visit)(base)
        return option("memory", lambda _: "none")(there)

    return change


def other_optimizer(base: TrainingConfig) -> TrainingConfig:
    """SGD in place of Adam, or the other way round."""
    if base.optimizer == "sgd":
        return dataclasses.replace(base, optimizer="adam", learning_rate=2e-3, weight_decay=0.0)
    return dataclasses.replace(
        base, optimizer="sgd", learning_rate=0.1 / base.method_options.get("lambda", 1.0)
    )
