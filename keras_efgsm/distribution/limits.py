"""Checks that refuse, before any training, what a distribution strategy cannot do."""

from typing import Any

import keras

from keras_efgsm.distribution.shard import check_shards
from keras_efgsm.distribution.workers import own_shard

_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


def check_distribution(trainer: Any, x: Any) -> None:
    """Refuses a `fit` under a strategy that would not train as it does on one device.

    Args:
        trainer: the compiled `AdversarialTrainer`.
        x: the data given to `fit`.

    Raises:
        ValueError: if strategy, optimizer, attack or data do not go together.
    """
    # Keras has it on the TensorFlow backend alone.
    strategy = getattr(trainer, "distribute_strategy", None)
    if strategy is None or (strategy.num_replicas_in_sync == 1 and own_shard(strategy).count == 1):
        return
    import tensorflow as tf

    known = (
        tf.distribute.MirroredStrategy,
        tf.distribute.MultiWorkerMirroredStrategy,
        tf.distribute.OneDeviceStrategy,
    )
    if not isinstance(strategy, known):
        raise ValueError(
            "Several replicas train under `MirroredStrategy` or `MultiWorkerMirroredStrategy`. "
            f"Received: strategy={type(strategy).__name__}"
        )
    optimizer = trainer.optimizer
    # Mixed precision wraps the optimizer that clips.
    for part in (optimizer, getattr(optimizer, "inner_optimizer", None)):
        clipping = [name for name in _CLIPPING if getattr(part, name, None) is not None]
        if clipping:
            raise ValueError(
                "Keras clips the gradients of each replica and not their sum, so that the training "
                "would depend on the number of replicas: do without. "
                f"Received: optimizer with {clipping}"
            )
    if getattr(trainer, "momentum_storage", "memory") != "memory":
        raise ValueError(
            "Several replicas keep the per-sample momentum in memory, where several workers share "
            f"it among them. Received: momentum_storage={trainer.momentum_storage!r}"
        )
    if trainer.attack.momentum_of == "dataset" and trainer.attack.uses_momentum:
        raise ValueError(
            "Each of several replicas would write the one momentum that all samples share: train "
            "on one device, or give each sample its own. "
            f"Received: attack={trainer.attack.name!r}, "
            f"{strategy.num_replicas_in_sync} replicas"
        )
    coupling = [
        f"{name}={type(part).__name__}"
        for name, part in (("attack", trainer.attack), ("objective", trainer.objective))
        if part.couples_batch
    ]
    if coupling:
        raise ValueError(
            "A norm or a mean over the batch would be one over each replica's part of it, and "
            "the training depend on their number: train on one device. "
            f"Received: {', '.join(coupling)}"
        )
    workers = own_shard(strategy).count
    if workers == 1 or not trainer.attack.uses_momentum:
        return
    if not trainer.needs_ids:
        raise ValueError(
            "The perturbation that this attack carries from batch to batch belongs to positions "
            "of the global batch, which are on another worker in the last, smaller one: use "
            "`MirroredStrategy`, or another attack with several workers. "
            f"Received: attack={trainer.attack.name!r}, {workers} workers"
        )
    if not isinstance(x, tf.distribute.DistributedDataset):
        raise ValueError(
            "Each of several workers keeps the momentum of its own samples and must get no others: "
            "make the data of `fit` with `distributed_training_dataset`, and give "
            "`AdversarialTrainer` the number of all samples as `num_samples=`. "
            f"Received: x={type(x).__name__}, {workers} workers"
        )


def check_backend(parts: int) -> None:
    """Refuses replicas, workers and shards on a backend that has none.

    Args:
        parts: 1 where there are none.

    Raises:
        ValueError: if there are some and the backend is not TensorFlow.
    """
    backend = keras.backend.backend()
    if parts != 1 and backend != "tensorflow":
        raise ValueError(
            "Replicas, workers and shards need the TensorFlow backend of Keras: set "
            f"KERAS_BACKEND=tensorflow. Received: backend={backend!r}"
        )


def check_run(config: Any, strategy: Any, shards: int) -> None:
    """Refuses a run whose batches cannot be divided among its workers.

    Args:
        config: the run's `TrainingConfig`.
        strategy: its strategy or None.
        shards: parts in which its data are shuffled.

    Raises:
        ValueError: if they do not go together.
    """
    check_backend(shards if strategy is None else 2)
    workers = own_shard(strategy).count
    if workers > 1 and shards != workers:
        raise ValueError(f"Each of the {workers} workers has one shard. Received: shards={shards}")
    check_shards(shards, config.batch_size)
    if strategy is not None and config.batch_size < strategy.num_replicas_in_sync:
        raise ValueError(
            "A batch must have an image for each replica. "
            f"Received: batch_size={config.batch_size}, {strategy.num_replicas_in_sync} replicas"
        )
