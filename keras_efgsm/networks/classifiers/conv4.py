"""Four convolutions, two of them strided."""

import keras
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model
from keras_efgsm.networks.pixels import PixelStatistics


def conv4(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    activation: str = "relu",
    *,
    pixels: PixelStatistics | None = None,
    name: str = "conv4",
) -> keras.Model:
    """Four convolutions: "Conv-4" of the paper's Table 5, which a CPU can train.

    3x3 convolutions 32, 32/2, 64, 64/2, dense 256, logits: 1.12 million parameters for 32 x 32
    color images.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: statistics by which the network normalises its input; None for none. Defaults to
            `None`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Raises:
        ValueError: if there is no such image shape, or fewer than two classes.

    Example:

    ```python
    classifier = conv4((32, 32, 3))
    classifier.output_shape  # (None, 10)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs, x = image_input(image_shape, pixels, network=name)
    for channels in (32, 64):
        x = layers.Conv2D(channels, 3, padding="same", **options)(x)
        x = layers.Conv2D(channels, 3, strides=2, padding="same", **options)(x)
    x = layers.Dense(256, **options)(layers.Flatten()(x))
    return logits_model(inputs, x, num_classes, name)
