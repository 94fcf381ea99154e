"""The images and labels of an evaluation: checked, and taken in batches."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_efgsm.array_checks import check_images, check_labels
from keras_efgsm.checks import check_count
from keras_efgsm.data import ImageData
from keras_efgsm.data.choosing import FIRST, choose_images, missing_note
from keras_efgsm.data.digests import digest_of_data
from keras_efgsm.evaluation.digests import digest_of_arrays
from keras_efgsm.evaluation.models import EvaluatedModel

# A graph is traced once for each size of batch; below this the trace costs more than it saves.
_SMALLEST_SHRUNK_BATCH = 16


class ImageSet(NamedTuple):
    """Checked images and labels.

    Attributes:
        pixels: maps indices `(m,)` to float32 images `(m, H, W, C)` in [0, 1].
        labels: int32 `(n,)`.
        name: the data set's.
        digest: returns the SHA-256 of images and labels.
        contents: the same of what the images were read from, whatever size they were brought to.
        selection: how these were chosen of the data, see `choose_images`.
        missing: a warning of the classes that are not among them; empty if all are.
    """

    pixels: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray
    name: str
    digest: Callable[[], str]
    contents: Callable[[], str]
    selection: str = FIRST
    missing: str = ""


def check_data(
    data: ImageData | tuple[Any, Any],
    model: EvaluatedModel,
    num_images: int | None,
    seed: int = 0,
    *,
    or_all: bool = False,
) -> ImageSet:
    """Checks data against the classifier that they are for, and chooses some of them.

    Args:
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`.
        model: the classifier.
        num_images: how many are taken, see `choose_images`; None takes all.
        seed: of that draw. Defaults to 0.
        or_all: whether all are taken where there are fewer than `num_images`. Defaults to
            `False`, which refuses that.

    Raises:
        ValueError: if the data do not fit the classifier or are not as above.
    """
    if isinstance(data, ImageData):
        x, y = data.images, data.labels
    elif isinstance(data, (tuple, list)) and len(data) == 2:
        x, y = map(np.asarray, data)
    else:
        raise ValueError(
            "`data` must be an `ImageData` or a pair (x, y) of images and labels. "
            f"Received: data={type(data).__name__}"
        )
    if tuple(x.shape[1:]) != model.image_shape:
        raise ValueError(
            f"The classifier takes images of shape {model.image_shape}. "
            f"Received: images.shape={x.shape}"
        )
    too_few = num_images is not None and check_count(num_images, "num_images") > len(x)
    if too_few and not or_all:
        raise ValueError(
            f"`num_images` must be at most {len(x)}, the size of the data. "
            f"Received: num_images={num_images}"
        )
    if not isinstance(data, ImageData):
        check_images(x)
    check_labels(y, model.num_classes, len(x))
    every = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    every = every.astype("int32")
    taken = choose_images(every, num_images, seed)
    labels, is_part = every[taken.indices], len(taken.indices) < len(every)
    pixels: Callable[[np.ndarray], np.ndarray]
    name, names, digests = "custom", None, None
    if isinstance(data, ImageData):
        data = data.subset(taken.indices, data.name) if is_part else data
        x, pixels = data.images, data.pixels
        name, names, digests = data.name, data.class_names, data.digests
    else:
        x = x[taken.indices] if is_part else x
        pixels = lambda chosen: x[chosen].astype("float32")  # noqa: E731
    return ImageSet(
        pixels=pixels,
        labels=labels,
        name=name,
        digest=lambda: digest_of_arrays(x, labels),
        contents=lambda: digest_of_data(digests, x, labels),
        selection=taken.selection,
        missing=missing_note(taken.missing, names, len(labels), len(np.unique(every))),
    )


def shape_of_images(data: Any) -> tuple[int, ...] | None:
    """`(H, W, C)` of the images of data, by which a model without a shape of its own is read.

    Args:
        data: as of `check_data`, which says what is the matter with other data.

    Returns:
        None where it does not show.
    """
    if isinstance(data, ImageData):
        return data.image_shape
    # What a `tf.data.Dataset` holds, or a pair of arrays.
    parts = getattr(data, "element_spec", data)
    first = parts[0] if isinstance(parts, (tuple, list)) and parts else None
    shape = tuple(getattr(first, "shape", None) or ())
    return shape[-3:] if len(shape) in (3, 4) and None not in shape[-3:] else None


def even_batch_size(count: int, largest: int) -> int:
    """The size of as few batches as possible that share `count` images evenly.

    Args:
        count: how many images, at least 1.
        largest: the largest size allowed.
    """
    return -(-count // -(-count // largest))


def shrunk_batch_size(size: int, count: int) -> int:
    """A quarter of the size, and again, while `count` images fit: few survivors, little work.

    Args:
        size: the size of an attack's first batches.
        count: how many images are left, at least 1.
    """
    while size // 4 >= max(count, _SMALLEST_SHRUNK_BATCH):
        size //= 4
    return size


def batches(indices: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of one size: the indices, and the same with the last one repeated to fill up.

    A shorter last batch would be a second trace of the attack.

    Args:
        indices: `(m,)`.
        size: of every batch.
    """
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        yield chosen, np.pad(chosen, (0, size - len(chosen)), mode="edge")
