"""Functions as graphs of TensorFlow, and what the process and its devices are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm.typing import Tensor


def compiled(
    function: Callable[..., Any], reads: Sequence[keras.Variable] = ()
) -> Callable[..., Any]:
    """The function as a graph, traced once for each signature of its tensors.

    Args:
        function: takes and returns tensors.
        reads: the variables it reads, which a graph finds by itself. Defaults to none.
    """
    graph: Callable[..., Any] = tf.function(function, reduce_retracing=True)
    return graph


def compiled_once(
    function: Callable[..., Any], reads: Sequence[keras.Variable] = ()
) -> Callable[..., Any]:
    """The function as a graph, traced once for each shape of its first argument.

    Calling the graph itself also keeps TensorFlow's warning about retracing quiet: a model that is
    evaluated every epoch looks to it like one function that is traced again and again.

    Args:
        function: takes and returns tensors.
        reads: the variables it reads, which a graph finds by itself. Defaults to none.
    """
    return traced_by_shape(tf.function(function, autograph=False))


def traced_once(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of a batch that a graph may call many times, and traces once for each shape.

    Args:
        function: takes and returns one tensor.
    """
    graph = traced_by_shape(tf.function(function, autograph=False))

    def call(x: Tensor) -> Tensor:
        # A graph within the loop of an attack does not say how many images there are.
        images = keras.ops.reshape(x, keras.ops.shape(x))
        logits = graph(images)
        return keras.ops.reshape(logits, (*keras.ops.shape(x)[:1], *logits.shape[1:]))

    return call


def traced_by_shape(function: Any) -> Callable[..., Any]:
    """A `tf.function` as one that is traced once for each shape of its first argument.

    Args:
        function: the `tf.function`; all its arguments are tensors.
    """
    graphs = {}

    def run(*arguments: Tensor) -> Any:
        shape = tuple(arguments[0].shape)
        if shape not in graphs:
            graphs[shape] = function.get_concrete_function(*arguments)
        return graphs[shape](*arguments)

    return run


def is_symbolic(value: Any) -> bool:
    """Whether it is a tensor of a graph that is being made, without a value.

    Args:
        value: anything.
    """
    return bool(tf.is_symbolic_tensor(value))


def call_on_host(function: Callable[..., Any], x: Tensor, width: int) -> Tensor:
    """A function of NumPy arrays within a graph; no gradient goes through it.

    Args:
        function: maps `(B, ...)` to float32 `(B, width)`.
        x: `(B, ...)`.
        width: size of the result's second axis.
    """
    result = tf.numpy_function(function, [x], tf.float32)
    result.set_shape((x.shape[0], width))
    return result


def accelerators() -> list[str]:
    """Names of the GPUs."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return [detail.get("device_name", "GPU") for detail in details]


def enable_determinism() -> None:
    """Makes all operations of this process give the same bits each time, from now on."""
    tf.config.experimental.enable_op_determinism()
