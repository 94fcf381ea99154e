"""Batches of NumPy arrays, for a backend that does not read `tf.data`.

The training images lie on the device, see `AdversarialTrainer.keep_images`, so a batch of the
training is the numbers of its samples.
"""

import math
from collections.abc import Iterator

import keras
import numpy as np

from keras_efgsm.checks import check_count, check_seed
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.steps import steps_per_epoch


def training_dataset(
    data: ImageData,
    batch_size: int,
    *,
    seed: int,
    initial_epoch: int = 0,
    initial_step: int = 0,
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Walks endlessly through `data` in a new order each epoch, drawn from `(seed, epoch)`.

    The orders are not those of the TensorFlow backend.

    Args:
        data: the images.
        batch_size: images per batch; the last batch of an epoch may be smaller.
        seed: number from 0 that the orders are drawn from.
        initial_epoch: the epoch to start at. Defaults to 0.
        initial_step: the batch to start at in that epoch; the number of batches of an epoch is the
            start of the next. Defaults to 0.

    Returns:
        Iterator of `({"id": i}, y)`: sample numbers `i` int32 `(b,)`, labels `y` int32 `(b,)`.

    Raises:
        ValueError: if a number is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, EFGSM(epsilon=0.3), num_samples=len(data))
    trainer.keep_images(data.images)
    batches = training_dataset(data, 128, seed=0)  # in an order of their own
    trainer.fit(batches, steps_per_epoch=steps_per_epoch(data, 128), shuffle=False)
    ```
    """
    steps = steps_per_epoch(data, batch_size)
    seed = check_seed(seed)
    initial_epoch = check_count(initial_epoch, "initial_epoch", minimum=0)
    initial_step = check_count(initial_step, "initial_step", minimum=0)
    if initial_step > steps:
        raise ValueError(
            f"`initial_step` must be at most {steps}, the batches of an epoch. "
            f"Received: initial_step={initial_step}"
        )

    def batches() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        epoch, first = initial_epoch, initial_step
        while True:
            # A generator of its own for each epoch, so that one can be begun anywhere.
            order = np.random.Generator(np.random.Philox([seed, epoch])).permutation(len(data))
            for step in range(first, steps):
                ids = order[step * batch_size : (step + 1) * batch_size].astype("int32")
                yield {"id": ids}, data.labels[ids]
            epoch, first = epoch + 1, 0

    return batches()


def evaluation_dataset(data: ImageData, batch_size: int) -> keras.utils.PyDataset:
    """Makes a dataset of one pass over `data`, in order.

    Args:
        data: the images.
        batch_size: images per batch; the last batch may be smaller.

    Returns:
        Dataset of `(x, y)`: pixels `x` float32 in [0, 1] `(b, height, width, channels)`, labels
        `y` int32 `(b,)`.

    Example:

    ```python
    images, labels = evaluation_dataset(load_digits("test"), 32)[0]
    ```
    """
    return _Batches(data, check_count(batch_size, "batch_size"))


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    def __init__(self, data: ImageData, batch_size: int):
        super().__init__()
        self._data, self._batch_size = data, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._data) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = slice(index * self._batch_size, (index + 1) * self._batch_size)
        return self._data.pixels(chosen), self._data.labels[chosen]
