"""`tf.data` pipelines whose elements name their sample, and whose order can be resumed.

The momentum of eFGSM belongs to one training sample, so every element carries
the sample's number, `"id"`. Order is a function of `(seed, epoch)` alone: a run
that is resumed at step k of epoch e sees what an uninterrupted one sees from there on.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_efgsm.checks import check_count, check_seed
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.steps import steps_per_epoch
from keras_efgsm.distribution.shard import check_shards


def training_dataset(
    data: ImageData,
    batch_size: int,
    *,
    seed: int,
    initial_epoch: int = 0,
    initial_step: int = 0,
    shards: int = 1,
    shard: int | None = None,
) -> tf.data.Dataset:
    """Makes an endless dataset that walks through `data` in a new order each epoch.

    The order of epoch e is a permutation drawn from `(seed, e)`. Keras keeps
    one iterator over all epochs of a `fit`, so give `fit` the same
    `initial_epoch` as here and `steps_per_epoch=steps_per_epoch(data,
    batch_size)`, which a `steps_per_execution` must divide: otherwise Keras'
    epochs and these drift apart. `shuffle=False` spares a warning of Keras.

    Args:
        data: the images.
        batch_size: images per batch; the last batch of an epoch may be smaller.
        seed: number from 0 that the orders are drawn from.
        initial_epoch: the epoch to start at. Defaults to 0.
        initial_step: the batch to start at in that epoch; the number of batches of an epoch is the
            start of the next. Defaults to 0.
        shards: parts of the data, shuffled each by itself, of which every batch takes the same
            number of images; sample i is in part `i % shards`. Defaults to 1.
        shard: the part, from 0, whose images alone are given, in batches of
            `batch_size / shards`; the last of an epoch may be empty. Defaults to all of them, in
            the batches that so many workers see together.

    Returns:
        Dataset of `({"image": x, "id": i}, y)`: pixels `x` float32 in [0, 1]
        `(b, height, width, channels)`, sample numbers `i` int32 `(b,)`, labels
        `y` int32 `(b,)`.

    Raises:
        ValueError: if a number is out of range.

    Example:

    ```python
    from keras_efgsm.data import load_digits, training_dataset

    data = load_digits("train")
    batch, labels = next(iter(training_dataset(data, 32, seed=0)))
    assert batch["image"].shape == (32, 8, 8, 1)
    ```
    """
    steps = steps_per_epoch(data, batch_size)
    batch_size = int(batch_size)
    seed = check_seed(seed)
    initial_epoch = check_count(initial_epoch, "initial_epoch", minimum=0)
    initial_step = check_count(initial_step, "initial_step", minimum=0)
    if initial_step > steps:
        raise ValueError(
            f"`initial_step` must be at most {steps}, the batches of an epoch. "
            f"Received: initial_step={initial_step}"
        )
    size_of_shard = batch_size // check_shards(shards, batch_size)
    if shard is not None and check_count(shard, "shard", minimum=0) >= shards:
        raise ValueError(f"`shard` must be below `shards={shards}`. Received: shard={shard}")
    gather = _gather(data)
    size = len(data)

    def epoch_batches(epoch: tf.Tensor) -> tf.data.Dataset:
        orders = [
            tf.random.experimental.stateless_shuffle(
                tf.range(part, size, shards),
                seed=tf.stack([tf.constant(seed, tf.int64), epoch * shards + part]),
                alg="philox",
            )
            for part in (range(shards) if shard is None else [shard])
        ]
        first = tf.where(epoch == initial_epoch, tf.constant(initial_step, tf.int64), 0)
        return tf.data.Dataset.range(first, steps).map(
            lambda step: tf.concat(
                [order[step * size_of_shard : (step + 1) * size_of_shard] for order in orders], 0
            )
        )

    def element(ids: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        images, labels = gather(ids)
        return {"image": images, "id": ids}, labels

    epochs = tf.data.Dataset.range(initial_epoch, np.iinfo("int64").max)
    batches = epochs.flat_map(epoch_batches).map(element)
    # An endless dataset should say so to whoever asks, as Keras never returns from one that is
    # given to `fit` without `steps_per_epoch`.
    endless = batches.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return endless.prefetch(2).with_options(_deterministic())


def evaluation_dataset(data: ImageData, batch_size: int) -> tf.data.Dataset:
    """Makes a dataset of one pass over `data`, in order.

    Args:
        data: the images.
        batch_size: images per batch; the last batch may be smaller.

    Returns:
        Dataset of `(x, y)`: pixels `x` float32 in [0, 1] `(b, height, width,
        channels)`, labels `y` int32 `(b,)`.

    Example:

    ```python
    from keras_efgsm.data import evaluation_dataset, load_digits

    images, labels = next(iter(evaluation_dataset(load_digits("test"), 32)))
    assert images.shape == (32, 8, 8, 1)
    ```
    """
    steps = steps_per_epoch(data, batch_size)
    batch_size, size = int(batch_size), len(data)
    gather = _gather(data)

    def element(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start = tf.cast(step, tf.int32) * batch_size
        return gather(tf.range(start, tf.minimum(start + batch_size, size)))

    return tf.data.Dataset.range(steps).map(element).prefetch(2).with_options(_deterministic())


def _gather(data: ImageData) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    # Tensors made out here are handed to the pipeline by reference; arrays used inside the mapped
    # function would be copied into its graph, which may not exceed 2 GB.
    with tf.device("CPU:0"):
        images, labels = tf.constant(data.images), tf.constant(data.labels)

    def gather(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.gather(images, ids)
        return tf.cast(pixels, tf.float32) / 255.0, tf.gather(labels, ids)

    return gather


def _deterministic() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    return options
