"""What the first layers of a network take its images for: channels first, pixels of 0..255."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

# Layers after which pixels are where and what they were.
_SAME_PIXELS = (
    layers.InputLayer,
    layers.Identity,
    layers.Dropout,
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.Resizing,
    layers.CenterCrop,
    layers.Concatenate,
    layers.SpatialDropout2D,
)
# Operations of `keras.ops` that leave the values of pixels what they are.
_SAME_VALUES = ("GetItem", "Flip", "Concatenate", "Cast", "Copy", "StopGradient", "Pad", "Stack")
# Layers whose `data_format` says nothing where it is the default.
_ANY_LAYOUT = (layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
# Pixels of [0, 1] in a narrower range than this, or this many times their range away from zero,
# are hardly told apart; what a data set is normalised by leaves them wider and nearer.
_NARROW, _FAR = 1 / 32, 4.0
_MOST_CHANNELS = 4


class FirstLayers(NamedTuple):
    """What the first layers say of the images.

    Attributes:
        channels_first: what shows that they take images `(C, H, W)`; None if nothing does.
        takes_bytes: what shows that they take pixels of 0..255; None if nothing does.
    """

    channels_first: str | None
    takes_bytes: str | None


class _Pixels(NamedTuple):
    """The range of the pixels at a place in the network, each a number or one for each channel."""

    low: Any
    high: Any


class _Reading:
    """Follows the pixels from the input through the layers that leave them pixels."""

    def __init__(self) -> None:
        self.channels_first: str | None = None
        self.is_known = False
        self.takes_bytes: str | None = None

    def follow(self, model: keras.Model, pixels: _Pixels) -> _Pixels | None:
        """Reads a model from its input on; returns what its output is, if that is pixels still."""
        known: dict[int, _Pixels] = {id(model.inputs[0]): pixels}
        nodes = list(_nodes(model))
        readers = Counter(id(tensor) for _, node in nodes for tensor in node.input_tensors)
        for operation, node in nodes:
            given = [known.get(id(tensor)) for tensor in node.input_tensors]
            if not given or given[0] is None:
                continue
            # Channels that were taken apart may be stacked again, in another order.
            if len(node.input_tensors[0].shape) != 4 and type(operation).__name__ != "Stack":
                continue
            # Beside another layer that reads the same pixels, one may make little of them.
            is_alone = readers[id(node.input_tensors[0])] == 1
            after = self._read(operation, node, given[0], is_alone)
            if after is not None:
                known[id(node.output_tensors[0])] = after
        return known.get(id(model.outputs[0]))

    def _read(self, operation: Any, node: Any, pixels: _Pixels, is_alone: bool) -> _Pixels | None:
        """What comes out of one layer or operation, None where it is no pixels any more."""
        if isinstance(operation, keras.Model) and getattr(operation, "inputs", None):
            return self.follow(operation, pixels) if len(operation.inputs) == 1 else None
        moved = _axes_moved(operation)
        if moved is not None:
            if moved == (2, 3, 1):
                self._found(operation, "moves the first axis of an image to the end")
            elif moved[2] != 3:
                self.is_known = True
            return pixels if moved[2] == 3 else None
        self._read_layout(operation)
        after = _after(operation, node, pixels)
        if is_alone and after is not None and after is not pixels and self.takes_bytes is None:
            width = np.max(after.high - after.low)
            near = np.min(np.where(after.low > 0, after.low, np.maximum(-after.high, 0.0)))
            if width < _NARROW or near > _FAR * width:
                self.takes_bytes = (
                    f"{_named(operation)} makes of pixels in [0, 1] numbers from "
                    f"{np.min(after.low):.4g} to {np.max(after.high):.4g}"
                )
        return after

    def _read_layout(self, operation: Any) -> None:
        layout = getattr(operation, "data_format", None)
        axis = getattr(operation, "axis", None)
        normalises = isinstance(operation, (layers.BatchNormalization, layers.Normalization))
        if layout == "channels_first":
            self._found(operation, "has data_format='channels_first'")
        elif normalises and axis in (1, (1,)):
            self._found(operation, "normalises along the first axis of an image")
        elif layout == "channels_last" and not isinstance(operation, _ANY_LAYOUT):
            self.is_known = True

    def _found(self, operation: Any, what: str) -> None:
        if not self.is_known:
            self.channels_first, self.is_known = f"{_named(operation)} {what}", True


def read_first_layers(model: keras.Model) -> FirstLayers:
    """Reads what a functional or sequential model takes its images for.

    Custom layers say nothing. Where no layer says how the axes lie, the shape does: see
    `looks_channels_first`.

    Args:
        model: functional or sequential, with one input of rank 4.

    Example:

    ```python
    read_first_layers(keras.applications.MobileNetV3Small(weights=None)).takes_bytes
    ```
    """
    reading = _Reading()
    reading.follow(model, _Pixels(np.zeros(1), np.ones(1)))
    shape = tuple(model.inputs[0].shape[1:])
    if not reading.is_known and looks_channels_first(shape):
        reading.channels_first = f"images of shape {shape}"
    return FirstLayers(reading.channels_first, reading.takes_bytes)


def looks_channels_first(image_shape: tuple[int | None, ...]) -> bool:
    """Whether an image shape is `(C, H, W)`: 1 or 3, and two sides larger than any such number.

    Args:
        image_shape: of one image.

    Example:

    ```python
    looks_channels_first((3, 32, 32)), looks_channels_first((32, 32, 3))  # (True, False)
    ```
    """
    first, *sides = image_shape
    return first in (1, 3) and all(side is not None and side > _MOST_CHANNELS for side in sides)


def _nodes(model: keras.Model) -> Iterator[tuple[Any, Any]]:
    """The calls of a model's graph, each after those that it needs."""
    seen: set[int] = set()
    pending: list[tuple[Any, bool]] = [(tensor, False) for tensor in model.outputs]
    inputs = {id(tensor) for tensor in model.inputs}
    while pending:
        tensor, is_ready = pending.pop()
        operation, call, _ = tensor._keras_history
        node = operation._inbound_nodes[call]
        if is_ready:
            yield operation, node
        elif id(node) not in seen and id(tensor) not in inputs:
            seen.add(id(node))
            pending.append((tensor, True))
            pending.extend((needed, False) for needed in node.input_tensors)


