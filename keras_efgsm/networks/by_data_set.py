"""The networks of the paper's data sets as functions of the number of classes.

Thin aliases: `mnist_classifier()` is `CLASSIFIERS["mnist"]((28, 28, 1), 10)`.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from keras_efgsm.checks import check_choice
from keras_efgsm.networks.table import (
    CLASSIFIERS,
    RECONSTRUCTORS,
    NamedClassifier,
    NamedReconstructor,
)

if TYPE_CHECKING:
    import keras

IMAGE_SHAPES = {"digits": (8, 8, 1), "mnist": (28, 28, 1), "cifar10": (32, 32, 3)}


def image_shape_of(name: str) -> tuple[int, int, int]:
    """The image shape of one of the paper's data sets, or of a network that is named after it.

    Args:
        name: begins with `"digits"`, `"mnist"` or `"cifar10"`.

    Raises:
        ValueError: if it does not.

    Example:

    ```python
    image_shape_of("cifar10-wrn22-5")  # (32, 32, 3)
    ```
    """
    data_set = re.split("[-_]", name)[0]
    return IMAGE_SHAPES[check_choice(data_set, "name", tuple(IMAGE_SHAPES))]


_WHAT_IT_IS = """`{table}[{name!r}]` for {height} x {width} images of {channels} channels.

    Args:
        num_classes: number of classes K. Defaults to 10.
        {options}name: name of the model.

    Example:

    ```python
    model = {function}(num_classes=5)
    ```
"""


def _classifier(key: str) -> Callable[..., "keras.Model"]:
    entry, shape = CLASSIFIERS[key], image_shape_of(key)
    assert isinstance(entry, NamedClassifier)

    def build(
        num_classes: int = 10, activation: str = "relu", name: str | None = None
    ) -> "keras.Model":
        return entry(shape, num_classes, activation, name)

    return _named(build, key, entry.name, "CLASSIFIERS", shape)


def _reconstructor(key: str) -> Callable[..., "keras.Model"]:
    entry, shape = RECONSTRUCTORS[key], image_shape_of(key)
    assert isinstance(entry, NamedReconstructor)

    def build(num_classes: int = 10, name: str | None = None) -> "keras.Model":
        return entry(shape, num_classes, name)

    return _named(build, key, entry.name, "RECONSTRUCTORS", shape)


def _named(
    build: Callable[..., "keras.Model"],
    key: str,
    name: str,
    table: str,
    shape: tuple[int, int, int],
) -> Callable[..., "keras.Model"]:
    height, width, channels = shape
    options = "activation: of the layers. Defaults to `relu`.\n        "
    build.__name__ = build.__qualname__ = name
    build.__doc__ = _WHAT_IT_IS.format(
        table=table,
        function=name,
        name=key,
        height=height,
        width=width,
        channels=channels,
        options=options if table == "CLASSIFIERS" else "",
    )
    return build


digits_classifier = _classifier("digits")
"""`CLASSIFIERS["digits"]` for 8 x 8 grey images."""
mnist_classifier = _classifier("mnist")
"""`CLASSIFIERS["mnist"]` for 28 x 28 grey images."""
mnist_paper_classifier = _classifier("mnist-paper")
"""`CLASSIFIERS["mnist-paper"]` for 28 x 28 grey images."""
mnist_threshold_classifier = _classifier("mnist-threshold")
"""`CLASSIFIERS["mnist-threshold"]` for 28 x 28 grey images."""
mnist_deep_threshold_classifier = _classifier("mnist-threshold-deep")
"""`CLASSIFIERS["mnist-threshold-deep"]` for 28 x 28 grey images."""
mnist_madry_classifier = _classifier("mnist-madry")
"""`CLASSIFIERS["mnist-madry"]` for 28 x 28 grey images."""
mnist_trades_classifier = _classifier("mnist-trades")
"""`CLASSIFIERS["mnist-trades"]` for 28 x 28 grey images."""
mnist_resnet = _classifier("mnist-resnet")
"""`CLASSIFIERS["mnist-resnet"]` for 28 x 28 grey images."""
cifar10_threshold_classifier = _classifier("cifar10-threshold")
"""`CLASSIFIERS["cifar10-threshold"]` for 32 x 32 colour images."""
cifar10_conv4 = _classifier("cifar10-conv4")
"""`CLASSIFIERS["cifar10-conv4"]` for 32 x 32 colour images."""
cifar10_resnet = _classifier("cifar10-resnet")
"""`CLASSIFIERS["cifar10-resnet"]` for 32 x 32 colour images."""
cifar10_resnet18 = _classifier("cifar10-resnet18")
"""`CLASSIFIERS["cifar10-resnet18"]` for 32 x 32 colour images."""
cifar10_preact_resnet18 = _classifier("cifar10-preact-resnet18")
"""`CLASSIFIERS["cifar10-preact-resnet18"]` for 32 x 32 colour images."""
cifar10_strided = _classifier("cifar10-strided")
"""`CLASSIFIERS["cifar10-strided"]` for 32 x 32 colour images."""
cifar10_strided_wide = _classifier("cifar10-strided-wide")
"""`CLASSIFIERS["cifar10-strided-wide"]` for 32 x 32 colour images."""
cifar10_wrn10_1 = _classifier("cifar10-wrn10-1")
"""`CLASSIFIERS["cifar10-wrn10-1"]` for 32 x 32 colour images."""
cifar10_wrn10_2 = _classifier("cifar10-wrn10-2")
"""`CLASSIFIERS["cifar10-wrn10-2"]` for 32 x 32 colour images."""
cifar10_wrn22_5 = _classifier("cifar10-wrn22-5")
"""`CLASSIFIERS["cifar10-wrn22-5"]` for 32 x 32 colour images."""
cifar10_wrn34_10 = _classifier("cifar10-wrn34-10")
"""`CLASSIFIERS["cifar10-wrn34-10"]` for 32 x 32 colour images."""

digits_reconstructor = _reconstructor("digits")
"""`RECONSTRUCTORS["digits"]` of 8 x 8 grey images."""
mnist_reconstructor = _reconstructor("mnist")
"""`RECONSTRUCTORS["mnist"]` of 28 x 28 grey images."""
mnist_dense_reconstructor = _reconstructor("mnist-dense")
"""`RECONSTRUCTORS["mnist-dense"]` of 28 x 28 grey images."""
cifar10_small_reconstructor = _reconstructor("cifar10-small")
"""`RECONSTRUCTORS["cifar10-small"]` of 32 x 32 colour images."""
cifar10_wrn22_3_reconstructor = _reconstructor("cifar10-wrn22-3")
"""`RECONSTRUCTORS["cifar10-wrn22-3"]` of 32 x 32 colour images."""
