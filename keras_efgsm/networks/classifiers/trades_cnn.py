"""The classifier of TRADES (Zhang et al., 2019) for MNIST."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model


def trades_cnn(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    activation: str = "relu",
    name: str = "trades_cnn",
) -> keras.Model:
    """The MNIST classifier of TRADES (Zhang et al., 2019).

    3x3 convolutions without padding 32, 32, pool, 64, 64, pool, dense 200, 200, logits: 312,202
    parameters for 28 x 28 grey images. Dropout, which the published one has before its second
    dense layer, is left out.

    Args:
        image_shape: `(H, W, C)`, at least 16 x 16 pixels.
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
    classifier = trades_cnn((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, x = image_input(image_shape, network=name, minimum=16)
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, activation=activation)(x)
        x = layers.Conv2D(channels, 3, activation=activation)(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(200, activation=activation)(x)
    return logits_model(inputs, x, num_classes, name)
