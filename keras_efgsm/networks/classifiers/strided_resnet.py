"""Residual networks that leave full resolution at once, for a CPU and for larger images."""

from collections.abc import Sequence

import keras

from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.networks.pre_activation import Stem, pre_activation_resnet


def strided_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    channels: Sequence[int] = (64, 128, 256),
    blocks: int = 2,
    *,
    stride: int = 2,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    denoise: str | None = None,
    name: str = "strided_resnet",
) -> keras.Model:
    """A pre-activation residual network that leaves full resolution at once, for a CPU.

    A 4x4 convolution with stride 2, then groups of pre-activation blocks, the second and each
    further one at half the size of the one before, normalization, activation, mean over the image,
    logits. A CPU makes more multiply-adds a second on small grids with many channels than on large
    ones with few.

    With a larger stride s the first convolution is one of `2s x 2s` pixels, and an image of s / 2
    times the size costs hardly more: 106 million multiply-adds for 32 x 32 pixels with stride 2,
    117 million for 128 x 128 with 8. The number of weights, 2.8 million, hardly changes.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        channels: of each group. Defaults to `(64, 128, 256)`.
        blocks: pre-activation blocks of each group. Defaults to 2.
        stride: pixels between the outputs of the first convolution. Defaults to 2.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: statistics by which the network normalises its input; None for none. Defaults to
            `None`.
        denoise: a `denoising_block` of this kind after each group, `"gaussian"` or
            `"dot-product"`; None for none. Defaults to `None`.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = strided_resnet((32, 32, 3), channels=(16, 32, 64))
    classifier.output_shape  # (None, 10)
    ```
    """
    stem = Stem(channels[0], kernel_size=2 * stride, strides=stride)
    return pre_activation_resnet(
        image_shape, num_classes, stem, channels, blocks, activation, pixels, name, denoise
    )
