"""The graph that converters to other forms start from: images to logits, and nothing else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm.networks.precision import float32_twin

# Of functions that XLA compiles, as Keras has it for grouped convolutions.
_KEPT_APART = ("_XlaMustCompile", "_noinline")


def logits_endpoint(classifier: keras.Model) -> Any:
    """Returns the graph from `image` `(batch, H, W, C)` to `logits` `(batch, K)`, both float32.

    Args:
        classifier: functional or sequential model, float images `(batch, H, W, C)` in [0, 1] to
            logits `(batch, K)`.

    Returns:
        A concrete function, whose `variables` are those of the classifier that it reads.
    """
    classifier = float32_twin(classifier)
    spec = tf.TensorSpec(tuple(classifier.inputs[0].shape), tf.float32, name="image")

    def serving_default(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": tf.cast(classifier(image, training=False), tf.float32)}

    graph = tf.function(serving_default, input_signature=[spec], autograph=False)
    return graph.get_concrete_function()


def frozen_graph(classifier: keras.Model) -> tuple[Any, str, str]:
    """Returns the same graph as constants alone, and the names of its input and its output.

    A weight that no variable holds, such as the mean of a `Normalization` that was given one, is
    captured by the graph as a tensor, which converters take for a second input. Functions within it
    are marked as ones that a converter may put in place of their calls.

    Args:
        classifier: as of `logits_endpoint`.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    with quiet():
        frozen = convert_variables_to_constants_v2(
            logits_endpoint(classifier), lower_control_flow=False, aggressive_inlining=True
        )
    (entry,), (answer,) = frozen.inputs, frozen.outputs
    graph = frozen.graph.as_graph_def()
    for part in (*graph.node, *graph.library.function):
        for mark in _KEPT_APART:
            part.attr.pop(mark, None)
    return graph, entry.name, answer.name


@contextmanager
def quiet() -> Iterator[None]:
    """Leaves out what converters log: an error of theirs that matters is raised.

    TensorFlow warns of what the graph of a `tf.function` never has.
    """
    levels = {"tensorflow": logging.ERROR, "tf2onnx": logging.CRITICAL}
    before = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
