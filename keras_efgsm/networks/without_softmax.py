"""A classifier without the softmax or sigmoid at its end, of the same weights."""

from typing import Any

import keras
from keras import layers

_FUNCTIONS = ("softmax", "sigmoid")
# Their names as operations of `keras.ops`.
_OPERATIONS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}


def activation_at_end(tensor: Any) -> str | None:
    """`"softmax"` or `"sigmoid"` if that is the last step to a tensor of a model, else None.

    A layer that leaves its input as it is, such as `Identity` or a cast, is passed over, and a
    model within is looked into. One that a custom layer hides is not found.

    Args:
        tensor: output `(B, K)` of a functional or sequential model.
    """
    operation, given = _made_by(tensor)
    if isinstance(operation, keras.Model):
        inner = getattr(operation, "outputs", None)
        return activation_at_end(inner[0]) if inner and len(inner) == 1 else None
    if _passes_on(operation) and len(given) == 1:
        return activation_at_end(given[0])
    return _activation(operation)


def without_softmax(model: keras.Model) -> keras.Model | None:
    """The model up to its softmax or sigmoid: the logits, exactly, by the same variables.

    Args:
        model: functional or sequential, with one output `(B, K)`.

    Returns:
        A new model, which shares its layers and weights with the given one; None if it ends in
        neither, or in a layer that cannot be cut.

    Example:

    ```python
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    logits = without_softmax(model)
    ```
    """
    before = _before_activation(model.outputs[0])
    return None if before is None else keras.Model(model.inputs[0], before, name=model.name)


def _before_activation(tensor: Any) -> Any | None:
    operation, given = _made_by(tensor)
    if len(given) != 1:
        return None
    if isinstance(operation, keras.Model):
        if len(getattr(operation, "outputs", None) or ()) != 1:
            return None
        inner = without_softmax(operation)
        return None if inner is None else inner(given[0])
    if _passes_on(operation):
        before = _before_activation(given[0])
        return None if before is None else operation(before)
    if _activation(operation) is None:
        return None
    if isinstance(operation, (layers.Softmax, layers.Activation)) or not isinstance(
        operation, layers.Layer
    ):
        return given[0]
    linear = _with_linear_activation(operation)
    return None if linear is None else linear(given[0])


def _made_by(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer or operation that a tensor comes out of, and what it was given."""
    operation, call, _ = tensor._keras_history
    return operation, list(operation._inbound_nodes[call].input_tensors)


def _activation(operation: Any) -> str | None:
    """The softmax over classes, or the sigmoid, that a layer or operation ends with."""
    if isinstance(operation, layers.Softmax):
        return "softmax" if operation.axis in (-1, 1) else None
    if not isinstance(operation, layers.Layer):
        name = _OPERATIONS.get(type(operation).__name__)
        is_over_classes = getattr(operation, "axis", -1) in (-1, 1)
        return name if is_over_classes else None
    function = getattr(operation, "activation", None)
    if isinstance(function, layers.Layer):
        return _activation(function)
    name = getattr(function, "__name__", "")
    return name if name in _FUNCTIONS else None


def _passes_on(operation: Any) -> bool:
    """Whether it leaves its input as it is, but for the precision."""
    if isinstance(operation, layers.Activation):
        return getattr(operation.activation, "__name__", "") == "linear"
    return isinstance(operation, layers.Identity) or type(operation).__name__ == "Cast"


def _with_linear_activation(layer: Any) -> Any | None:
    """A layer of the same variables without its activation; None if it keeps more than those."""
    within = layer._flatten_layers(include_self=False)
    if any(other is not layer.activation for other in within):
        return None
    try:
        linear = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    # A constructor may not know `activation`, and a layer may have no configuration.
    except Exception:
        return None
    # Not built: it would make variables of its own, and the two would drift apart in a training.
    for name, value in list(vars(layer).items()):
        if name not in vars(linear) and (value is None or isinstance(value, keras.Variable)):
            setattr(linear, name, value)
    linear.input_spec, linear.built = layer.input_spec, True
    is_same = list(map(id, linear.variables)) == list(map(id, layer.variables))
    return linear if is_same and linear.activation is keras.activations.linear else None