def _after(operation: Any, node: Any, pixels: _Pixels) -> _Pixels | None:
    if isinstance(operation, layers.Rescaling):
        return _affine(pixels, np.asarray(operation.scale), np.asarray(operation.offset))
    if isinstance(operation, layers.Normalization):
        if operation.mean is None or getattr(operation, "invert", False):
            return None
        mean, variance = (
            np.reshape(keras.ops.convert_to_numpy(value), -1)
            for value in (operation.mean, operation.variance)
        )
        return _normalised(pixels, mean, variance)
    if isinstance(operation, layers.BatchNormalization):
        if not operation.built:
            return None
        statistics = (operation.moving_mean, operation.moving_variance)
        mean, variance = (keras.ops.convert_to_numpy(value) for value in statistics)
        return _normalised(pixels, mean, variance)
    kind = type(operation).__name__
    if isinstance(operation, _SAME_PIXELS) or kind in _SAME_VALUES or kind.startswith("Random"):
        return pixels
    constant = _constant(node)
    if constant is None:
        return None
    arithmetic = {"Multiply": (constant, 0.0), "Add": (1.0, constant), "Subtract": (1.0, -constant)}
    if kind in ("TrueDivide", "Divide") and np.all(constant != 0):
        return _affine(pixels, 1.0 / constant, np.zeros(1))
    if kind in arithmetic:
        return _affine(pixels, *map(np.asarray, arithmetic[kind]))
    return None


def _normalised(pixels: _Pixels, mean: np.ndarray, variance: np.ndarray) -> _Pixels:
    scale = 1.0 / np.sqrt(np.maximum(variance, 1e-12))
    return _affine(pixels, scale, -mean * scale)


def _affine(pixels: _Pixels, scale: np.ndarray, offset: np.ndarray) -> _Pixels:
    ends = [np.reshape(scale, -1) * end + np.reshape(offset, -1) for end in pixels]
    return _Pixels(np.minimum(*ends), np.maximum(*ends))


def _constant(node: Any) -> np.ndarray | None:
    """The other operand of an operation on pixels, if it is a number or an array of few."""
    numbers = [
        value
        for value in node.arguments.args[1:]
        if not isinstance(value, (keras.KerasTensor, str, bool)) and value is not None
    ]
    try:
        array = np.asarray(numbers[0], "float32") if len(numbers) == 1 else None
    except (TypeError, ValueError):
        return None
    return array if array is not None and array.size <= _MOST_CHANNELS else None


def _axes_moved(operation: Any) -> tuple[int, ...] | None:
    """The order in which a transposition takes the axes 1, 2 and 3 of its input."""
    if isinstance(operation, layers.Permute):
        return tuple(operation.dims)
    kind = type(operation).__name__
    if kind == "Transpose" and operation.axes is not None and operation.axes[0] == 0:
        return tuple(axis % 4 for axis in operation.axes[1:])
    if kind == "Moveaxis":
        moved = np.moveaxis(np.zeros((0, 1, 2, 3)), operation.source, operation.destination).shape
        return tuple(moved[1:]) if moved[0] == 0 else None
    return None


def _named(operation: Any) -> str:
    return f"{type(operation).__name__} {operation.name!r}"
