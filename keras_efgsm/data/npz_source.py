"""A whole data set in one file of NumPy arrays, which needs no other package to be read."""

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from keras_efgsm.atomic_file import atomic_file
from keras_efgsm.checks import check_choice
from keras_efgsm.data.image_data import ImageData


def load_npz(path: str | os.PathLike, split: str = "train") -> ImageData:
    """Loads a data set from an `.npz` file as Keras's own `mnist.npz` has it.

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
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels = file[f"x_{split}"], file[f"y_{split}"]
            names = [str(n) for n in file["class_names"]] if "class_names" in file.files else None
            if names is None:
                count = 1 + max(int(file[f"y_{part}"].max()) for part in ("train", "test"))
                names = [str(number) for number in range(count)]
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            "an .npz data set must hold the arrays x_train, y_train, x_test and y_test "
            f"({error}). Received: path={str(path)!r}"
        ) from error
    if images.ndim == 3:
        images = images[..., np.newaxis]
    return ImageData(images, labels.reshape(-1), tuple(names), name=f"npz:{path.stem}:{split}")


def save_npz(path: str | os.PathLike, train: ImageData, test: ImageData) -> None:
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
    save_npz("cifar10.npz", load_data("cifar10", "train"), load_data("cifar10", "test"))
    ```
    """
    if train.class_names != test.class_names:
        raise ValueError(
            "`train` and `test` must have the same classes. "
            f"Received: train.class_names={train.class_names!r}, "
            f"test.class_names={test.class_names!r}"
        )
    with atomic_file(path) as file:
        np.savez(
            file,
            x_train=train.images,
            y_train=train.labels,
            x_test=test.images,
            y_test=test.labels,
            class_names=np.array(train.class_names),
        )
