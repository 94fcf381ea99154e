"""The classifier of Madry et al., 2018, for MNIST."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model


def madry_cnn(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    activation: str = "relu",
    name: str = "madry_cnn",
) -> keras.Model:
    """The MNIST classifier of Madry et al., 2018.

    5x5 convolutions 32, pool, 64, pool, dense 1024, logits: 3,274,634 parameters for 28 x 28 grey
    images.

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
    classifier = madry_cnn((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, x = image_input(image_shape, network=name, minimum=4)
    for channels in (32, 64):
        x = layers.Conv2D(channels, 5, padding="same", activation=activation)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(1024, activation=activation)(layers.Flatten()(x))
    return logits_model(inputs, x, num_classes, name)
