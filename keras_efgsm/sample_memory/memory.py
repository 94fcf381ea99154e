"""The momentum of each training sample and, if asked for, its image."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from keras import ops

from keras_efgsm.backend import SampleTable, batch_positions
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.distribution.shard import Shard
from keras_efgsm.noise import Noise
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES, STORAGES, SampleMomentum
from keras_efgsm.sample_memory.read_ahead import stage_ahead
from keras_efgsm.typing import ImageShape, Tensor


class Remembers(Protocol):
    """The part of an `Attack` that the memory uses."""

    @property
    def uses_momentum(self) -> bool: ...
    @property
    def momentum_of(self) -> str: ...
    @property
    def momentum_limit(self) -> float: ...
    def momentum_rows(self, num_samples: int) -> int: ...
    def momentum_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]: ...


class Recalled(NamedTuple):
    """The momentum of a batch.

    Attributes:
        stored: as it is kept, in the frame of the stored images, `(B, H, W, C)`; None without one.
        seen: as an attack sees it, through the views of the batch.
        through_view: whether the two differ.
    """

    stored: Tensor | None
    seen: Tensor | None
    through_view: bool = False


class SampleMemory:
    """Tables by sample id beside a model: the momentum Gamma of equation 13, and kept images.

    None of them is a weight of a model: snapshots, checkpoints of weights and exports leave them
    alone. The momentum lies in the frame of the images as they are stored; where a batch is random
    views of these, it is read and written through the same windows.

    Args:
        attack: whose momentum it is, see `Remembers`.
        image_shape: `(H, W, C)` of the training images.
        num_samples: number of training samples N. Defaults to what `make` is told.
        dtype: how the momentum is stored: `"int8"`, `"float16"` or `"float32"`. Defaults to
            `"int8"`.
        storage: `"memory"` or `"disk"`, see `SampleMomentum`. Defaults to `"memory"`.
        directory: folder of the store on disk, see `DiskRows`. Defaults to its own choice.
        augmentation: the views that batches are of. Defaults to none.
        shard: the samples of this process. Defaults to all of them.

    Raises:
        ValueError: if an option is out of range or unknown.

    Example:

    ```python
    samples = SampleMemory(EFGSM(epsilon=0.3), (28, 28, 1), num_samples=60_000)
    samples.make()
    recalled = samples.recall(batch)  # a `TrainingBatch`
    samples.keep(batch, recalled, 0.95 * recalled.seen + 1.0)
    ```
    """

    def __init__(
        self,
        attack: Remembers,
        image_shape: tuple[int, int, int],
        *,
        num_samples: int | None = None,
        dtype: str = "int8",
        storage: str = "memory",
        directory: str | os.PathLike[str] | None = None,
        augmentation: Augmentation | None = None,
        shard: Shard | None = None,
    ):
        self.attack = attack
        self.image_shape = cast(ImageShape, tuple(image_shape))
        self.num_samples = None if num_samples is None else check_count(num_samples, "num_samples")
        self.dtype = check_choice(dtype, "momentum_dtype", STORAGE_DTYPES)
        self.storage = check_choice(storage, "momentum_storage", STORAGES)
        self.directory = None if directory is None else os.fspath(directory)
        if augmentation is not None and not isinstance(augmentation, Augmentation):
            raise ValueError(
                "`augmentation` must be an `Augmentation` or None. "
                f"Received: augmentation={augmentation!r}"
            )
        self.augmentation = augmentation
        self.shard = shard or Shard()
        # How often a table was replaced: a step that was compiled before must not be used again.
        self.version = 0
        self._forgets = False
        self._momentum: SampleMomentum | None = None
        self._images: SampleTable | None = None

    @property
    def momentum(self) -> SampleMomentum | None:
        """The momentum of the samples; None before it is made and for an attack without."""
        return self._momentum

    @momentum.setter
    def momentum(self, momentum: SampleMomentum | None) -> None:
        self._momentum = momentum
        self.version += 1

    @property
    def images(self) -> SampleTable | None:
        """The kept images, uint8 `(N, H, W, C)`, or None."""
        return self._images

    @property
    def needs_ids(self) -> bool:
        """Whether the attack keeps a momentum for each training sample."""
        of_samples = self.attack.uses_momentum and self.attack.momentum_of == "sample"
        return of_samples and not self._forgets

    def forget(self, forgets: bool) -> None:
        """Whether to train without the momentum of each sample, for samples without ids.

        Args:
            forgets: if so, the attack sees each sample as one not seen before, and what was kept
                stays as it is; of an attack without such a momentum it changes nothing.
        """
        if forgets != self._forgets:
            self._forgets = forgets
            self.version += 1

    @property
    def num_ids(self) -> int | None:
        """Sample ids lie below it; None where no table is read by them."""
        bounds = []
        if self.needs_ids and self.momentum is not None:
            bounds.append(self.momentum.num_samples * self.shard.count)
        if self._images is not None:
            bounds.append(self._images.shape[0])
        return min(bounds, default=None)

    def make(self, num_samples: int | None = None, *, verbose: bool = True) -> None:
        """Makes room for the momentum of an attack that uses one, where there is none yet.

        Args:
            num_samples: number of training samples, where the memory was given none.
            verbose: whether to print its size. Defaults to `True`.

        Raises:
            MemoryError: if it cannot fit.
            OSError: if its store on disk cannot be made.
        """
        if not self.attack.uses_momentum or self.momentum is not None or self._forgotten:
            return
        # An attack that counts no samples has its own number of rows.
        rows = self.attack.momentum_rows(self.num_samples or num_samples)  # type: ignore[arg-type]
        self.momentum = SampleMomentum(
            self.shard.size(rows) if self.needs_ids else rows,
            self.attack.momentum_shape(self.image_shape),
            self.dtype,
            limit=self.attack.momentum_limit,
            storage=self.storage,
            directory=self.directory,
        )
        if verbose:
            print(self.momentum.describe())

    def keep_images(self, images: np.ndarray) -> None:
        """Puts the training images on the device, so that batches need only name their samples.

        `fit` then takes a generator of `({"id": i}, label)` batches; arrays and a
        `tf.data.Dataset` must hold the images.

        Args:
            images: uint8 `(n, H, W, C)`.

        Raises:
            ValueError: if they are of another type or shape.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or tuple(images.shape[1:]) != self.image_shape:
            raise ValueError(
                f"`images` must be an array of uint8 pixels of shape {('n', *self.image_shape)}. "
                f"Received: images.dtype={images.dtype}, images.shape={images.shape}"
            )
        self._images = SampleTable(images.shape, "uint8")
        self._images.assign(images)
        self.version += 1

    def tables(self) -> list[Any]:
        """The tables by sample id that a step reads and writes beside the variables."""
        held = self.momentum is not None and self.momentum.storage == "memory"
        tables: list[Any] = [self.momentum.table] if held and self.momentum else []
        return [*tables, self.images] if self.images is not None else tables

    def look_at(self, batch: TrainingBatch, noise: Callable[[], Noise]) -> TrainingBatch:
        """The batch with random views in place of its images, where there is an augmentation.

        Args:
            batch: the batch, of the images as they are stored.
            noise: makes the noise of its samples at this step.
        """
        if self.augmentation is None:
            return batch
        view = self.augmentation.draw(noise(), tuple(batch.x.shape[1:]))
        return batch._replace(x=view.of_images(batch.x), view=view)

    def recall(self, batch: TrainingBatch) -> Recalled:
        """The momentum of the samples or positions of a batch, or the one row of all."""
        if self._forgotten:
            shape = self.attack.momentum_shape(self.image_shape)
            return Recalled(None, ops.zeros((ops.shape(batch.x)[0], *shape), dtype="float32"))
        if self.momentum is None:
            return Recalled(None, None)
        stored = self.momentum.gather(self._rows(batch))
        # The one momentum of all samples lies in the frame of the views: it has no image's pixels.
        aligned = self.augmentation is not None and self.augmentation.aligned
        if not (self.needs_ids and aligned and batch.view is not None):
            return Recalled(stored, stored)
        return Recalled(stored, batch.view.of_momentum(stored), through_view=True)

    def keep(self, batch: TrainingBatch, recalled: Recalled, seen: Tensor) -> None:
        """Keeps the momentum of a batch.

        Args:
            batch: the batch.
            recalled: what `recall` gave for it.
            seen: the new momentum, as an attack sees it.
        """
        if self._forgotten:
            return
        assert self.momentum is not None
        values = batch.view.put_back(recalled.stored, seen) if recalled.through_view else seen
        rows = self._rows(batch)
        if self.attack.momentum_of != "dataset":
            rows, values = batch.real(rows), batch.real(values)
        self.momentum.write(rows, values)

    def stage_ahead(self, batches: Any) -> Any:
        """The batches, whose momentum is read from disk before a step asks for it."""
        if not self.needs_ids or self.momentum is None:
            return batches
        return stage_ahead(batches, self.momentum, rows=self.shard.rows)

    def check(self) -> None:
        """Raises the `OSError` of what went wrong in a store on disk, if something did."""
        if self.momentum is not None and self.momentum.storage == "disk":
            self.momentum.rows.check()

    @property
    def _forgotten(self) -> bool:
        """Whether there would be a momentum of each sample, if these could be told apart."""
        return self._forgets and self.attack.uses_momentum and self.attack.momentum_of == "sample"

    def _rows(self, batch: TrainingBatch) -> Tensor:
        if self.needs_ids:
            return self.shard.rows(batch.ids)
        if self.attack.momentum_of == "dataset":
            return ops.zeros((1,), dtype="int32")
        assert self.momentum is not None
        size, room = batch.x.shape[0], self.momentum.num_samples
        if size is not None and size > room:
            raise ValueError(
                f"The batch must have at most `largest_batch={room}` images. Received: {size}"
            )
        return batch_positions(ops.shape(batch.x)[0])
