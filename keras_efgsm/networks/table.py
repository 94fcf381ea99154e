"""The networks by name: a line each, without importing Keras before one is made.

`CLASSIFIERS[name](image_shape, num_classes, activation="relu", name=...)` makes a classifier,
`RECONSTRUCTORS[name](image_shape, num_classes, name=...)` a re-constructor, both of any image
shape.

Names by architecture normalise the pixels they see, where they do, by `NEUTRAL_PIXELS`: `(x - 1/2)
/ (1/4)` for every channel, grey or colour. Names that begin with a data set are those of the
paper and of committed results: on that data set's shape they make what they always made, and on
any other shape the same layers. The `cifar10-` ones normalise by CIFAR-10's statistics; images of
another number of channels than three by their mean.

A network of one's own is registered by one line as well, as any function of these arguments:
`CLASSIFIERS["mine"] = my_network`.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keras_efgsm.checks import check_count
from keras_efgsm.networks.image_shape import check_image_shape
from keras_efgsm.networks.pixels import CIFAR10_PIXELS, NEUTRAL_PIXELS

if TYPE_CHECKING:
    import keras


class NamedNetwork:
    """A function that makes a network, with some of its options, imported when it is called.

    Args:
        name: name of the models that it makes.
        function: `module:function` within `keras_efgsm.networks`.
        options: further arguments of the function.
    """

    def __init__(self, name: str, function: str, **options: Any):
        self.name, self.function, self.options = name, function, options

    def make(self, image_shape: tuple[int, int, int], num_classes: int, **given: Any) -> Any:
        """Calls the function."""
        check_image_shape(image_shape, self.name)
        check_count(num_classes, "num_classes", minimum=2)
        module, function = self.function.split(":")
        build = getattr(importlib.import_module(f"keras_efgsm.networks.{module}"), function)
        given["name"] = given["name"] or self.name
        return build(image_shape, num_classes, **given, **self.options)

    def __repr__(self) -> str:
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"{type(self).__name__}({self.name!r}, {self.function!r}{options})"


class NamedClassifier(NamedNetwork):
    """A classifier by name."""

    def __call__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        activation: str = "relu",
        name: str | None = None,
    ) -> "keras.Model":
        """Makes the classifier.

        Args:
            image_shape: `(H, W, C)`.
            num_classes: number of logits K, at least 2.
            activation: any Keras activation. Defaults to `"relu"`.
            name: name of the model. Defaults to the network's own.

        Raises:
            ValueError: if it cannot be made for such images.
        """
        return self.make(image_shape, num_classes, activation=activation, name=name)


class NamedReconstructor(NamedNetwork):
    """A re-constructor by name."""

    def __call__(
        self, image_shape: tuple[int, int, int], num_classes: int, name: str | None = None
    ) -> "keras.Model":
        """Makes the re-constructor.

        Args:
            image_shape: `(H, W, C)`.
            num_classes: length K of the probability vector, at least 2.
            name: name of the model. Defaults to the network's own.

        Raises:
            ValueError: if it cannot be made for such images.
        """
        return self.make(image_shape, num_classes, name=name)


def _classifier(name: str, function: str, **options: Any) -> NamedClassifier:
    return NamedClassifier(name, f"classifiers.{function}", **options)


def _reconstructor(name: str, function: str, **options: Any) -> NamedReconstructor:
    return NamedReconstructor(name, f"reconstructors.{function}", **options)


_NEUTRAL: dict[str, Any] = {"pixels": NEUTRAL_PIXELS}
_CIFAR10: dict[str, Any] = {"pixels": CIFAR10_PIXELS}
_STRIDED, _WIDE = "strided_resnet:strided_resnet", "wide_resnet:wide_resnet"
_THRESHOLD = "threshold:threshold_classifier"
_DEEP_THRESHOLD = "threshold:deep_threshold_classifier"
_STRIDED_WIDE = (96, 192, 384)
_DENOISE: dict[str, Any] = {"denoise": "gaussian"}

CLASSIFIERS: dict[str, Callable[..., "keras.Model"]] = {
    # Plain convolutions; `default_network` says which is for which images.
    "conv2": _classifier("conv2", "conv2:conv2"),
    "strided-conv": _classifier("strided_conv", "strided_conv:strided_conv"),
    "conv4": _classifier("conv4", "conv4:conv4", **_NEUTRAL),
    "conv4-pool": _classifier("conv4_pool", "conv4_pool:conv4_pool"),
    "madry-cnn": _classifier("madry_cnn", "madry_cnn:madry_cnn"),
    "trades-cnn": _classifier("trades_cnn", "trades_cnn:trades_cnn"),
    # A threshold on each pixel, for nearly black and white images.
    "threshold": _classifier("threshold", _THRESHOLD),
    "threshold-deep": _classifier("threshold_deep", _DEEP_THRESHOLD),
    # A learned curve of each pixel that can only rise.
    "tone-curve": _classifier("tone_curve", "tone_curve:tone_curve_classifier"),
    # Two that may fall as well, for comparison.
    "free-curve": _classifier("free_curve", "tone_curve:free_curve_classifier"),
    # Residual networks that leave full resolution at once; the number is the first stride.
    "strided-narrow": _classifier("strided_narrow", _STRIDED, channels=(32, 64, 128), **_NEUTRAL),
    "strided": _classifier("strided", _STRIDED, **_NEUTRAL),
    "strided-wide": _classifier("strided_wide", _STRIDED, channels=_STRIDED_WIDE, **_NEUTRAL),
    "strided4": _classifier("strided4", _STRIDED, stride=4, **_NEUTRAL),
    "strided8": _classifier("strided8", _STRIDED, stride=8, **_NEUTRAL),
    "strided16": _classifier("strided16", _STRIDED, stride=16, **_NEUTRAL),
    # Residual networks of the literature, at full resolution: for small images or an accelerator.
    "resnet8": _classifier("resnet8", "resnet:resnet", depth=8, **_NEUTRAL),
    "resnet20": _classifier("resnet20", "resnet:resnet", depth=20, **_NEUTRAL),
    "resnet56": _classifier("resnet56", "resnet:resnet", depth=56, **_NEUTRAL),
    "resnet18": _classifier("resnet18", "resnet:resnet18", **_NEUTRAL),
    "preact-resnet18": _classifier(
        "preact_resnet18", "preact_resnet18:preact_resnet18", **_NEUTRAL
    ),
    "wrn10-1": _classifier("wrn10_1", _WIDE, depth=10, width=1, **_NEUTRAL),
    "wrn10-2": _classifier("wrn10_2", _WIDE, depth=10, width=2, **_NEUTRAL),
    "wrn22-5": _classifier("wrn22_5", _WIDE, depth=22, width=5, **_NEUTRAL),
    "wrn34-10": _classifier("wrn34_10", _WIDE, depth=34, width=10, **_NEUTRAL),
    # The same with a block of feature denoising after each group.
    "resnet8-denoise": _classifier(
        "resnet8_denoise", "resnet:resnet", depth=8, **_NEUTRAL, **_DENOISE
    ),
    "resnet18-denoise": _classifier("resnet18_denoise", "resnet:resnet18", **_NEUTRAL, **_DENOISE),
    "preact-resnet18-denoise": _classifier(
        "preact_resnet18_denoise", "preact_resnet18:preact_resnet18", **_NEUTRAL, **_DENOISE
    ),
    "wrn10-1-denoise": _classifier(
        "wrn10_1_denoise", _WIDE, depth=10, width=1, **_NEUTRAL, **_DENOISE
    ),
    "wrn10-1-denoise-dot": _classifier(
        "wrn10_1_denoise_dot", _WIDE, depth=10, width=1, denoise="dot-product", **_NEUTRAL
    ),
    "strided-denoise": _classifier("strided_denoise", _STRIDED, **_NEUTRAL, **_DENOISE),
    # By the data set whose results they made.
    "digits": _classifier("digits_classifier", "conv2:conv2"),
    "mnist": _classifier("mnist_classifier", "strided_conv:strided_conv"),
    "mnist-paper": _classifier("mnist_paper_classifier", "conv4_pool:conv4_pool"),
    "mnist-threshold": _classifier("mnist_threshold_classifier", _THRESHOLD),
    "mnist-threshold-deep": _classifier("mnist_deep_threshold_classifier", _DEEP_THRESHOLD),
    "mnist-madry": _classifier("mnist_madry_classifier", "madry_cnn:madry_cnn"),
    "mnist-trades": _classifier("mnist_trades_classifier", "trades_cnn:trades_cnn"),
    "mnist-resnet": _classifier("mnist_resnet", "resnet:resnet", depth=8),
    "cifar10-threshold": _classifier("cifar10_threshold_classifier", _THRESHOLD),
    "cifar10-conv4": _classifier("cifar10_conv4", "conv4:conv4", **_CIFAR10),
    "cifar10-resnet": _classifier("cifar10_resnet", "resnet:resnet", depth=56, **_CIFAR10),
    "cifar10-resnet18": _classifier("cifar10_resnet18", "resnet:resnet18", **_CIFAR10),
    "cifar10-preact-resnet18": _classifier(
        "cifar10_preact_resnet18", "preact_resnet18:preact_resnet18", **_CIFAR10
    ),
    "cifar10-resnet18-denoise": _classifier(
        "cifar10_resnet18_denoise", "resnet:resnet18", **_CIFAR10, **_DENOISE
    ),
    "cifar10-wrn10-1-denoise": _classifier(
        "cifar10_wrn10_1_denoise", _WIDE, depth=10, width=1, **_CIFAR10, **_DENOISE
    ),
    "cifar10-strided": _classifier("cifar10_strided", _STRIDED, **_CIFAR10),
    "cifar10-strided-wide": _classifier(
        "cifar10_strided_wide", _STRIDED, channels=_STRIDED_WIDE, **_CIFAR10
    ),
    "cifar10-wrn10-1": _classifier("cifar10_wrn10_1", _WIDE, depth=10, width=1, **_CIFAR10),
    "cifar10-wrn10-2": _classifier("cifar10_wrn10_2", _WIDE, depth=10, width=2, **_CIFAR10),
    "cifar10-wrn22-5": _classifier("cifar10_wrn22_5", _WIDE, depth=22, width=5, **_CIFAR10),
    "cifar10-wrn34-10": _classifier("cifar10_wrn34_10", _WIDE, depth=34, width=10, **_CIFAR10),
}
"""Classifiers by name, each a function of image shape, number of classes, activation and name."""

_SUBPIXEL, _DENSE = "subpixel:subpixel_reconstructor", "dense:dense_reconstructor"
_TRANSPOSED = "transposed:transposed_reconstructor"
_UPSAMPLING = "wide_resnet:wide_resnet_reconstructor"
_COLOR = (20, 32, 16)

RECONSTRUCTORS: dict[str, Callable[..., "keras.Model"]] = {
    "transposed": _reconstructor("transposed_reconstructor", _TRANSPOSED),
    "dense": _reconstructor("dense_reconstructor", _DENSE),
    # The number is the side of the blocks of pixels that the last layer makes.
    "subpixel": _reconstructor("subpixel_reconstructor", _SUBPIXEL, channels=_COLOR),
    "subpixel4": _reconstructor("subpixel4_reconstructor", _SUBPIXEL, channels=_COLOR, block=4),
    "subpixel8": _reconstructor("subpixel8_reconstructor", _SUBPIXEL, channels=_COLOR, block=8),
    "subpixel16": _reconstructor("subpixel16_reconstructor", _SUBPIXEL, channels=_COLOR, block=16),
    "wrn22-3": _reconstructor("wrn22_3_reconstructor", _UPSAMPLING, depth=22, width=3),
    # By the data set whose results they made.
    "digits": _reconstructor("digits_reconstructor", _TRANSPOSED),
    "mnist": _reconstructor("mnist_reconstructor", _SUBPIXEL, channels=(20, 16, 8)),
    "mnist-dense": _reconstructor("mnist_dense_reconstructor", _DENSE),
    "cifar10-small": _reconstructor("cifar10_small_reconstructor", _SUBPIXEL, channels=_COLOR),
    "cifar10-wrn22-3": _reconstructor(
        "cifar10_wrn22_3_reconstructor", _UPSAMPLING, depth=22, width=3
    ),
}
"""Re-constructors by name, each a function of image shape, number of classes and name."""
