"""Feature denoising of Xie, Wu, van der Maaten, Yuille & He, 2019: non-local means of features."""

import keras
from keras import layers

from keras_efgsm.checks import check_choice
from keras_efgsm.networks.blocks import batch_norm, convolution
from keras_efgsm.typing import Tensor

DENOISINGS = ("gaussian", "dot-product")
"""The non-local means that there are, by how they weigh."""


def denoising_block(x: Tensor, kind: str = "gaussian", *, momentum: float = 0.9) -> Tensor:
    """Adds to features their non-local mean, behind a 1x1 convolution: the block of the paper.

    Each of the N = H W places becomes a weighted mean over all places, section 4 of Xie, Wu, van
    der Maaten, Yuille & He 2019, "Feature denoising for improving adversarial robustness":

    - `"gaussian"`: the weights of place i are the softmax over j of `theta(x_i) . phi(x_j) /
      sqrt(d)`, with two 1x1 convolutions to d = C / 2 channels;
    - `"dot-product"`: they are `x_i . x_j / N`, without a convolution.

    A 1x1 convolution and a batch normalization whose scale begins at zero follow, so that a new
    block changes nothing. As in the authors' code there is no bias. The weights of a pair of places
    are N x N numbers an image: 4 MB at 32 x 32 places. Layers of Keras alone, so that a model loads
    and is exported anywhere.

    Args:
        x: features `(B, H, W, C)`, a Keras tensor.
        kind: `"gaussian"` or `"dot-product"`. Defaults to `"gaussian"`.
        momentum: of the batch normalization. Defaults to `0.9`.

    Returns:
        A Keras tensor of the same shape.

    Raises:
        ValueError: if there is no such kind.

    Example:

    ```python
    features = keras.Input((8, 8, 16))
    keras.Model(features, denoising_block(features)).output_shape  # (None, 8, 8, 16)
    ```
    """
    check_choice(kind, "denoise", DENOISINGS)
    rows, columns, channels = x.shape[1:]
    places = rows * columns
    values = _flat(x)
    if kind == "gaussian":
        width = max(1, channels // 2)
        theta, phi = (_flat(_embedding(x, width)) for _ in range(2))
        alike = layers.Rescaling(width**-0.5)(layers.Dot(axes=2)([theta, phi]))
        mean = layers.Dot(axes=(2, 1))([layers.Softmax()(alike), values])
    elif channels < places:
        # (x x') x is x (x' x), whose middle is C x C.
        squares = layers.Rescaling(1 / places)(layers.Dot(axes=1)([values, values]))
        mean = layers.Dot(axes=(2, 1))([values, squares])
    else:
        alike = layers.Rescaling(1 / places)(layers.Dot(axes=2)([values, values]))
        mean = layers.Dot(axes=(2, 1))([alike, values])
    mean = convolution(layers.Reshape((rows, columns, channels))(mean), channels, 1)
    return layers.Add()([x, batch_norm(mean, momentum, gamma_initializer="zeros")])


def denoised(x: Tensor, kind: str | None) -> Tensor:
    """Features behind a `denoising_block`, or as they are.

    Args:
        x: features `(B, H, W, C)`, a Keras tensor.
        kind: as of `denoising_block`; None for no block.

    Raises:
        ValueError: if there is no such kind.
    """
    return x if kind is None else denoising_block(x, kind)


def _flat(x: Tensor) -> Tensor:
    rows, columns, channels = x.shape[1:]
    return layers.Reshape((rows * columns, channels))(x)


def _embedding(x: Tensor, channels: int) -> Tensor:
    small = keras.initializers.RandomNormal(stddev=0.01)
    return layers.Conv2D(channels, 1, use_bias=False, kernel_initializer=small)(x)
