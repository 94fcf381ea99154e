"""Classifiers that see each pixel through a nearly hard threshold.

In a ball of radius 0.3 every pixel darker than 0.2 or brighter than 0.8 keeps its side of 0.5. A
classifier of nearly black and white images that sees little more than that side leaves an attack
only the grey pixels to work with, and need not learn that first.
"""

import keras
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model, two_convolutions
from keras_efgsm.typing import Tensor


def pixel_threshold(x: Tensor, steepness: float = 40.0, leak: float = 2e-4) -> Tensor:
    """Passes each pixel through `sigmoid(steepness * (x - 1/2)) + leak * x`.

    The leak is for attacks, not for the classifier: in float32 the slope of a steep sigmoid is
    zero exactly where it has reached 1, and an attack by the sign of gradients would stand still on
    such a pixel. The sum rises everywhere, so the sign of the gradient with respect to a pixel is
    always that of the gradient behind the threshold: nothing is masked. The leak must be small, as
    it is what an attack can still move on every pixel.

    Args:
        x: a Keras tensor of pixels in [0, 1].
        steepness: slope of the sigmoid's argument. Defaults to `40.0`.
        leak: slope of the line beside it. Defaults to `2e-4`.

    Returns:
        A Keras tensor of the same shape, float32.

    Example:

    ```python
    pixels = keras.Input((28, 28, 1))
    keras.Model(pixels, pixel_threshold(pixels)).output_shape  # (None, 28, 28, 1)
    ```
    """
    # In float32 whatever the policy: a half-precision pixel would be rounded by steps that the
    # steepness makes large, and the leak would be lost.
    scaled = layers.Rescaling(steepness, -steepness / 2, dtype="float32", name="contrast")(x)
    side = layers.Activation("sigmoid", dtype="float32", name="threshold")(scaled)
    line = layers.Rescaling(leak, dtype="float32", name="leak")(x)
    return layers.Add(dtype="float32", name="seen")([side, line])


def threshold_classifier(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: tuple[int, int] = (24, 32),
    width: int = 112,
    *,
    activation: str = "relu",
    steepness: float = 40.0,
    leak: float = 2e-4,
    name: str = "threshold_classifier",
) -> keras.Model:
    """A threshold on each pixel, two convolutions, one dense layer, logits.

    The first convolution is 6x6 with stride 2, written as a 3x3 one on 2x2 blocks of pixels, see
    `subpixel.py`; the second 3x3 with stride 2. On 28 x 28 grey images it has 184,690 parameters
    and 0.68 million multiply-adds. It sees the side of each colour of each pixel, which is little
    of a photograph: for images that are nearly black and white.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        channels: of the two convolutions. Defaults to `(24, 32)`.
        width: of the dense layer. Defaults to 112.
        activation: any Keras activation. Defaults to `"relu"`.
        steepness: of the threshold, see `pixel_threshold`. Defaults to `40.0`.
        leak: of the threshold. Defaults to `2e-4`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = threshold_classifier((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, _ = image_input(image_shape, network=name)
    seen = pixel_threshold(inputs, steepness, leak)
    return two_convolutions(inputs, seen, num_classes, channels, width, activation, name)


def deep_threshold_classifier(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: tuple[int, int, int, int, int] = (32, 32, 48, 64, 64),
    width: int = 32,
    *,
    activation: str = "relu",
    steepness: float = 40.0,
    leak: float = 2e-4,
    name: str = "deep_threshold_classifier",
) -> keras.Model:
    """A threshold on each pixel, five convolutions, one dense layer, logits.

    The first convolution sees every pixel at full resolution; the second and the fourth have
    stride 2. On 28 x 28 grey images as many parameters as `threshold_classifier`, 188,794, at
    twelve times its cost, 8.0 million multiply-adds.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        channels: of the five convolutions, 3x3 each. Defaults to `(32, 32, 48, 64, 64)`.
        width: of the dense layer. Defaults to 32.
        activation: any Keras activation. Defaults to `"relu"`.
        steepness: of the threshold, see `pixel_threshold`. Defaults to `40.0`.
        leak: of the threshold. Defaults to `2e-4`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = deep_threshold_classifier((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    inputs, _ = image_input(image_shape, network=name)
    x = pixel_threshold(inputs, steepness, leak)
    for count, strides in zip(channels, (1, 2, 1, 2, 1), strict=True):
        x = layers.Conv2D(count, 3, strides=strides, padding="same", **options)(x)
    x = layers.Dense(width, **options)(layers.Flatten()(x))
    return logits_model(inputs, x, num_classes, name)
