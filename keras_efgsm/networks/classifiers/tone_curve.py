"""A classifier that learns a tone curve, through which it sees each pixel.

Networks trained to withstand changes of 0.3 learn in their first layers to tell little more of a
pixel than its side of a threshold (Madry et al., "Towards Deep Learning Models Resistant to
Adversarial Attacks", appendix C). Where they are free to, they also learn a dip beside it: at the
end of the ball the gradient then points at the dip, and an attack that follows it misses the way
up. Square, which asks for no gradient, finds it. A curve that can only rise has no dip, whatever it
learns.
"""

import keras
import numpy as np
from keras import layers

from keras_efgsm.checks import check_count, check_number
from keras_efgsm.networks.blocks import image_input, two_convolutions
from keras_efgsm.typing import Tensor


def tone_curve(x: Tensor, knots: int = 4, steepness: float = 10.0, leak: float = 0.01) -> Tensor:
    """Passes each pixel through a learned curve that only rises.

    `sum_k a_k * sigmoid(b_k * steepness * x + c_k) + leak * x` with `a_k, b_k >= 0`, one curve for
    all pixels and channels. At the start it is nearly the line from 0 to 1: the knots
    `-c_k / steepness` are spread evenly, `a_k = 1 / knots` and `b_k = 1`. The training may bend it
    into anything that rises, a threshold as well as a line.

    The leak keeps the sign of a pixel's gradient where a learned sigmoid is flat in float32, as in
    `pixel_threshold`.

    Args:
        x: a Keras tensor `(B, H, W, C)` of pixels in [0, 1].
        knots: number of sigmoids, at least 1. Defaults to 4.
        steepness: slope of their arguments at the start. Defaults to `10.0`.
        leak: slope of the line beside them, > 0. Defaults to `0.01`.

    Returns:
        A Keras tensor of the same shape, float32.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    pixels = keras.Input((28, 28, 1))
    keras.Model(pixels, tone_curve(pixels)).count_params()  # 12
    ```
    """
    knots = check_count(knots, "knots")
    steepness = check_number(steepness, "steepness", minimum=0.0, strict=True)
    leak = check_number(leak, "leak", minimum=0.0, strict=True)
    height, width, channels = x.shape[1:]
    ends = -steepness * (np.arange(knots, dtype="float32") + 0.5) / knots
    # In float32 whatever the policy, as `pixel_threshold`.
    options = {"kernel_constraint": "non_neg", "dtype": "float32"}
    # One curve for all channels: they lie side by side, as if they were pixels.
    one = layers.Reshape((height, width * channels, 1))(x) if channels > 1 else x
    scaled = layers.Rescaling(steepness, dtype="float32", name="contrast")(one)
    risen = layers.Conv2D(
        knots,
        1,
        activation="sigmoid",
        kernel_initializer="ones",
        bias_initializer=keras.initializers.Constant(ends),
        name="knots",
        **options,
    )(scaled)
    share = keras.initializers.Constant(1.0 / knots)
    curve = layers.Conv2D(1, 1, use_bias=False, kernel_initializer=share, name="tone", **options)(
        risen
    )
    line = layers.Rescaling(leak, dtype="float32", name="leak")(one)
    seen = layers.Add(dtype="float32", name="seen")([curve, line])
    return layers.Reshape((height, width, channels))(seen) if channels > 1 else seen


def free_curves(x: Tensor, units: int = 8, curves: int = 2, activation: str = "silu") -> Tensor:
    """Passes each pixel through learned curves that may fall as well as rise, for comparison.

    Two 1x1 convolutions: units whose knots are spread evenly at the start, and sums of these.
    Nothing keeps a curve from bending a dip, into which the gradient then points.

    Args:
        x: a Keras tensor `(B, H, W, C)` of pixels in [0, 1].
        units: nonlinear units on each pixel, at least 1. Defaults to 8.
        curves: how many are seen in the end. Defaults to 2.
        activation: of the units, any Keras activation. Defaults to `"silu"`.

    Returns:
        A Keras tensor `(B, H, W, curves)`.

    Raises:
        ValueError: if a number is below 1.

    Example:

    ```python
    pixels = keras.Input((28, 28, 1))
    keras.Model(pixels, free_curves(pixels)).count_params()  # 34
    ```
    """
    units, curves = check_count(units, "units"), check_count(curves, "curves")
    knots = keras.initializers.Constant(-4.0 * np.arange(units, dtype="float32") / units)
    bent = layers.Conv2D(
        units,
        1,
        activation=activation,
        kernel_initializer=keras.initializers.Constant(4.0 / x.shape[3]),
        bias_initializer=knots,
        name="knots",
    )(x)
    return layers.Conv2D(curves, 1, kernel_initializer="he_normal", name="seen")(bent)


def tone_curve_classifier(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: tuple[int, int] = (24, 32),
    width: int = 112,
    *,
    activation: str = "relu",
    knots: int = 4,
    steepness: float = 10.0,
    leak: float = 0.01,
    name: str = "tone_curve_classifier",
) -> keras.Model:
    """A learned tone curve, two convolutions, one dense layer, logits.

    What `threshold_classifier` is with a curve that is learned in the place of the threshold: on
    28 x 28 grey images 184,702 parameters and 0.69 million multiply-adds.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        channels: of the two convolutions. Defaults to `(24, 32)`.
        width: of the dense layer. Defaults to 112.
        activation: any Keras activation. Defaults to `"relu"`.
        knots: of the curve, see `tone_curve`. Defaults to 4.
        steepness: of the curve's knots at the start. Defaults to `10.0`.
        leak: of the curve. Defaults to `0.01`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    classifier = tone_curve_classifier((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, _ = image_input(image_shape, network=name)
    seen = tone_curve(inputs, knots, steepness, leak)
    return two_convolutions(inputs, seen, num_classes, channels, width, activation, name)


def free_curve_classifier(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: tuple[int, int] = (24, 32),
    width: int = 112,
    *,
    activation: str = "relu",
    name: str = "free_curve_classifier",
) -> keras.Model:
    """The same network behind two learned curves that may fall, for comparison.

    On 28 x 28 grey images 185,588 parameters.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        channels: of the two convolutions. Defaults to `(24, 32)`.
        width: of the dense layer. Defaults to 112.
        activation: any Keras activation. Defaults to `"relu"`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = free_curve_classifier((28, 28, 1))
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, _ = image_input(image_shape, network=name)
    seen = free_curves(inputs, activation=activation)
    return two_convolutions(inputs, seen, num_classes, channels, width, activation, name)
