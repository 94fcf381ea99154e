"""Networks for 32 x 32 color images; the classifiers normalize them by CIFAR-10's statistics."""

from typing import Any

import keras
from keras import layers

from keras_efgsm.networks.blocks import CIFAR10_PIXELS, image_input, logits_model
from keras_efgsm.networks.residual import resnet, resnet18
from keras_efgsm.networks.subpixel import subpixel_reconstructor
from keras_efgsm.networks.wide_resnet import (
    preact_resnet18,
    strided_resnet,
    wide_resnet,
    wide_resnet_reconstructor,
)

SHAPE = (32, 32, 3)


def cifar10_wrn22_5(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_wrn22_5"
) -> keras.Model:
    """WRN-22-5, the classifier of the paper: 6.70 million weights, 0.96 billion multiply-adds.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_wrn22_5()(images)
    ```
    """
    return wide_resnet(SHAPE, num_classes, 22, 5, **_common(activation, name))


def cifar10_wrn34_10(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_wrn34_10"
) -> keras.Model:
    """WRN-34-10, on which the literature compares: 46.2 million parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_wrn34_10()(images)
    ```
    """
    return wide_resnet(SHAPE, num_classes, 34, 10, **_common(activation, name))


def cifar10_wrn10_1(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_wrn10_1"
) -> keras.Model:
    """WRN-10-1, which a CPU trains: 0.08 million parameters.

    As many multiply-adds as `cifar10_conv4`, with batch normalization and shortcuts.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_wrn10_1()(images)
    ```
    """
    return wide_resnet(SHAPE, num_classes, 10, 1, **_common(activation, name))


def cifar10_wrn10_2(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_wrn10_2"
) -> keras.Model:
    """WRN-10-2, four times the cost of `cifar10_wrn10_1`: 0.31 million parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_wrn10_2()(images)
    ```
    """
    return wide_resnet(SHAPE, num_classes, 10, 2, **_common(activation, name))


def cifar10_strided(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_strided"
) -> keras.Model:
    """A strided residual network for a CPU: 2.8 million parameters, 106 M multiply-adds.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_strided()(images)
    ```
    """
    return strided_resnet(SHAPE, num_classes, **_common(activation, name))


def cifar10_strided_wide(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_strided_wide"
) -> keras.Model:
    """`cifar10_strided` with wider groups: 6.2 million parameters, 237 M multiply-adds.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_strided_wide()(images)
    ```
    """
    return strided_resnet(SHAPE, num_classes, (96, 192, 384), **_common(activation, name))


def cifar10_resnet18(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_resnet18"
) -> keras.Model:
    """ResNet-18 for small images: 11.2 million parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_resnet18()(images)
    ```
    """
    return resnet18(SHAPE, num_classes, **_common(activation, name))


def cifar10_preact_resnet18(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_preact_resnet18"
) -> keras.Model:
    """PreActResNet-18, of most papers on one-step training: 11.2 million parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_preact_resnet18()(images)
    ```
    """
    return preact_resnet18(SHAPE, num_classes, **_common(activation, name))


def cifar10_resnet(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_resnet"
) -> keras.Model:
    """ResNet-56, a source of transferred attacks in the paper's Table 5.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_resnet()(images)
    ```
    """
    return resnet(SHAPE, num_classes, depth=56, **_common(activation, name))


def cifar10_conv4(
    num_classes: int = 10, activation: str = "relu", name: str = "cifar10_conv4"
) -> keras.Model:
    """Four convolutions: "Conv-4" of the paper's Table 5, and a classifier that a CPU can train.

    3x3 convolutions 32, 32/2, 64, 64/2, dense 256, logits: 1.12 million parameters.

    Args:
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, 32, 32, 3)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = cifar10_conv4()(images)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs, x = image_input(SHAPE, CIFAR10_PIXELS)
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, padding="same", **options)(x)
        x = layers.Conv2D(channels, 3, strides=2, padding="same", **options)(x)
    x = layers.Dense(256, **options)(layers.Flatten()(x))
    return logits_model(inputs, x, num_classes, name)


def _common(activation: str, name: str) -> dict[str, Any]:
    return {"activation": activation, "pixels": CIFAR10_PIXELS, "name": name}


def cifar10_wrn22_3_reconstructor(
    num_classes: int = 10, name: str = "cifar10_wrn22_3_reconstructor"
) -> keras.Model:
    """The paper's re-constructor, an upsampling version of WRN-22-3: 5.1 million parameters.

    Args:
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, 32, 32, 3)` in [0, 1].

    Example:

    ```python
    images = cifar10_wrn22_3_reconstructor()(probabilities)
    ```
    """
    return wide_resnet_reconstructor(SHAPE, num_classes, 22, 3, name=name)


def cifar10_small_reconstructor(
    num_classes: int = 10, name: str = "cifar10_small_reconstructor"
) -> keras.Model:
    """Re-constructor for the classifiers that a CPU trains, built as `mnist_reconstructor`.

    Args:
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, 32, 32, 3)` in [0, 1].

    Example:

    ```python
    images = cifar10_small_reconstructor()(probabilities)
    ```
    """
    return subpixel_reconstructor(SHAPE, num_classes, (20, 32, 16), name)
