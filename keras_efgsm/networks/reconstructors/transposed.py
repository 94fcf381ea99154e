"""A re-constructor of transposed convolutions, for the smallest of images."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import cropped, probabilities_input
from keras_efgsm.networks.image_shape import check_image_shape


def transposed_reconstructor(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    name: str = "transposed_reconstructor",
) -> keras.Model:
    """A small re-constructor: two dense layers, two transposed convolutions.

    Dense 64, dense to a grid of half the size with 16 channels, transposed convolutions 3x3/2 to
    8 channels and 3x3 to pixels: 18,577 parameters for 8 x 8 grey images, for which it was made.

    Args:
        image_shape: `(H, W, C)`; where a side is odd, the images are made larger and cut.
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, H, W, C)` in [0, 1].

    Raises:
        ValueError: if there is no such image shape, or fewer than two classes.

    Example:

    ```python
    reconstructor = transposed_reconstructor((8, 8, 1))
    reconstructor.output_shape  # (None, 8, 8, 1)
    ```
    """
    rows, columns, channels = check_image_shape(image_shape, name)
    grid = (-(-rows // 2), -(-columns // 2), 16)
    inputs = probabilities_input(num_classes)
    x = layers.Dense(64, activation="relu")(inputs)
    x = layers.Dense(grid[0] * grid[1] * grid[2], activation="relu")(x)
    x = layers.Reshape(grid)(x)
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(channels, 3, padding="same", activation="sigmoid")(x)
    return keras.Model(inputs, cropped(x, image_shape), name=name)
