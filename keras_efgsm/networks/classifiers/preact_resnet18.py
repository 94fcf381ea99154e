"""PreActResNet-18 of He et al., 2016."""

import keras

from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.networks.pre_activation import Stem, pre_activation_resnet


def preact_resnet18(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    *,
    activation: str = "relu",
    pixels: PixelStatistics | None = None,
    denoise: str | None = None,
    name: str = "preact_resnet18",
) -> keras.Model:
    """PreActResNet-18 for small images, as the literature on one-step training uses it.

    A 3x3 convolution of 64 channels, four groups of two pre-activation blocks with 64, 128, 256
    and 512 channels, normalization, activation, mean over the image, logits.

    Args:
        image_shape: `(H, W, C)`.
        num_classes: number of logits K. Defaults to 10.
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
    classifier = preact_resnet18((32, 32, 3), activation="silu")
    classifier.output_shape  # (None, 10)
    ```
    """
    channels = [64, 128, 256, 512]
    return pre_activation_resnet(
        image_shape, num_classes, Stem(64), channels, 2, activation, pixels, name, denoise
    )
