"""What the networks share: pixels in, batch normalization, activations, residual blocks, logits."""

from typing import Any, NamedTuple

import keras
from keras import layers

from keras_efgsm.networks.subpixel import depth_to_space

Tensor = Any


class PixelStatistics(NamedTuple):
    """Mean and standard deviation of each channel over a data set, in pixels of [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


CIFAR10_PIXELS = PixelStatistics(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


def image_input(
    image_shape: tuple[int, int, int], pixels: PixelStatistics | None = None
) -> tuple[Tensor, Tensor]:
    """The input of a classifier, and the same normalized where statistics are given.

    The normalization is part of the network, so that attacks, exports and their radius see pixels
    of [0, 1] only; it is float32 whatever the dtype policy, as a difference of one part in 255
    would be lost in bfloat16.

    Args:
        image_shape: `(H, W, C)`.
        pixels: statistics of each channel; None to leave the pixels as they are. Defaults to
            `None`.
    """
    inputs = keras.Input(image_shape, name="image")
    if pixels is None:
        return inputs, inputs
    normalization = layers.Normalization(
        mean=list(pixels.mean),
        variance=[value**2 for value in pixels.std],
        dtype="float32",
        name="normalization",
    )
    return inputs, normalization(inputs)


def logits_model(inputs: Tensor, features: Tensor, num_classes: int, name: str) -> keras.Model:
    """A classifier from its features `(B, F)`: one dense layer, float32 whatever the policy."""
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.Model(inputs, logits, name=name)


def activate(x: Tensor, activation: str) -> Tensor:
    """An activation as a layer of its own."""
    return (layers.ReLU() if activation == "relu" else layers.Activation(activation))(x)


def batch_norm(x: Tensor, momentum: float = 0.9, epsilon: float = 1e-5) -> Tensor:
    """Batch normalization as the residual networks were published, which PyTorch defaults to.

    Its running statistics follow the weights within tens of steps, which the examples of a
    training attack need, as they are made with these.
    """
    return layers.BatchNormalization(momentum=momentum, epsilon=epsilon)(x)


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
