"""Pre-activation residual networks: wide ones, their mirror image, PreActResNet-18, strided."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import layers

from keras_efgsm.networks.blocks import (
    PixelStatistics,
    activate,
    batch_norm,
    convolution,
    image_input,
    logits_model,
    pre_activation_block,
)


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


def wide_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    depth: int = 22,
    width: int = 5,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    name: str = "wide_resnet",
) -> keras.Model:
    """The wide residual network WRN-d-k of Zagoruyko & Komodakis, 2016, without dropout.

    A 3x3 convolution of 16 channels, three groups of `(depth - 4) / 6` pre-activation blocks with
    16 k, 32 k and 64 k channels, the second and third group at half the size of the one before,
    normalization, activation, mean over the image, logits.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        depth: d = 6 n + 4 layers for n blocks a group. Defaults to 22.
        width: k. Defaults to 5.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: mean and standard deviation of each channel, by which the network normalizes its
            input; None for none. Defaults to `None`.
        name: name of the model.

    Raises:
        ValueError: if there is no such depth or width.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = wide_resnet((32, 32, 3), depth=10, width=2)(images)
    ```
    """
    blocks = _blocks_a_group(depth, width)
    channels = [16 * width, 32 * width, 64 * width]
    return _pre_activation_resnet(
        image_shape, num_classes, Stem(16), channels, blocks, activation, pixels, name
    )


def preact_resnet18(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    name: str = "preact_resnet18",
) -> keras.Model:
    """PreActResNet-18 for small images, as the literature on one-step training uses it.

    A 3x3 convolution of 64 channels, four groups of two pre-activation blocks with 64, 128, 256
    and 512 channels, normalization, activation, mean over the image, logits.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: mean and standard deviation of each channel, by which the network normalizes its
            input; None for none. Defaults to `None`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = preact_resnet18((32, 32, 3), activation="silu")(images)
    ```
    """
    channels = [64, 128, 256, 512]
    return _pre_activation_resnet(
        image_shape, num_classes, Stem(64), channels, 2, activation, pixels, name
    )


def strided_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: Sequence[int] = (64, 128, 256),
    blocks: int = 2,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    name: str = "strided_resnet",
) -> keras.Model:
    """A pre-activation residual network that leaves full resolution at once, for a CPU.

    A 4x4 convolution with stride 2, then groups of pre-activation blocks, the second and each
    further one at half the size of the one before, normalization, activation, mean over the image,
    logits. A CPU makes more multiply-adds a second on small grids with many channels than on large
    ones with few.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        channels: of each group. Defaults to `(64, 128, 256)`.
        blocks: pre-activation blocks of each group. Defaults to 2.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: mean and standard deviation of each channel, by which the network normalizes its
            input; None for none. Defaults to `None`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    logits = strided_resnet((32, 32, 3), channels=(96, 192, 384))(images)
    ```
    """
    stem = Stem(channels[0], kernel_size=4, strides=2)
    return _pre_activation_resnet(
        image_shape, num_classes, stem, channels, blocks, activation, pixels, name
    )


def _pre_activation_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    stem: Stem,
    channels: Sequence[int],
    blocks: int,
    activation: str,
    pixels: PixelStatistics | None,
    name: str,
) -> keras.Model:
    inputs, x = image_input(image_shape, pixels)
    x = convolution(x, stem.channels, stem.kernel_size, stem.strides)
    for group, width in enumerate(channels):
        for block in range(blocks):
            strides = 2 if group and not block else 1
            x = pre_activation_block(x, width, strides, activation=activation)
    x = activate(batch_norm(x), activation)
    return logits_model(inputs, layers.GlobalAveragePooling2D()(x), num_classes, name)


def wide_resnet_reconstructor(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    depth: int = 22,
    width: int = 3,
    *,
    activation: str = "relu",
    name: str = "wide_resnet_reconstructor",
) -> keras.Model:
    """The upsampling version of WRN-d-k: its layers in reverse order, from probabilities to images.

    Where the classifier ends in the mean of 64 k channels and a dense layer, this one begins with
    a dense layer to 64 k features, and a second one gives each place of the smallest grid its own
    64 k; then follow three groups of `(depth - 4) / 6` pre-activation blocks with 64 k, 32 k and
    16 k channels, the second and third group at twice the size of the one before, normalization,
    activation and a 3x3 convolution to pixels.

    The first block of those two groups enlarges the image, in both of its branches, by transposed
    2x2 convolutions of stride 2, the mirror image of the classifier's strided ones. Their kernels
    do not overlap, so they leave no checkerboard and are written as 1x1 convolutions to blocks of
    pixels, see `subpixel.py`. For as many weights they cost a quarter of the multiply-adds of a
    convolution behind nearest neighbors, and do not need the dilated convolution that an
    overlapping transposed one becomes under XLA.

    Args:
        image_shape: `(H, W, C)`, height and width multiples of 4.
        num_classes: length K of the probability vector. Defaults to 10.
        depth: d = 6 n + 4 for n blocks a group. Defaults to 22.
        width: k. Defaults to 3.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Raises:
        ValueError: if there is no such depth or width, or 4 does not divide the image.

    Returns:
        A model from probabilities `(B, K)` to images `(B, H, W, C)` in [0, 1], float32 whatever
        the dtype policy.

    Example:

    ```python
    images = wide_resnet_reconstructor((32, 32, 3), depth=10, width=1)(probabilities)
    ```
    """
    blocks = _blocks_a_group(depth, width)
    rows, columns, image_channels = image_shape
    if rows % 4 or columns % 4:
        raise ValueError(
            "`image_shape` must have a height and width that 4 divides. "
            f"Received: image_shape={tuple(image_shape)}"
        )
    channels = [64 * width, 32 * width, 16 * width]
    grid = (rows // 4, columns // 4, channels[0])
    inputs = keras.Input((num_classes,), name="probabilities")
    x = layers.Dense(channels[0], activation=activation, kernel_initializer="he_normal")(inputs)
    x = layers.Dense(grid[0] * grid[1] * grid[2], kernel_initializer="he_normal")(x)
    x = layers.Reshape(grid)(x)
    for group, group_channels in enumerate(channels):
        for block in range(blocks):
            enlarges = bool(group and not block)
            x = pre_activation_block(
                x,
                group_channels,
                2 if enlarges else 1,
                activation=activation,
                upsample=enlarges,
            )
    x = activate(batch_norm(x), activation)
    x = layers.Conv2D(image_channels, 3, padding="same")(x)
    images = layers.Activation("sigmoid", dtype="float32", name="images")(x)
    return keras.Model(inputs, images, name=name)


def _blocks_a_group(depth: int, width: int) -> int:
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"`depth` must be 6 n + 4 with n >= 1. Received: depth={depth}")
    if width < 1:
        raise ValueError(f"`width` must be at least 1. Received: width={width}")
    return (depth - 4) // 6
