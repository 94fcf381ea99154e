"""One variant of a configuration for each piece of the recipe: the piece taken out, or put in."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS

BASE = "base"
"""Name of the configuration itself among its variants."""

_LAMBDA = METHODS["combined"].options["lambda"]


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
        options = {**base.method_options, name: value(base.method_option(name))}
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


def _reconstructor(base: TrainingConfig) -> TrainingConfig:
    """Takes the re-constructor out, or puts it in with the method's lambda."""
    if base.method == "efgsm":
        return _joint(_LAMBDA)(base)
    if base.method != "combined":
        raise ValueError(
            "The variant of the re-constructor needs a base whose method is 'combined' or "
            f"'efgsm'. Received: method={base.method!r}"
        )
    options = {k: v for k, v in base.method_options.items() if k in METHODS["efgsm"].options}
    changes = _same_steps(base, base.method_options["lambda"])
    return dataclasses.replace(base, method="efgsm", method_options=options, **changes)


def _joint(weight: float) -> Callable[[TrainingConfig], TrainingConfig]:
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


def _without_attack(base: TrainingConfig) -> TrainingConfig:
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


def _other_start(base: TrainingConfig) -> TrainingConfig:
    if base.method != "efgsm":
        raise ValueError(
            "The variant of the rival with a random start needs a base whose method is 'efgsm'. "
            f"Received: method={base.method!r}"
        )
    return dataclasses.replace(
        base.with_method("fgsm-rs"),
        label_smoothing=base.label_smoothing,
        momentum_reset_epochs=0,
        epsilon_warmup_epochs=0.3 * base.epochs,
    )


def _other_classifier(piece: str, others: dict[str, str]) -> Callable[..., TrainingConfig]:
    """Another classifier in place of each of these."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if base.classifier not in others:
            raise ValueError(
                f"The variant of the {piece} needs a base with a classifier of {list(others)}. "
                f"Received: classifier={base.classifier!r}"
            )
        return dataclasses.replace(base, classifier=others[base.classifier])

    return change


def _full_step(base: TrainingConfig) -> TrainingConfig:
    """A step of epsilon in place of that to the boundary, or the other way round."""
    change = _option("step_size", lambda size: None if size is not None else base.epsilon)
    return change(base)


def _without_memory(first_visit: str) -> Callable[[TrainingConfig], TrainingConfig]:
    """No memory, and another start than the base has where a sample is met for the first time."""

    def change(base: TrainingConfig) -> TrainingConfig:
        if base.method_option("first_visit") == first_visit:
            raise ValueError(
                f"The variant of the {first_visit} start needs a base that first visits "
                "elsewhere; without memory this one starts there already. "
                f"Received: method_options={base.method_options}"
            )
        return PIECES["no-memory"](PIECES["first-visit"](base))

    return change


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
    "attack-mode": _field("attack_in_training_mode", True, False),
    "epsilon-warmup": _field("epsilon_warmup_epochs", 0.0, lambda epochs: 0.3 * epochs),
    "epsilon-factor": _field("epsilon_factor", 1.0, 1.2),
    "momentum-reset": _field("momentum_reset_epochs", 0, lambda epochs: max(1, epochs // 3)),
    "consistency": _option("consistency_weight", lambda weight: 0.0 if weight else 10.0),
    "consistency-weak": _option("consistency_weight", lambda weight: 0.0 if weight else 1.0),
    # With a weight that rises over the first third.
    "consistency-rising": lambda base: dataclasses.replace(
        PIECES["consistency"](base), regularizer_warmup_epochs=base.epochs / 3
    ),
    "nuclear-rising": lambda base: dataclasses.replace(
        PIECES["nuclear"](base), regularizer_warmup_epochs=base.epochs
    ),
    "activation": _field("activation", "relu", "silu"),
    "reconstructor": _reconstructor,
    **{f"lambda-{weight:g}": _joint(weight) for weight in (0.02, 0.05, 0.2, 0.5, 1.0)},
    "efgsm": _without_attack,
    "reconstructor-alone": lambda base: _without_attack(_joint(_LAMBDA)(base)),
    "fgsm-rs": _other_start,
    "threshold": _other_classifier(
        "threshold",
        {
            "mnist-threshold": "mnist",
            "cifar10-threshold": "cifar10-conv4",
            "mnist": "mnist-threshold",
            "tone-curve": "threshold",
        },
    ),
    # The pixels themselves in place of a learned curve of them, or the other way round.
    "curve": _other_classifier(
        "curve", {"tone-curve": "strided-conv", "strided-conv": "tone-curve", "mnist": "tone-curve"}
    ),
    # Learned curves that may fall in place of the one that only rises, or the other way round.
    "free-curve": _other_classifier(
        "free curve", {"tone-curve": "free-curve", "free-curve": "tone-curve"}
    ),
    "nuclear": _option("nuclear_weight", lambda weight: 0.0 if weight else 4.0),
    "universal": _option("memory", lambda kind: "sample" if kind == "universal" else "universal"),
    "no-memory": _option("memory", lambda kind: "sample" if kind == "none" else "none"),
    # No memory, but a start as far out, in a corner of the ball that is drawn anew each time; or
    # in the noise alone, where a sample's first visit is to a corner.
    "random-corner": _without_memory("corner"),
    "random-noise": _without_memory("gaussian"),
    "rivals": _option("rivals", lambda number: 1 if number == "all" else "all"),
    "first-visit": _option(
        "first_visit", lambda where: "gaussian" if where == "corner" else "corner"
    ),
    "step": _full_step,
    "width": _other_classifier(
        "width",
        {
            "cifar10-strided": "cifar10-strided-wide",
            "cifar10-strided-wide": "cifar10-strided",
        },
    ),
    "sigma-half": _option("sigma", lambda sigma: sigma / 2),
    "sigma-double": _option("sigma", lambda sigma: sigma * 2),
    "decay": _option("decay", lambda decay: 0.8 if decay > 0.8 else 0.95),
    "projection": _option("use_projection", lambda used: not used),
    # What the memory adds up: the sign of the attack's step, or of the perturbation as printed.
    "momentum-from": _option(
        "momentum_from",
        lambda source: "perturbation" if source == "gradient" else "gradient",
    ),
}
"""What makes the variant of each piece of the recipe from the base."""
