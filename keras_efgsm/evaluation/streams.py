"""Images that come in batches, read once and kept on the disk.

An attack comes back to the images that withstood the one before it, which a generator cannot do and
a shuffled `tf.data` set would do in another order. So each batch is checked, its pixels go into a
file without a name, and no more than a batch of them is in memory at any time.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_efgsm.array_checks import check_images, check_labels
from keras_efgsm.data.digests import digest_of_data, digests_of_images
from keras_efgsm.evaluation.image_file import ImageFile
from keras_efgsm.typing import ImageShape

# What `tf.data.Dataset.cardinality` says of a set that repeats for ever.
_INFINITE = -1


class StreamedImages(NamedTuple):
    """Images that were read from batches.

    Attributes:
        file: the pixels, by number.
        labels: int32 `(n,)`.
        contents: SHA-256 of the images and labels, as of float32 arrays.
    """

    file: ImageFile
    labels: np.ndarray
    contents: str


def is_stream(data: Any) -> bool:
    """Whether data come in batches: a `tf.data` set, a `PyDataset`, a generator, an iterable.

    Args:
        data: anything.

    Example:

    ```python
    is_stream((x, y)), is_stream(iter([(x, y)]))  # (False, True)
    ```
    """
    if isinstance(data, (str, bytes, tuple, Mapping, np.ndarray)):
        return False
    # A list of two is a pair (x, y) already.
    if isinstance(data, list) and len(data) == 2:
        return False
    return isinstance(data, (Iterable, keras.utils.PyDataset))


def read_stream(
    data: Any,
    image_shape: ImageShape,
    num_classes: int,
    num_images: int | None,
    *,
    or_all: bool = False,
) -> StreamedImages:
    """Reads batches (x, y) until there are enough images, or no more.

    Args:
        data: gives batches of images `(b, H, W, C)` in [0, 1], floats, and labels `(b,)` or
            one-hot `(b, K)`.
        image_shape: `(H, W, C)`.
        num_classes: the number K of classes.
        num_images: how many are read, the first ones; None reads all.
        or_all: whether fewer will do if there are no more. Defaults to `False`.

    Raises:
        OSError: if the disk has no room for them.
        ValueError: if a batch is not as above, there are fewer images than `num_images`, or no
            end is in sight and `num_images` is None.

    Example:

    ```python
    batches = ((x[i : i + 4], y[i : i + 4]) for i in range(0, len(x), 4))
    read_stream(batches, x.shape[1:], 10, num_images=6).labels.shape  # (6,)
    ```
    """
    if num_images is None:
        _check_end(data)
    file, labels, digests, count = ImageFile(image_shape), [], [], 0
    for number, batch in enumerate(_batches(data)):
        images, classes = _checked(batch, number, image_shape, num_classes)
        if num_images is not None:
            images, classes = images[: num_images - count], classes[: num_images - count]
        file.write(count + np.arange(len(images)), images)
        labels.append(classes)
        digests.append(digests_of_images(images))
        count += len(images)
        if count == num_images:
            break
    if count == 0:
        raise ValueError(
            f"`data` must give a batch of images or more. Received: data={_kind(data)}"
        )
    if num_images is not None and count < num_images and not or_all:
        raise ValueError(
            f"`num_images` must be at most {count}, the size of the data. "
            f"Received: num_images={num_images}"
        )
    found = np.concatenate(labels)
    contents = digest_of_data(np.concatenate(digests), np.empty(0), found)
    return StreamedImages(file, found, contents)


def class_numbers(labels: np.ndarray) -> np.ndarray:
    """The classes int32 `(n,)` of labels that were checked.

    Args:
        labels: `(n,)`, `(n, 1)` or one-hot `(n, K)`.
    """
    is_one_hot = labels.ndim == 2 and labels.shape[1] > 1
    numbers = labels.argmax(axis=1) if is_one_hot else labels.reshape(-1)
    return numbers.astype("int32")


def _batches(data: Any) -> Iterator[Any]:
    if isinstance(data, keras.utils.PyDataset):
        number = 0
        while data.num_batches is None or number < data.num_batches:
            yield data[number]
            number += 1
    elif hasattr(data, "as_numpy_iterator"):
        yield from data.as_numpy_iterator()
    else:
        yield from data


def _check_end(data: Any) -> None:
    """Refuses what may go on for ever."""
    if isinstance(data, keras.utils.PyDataset):
        is_endless = data.num_batches is None
    elif hasattr(data, "cardinality"):
        is_endless = int(data.cardinality()) == _INFINITE
    else:
        # A generator does not know whether it ends.
        is_endless = iter(data) is data and not hasattr(data, "__len__")
    if is_endless:
        raise ValueError(
            "`num_images` must say how many images are taken of a generator, or of a set that "
            f"repeats, as it may have no end. Received: num_images=None, data={_kind(data)}"
        )


def _checked(
    batch: Any, number: int, image_shape: ImageShape, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ValueError(
            "`data` must give pairs (x, y) of images and labels, without weights or names. "
            f"Received: batch {number}={_kind(batch)}"
        )
    x, y = np.asarray(batch[0]), np.asarray(batch[1])
    if x.shape == tuple(image_shape):
        raise ValueError(
            "`data` must give batches of images, not single ones; batch them, as with "
            f"`dataset.batch(250)`. Received: batch {number} with x.shape={x.shape}"
        )
    if x.shape[1:] != tuple(image_shape):
        raise ValueError(
            f"The classifier takes images of shape {tuple(image_shape)}. "
            f"Received: batch {number} with x.shape={x.shape}"
        )
    try:
        check_images(x, "x")
        check_labels(y, num_classes, len(x), "y")
    except ValueError as error:
        raise ValueError(f"Batch {number} of `data`, counted from 0: {error}") from error
    return x.astype("float32"), class_numbers(y)


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
