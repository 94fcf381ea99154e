"""Strided convolutions as dense ones on rearranged pixels, for speed on a CPU.

A convolution of stride s reads blocks of s x s pixels, a transposed one with kernel s writes them.
Rearranged so that a block's pixels are channels, both are stride-1 convolutions: the same function
with the same number of weights, and the gradient with respect to a one-channel image, which every
attack needs, is much cheaper. Built-in layers only, so that models load anywhere.
"""

from typing import Any

import keras
from keras import layers

Tensor = Any


def space_to_depth(x: Tensor, block: int = 2) -> Tensor:
    """Moves each block of pixels to the channels: `(B, H, W, C)` to `(B, H/b, W/b, b*b*C)`.

    Args:
        x: a Keras tensor whose height and width the block divides.
        block: side b of the blocks. Defaults to 2.
    """
    height, width, channels = x.shape[1] // block, x.shape[2] // block, x.shape[3]
    # Neighbours along a row stay together, so one transposition does for both axes.
    x = layers.Reshape((height, block, width, block * channels))(x)
    x = layers.Permute((1, 3, 2, 4))(x)
    return layers.Reshape((height, width, block * block * channels))(x)


def depth_to_space(x: Tensor, block: int = 2) -> Tensor:
    """The inverse of `space_to_depth`: `(B, H, W, b*b*C)` to `(B, b*H, b*W, C)`.

    Args:
        x: a Keras tensor whose channels `block * block` divides.
        block: side b of the blocks. Defaults to 2.
    """
    height, width, channels = x.shape[1], x.shape[2], x.shape[3] // block**2
    x = layers.Reshape((height, width, block, block * channels))(x)
    x = layers.Permute((1, 3, 2, 4))(x)
    return layers.Reshape((block * height, block * width, channels))(x)


def subpixel_reconstructor(
    image_shape: tuple[int, int, int],
    num_classes: int,
    channels: tuple[int, int, int],
    name: str,
) -> keras.Model:
    """A small re-constructor: two dense layers, a transposed convolution, two of pixel blocks.

    Args:
        image_shape: `(H, W, C)`, height and width multiples of 4.
        num_classes: length K of the probability vector.
        channels: of the dense grid of `(H/4, W/4)`, of the transposed convolution on it, and of
            the grid of `(H/2, W/2)`.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, H, W, C)` in [0, 1].
    """
    grid = (image_shape[0] // 4, image_shape[1] // 4, channels[0])
    inputs = keras.Input((num_classes,), name="probabilities")
    x = layers.Dense(256, activation="relu")(inputs)
    x = layers.Dense(grid[0] * grid[1] * grid[2], activation="relu")(x)
    x = layers.Reshape(grid)(x)
    x = layers.Conv2DTranspose(channels[1], 3, padding="same", activation="relu")(x)
    x = depth_to_space(layers.Conv2D(4 * channels[2], 1, activation="relu")(x))
    x = depth_to_space(layers.Conv2D(4 * image_shape[2], 1, activation="sigmoid")(x))
    return keras.Model(inputs, x, name=name)
