"""Networks by what a configuration says of them."""

import inspect
from typing import Any

from keras_efgsm import networks
from keras_efgsm.checks import check_choice


def check_classifier_spec(spec: Any) -> None:
    """Checks what names a classifier, without building it.

    Raises:
        ValueError: if it is none.
    """
    known = getattr(networks, "check_classifier_spec", None)
    if known is not None:
        known(spec)
    else:
        check_choice(spec, "classifier", tuple(networks.CLASSIFIERS))


def build_classifier(spec: str, data: Any, activation: str, freeze_until: str | None) -> Any:
    """The classifier of a configuration, for the images of a data set."""
    built = getattr(networks, "build_classifier", None)
    if built is not None:
        return built(
            spec,
            tuple(data.image_shape),
            data.num_classes,
            activation=activation,
            freeze_until=freeze_until,
        )
    return networks.CLASSIFIERS[spec](data.num_classes, activation=activation)


def build_reconstructor(spec: str, data: Any) -> Any:
    """The re-constructor of a configuration, for the images of a data set."""
    build = networks.RECONSTRUCTORS[spec]
    if "image_shape" in inspect.signature(build).parameters:
        return build(tuple(data.image_shape), data.num_classes)
    return build(data.num_classes)


def default_network(image_shape: tuple[int, int, int], num_images: int, num_classes: int) -> str:
    """The name of the classifier for images of a shape that no recipe was made for."""
    known = getattr(networks, "default_network", None)
    if known is not None:
        return known(image_shape, num_images, num_classes)
    if max(image_shape[:2]) <= 12:
        return "digits"
    return "mnist" if image_shape[-1] == 1 else "cifar10-strided"
