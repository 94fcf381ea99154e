"""Checks of the requirements on a classifier and a re-constructor."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_efgsm.keras_settings import check_keras_settings


def check_classifier(classifier: Any) -> int:
    """Checks that a Keras model maps images to logits.

    Args:
        classifier: functional or sequential model from `(B, H, W, C)` to `(B, K)`.

    Returns:
        The number of classes K.

    Raises:
        ValueError: if it is not a built Keras model, does not take one batch of images or does not
            return logits: one that ends in a softmax or sigmoid, or whose outputs on random
            images are rows of probabilities, is refused.
    """
    check_keras_settings()
    if not isinstance(classifier, keras.Model) or not hasattr(classifier, "layers"):
        raise ValueError(
            "`classifier` must be a functional or sequential Keras model. "
            f"Received: classifier={type(classifier).__name__}"
        )
    input_shape = getattr(classifier, "input_shape", None) if classifier.built else None
    if not isinstance(input_shape, tuple) or len(input_shape) != 4 or None in input_shape[1:]:
        raise ValueError(
            "`classifier` must be built for one input of shape (batch, height, width, channels). "
            f"Received: classifier.input_shape={input_shape}"
        )
    output_shape = classifier.output_shape
    if not isinstance(output_shape, tuple) or len(output_shape) != 2 or (output_shape[1] or 0) < 2:
        raise ValueError(
            "`classifier` must return logits of shape (batch, num_classes), num_classes >= 2. "
            f"Received: classifier.output_shape={output_shape}"
        )
    _check_logits(classifier)
    return int(output_shape[1])


def _check_logits(classifier: keras.Model) -> None:
    advice = "remove it, so that the classifier returns logits"
    last = final_layer(classifier)
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if isinstance(last, keras.layers.Softmax) or activation in ("softmax", "sigmoid"):
        raise ValueError(
            f"`classifier` must return logits, but ends in {activation or 'softmax'}; {advice}. "
            f"Received: classifier.layers[-1]={last.name!r}"
        )
    images = random_images(classifier.input_shape[1:])
    outputs = keras.ops.convert_to_numpy(classifier(images, training=False)).astype("float32")
    if are_probabilities(outputs):
        raise ValueError(
            f"`classifier` must return logits, but its outputs are probabilities; {advice}. "
            f"Received: outputs on random images that are >= 0 with row sums "
            f"{outputs.sum(axis=1).round(4).tolist()}"
        )


def final_layer(classifier: keras.Model) -> keras.layers.Layer:
    """The last layer, also of a model whose last layer is a model."""
    last = classifier.layers[-1]
    while isinstance(last, keras.Model) and last.layers:
        last = last.layers[-1]
    return last


def random_images(image_shape: tuple[int, int, int], count: int = 4) -> np.ndarray:
    """The same uniformly random images `(count, H, W, C)` in [0, 1) at every call."""
    return np.random.default_rng(0).random((count, *image_shape), dtype="float32")


def are_probabilities(outputs: np.ndarray) -> bool:
    """Whether outputs `(n, K)` on random images are rows of probabilities instead of logits.

    A softmax written as an operation or hidden in a custom layer shows only in the outputs. The
    tolerance leaves room for half precision.
    """
    return bool((outputs >= 0.0).all() and np.allclose(outputs.sum(axis=1), 1.0, atol=1e-2))


def check_reconstructor(reconstructor: Any, classifier: keras.Model, num_classes: int) -> None:
    """Checks that a Keras model maps class probabilities to images of the classifier's shape.

    Raises:
        ValueError: if its input or output shape differs.
    """
    images = (None, *classifier.input_shape[1:])
    shapes = (
        getattr(reconstructor, "input_shape", None),
        getattr(reconstructor, "output_shape", None),
    )
    if not isinstance(reconstructor, keras.Model) or shapes != ((None, num_classes), images):
        raise ValueError(
            f"`reconstructor` must be a Keras model from {(None, num_classes)} to {images}. "
            f"Received: reconstructor.input_shape={shapes[0]}, "
            f"reconstructor.output_shape={shapes[1]}"
        )


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

    A model within the classifier is opened up: where it comes first, it is cut inside. A layer
    that is frozen is a layer all the same.

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
    try:
        if isinstance(first, keras.Model) and first.layers:
            return _split_within(classifier, first)
        cut = _output_within(classifier, first)
        return SplitClassifier(
            keras.Model(classifier.inputs[0], cut), keras.Model(cut, classifier.outputs[0])
        )
    except ValueError as error:
        raise ValueError(
            "`classifier` must be a chain up to its first layer with weights, so that it can be "
            f"cut in two there ({str(error)[:200]}). {received}"
        ) from error


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


def uses_float16(classifier: keras.Model) -> bool:
    """Whether any layer computes in float16, whose gradients can underflow."""
    return any(
        getattr(layer, "compute_dtype", "") == "float16"
        for layer in classifier._flatten_layers(include_self=True, recursive=True)
    )
