"""A re-constructor whose transposed convolutions are written as blocks of pixels."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import cropped, probabilities_input
from keras_efgsm.networks.image_shape import check_image_shape
from keras_efgsm.networks.subpixel import depth_to_space


def subpixel_reconstructor(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: tuple[int, int, int] = (20, 16, 8),
    name: str = "subpixel_reconstructor",
    *,
    block: int = 2,
) -> keras.Model:
    """The paper's re-constructor: two dense layers, a transposed convolution, two of pixel blocks.

    For 28 x 28 grey images: dense 256, dense 7x7x20, transposed convolutions 3x3 to 16 channels,
    2x2/2 to 8 and 2x2/2 to 1: 258,152 parameters. The first keeps the grid; the other two, whose
    kernels do not overlap, are written as 1x1 convolutions that make four pixels each, see
    `networks/subpixel.py`, which is cheaper.

    With a larger block the last one makes `block x block` pixels, from a grid as much smaller: the
    second dense layer does not grow with the images.

    Args:
        image_shape: `(H, W, C)`; where `2 * block` does not divide a side, the images are made
            larger and cut.
        num_classes: length K of the probability vector. Defaults to 10.
        channels: of the dense grid, of the transposed convolution on it, and of the grid of twice
            its size. Defaults to `(20, 16, 8)`.
        name: name of the model.
        block: side in pixels of the blocks that the last layer makes. Defaults to 2.

    Returns:
        A model from probabilities `(B, K)` to images `(B, H, W, C)` in [0, 1].

    Raises:
        ValueError: if there is no such image shape, or fewer than two classes.

    Example:

    ```python
    reconstructor = subpixel_reconstructor((28, 28, 1))
    reconstructor.output_shape  # (None, 28, 28, 1)
    ```
    """
    rows, columns, image_channels = check_image_shape(image_shape, name)
    grid = (-(-rows // (2 * block)), -(-columns // (2 * block)), channels[0])
    inputs = probabilities_input(num_classes)
    x = layers.Dense(256, activation="relu")(inputs)
    x = layers.Dense(grid[0] * grid[1] * grid[2], activation="relu")(x)
    x = layers.Reshape(grid)(x)
    x = layers.Conv2DTranspose(channels[1], 3, padding="same", activation="relu")(x)
    x = depth_to_space(layers.Conv2D(4 * channels[2], 1, activation="relu")(x))
    x = layers.Conv2D(block**2 * image_channels, 1, activation="sigmoid")(x)
    return keras.Model(inputs, cropped(depth_to_space(x, block), image_shape), name=name)
