"""Four convolutions with pooling: the classifier of the paper for MNIST."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model


def conv4_pool(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    activation: str = "relu",
    name: str = "conv4_pool",
) -> keras.Model:
    """The paper's MNIST classifier as we read it: a plain CNN.

    3x3 convolutions 16, 16, pool, 16, 16, pool, dense 256, logits: 210,650 parameters for 28 x 28
    grey images.

    Args:
        image_shape: `(H, W, C)`, at least 4 x 4 pixels.
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Raises:
        ValueError: if there is no such image shape, the images are smaller, or there are fewer
            than two classes.

    Example:

    ```python
    classifier = conv4_pool((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs, x = image_input(image_shape, network=name, minimum=4)
    for _ in range(2):
        x = layers.Conv2D(16, 3, padding="same", **options)(x)
        x = layers.Conv2D(16, 3, padding="same", **options)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(256, **options)(x)
    return logits_model(inputs, x, num_classes, name)
