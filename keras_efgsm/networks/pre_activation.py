"""The shared body of pre-activation residual networks: a convolution, then groups of blocks."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from keras_efgsm.networks.blocks import (
    activate,
    batch_norm,
    convolution,
    image_input,
    logits_model,
    pre_activation_block,
)
from keras_efgsm.networks.denoising import denoised
from keras_efgsm.networks.pixels import PixelStatistics


class Stem(NamedTuple):
    """The first convolution of a residual network.

    Attributes:
        channels: of its output.
        kernel_size: side of its kernel in pixels. Defaults to 3.
        strides: pixels between its outputs. Defaults to 1.
    """

    channels: int
    kernel_size: int = 3
    strides: int = 1


def pre_activation_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    stem: Stem,
    channels: Sequence[int],
    blocks: int,
    activation: str,
    pixels: PixelStatistics | None,
    name: str,
    denoise: str | None = None,
) -> keras.Model:
    """A pre-activation residual network, each group but the first at half the size.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K.
        stem: the first convolution.
        channels: of each group.
        blocks: pre-activation blocks of each group.
        activation: any Keras activation.
        pixels: statistics by which the network normalises its input; None for none.
        name: name of the model.
        denoise: kind of the `denoising_block` after each group. Defaults to none.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.
    """
    inputs, x = image_input(image_shape, pixels, network=name)
    x = convolution(x, stem.channels, stem.kernel_size, stem.strides)
    for group, width in enumerate(channels):
        for block in range(blocks):
            strides = 2 if group and not block else 1
            x = pre_activation_block(x, width, strides, activation=activation)
        x = denoised(x, denoise)
    x = activate(batch_norm(x), activation)
    return logits_model(inputs, layers.GlobalAveragePooling2D()(x), num_classes, name)


def blocks_a_group(depth: int, width: int) -> int:
    """The number of blocks of each of the three groups of WRN-d-k.

    Args:
        depth: d.
        width: k.

    Raises:
        ValueError: if there is no such depth or width.
    """
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"`depth` must be 6 n + 4 with n >= 1. Received: depth={depth}")
    if width < 1:
        raise ValueError(f"`width` must be at least 1. Received: width={width}")
    return (depth - 4) // 6
