"""The pre-activation residual networks as a PyTorch module: the same layers, the same weights."""

from collections.abc import Iterator

import keras
import numpy as np
import torch
from keras import layers
from torch import nn
from torch.nn import functional

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU}


class PreActivationResNet(nn.Module):
    """A stem, pre-activation blocks, normalization, activation, mean over the image, logits.

    Args:
        network: a Keras network of `keras_efgsm.networks.strided_resnet`, `wide_resnet` or
            `preact_resnet18`, whose weights are copied.

    Raises:
        ValueError: if it is another network.
    """

    def __init__(self, network: keras.Model):
        super().__init__()
        parts = _Parts(network)
        self.pixels = _Pixels(parts.pixels) if parts.pixels else nn.Identity()
        self.stem = _convolution(parts.stem)
        self.blocks = nn.Sequential(*(_Block(*block, parts.activation) for block in parts.blocks()))
        self.norm = _batch_norm(parts.last_norm)
        self.activation = ACTIVATIONS[parts.activation](inplace=True)
        self.logits = _dense(parts.logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `(B, K)` of images `(B, C, H, W)` in [0, 1]."""
        features = self.blocks(self.stem(self.pixels(images)))
        return self.logits(self.activation(self.norm(features)).mean((2, 3)))


class _Block(nn.Module):
    def __init__(self, norms, convolutions, shortcut, activation: str):
        super().__init__()
        self.first_norm, self.second_norm = map(_batch_norm, norms)
        self.first, self.second = map(_convolution, convolutions)
        self.shortcut = None if shortcut is None else _convolution(shortcut)
        self.activation = ACTIVATIONS[activation](inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.activation(self.first_norm(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.first(y)
        return self.second(self.activation(self.second_norm(y))) + shortcut


class _Pixels(nn.Module):
    """Normalizes the pixels of each channel."""

    def __init__(self, layer: layers.Normalization):
        super().__init__()
        for name, value in (("mean", layer.mean), ("std", np.sqrt(_array(layer.variance)))):
            self.register_buffer(name, torch.from_numpy(_array(value).reshape(1, -1, 1, 1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std


class _UnevenlyPaddedConv2d(nn.Conv2d):
    """A strided convolution with the padding of Keras, one pixel more at the bottom right."""

    def __init__(self, *arguments, edges: list[int], **options):
        super().__init__(*arguments, **options)
        self._edges = edges

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(x, self._edges))


class _Parts:
    """The layers of a Keras network, told apart by their types and kernels."""

    def __init__(self, network: keras.Model):
        found = {kind: [] for kind in _KINDS}
        for layer in network.layers:
            kind = next((kind for kind in _KINDS if type(layer) is kind), None)
            if kind is None:
                raise _not_of_this_family(network)
            found[kind].append(layer)
        self.pixels = next(iter(found[layers.Normalization]), None)
        convolutions = found[layers.Conv2D]
        self.stem, inner = convolutions[0], convolutions[1:]
        self._convolutions = [layer for layer in inner if layer.kernel_size != (1, 1)]
        self._shortcuts = [layer for layer in inner if layer.kernel_size == (1, 1)]
        *self._norms, self.last_norm = found[layers.BatchNormalization] or [None]
        (self.logits,) = found[layers.Dense] if len(found[layers.Dense]) == 1 else (None,)
        names = {layer.activation.__name__ for layer in found[layers.Activation]}
        names |= {"relu"} if found[layers.ReLU] else set()
        self.activation = names.pop() if len(names) == 1 else None
        pairs = 2 * len(found[layers.Add])
        if not (
            pairs == len(self._convolutions) == len(self._norms)
            and self.activation in ACTIVATIONS
            and self.logits
            and all(not layer.use_bias for layer in convolutions)
        ):
            raise _not_of_this_family(network)

    def blocks(self) -> Iterator[tuple]:
        """Normalizations, convolutions and the shortcut's convolution, if any, of each block."""
        shortcuts = iter(self._shortcuts)
        for number in range(0, len(self._convolutions), 2):
            first, second = self._convolutions[number : number + 2]
            changes = first.strides != (1, 1) or first.input.shape[-1] != first.filters
            shortcut = next(shortcuts) if changes else None
            yield self._norms[number : number + 2], (first, second), shortcut


_KINDS = (
    layers.InputLayer,
    layers.Normalization,
    layers.Conv2D,
    layers.BatchNormalization,
    layers.ReLU,
    layers.Activation,
    layers.Add,
    layers.GlobalAveragePooling2D,
    layers.Dense,
)


def _not_of_this_family(network: keras.Model) -> ValueError:
    return ValueError(
        "PyTorch has the pre-activation residual networks alone, such as 'cifar10-strided'. "
        f"Received: classifier={network.name!r}"
    )


def _array(value) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(value), dtype="float32")


def _convolution(layer: layers.Conv2D) -> nn.Conv2d:
    kernel = torch.from_numpy(_array(layer.kernel).transpose(3, 2, 0, 1).copy())
    filters, channels, *size = kernel.shape
    edges = [_edges(layer, axis) for axis in (1, 2)]
    options = {"stride": layer.strides, "bias": False}
    if all(before == after for before, after in edges):
        padding = tuple(before for before, _ in edges)
        made = nn.Conv2d(channels, filters, tuple(size), padding=padding, **options)
    else:
        # `pad` takes the last axis first.
        made = _UnevenlyPaddedConv2d(
            channels, filters, tuple(size), edges=[*edges[1], *edges[0]], **options
        )
    made.weight.data.copy_(kernel)
    return made


def _edges(layer: layers.Conv2D, axis: int) -> tuple[int, int]:
    """Pixels before and after the image along an axis of it, for padding "same" of Keras."""
    size, stride = layer.kernel_size[axis - 1], layer.strides[axis - 1]
    total = max((layer.output.shape[axis] - 1) * stride + size - layer.input.shape[axis], 0)
    return total // 2, total - total // 2


def _batch_norm(layer: layers.BatchNormalization) -> nn.BatchNorm2d:
    values = [layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance]
    made = nn.BatchNorm2d(layer.gamma.shape[0], eps=layer.epsilon, momentum=1 - layer.momentum)
    into = [made.weight, made.bias, made.running_mean, made.running_var]
    for tensor, value in zip(into, values, strict=True):
        tensor.data.copy_(torch.from_numpy(_array(value)))
    return made


def _dense(layer: layers.Dense) -> nn.Linear:
    made = nn.Linear(*layer.kernel.shape)
    made.weight.data.copy_(torch.from_numpy(_array(layer.kernel).T.copy()))
    made.bias.data.copy_(torch.from_numpy(_array(layer.bias)))
    return made
