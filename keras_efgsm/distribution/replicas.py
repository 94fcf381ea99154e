"""The replicas that take a training step together under `tf.distribute`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from keras_efgsm.typing import Tensor


def replica_count() -> int:
    """How many replicas take a step together; 1 where there is no strategy."""
    count: int = tf.distribute.get_strategy().num_replicas_in_sync
    return count


def share_of_batch(count: Tensor) -> Tensor | None:
    """The part of the global batch that this replica has; None where it has all of it.

    Batches need not be split evenly, the last one of an epoch least of all. A mean over the global
    batch is the sum of the replicas' means, each times its share.

    Args:
        count: images of this replica, a scalar.
    """
    if replica_count() == 1:
        return None
    context = tf.distribute.get_replica_context()
    count = tf.cast(count, tf.float32)
    return count / context.all_reduce(tf.distribute.ReduceOp.SUM, count)


def without_empty_batch(element: Any) -> tuple[Any, Tensor | None]:
    """A batch in which a replica that has none of its images has a blank one.

    Networks and their gradients do not take empty batches in general; a replica without images
    still has to take the step, with a share of zero.

    Args:
        element: images, labels and the like of this replica, in any structure; None is left alone.

    Returns:
        `(element, present)`: `present` is how many images there were, None where there is one
        replica and nothing to do.
    """
    if replica_count() == 1:
        return element, None
    leaves = [leaf for leaf in tf.nest.flatten(element) if leaf is not None]
    present = tf.shape(leaves[0])[0]
    missing = tf.cast(tf.equal(present, 0), tf.int32)

    def fill(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        filled = tf.pad(values, [[0, missing], *[[0, 0]] * (len(values.shape) - 1)])
        return tf.ensure_shape(filled, [None, *values.shape[1:]])

    return tf.nest.map_structure(fill, element), present


def batch_positions(count: Tensor) -> Tensor:
    """Positions in the global batch of this replica's images, int32 `(count,)`.

    Args:
        count: images of this replica, a scalar.
    """
    positions = tf.range(tf.cast(count, tf.int32))
    replicas = replica_count()
    if replicas == 1:
        return positions
    context = tf.distribute.get_replica_context()
    replica = context.replica_id_in_sync_group
    mine = tf.one_hot(replica, replicas) * tf.cast(count, tf.float32)
    counts = context.all_reduce(tf.distribute.ReduceOp.SUM, mine)
    first = tf.gather(tf.cumsum(counts, exclusive=True), replica)
    return positions + tf.cast(first, tf.int32)


def wait_for_local_replicas() -> None:
    """Lets no replica of this process go on before all of them are here.

    Replicas share the per-sample table of their process, and a graph keeps reads and writes of one
    variable in the order in which they were traced. Without a meeting between the reading and the
    writing, the second replica would only read, and so begin, when the first has written.
    """
    context = tf.distribute.get_replica_context()
    if context is None or replica_count() == 1:
        return
    if len(context.strategy.extended.worker_devices) > 1:
        context.merge_call(lambda strategy: None)


def outside_strategies(make: Callable[[], Any]) -> Any:
    """What `make` makes, with variables that no strategy copies to its replicas.

    Args:
        make: called without arguments.
    """
    if not tf.distribute.has_strategy():
        return make()
    # A strategy belongs to the thread that entered it.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()
