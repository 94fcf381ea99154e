"""Cuts a classifier in two after its first layer with a kernel."""

from typing import Any, NamedTuple

import keras

# Statistics and scales alone; a kernel mixes what it reads.
_NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
)


class SplitClassifier(NamedTuple):
    """A classifier in two parts that share its weights.

    Attributes:
        first: images to the output of the first layer with a kernel.
        rest: that output to logits.
    """

    first: keras.Model
    rest: keras.Model


def split_after_first_layer(classifier: keras.Model) -> SplitClassifier:
    """Cuts a classifier in two after its first layer with a kernel (not a normalisation).

    Where that is one of several ways from the images on, as in a tone curve with a line beside it,
    the cut is where these ways meet. A model within the classifier is opened up: where it comes
    first, it is cut inside. A layer that is frozen is a layer all the same.

    Args:
        classifier: functional or sequential model.

    Raises:
        ValueError: if there is none, or the rest also needs what lies before it.
    """
    received = f"Received: classifier={classifier.name!r}"
    candidates = [
        layer
        for layer in classifier.layers
        if layer.weights and not isinstance(layer, _NORMALISATIONS)
    ]
    if not candidates:
        raise ValueError(f"`classifier` must have a layer with weights. {received}")
    first = candidates[0]
    failure = None
    for layer in classifier.layers[classifier.layers.index(first) :]:
        if layer is not first and _output_within(classifier, layer) is classifier.outputs[0]:
            break  # a cut that leaves nothing behind it
        try:
            return _split_behind(classifier, layer)
        except ValueError as error:
            failure = failure or error
    raise ValueError(
        "`classifier` must have a layer behind its first one with weights that all ways from the "
        f"images lead through, so that it can be cut in two there ({str(failure)[:200]}). "
        f"{received}"
    ) from failure


def _split_behind(classifier: keras.Model, layer: keras.layers.Layer) -> SplitClassifier:
    """Cuts a classifier behind a layer, or inside one that is a model.

    Raises:
        ValueError: if the rest also needs what lies before.
    """
    if isinstance(layer, keras.Model) and layer.layers:
        return _split_within(classifier, layer)
    cut = _output_within(classifier, layer)
    return SplitClassifier(
        keras.Model(classifier.inputs[0], cut), keras.Model(cut, classifier.outputs[0])
    )


def _split_within(classifier: keras.Model, inner: keras.Model) -> SplitClassifier:
    """Cuts a classifier inside the model that comes first in it."""
    output = _output_within(classifier, inner)
    operation, call, _ = output._keras_history
    arguments = operation._inbound_nodes[call].input_tensors
    if len(arguments) != 1:
        raise ValueError(f"the model {inner.name!r} within it takes several inputs")
    parts = split_after_first_layer(inner)
    before = arguments[0]
    cut = keras.Input(parts.rest.input_shape[1:], dtype=parts.rest.inputs[0].dtype)
    # A model may end with the one within it.
    after = None if output is classifier.outputs[0] else keras.Model(output, classifier.outputs[0])
    features = parts.rest(cut)
    return SplitClassifier(
        keras.Model(classifier.inputs[0], parts.first(before)),
        keras.Model(cut, features if after is None else after(features)),
    )


def _output_within(classifier: keras.Model, layer: keras.layers.Layer) -> Any:
    """Output of a layer in the graph of this model.

    `layer.output` is that of the layer's first call, which in a model that was restored, or made
    with `add`, belongs to a graph of before.
    """
    pending, seen = list(classifier.outputs), set()
    while pending:
        tensor = pending.pop()
        operation, call, _ = tensor._keras_history
        if operation is layer:
            return tensor
        if id(tensor) not in seen:
            seen.add(id(tensor))
            pending.extend(operation._inbound_nodes[call].input_tensors)
    return layer.output
