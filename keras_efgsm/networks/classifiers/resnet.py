"""Residual networks of He et al., 2016: ResNet-18, and the deep and narrow sources of transfer."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_efgsm.networks.blocks import (
    activate,
    batch_norm,
    convolution,
    image_input,
    logits_model,
)
from keras_efgsm.networks.denoising import denoised
from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.typing import Tensor

# What the sources of the committed transfer results were trained with: Keras' own defaults.
_KERAS_DEFAULTS = {"momentum": 0.99, "epsilon": 1e-3}


def resnet(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    depth: int = 56,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    denoise: str | None = None,
    name: str = "resnet",
) -> keras.Model:
    """The residual network of He et al., 2016, for small images: ResNet-56 of the paper's Table 5.

    Three groups of `(depth - 2) / 6` blocks with 16, 32 and 64 channels, the second and third
    group at half the size of the one before.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        depth: 6 n + 2 layers for n blocks a group. Defaults to 56.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: statistics by which the network normalises its input; None for none. Defaults to
            `None`.
        denoise: a `denoising_block` of this kind after each group, `"gaussian"` or
            `"dot-product"`; None for none. Defaults to `None`.
        name: name of the model.

    Raises:
        ValueError: if there is no such depth or kind of denoising.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = resnet((32, 32, 3), depth=8)
    classifier.output_shape  # (None, 10)
    ```
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"`depth` must be 6 n + 2 with n >= 1. Received: depth={depth}")
    blocks, channels = (depth - 2) // 6, (16, 32, 64)
    inputs, x = image_input(image_shape, pixels, network=name)
    x = _features(x, channels, blocks, activation, _KERAS_DEFAULTS, denoise)
    return logits_model(inputs, x, num_classes, name)


def resnet18(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    denoise: str | None = None,
    name: str = "resnet18",
) -> keras.Model:
    """ResNet-18 for small images: a 3x3 convolution first and no pooling.

    Four groups of two blocks with 64, 128, 256 and 512 channels, each but the first at half the
    size of the one before.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: statistics by which the network normalises its input; None for none. Defaults to
            `None`.
        denoise: a `denoising_block` of this kind after each group, `"gaussian"` or
            `"dot-product"`; None for none. Defaults to `None`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = resnet18((32, 32, 3))
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, x = image_input(image_shape, pixels, network=name)
    x = _features(x, (64, 128, 256, 512), 2, activation, {}, denoise)
    return logits_model(inputs, x, num_classes, name)


def _features(
    x: Tensor,
    channels: Sequence[int],
    blocks: int,
    activation: str,
    norm: dict[str, Any],
    denoise: str | None,
) -> Tensor:
    x = layers.Conv2D(channels[0], 3, padding="same", use_bias=False)(x)
    x = activate(batch_norm(x, **norm), activation)
    for group, width in enumerate(channels):
        for block in range(blocks):
            x = _block(x, width, 2 if group and not block else 1, activation, norm)
        x = denoised(x, denoise)
    return layers.GlobalAveragePooling2D()(x)


def _block(x: Tensor, channels: int, strides: int, activation: str, norm: dict[str, Any]) -> Tensor:
    shortcut = x
    if strides > 1 or x.shape[-1] != channels:
        shortcut = layers.Conv2D(channels, 1, strides=strides, use_bias=False)(x)
        shortcut = batch_norm(shortcut, **norm)
    x = activate(batch_norm(convolution(x, channels, strides=strides), **norm), activation)
    x = batch_norm(convolution(x, channels), **norm)
    return activate(layers.Add()([x, shortcut]), activation)
