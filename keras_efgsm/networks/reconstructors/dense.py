"""A re-constructor of two dense layers."""

import math

import keras
from keras import layers

from keras_efgsm.networks.blocks import probabilities_input
from keras_efgsm.networks.image_shape import check_image_shape


def dense_reconstructor(
    image_shape: tuple[int, int, int], num_classes: int = 10, name: str = "dense_reconstructor"
) -> keras.Model:
    """A re-constructor of two dense layers, 64 and one for each pixel.

    For 28 x 28 grey images it has 51,664 parameters and costs an eighth of the multiply-adds of
    `subpixel_reconstructor`. What one image of each class looks like, and the way between them,
    is all that K probabilities can tell; two dense layers hold that.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: length K of the probability vector. Defaults to 10.
        name: name of the model.

    Returns:
        A model from probabilities `(B, K)` to images `(B, H, W, C)` in [0, 1].

    Raises:
        ValueError: if there is no such image shape, or fewer than two classes.

    Example:

    ```python
    reconstructor = dense_reconstructor((28, 28, 1))
    reconstructor.output_shape  # (None, 28, 28, 1)
    ```
    """
    image_shape = check_image_shape(image_shape, name)
    inputs = probabilities_input(num_classes)
    x = layers.Dense(64, activation="relu")(inputs)
    x = layers.Dense(math.prod(image_shape), activation="sigmoid")(x)
    return keras.Model(inputs, layers.Reshape(image_shape)(x), name=name)
