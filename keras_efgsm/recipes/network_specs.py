"""Builds the networks that a configuration names."""

from typing import TYPE_CHECKING, Any

from keras_efgsm.networks import (
    RECONSTRUCTORS,
    check_classifier_spec,
    default_network,
    default_reconstructor,
)

if TYPE_CHECKING:
    import keras

__all__ = [
    "build_classifier",
    "build_reconstructor",
    "check_classifier_spec",
    "default_network",
    "default_reconstructor",
]


def build_classifier(
    spec: str, data: Any, activation: str, freeze_until: str | None
) -> "keras.Model":
    """The classifier of a configuration, for the images of a data set.

    Example:

    ```python
    data = load_digits("test")
    build_classifier("digits", data, "relu", None).output_shape  # (None, 10)
    ```
    """
    # Imports Keras, which checking a configuration does not need.
    from keras_efgsm import networks

    return networks.build_classifier(
        spec,
        tuple(data.image_shape),
        data.num_classes,
        activation=activation,
        freeze_until=freeze_until,
    )


def build_reconstructor(spec: str, data: Any) -> "keras.Model":
    """The re-constructor of a configuration, for the images of a data set.

    Example:

    ```python
    build_reconstructor("digits", load_digits("test")).output_shape  # (None, 8, 8, 1)
    ```
    """
    return RECONSTRUCTORS[spec](tuple(data.image_shape), data.num_classes)
