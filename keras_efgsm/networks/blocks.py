"""Building blocks of the networks: pixels, batch normalization, residual blocks, logits."""

import keras
from keras import layers

from keras_efgsm.checks import check_count
from keras_efgsm.networks.image_shape import check_image_shape
from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.networks.subpixel import depth_to_space, space_to_depth
from keras_efgsm.typing import Tensor


def image_input(
    image_shape: tuple[int, int, int],
    pixels: PixelStatistics | None = None,
    *,
    network: str = "image_input",
    minimum: int = 1,
) -> tuple[Tensor, Tensor]:
    """The input of a classifier, and the same normalized where statistics are given.

    The normalization is part of the network, so that attacks, exports and their radius see pixels
    of [0, 1] only; it is float32 whatever the dtype policy, as a difference of one part in 255
    would be lost in bfloat16.

    Args:
        image_shape: `(H, W, C)`.
        pixels: statistics of each channel, or of other channels, whose mean each one then gets;
            None to leave the pixels as they are. Defaults to `None`.
        network: name of the network, for the error.
        minimum: fewest pixels of the height and of the width. Defaults to 1.

    Raises:
        ValueError: if the shape is not one, or the images are too small.
    """
    image_shape = check_image_shape(image_shape, network, minimum)
    inputs = keras.Input(image_shape, name="image")
    if pixels is None:
        return inputs, inputs
    pixels = pixels.for_channels(image_shape[2])
    normalization = layers.Normalization(
        mean=list(pixels.mean),
        variance=[value**2 for value in pixels.std],
        dtype="float32",
        name="normalization",
    )
    return inputs, normalization(inputs)


def logits_model(inputs: Tensor, features: Tensor, num_classes: int, name: str) -> keras.Model:
    """A classifier from its features `(B, F)`: one dense layer, float32 whatever the policy.

    Args:
        inputs: images `(B, H, W, C)`.
        features: `(B, F)`.
        num_classes: number of logits K, at least 2.
        name: name of the model.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    check_count(num_classes, "num_classes", minimum=2)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.Model(inputs, logits, name=name)


def activate(x: Tensor, activation: str) -> Tensor:
    """An activation as a layer of its own."""
    return (layers.ReLU() if activation == "relu" else layers.Activation(activation))(x)


def batch_norm(
    x: Tensor, momentum: float = 0.9, epsilon: float = 1e-5, gamma_initializer: str = "ones"
) -> Tensor:
    """Batch normalization as the residual networks were published, which PyTorch defaults to.

    Its running statistics follow the weights within tens of steps, which the examples of a
    training attack need, as they are made with these.
    """
    return layers.BatchNormalization(
        momentum=momentum, epsilon=epsilon, gamma_initializer=gamma_initializer
    )(x)


def convolution(x: Tensor, channels: int, kernel_size: int = 3, strides: int = 1) -> Tensor:
    """A convolution without bias, before or after a batch normalization."""
    return layers.Conv2D(
        channels,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)


def pre_activation_block(
    x: Tensor, channels: int, strides: int = 1, *, activation: str = "relu", upsample: bool = False
) -> Tensor:
    """The pre-activation block of He et al., 2016: normalize, activate and convolve, twice.

    Where the shape changes, the shortcut is a 1x1 convolution of the first activation.

    Args:
        x: `(B, H, W, C)`.
        channels: of the output.
        strides: of the first convolution and the shortcut. Defaults to 1.
        activation: any Keras activation. Defaults to `"relu"`.
        upsample: whether the strides enlarge the image instead: the first convolution and the
            shortcut then are transposed ones whose kernel has the size of the strides. Defaults
            to `False`.
    """
    y = activate(batch_norm(x), activation)
    if upsample:
        shortcut, y = (enlarge(y, channels, strides) for _ in range(2))
    else:
        changes = strides > 1 or x.shape[-1] != channels
        shortcut = convolution(y, channels, 1, strides) if changes else x
        y = convolution(y, channels, strides=strides)
    y = convolution(activate(batch_norm(y), activation), channels)
    return layers.Add()([y, shortcut])


def enlarge(x: Tensor, channels: int, strides: int) -> Tensor:
    """A transposed convolution without overlap or bias, as a 1x1 one to blocks of pixels."""
    return depth_to_space(convolution(x, strides**2 * channels, 1), strides)


def probabilities_input(num_classes: int) -> Tensor:
    """The input of a re-constructor: probabilities `(B, K)`.

    Args:
        num_classes: their number K, at least 2.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    count = check_count(num_classes, "num_classes", minimum=2)
    return keras.Input((count,), name="probabilities")


def cropped(x: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Cuts images to a height and a width; those that have them already stay as they are.

    Args:
        x: `(B, H', W', C)` of at least the size wanted.
        image_shape: `(H, W, C)` wanted; what is too much is cut away below and on the right.
    """
    rows, columns = (x.shape[axis + 1] - image_shape[axis] for axis in (0, 1))
    return layers.Cropping2D(((0, rows), (0, columns)))(x) if rows or columns else x


def padded(x: Tensor, block: int = 2) -> Tensor:
    """Enlarges images by zeros to a height and width that a block divides, where it does not.

    Args:
        x: `(B, H, W, C)`.
        block: side of the block. Defaults to 2.
    """
    rows, columns = (-x.shape[axis] % block for axis in (1, 2))
    return layers.ZeroPadding2D(((0, rows), (0, columns)))(x) if rows or columns else x


def two_convolutions(
    inputs: Tensor,
    seen: Tensor,
    num_classes: int,
    channels: tuple[int, int],
    width: int,
    activation: str,
    name: str,
) -> keras.Model:
    """Two convolutions of stride 2, one dense layer and logits behind what is seen of the pixels.

    The first convolution is 6x6, written as a 3x3 one on 2x2 blocks of pixels, see `subpixel.py`;
    the second is 3x3.

    Args:
        inputs: images `(B, H, W, C)`.
        seen: what is seen of them, `(B, H, W, D)`.
        num_classes: number of logits K, at least 2.
        channels: of the two convolutions.
        width: of the dense layer.
        activation: any Keras activation.
        name: name of the model.

    Raises:
        ValueError: if there are fewer than two classes.
    """
    options = {"activation": activation, "kernel_initializer": "he_normal"}
    x = space_to_depth(padded(seen))
    x = layers.Conv2D(channels[0], 3, padding="same", **options)(x)
    x = layers.Conv2D(channels[1], 3, strides=2, padding="same", **options)(x)
    x = layers.Dense(width, **options)(layers.Flatten()(x))
    return logits_model(inputs, x, num_classes, name)
