"""How Keras takes a training step on TensorFlow: `train_step(data)`, on each replica.

The functions take the model, whose `distribute_strategy` they ask for, and the step as a function
from data to logs.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm.distribution.workers import own_shard
from keras_efgsm.typing import Tensor

Step = Callable[[Any], dict[str, Tensor]]


def take_train_step(model: keras.Model, step: Step, data: Any) -> dict[str, Tensor]:
    """Answers for `keras.Model.train_step`.

    Args:
        model: the model that is trained.
        step: maps a batch of data to logs and writes variables.
        data: the batch.
    """
    logs = step(data)
    # With several workers Keras takes their mean along an axis, which scalars have not.
    if own_shard(model.distribute_strategy).count > 1:
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}
    return logs


def take_test_step(model: keras.Model, step: Step, data: Any) -> dict[str, Tensor]:
    """Answers for `keras.Model.test_step`; arguments as those of `take_train_step`."""
    return take_train_step(model, step, data)


def own_train_function(
    model: keras.Model, step: Step, tables: list[Any]
) -> Callable[..., Any] | None:
    """None: Keras makes its own, in which the tables are variables like others."""
    return None


def epoch_logs(model: keras.Model, logs: dict[str, Any]) -> dict[str, Any] | None:
    """What an epoch's logs are in place of what Keras makes of its last step's; None for that.

    Under several replicas the logs of a step are the mean of what each replica counted; Keras takes
    those where not all metrics are in them, as in an evaluation.

    Args:
        model: the model.
        logs: those of the last step.
    """
    if model.distribute_strategy.num_replicas_in_sync == 1:
        return None
    counted = model.get_metrics_result()
    return {name: counted.get(name, value) for name, value in logs.items()}


def batch_to_build_on(model: keras.Model, iterator: Any, data_batch: Any) -> tuple[Any, Any]:
    """The iterator or batch that Keras learns the shapes of the data from.

    Keras takes the mean of what the replicas have of a batch, which fails where they have not
    equally many images; it looks at the shapes alone.

    Args:
        model: the model.
        iterator: Keras's own, or None.
        data_batch: a batch, or None.

    Returns:
        `(iterator, data_batch)`.
    """
    strategy = model.distribute_strategy
    if iterator is None or strategy.num_replicas_in_sync == 1:
        return iterator, data_batch
    _, _, batches = next(iter(iterator))
    return None, tf.nest.map_structure(
        lambda values: strategy.experimental_local_results(values)[0], next(batches)
    )
