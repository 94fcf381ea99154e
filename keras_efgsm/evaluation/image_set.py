"""The images and labels of an evaluation: checked, and taken in batches."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keras_efgsm.array_checks import check_images, check_labels
from keras_efgsm.checks import check_count
from keras_efgsm.data import ImageData
from keras_efgsm.data.choosing import FIRST, choose_images, missing_note
from keras_efgsm.data.digests import digest_of_data
from keras_efgsm.evaluation.digests import digest_of_arrays
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.streams import class_numbers, is_stream, read_stream

EvaluationData = ImageData | tuple[Any, Any] | Iterable[tuple[Any, Any]]
"""What can be evaluated on: see `check_data`."""

# A graph is traced once for each size of batch; below this the trace costs more than it saves.
_SMALLEST_SHRUNK_BATCH = 16


class ImageSet(NamedTuple):
    """Checked images and labels.

    Attributes:
        pixels: maps numbers `(m,)` to float32 images `(m, H, W, C)` in [0, 1].
        labels: int32 `(n,)`: true classes, or with `towards` those that an attack is to reach.
        indices: their places `(n,)` in the data that they were chosen of, integers that rise.
        name: the data set's.
        digest: returns the SHA-256 of images and labels.
        contents: the same of what the images were read from, whatever size they were brought to.
        selection: how these were chosen of the data, see `choose_images`.
        missing: a warning of the classes that are not among them; empty if all are.
        class_names: in the order of the labels; None if they are not known.
        towards: whether an attack turns an image by reaching its label, not by leaving it.
            Defaults to `False`.
    """

    pixels: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray
    indices: np.ndarray
    name: str
    digest: Callable[[], str]
    contents: Callable[[], str]
    selection: str = FIRST
    missing: str = ""
    class_names: tuple[str, ...] | None = None
    towards: bool = False

    def holds(self, classes: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
        """Whether `(m,)` images are as an attack does not want them, by their classes.

        Args:
            classes: what they are classified as, `(m,)`.
            chosen: their numbers `(m,)`. Defaults to all.
        """
        labels = self.labels if chosen is None else self.labels[chosen]
        held: np.ndarray = (classes == labels) != self.towards
        return held


def check_data(
    data: EvaluationData,
    model: EvaluatedModel,
    num_images: int | None,
    seed: int = 0,
    *,
    or_all: bool = False,
) -> ImageSet:
    """Checks data against the classifier that they are for, and chooses some of them.

    Args:
        data: an `ImageData`; `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`; or batches of such pairs: a `tf.data` set, a `PyDataset`, a
            generator or another iterable, which is read once, see `streams`.
        model: the classifier.
        num_images: how many are taken, see `choose_images`; of batches the first ones, as the
            rest is not looked at. None takes all.
        seed: of that draw. Defaults to 0.
        or_all: whether all are taken where there are fewer than `num_images`. Defaults to
            `False`, which refuses that.

    Raises:
        OSError: if the disk has no room for the images of batches.
        ValueError: if the data do not fit the classifier or are not as above.
    """
    if num_images is not None:
        check_count(num_images, "num_images")
    if isinstance(data, ImageData):
        x, y = data.images, data.labels
    elif is_stream(data):
        return _from_stream(data, model, num_images, or_all)
    elif isinstance(data, (tuple, list)) and len(data) == 2:
        x, y = map(np.asarray, data)
    else:
        raise ValueError(
            "`data` must be an `ImageData`, a pair (x, y) of images and labels, or a `tf.data` "
            f"set, `PyDataset`, generator or iterable of such pairs. "
            f"Received: data={type(data).__name__}"
        )
    if tuple(x.shape[1:]) != model.image_shape:
        raise ValueError(
            f"The classifier takes images of shape {model.image_shape}. "
            f"Received: images.shape={x.shape}"
        )
    if num_images is not None and num_images > len(x) and not or_all:
        raise ValueError(
            f"`num_images` must be at most {len(x)}, the size of the data. "
            f"Received: num_images={num_images}"
        )
    if not isinstance(data, ImageData):
        check_images(x)
    check_labels(y, model.num_classes, len(x))
    every = class_numbers(y)
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
        indices=taken.indices,
        name=name,
        digest=lambda: digest_of_arrays(x, labels),
        contents=lambda: digest_of_data(digests, x, labels),
        selection=taken.selection,
        missing=missing_note(taken.missing, names, len(labels), len(np.unique(every))),
        # A data set may have fewer classes than the classifier.
        class_names=names if names is not None and len(names) == model.num_classes else None,
    )


def _from_stream(
    data: Any, model: EvaluatedModel, num_images: int | None, or_all: bool
) -> ImageSet:
    read = read_stream(data, model.image_shape, model.num_classes, num_images, or_all=or_all)
    # Which classes are still to come is not known, so those of the classifier are looked for.
    every = range(model.num_classes) if num_images is not None else ()
    missing = tuple(int(number) for number in np.setdiff1d(every, read.labels))
    return ImageSet(
        pixels=read.file.read,
        labels=read.labels,
        indices=np.arange(len(read.labels)),
        name="custom",
        digest=lambda: read.contents,
        contents=lambda: read.contents,
        missing=missing_note(missing, None, len(read.labels), model.num_classes, "num_images"),
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
