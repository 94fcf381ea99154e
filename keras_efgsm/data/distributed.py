"""The training data of one worker of several."""

from typing import Any

import tensorflow as tf

from keras_efgsm.data import ImageData, training_dataset
from keras_efgsm.distribution.shard import check_shards
from keras_efgsm.distribution.workers import own_shard


def distributed_training_dataset(
    strategy: tf.distribute.Strategy | None,
    data: ImageData,
    batch_size: int,
    *,
    seed: int,
    initial_epoch: int = 0,
    initial_step: int = 0,
    shards: int | None = None,
) -> Any:
    """Makes the data that `fit` takes under a strategy, each worker with its own samples.

    With one worker it is `training_dataset`, whose batches Keras splits among the replicas. With
    several it is that dataset with a shard for each worker, of which this one gets its own.

    Args:
        strategy: the strategy of the trainer.
        data: the images, all of them on every worker.
        batch_size: images per step of all replicas together; a multiple of the workers.
        seed: as in `training_dataset`.
        initial_epoch: as in `training_dataset`. Defaults to 0.
        initial_step: as in `training_dataset`. Defaults to 0.
        shards: as in `training_dataset`. Defaults to the number of workers, which several workers
            must have.

    Returns:
        A `tf.data.Dataset` or, with several workers, a `tf.distribute.DistributedDataset`.

    Raises:
        ValueError: if a number is out of range.

    Example:

    ```python
    from keras_efgsm.distribution.strategies import make_strategy

    strategy = make_strategy()
    dataset = distributed_training_dataset(strategy, data, 128, seed=0)
    trainer.fit(dataset, steps_per_epoch=steps_per_epoch(data, 128), epochs=10, shuffle=False)
    ```
    """
    shard = own_shard(strategy)
    shards = shard.count if shards is None else check_shards(shards, batch_size)
    options: dict[str, Any] = {
        "seed": seed,
        "initial_epoch": initial_epoch,
        "initial_step": initial_step,
    }
    if shard.count == 1:
        return training_dataset(data, batch_size, shards=shards, **options)
    if shards != shard.count:
        raise ValueError(
            f"Each of the {shard.count} workers has one shard. Received: shards={shards}"
        )
    dataset = training_dataset(data, batch_size, shards=shards, shard=shard.index, **options)
    assert strategy is not None  # without one there is one worker
    replicas = strategy.num_replicas_in_sync // shard.count
    if replicas > 1:
        dataset = dataset.flat_map(lambda inputs, labels: _split((inputs, labels), replicas))
    # From a function, as Keras would split and shard any other dataset again.
    return strategy.distribute_datasets_from_function(lambda context: dataset)


def _split(element: tuple[Any, ...], parts: int) -> tf.data.Dataset:
    """The batch in so many parts, one for each replica; the last may be smaller or empty."""
    size = -(-tf.shape(element[1])[0] // parts)
    return tf.data.Dataset.range(parts).map(
        lambda part: tf.nest.map_structure(
            lambda values: values[tf.cast(part, tf.int32) * size :][:size], element
        )
    )
