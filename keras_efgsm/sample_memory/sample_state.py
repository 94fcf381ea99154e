"""What a trainer keeps for each training sample: its momentum and, if it is told to, its image."""

from typing import Any

import numpy as np
from keras import ops

from keras_efgsm.backend import SampleTable, batch_positions
from keras_efgsm.distribution.shard import Shard
from keras_efgsm.distribution.workers import own_shard
from keras_efgsm.sample_memory.momentum import SampleMomentum
from keras_efgsm.trainer.batch import TrainingBatch

Tensor = Any


class SampleState:
    """Mixin for a `keras.Model` with an `attack` and a `classifier`: tables by sample id.

    None of them is a weight of the model: snapshots, checkpoints of weights and exports leave them
    alone.
    """

    momentum: SampleMomentum | None = None
    images: SampleTable | None = None

    @property
    def needs_ids(self) -> bool:
        """Whether the attack keeps a momentum for each training sample."""
        return self.attack.uses_momentum and self.attack.momentum_of == "sample"

    @property
    def shard(self) -> Shard:
        """The samples whose momentum this process keeps: those of its worker."""
        return own_shard(getattr(self, "distribute_strategy", None))

    def reset_momentum(self) -> None:
        """Forgets the per-sample momentum, for training on other data."""
        self.momentum = None

    def make_momentum(self, num_samples: int | None = None, *, verbose: bool = True) -> None:
        """Makes room for the momentum of an attack that uses one; `fit` calls it.

        Args:
            num_samples: number of training samples. Defaults to the trainer's own.
            verbose: whether to print its size.

        Raises:
            MemoryError: if it cannot fit.
        """
        if not self.attack.uses_momentum or self.momentum is not None:
            return
        rows = self.attack.momentum_rows(self.num_samples or num_samples)
        self.momentum = SampleMomentum(
            self.shard.size(rows) if self.needs_ids else rows,
            self.attack.momentum_shape(self.classifier.input_shape[1:]),
            self.momentum_dtype,
            limit=self.attack.momentum_limit,
            storage=self.momentum_storage,
            directory=self.momentum_directory,
        )
        # A step compiled for another momentum must not be used again.
        self.train_function = None
        if verbose:
            print(self.momentum.describe())

    def keep_images(self, images: np.ndarray) -> None:
        """Puts the training images on the device, so that batches need only name their samples.

        Args:
            images: uint8 `(n, H, W, C)`; `fit` then takes a generator of `({"id": i}, label)`
                batches. Arrays and a `tf.data.Dataset` must hold the images.

        Raises:
            ValueError: if they are of another type or shape.
        """
        expected = tuple(self.classifier.input_shape[1:])
        images = np.asarray(images)
        if images.dtype != np.uint8 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"`images` must be an array of uint8 pixels of shape {('n', *expected)}. "
                f"Received: images.dtype={images.dtype}, images.shape={images.shape}"
            )
        self.images = SampleTable(images.shape, "uint8")
        self.images.assign(images)
        # A step compiled without them must not be used again.
        self.train_function = None

    def sample_tables(self) -> list:
        """The tables by sample id that a step reads and writes beside the variables."""
        held = self.momentum is not None and self.momentum.storage == "memory"
        tables = [self.momentum.table] if held else []
        return [*tables, self.images] if self.images is not None else tables

    def read_momentum(self, batch: TrainingBatch) -> Tensor | None:
        """The momentum of the samples or positions of a batch, or the one row of all."""
        return self.momentum.gather(self._momentum_rows(batch)) if self.momentum else None

    def write_momentum(self, batch: TrainingBatch, values: Tensor) -> None:
        """Keeps the momentum of the samples or positions of a batch, or the one row of all."""
        rows = self._momentum_rows(batch)
        if self.attack.momentum_of != "dataset":
            rows, values = batch.real(rows), batch.real(values)
        self.momentum.write(rows, values)

    def _momentum_rows(self, batch: TrainingBatch) -> Tensor:
        if self.needs_ids:
            return self.shard.rows(batch.ids)
        if self.attack.momentum_of == "dataset":
            return ops.zeros((1,), dtype="int32")
        size, room = batch.x.shape[0], self.momentum.num_samples
        if size is not None and size > room:
            raise ValueError(
                f"The batch must have at most `largest_batch={room}` images. Received: {size}"
            )
        return batch_positions(ops.shape(batch.x)[0])
