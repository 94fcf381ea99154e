"""Checks of a configuration beyond the range of each value."""

from typing import Any

from keras_efgsm.checks import check_count, check_epsilon
from keras_efgsm.recipes.methods import find_method


def check_together(config: Any) -> None:
    """Checks what depends on several fields; the attack and the objective check their own options.

    Args:
        config: a `TrainingConfig` whose fields are good by themselves.

    Raises:
        ValueError: if two of them exclude each other.
    """
    in_linf = config.method_options.get("norm") != "l2"
    if in_linf:
        check_epsilon(config.epsilon)
    method = find_method(config.method)
    if method.has_reconstructor and config.reconstructor is None:
        raise ValueError(
            f"The method {config.method!r} trains a re-constructor and needs a network for it. "
            "Received: reconstructor=None"
        )
    if config.keep_best and not (config.overfitting_stop and config.probe_images):
        raise ValueError(
            "`keep_best` needs the probe of the overfitting stop to tell which epoch is best. "
            f"Received: overfitting_stop={config.overfitting_stop}, "
            f"probe_images={config.probe_images}"
        )
    if in_linf and config.epsilon * config.epsilon_factor > 1.0:
        raise ValueError(
            "`epsilon_factor` must leave the ball of the training a radius of at most 1. "
            f"Received: epsilon_factor={config.epsilon_factor}, epsilon={config.epsilon}"
        )
    # Before any data is read.
    attack = config.make_attack()
    if config.momentum_reset_epochs and not attack.uses_momentum:
        raise ValueError(
            f"The method {config.method!r} keeps no momentum that could be reset. "
            f"Received: momentum_reset_epochs={config.momentum_reset_epochs}"
        )
    objective = config.make_objective()
    if objective.regularizer_weight is None and config.regularizer_warmup_epochs:
        raise ValueError(
            f"The objective of the method {config.method!r} has no regulariser that could be "
            "warmed up. "
            f"Received: regularizer_warmup_epochs={config.regularizer_warmup_epochs}"
        )
    if objective.needs_start_logits and not attack.tells_start_logits:
        raise ValueError(
            "The objective compares logits with those where the attack took its gradient, which "
            f"this attack does not tell. Received: method={config.method!r}"
        )


def check_classifier(value: Any, name: str) -> Any:
    """Returns `value` if it names a classifier, without building one.

    Raises:
        ValueError: otherwise.
    """
    from keras_efgsm.networks import check_classifier_spec

    check_classifier_spec(value)
    return value


def check_activation(value: Any, name: str) -> Any:
    """Returns `value` if it is the name of an activation of Keras.

    Raises:
        ValueError: otherwise.
    """
    import keras

    try:
        if not isinstance(value, str):
            raise ValueError
        keras.activations.get(value)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be the name of an activation of Keras, such as 'relu', 'silu' or "
            f"'softplus'. Received: {name}={value!r}"
        ) from error
    return value


def check_image_shape(value: Any, name: str) -> tuple[int, int]:
    """Returns a height and a width in pixels as a tuple, which JSON gives back as a list.

    Raises:
        ValueError: if it is anything else.
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(
            f"`{name}` must be a height and a width in pixels. Received: {name}={value!r}"
        )
    height, width = (check_count(side, name) for side in value)
    return height, width
