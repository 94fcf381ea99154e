"""Reads the momentum of coming batches from disk before the training step needs it."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

import numpy as np

from keras_efgsm.sample_memory.momentum import SampleMomentum


def stage_ahead(
    batches: Any,
    momentum: SampleMomentum,
    count: int = 2,
    rows: Callable[[Any], Any] = lambda ids: ids,
) -> Any:
    """Makes the same batches, run ahead of training, whose momentum begins to be read then.

    `AdversarialTrainer.fit` applies it. Anything but a `tf.data.Dataset` or a generator
    is returned as it is, and the steps then wait for the disk; so is everything where the momentum
    is in memory.

    Args:
        batches: `tf.data.Dataset` or generator of `({"image": ..., "id": ...}, ...)` batches.
        momentum: the momentum of their samples.
        count: how many batches are held ready. Defaults to 2.
        rows: maps sample ids to rows of the momentum. Defaults to the ids themselves.

    Example:

    ```python
    momentum = SampleMomentum(60_000, (28, 28, 1), storage="disk")
    dataset = stage_ahead(dataset, momentum)
    ```
    """
    if momentum.storage != "disk":
        return batches

    def stage(ids: Any) -> Any:
        wanted = rows(np.asarray(ids))
        # The training refuses others when their batch comes.
        known = (wanted >= 0) & (wanted < momentum.num_samples)
        momentum.rows.stage(wanted[known])
        return ids

    if isinstance(batches, GeneratorType):
        return _staged(batches, stage, count)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(batches, tensorflow.data.Dataset):
        return batches

    def element(inputs: dict[str, Any], *rest: Any) -> tuple[Any, ...]:
        ids = inputs["id"]
        staged = tensorflow.numpy_function(stage, [ids], ids.dtype)
        return {**inputs, "id": tensorflow.ensure_shape(staged, ids.shape)}, *rest

    return batches.map(element).prefetch(count)


def _staged(batches: Iterator[Any], stage: Callable[..., Any], count: int) -> Iterator[Any]:
    ready: deque[Any] = deque()
    for batch in batches:
        if isinstance(batch[0], dict) and "id" in batch[0]:
            stage(batch[0]["id"])
        ready.append(batch)
        if len(ready) > count:
            yield ready.popleft()
    yield from ready
