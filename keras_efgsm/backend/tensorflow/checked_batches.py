"""Batches are looked at within the graph on TensorFlow, and a bad one stops it before its step.

It is stopped in front of the step and not within: XLA leaves assertions out of what it compiles.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.backend.batch_check import BatchCheck, BatchLimits
from keras_efgsm.distribution.replicas import replica_count
from keras_efgsm.typing import Tensor

_STOPPED = "keras_efgsm: a batch was refused"


def with_checked_batches(
    model: keras.Model, function: Callable[..., Any], check: BatchCheck
) -> Callable[..., Any]:
    """What Keras calls for the next steps, with the error of the check in place of the graph's.

    Args:
        model: the model that it is of.
        function: takes an iterator; its steps went through `checked_step`.
        check: as that of the steps.
    """

    def run(*arguments: Any) -> Any:
        check.advance(model.steps_per_execution)
        try:
            return function(*arguments)
        except Exception as error:
            check.raise_refused(stopped=_STOPPED in str(error))
            raise

    return run


def checked_step(
    model: keras.Model, step: Callable[[Any], Any], check: BatchCheck
) -> Callable[[Any], Any]:
    """A step on a batch that is not taken where the check refuses it.

    Args:
        model: the model, whose replicas stop together.
        step: takes what Keras's iterator gives: a batch, or one for each replica.
        check: looks at it.
    """
    strategy = model.distribute_strategy

    # Inlined, what needs nothing of the batch would not wait for it: the count of the updates.
    whole_step = tf.function(
        step,
        autograph=False,
        reduce_retracing=True,
        experimental_attributes={"_noinline": True},
    )

    def look(data: Any) -> Any:
        return _let_pass(data, check)

    def run(data: Any) -> Any:
        # A prediction is called by a replica, the other steps call the replicas.
        within = tf.distribute.get_strategy() is strategy
        if within and not tf.distribute.in_cross_replica_context():
            data = look(data)
        else:
            data = strategy.run(look, args=(data,))
        return step(data) if tf.executing_eagerly() else whole_step(data)

    return run


def _let_pass(data: Any, check: BatchCheck) -> Any:
    """The batch, which is not there before it was found to be good."""
    data = tf.nest.map_structure(lambda v: v if v is None else tf.convert_to_tensor(v), data)
    leaves = [leaf for leaf in tf.nest.flatten(data) if leaf is not None]

    def ask() -> Tensor:
        def refuses(*arrays: np.ndarray) -> np.int32:
            rest = iter(arrays)
            return np.int32(
                check.refuses(tf.nest.map_structure(lambda v: v if v is None else next(rest), data))
            )

        return tf.numpy_function(refuses, leaves, tf.int32)

    # Batches come from the host, where a look at them costs no transfer and no wait for a step.
    with tf.device("CPU:0"):
        good = _seems_good(data, check.limits)
        refused = ask() if good is None else tf.cond(good, lambda: tf.constant(0), ask)
    if replica_count() > 1:
        context = tf.distribute.get_replica_context()
        refused = context.all_reduce(tf.distribute.ReduceOp.SUM, refused)
    with tf.device("CPU:0"):
        stop = tf.debugging.Assert(tf.equal(refused, 0), [_STOPPED])
    # None where it is not in a graph.
    with tf.control_dependencies([] if stop is None else [stop]):
        return tf.nest.map_structure(lambda v: v if v is None else tf.identity(v), data)


def _seems_good(data: Any, limits: BatchLimits) -> Tensor | None:
    """Whether a batch is good for sure; None where a graph of these types cannot tell."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    ids = x.get("id") if isinstance(x, dict) else None
    images = x.get("image") if isinstance(x, dict) else x
    found: list[Tensor] = []
    counted = []
    if images is not None:
        if not tf.is_tensor(images) or not images.dtype.is_floating or images.shape.rank != 4:
            return None
        if None in images.shape[1:]:
            found.append(tf.reduce_all(tf.equal(tf.shape(images)[1:], limits.image_shape)))
        elif tuple(images.shape[1:]) != limits.image_shape:
            return None
        # Both are NaN where a pixel is, and cross where there is no image.
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        found += [low >= 0.0, high <= 1.0]
        # One of several replicas may have none of the images of a batch.
        if replica_count() == 1:
            found.append(low <= high)
        counted.append(images)
    if limits.num_classes is not None:
        if not tf.is_tensor(y) or y.dtype in (tf.string, tf.bool):
            return None
        y = _wide(y)
        if y.shape.rank == 1 or (y.shape.rank == 2 and y.shape[1] == 1):
            found += [tf.reduce_min(y) >= 0, tf.reduce_max(y) <= limits.num_classes - 1]
            if y.dtype.is_floating:
                found.append(tf.reduce_all(tf.equal(y, tf.floor(y))))
        elif y.shape.rank == 2 and y.shape[1] == limits.num_classes:
            sums = tf.reduce_sum(tf.cast(y, tf.float32), axis=1)
            found += [tf.reduce_min(y) >= 0, tf.reduce_all(tf.abs(sums - 1.0) <= 1e-3)]
        else:
            return None
        counted.append(y)
        if sample_weight is not None:
            if not tf.is_tensor(sample_weight) or sample_weight.shape.rank != 1:
                return None
            finite = tf.math.is_finite(tf.cast(sample_weight, tf.float32))
            found.append(tf.reduce_all(finite))
            counted.append(sample_weight)
    if limits.num_ids is not None:
        if ids is None or not tf.is_tensor(ids) or not ids.dtype.is_integer or ids.shape.rank != 1:
            return None
        ids = _wide(ids)
        found += [tf.reduce_min(ids) >= 0, tf.reduce_max(ids) < limits.num_ids]
        if limits.distinct_ids:
            found.append(tf.equal(tf.size(tf.unique(ids)[0]), tf.size(ids)))
        counted.append(ids)
    counts = [tf.shape(values)[0] for values in counted]
    found += [tf.equal(counts[0], count) for count in counts[1:]]
    return tf.reduce_all(tf.stack(found))


def _wide(values: Tensor) -> Tensor:
    """Integers of a type that holds any limit."""
    narrow = values.dtype.is_integer and values.dtype.size < 4
    return tf.cast(values, tf.int32) if narrow else values
