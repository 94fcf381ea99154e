"""A whole data set in one file of NumPy arrays, which needs no other package to be read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.archives import DAMAGE, ArrayHeader, read_array_headers
from keras_efgsm.atomic_file import atomic_file
from keras_efgsm.checks import check_choice
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_size import check_memory
from keras_efgsm.data.source import LoadOptions, Source
from keras_efgsm.data.source_facts import SourceFacts
from keras_efgsm.data.splitting import held_out_count, held_out_note, split_off_test
from keras_efgsm.limits import TooLarge, check_num_classes

# Bytes of a name of a class, four a letter.
_LONGEST_NAME = 4 * 1000


def load_npz(path: str | os.PathLike[str], split: str = "train") -> ImageData:
    """Loads a data set from an `.npz` file as Keras's own `mnist.npz` has it.

    The headers of the arrays are read first: what does not fit together, or into memory, is refused
    before its pixels are read.

    Args:
        path: file with the arrays `x_train`, `y_train`, `x_test`, `y_test`: images uint8 `(n, H,
            W, C)` or `(n, H, W)`, labels integers `(n,)`; and, if it has them, `class_names`.
        split: `"train"` or `"test"`. Defaults to `"train"`.

    Raises:
        ValueError: if there is no such file or split, or the arrays are not as they must be.

    Example:

    ```python
    save_npz("digits.npz", load_digits("train"), load_digits("test"))
    data = load_npz("digits.npz", "test")
    ```
    """
    check_choice(split, "split", ("train", "test"))
    path = Path(path).expanduser()
    shapes, names = _read_frame(path)
    if split not in shapes:
        raise ValueError(_not_a_data_set(path, f"there is no x_{split}"))
    check_memory(shapes[split][0], shapes[split][1:])
    images, labels = _read_arrays(path, f"x_{split}", f"y_{split}")
    if images.ndim == 3:
        images = images[..., np.newaxis]
    return ImageData(images, labels, names, name=f"npz:{path.stem}:{split}")


def save_npz(path: str | os.PathLike[str], train: ImageData, test: ImageData) -> None:
    """Writes a data set as `load_npz` reads it, to carry it where its source cannot be read.

    Args:
        path: the `.npz` file; one that is there is replaced once the new one is whole.
        train: images of the train split.
        test: images of the test split.

    Raises:
        ValueError: if the splits have other classes.
        OSError: if the file cannot be written.

    Example:

    ```python
    save_npz("digits.npz", load_digits("train"), load_digits("test"))
    ```
    """
    if train.class_names != test.class_names:
        raise ValueError(
            "`train` and `test` must have the same classes. "
            f"Received: train.class_names={train.class_names!r}, "
            f"test.class_names={test.class_names!r}"
        )
    with atomic_file(Path(path)) as file:
        np.savez(
            file,
            x_train=train.images,
            y_train=train.labels,
            x_test=test.images,
            y_test=test.labels,
            class_names=np.array(train.class_names),
        )


class NpzSource(Source):
    """Files of arrays, with test images or without."""

    accepts = "the path of an .npz file with x_train, y_train and, if there are, x_test, y_test"

    def claims(self, dataset: str, options: LoadOptions) -> bool:
        return Path(dataset).suffix.lower() == ".npz"

    def describe(self, dataset: str, options: LoadOptions) -> SourceFacts:
        path = Path(dataset).expanduser()
        shapes, names = _read_frame(path)
        sizes: dict[tuple[int, int], int] = {}
        channels: dict[int, int] = {}
        for count, height, width, depth in shapes.values():
            sizes[height, width] = sizes.get((height, width), 0) + count
            channels[depth] = channels.get(depth, 0) + count
        counts = {part: shape[0] for part, shape in shapes.items()}
        notes: tuple[str, ...] = ()
        if "test" not in counts:
            (labels,) = _read_arrays(path, "y_train")
            held = held_out_count(labels, options.test_share)
            counts = {"train": len(labels) - held, "test": held}
            notes = (held_out_note("x_test", held, len(labels), options.test_share, options.seed),)
        return SourceFacts(f"npz:{path.stem}", "npz", names, counts, sizes, channels, notes)

    def load(self, dataset: str, split: str, options: LoadOptions) -> ImageData:
        check_choice(split, "split", ("train", "test"))
        path = Path(dataset).expanduser()
        shapes, _ = _read_frame(path)
        if "test" in shapes:
            # A test image of another size is found before the training, not after it.
            if options.image_size is None or options.channels is None:
                self.describe(dataset, options).image_shape(options.image_size, options.channels)
            return load_npz(path, split)
        return split_off_test(load_npz(path), split, options.test_share, options.seed)


def _read_frame(path: Path) -> tuple[dict[str, tuple[int, int, int, int]], tuple[str, ...]]:
    """The shapes `(n, height, width, channels)` of the splits by their headers, and the classes."""
    received = f"path={str(path)!r}"
    try:
        headers = read_array_headers(path)
        # With one of the two the other is missing, not the test images.
        has_test = bool({"x_test", "y_test"} & headers.keys())
        parts = ("train", "test") if has_test else ("train",)
        shapes = {part: _check_shapes(part, headers) for part in parts}
        names = headers.get("class_names")
        if names is not None and (len(names.shape) != 1 or names.shape[0] > shapes["train"][0]):
            raise ValueError("class_names is no list, or has more names than images")
        if names is not None and names.dtype.itemsize > _LONGEST_NAME:
            raise ValueError("a name of class_names has more than 1,000 letters")
    except TooLarge:
        raise
    except DAMAGE as error:
        raise ValueError(_not_a_data_set(path, error)) from error
    labels = _read_arrays(path, *(f"y_{part}" for part in parts))
    low = min(int(array.min()) for array in labels)
    count = 1 + max(int(array.max()) for array in labels)
    images = sum(shape[0] for shape in shapes.values())
    most = images if names is None else names.shape[0]
    if low < 0 or count > most:
        bound = "images" if names is None else "class_names"
        raise ValueError(
            "labels must be numbers from 0 to K - 1 of K classes, so below the number of "
            f"{bound}. Received: {received} with a label {low if low < 0 else count - 1} and "
            f"{most} {bound}"
        )
    classes = count if names is None else names.shape[0]
    check_num_classes(classes, received)
    if classes < 2:
        raise ValueError(
            f"there must be images of two classes at least, but there is {classes}. "
            f"Received: {received}"
        )
    if names is None:
        return shapes, tuple(str(number) for number in range(count))
    (found,) = _read_arrays(path, "class_names")
    return shapes, tuple(str(name) for name in found)


def _read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of a file whose headers were checked; labels and names as vectors."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] if name[0] == "x" else file[name].reshape(-1) for name in names]
    except DAMAGE as error:
        raise ValueError(_not_a_data_set(path, error)) from error


def _check_shapes(part: str, headers: Mapping[str, ArrayHeader]) -> tuple[int, int, int, int]:
    shape, pixels = headers[f"x_{part}"]
    labels, dtype = headers[f"y_{part}"]
    if len(shape) == 3:
        shape = (*shape, 1)
    if len(shape) != 4:
        raise ValueError(f"x_{part} has the shape {shape}, not (n, height, width, channels)")
    if 0 in shape:
        raise ValueError(f"x_{part} has the shape {shape}, so that it holds no image")
    if pixels != np.uint8:
        raise ValueError(
            f"x_{part} must hold 8-bit pixels in 0..255, convert floats in [0, 1] with "
            f'`(x * 255).round().astype("uint8")`; it holds {pixels}'
        )
    if labels not in ((shape[0],), (shape[0], 1)) or dtype.kind not in "iu":
        raise ValueError(
            f"y_{part} has the shape {labels} and holds {dtype}, not {shape[0]} whole numbers"
        )
    return shape


def _not_a_data_set(path: Path, error: Any) -> str:
    reason = str(error).partition(". Received: ")[0]
    if isinstance(error, KeyError):
        reason = f"{error.args[0]} is missing"
    return (
        "an .npz data set must hold the arrays x_train, y_train, x_test and y_test "
        f"({reason}). Received: path={str(path)!r}"
    )
