"""Two convolutions, for the smallest of images."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model


def conv2(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    activation: str = "relu",
    name: str = "conv2",
) -> keras.Model:
    """A small CNN: 3x3 convolutions 32 and 32/2, dense 128, logits.

    76,522 parameters for 8 x 8 grey images, for which it was made.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Raises:
        ValueError: if there is no such image shape, or fewer than two classes.

    Example:

    ```python
    classifier = conv2((8, 8, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs, x = image_input(image_shape, network=name)
    x = layers.Conv2D(32, 3, padding="same", **options)(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", **options)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, **options)(x)
    return logits_model(inputs, x, num_classes, name)
