"""Strided convolutions as dense ones on rearranged pixels, for speed on a CPU.

A convolution of stride s reads blocks of s x s pixels, a transposed one with kernel s writes them.
Rearranged so that a block's pixels are channels, both are stride-1 convolutions: the same function
with the same number of weights, and the gradient with respect to a one-channel image, which every
attack needs, is much cheaper. Built-in layers only, so that models load anywhere.
"""

from keras import layers

from keras_efgsm.typing import Tensor


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
