"""Wide residual networks of Zagoruyko & Komodakis, 2016."""

import keras

from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.networks.pre_activation import Stem, blocks_a_group, pre_activation_resnet


def wide_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    depth: int = 22,
    width: int = 5,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    denoise: str | None = None,
    name: str = "wide_resnet",
) -> keras.Model:
    """The wide residual network WRN-d-k of Zagoruyko & Komodakis, 2016, without dropout.

    A 3x3 convolution of 16 channels, three groups of `(depth - 4) / 6` pre-activation blocks with
    16 k, 32 k and 64 k channels, the second and third group at half the size of the one before,
    normalization, activation, mean over the image, logits.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
        depth: d = 6 n + 4 layers for n blocks a group. Defaults to 22.
        width: k. Defaults to 5.
        activation: any Keras activation. Defaults to `"relu"`.
        pixels: statistics by which the network normalises its input; None for none. Defaults to
            `None`.
        denoise: a `denoising_block` of this kind after each group, `"gaussian"` or
            `"dot-product"`; None for none. Defaults to `None`.
        name: name of the model.

    Raises:
        ValueError: if there is no such depth, width or kind of denoising.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Example:

    ```python
    classifier = wide_resnet((32, 32, 3), depth=10, width=2)
    classifier.output_shape  # (None, 10)
    ```
    """
    blocks = blocks_a_group(depth, width)
    channels = [16 * width, 32 * width, 64 * width]
    return pre_activation_resnet(
        image_shape, num_classes, Stem(16), channels, blocks, activation, pixels, name, denoise
    )
