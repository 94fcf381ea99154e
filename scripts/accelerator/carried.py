"""CIFAR-10 as it is carried: training images as JPEG scans, test images as exact pixels.

A decoder of another make gives other pixels, by up to five grey levels. Training does not mind; a
figure is one of the pixels it was measured on. So the test images travel as TensorFlow decodes
them, with lossless prediction: each value as its difference to what its neighbors to the left and
above suggest, in one LZMA stream. `train.npz` and `test.npz` are all there is.
"""

import dataclasses
import hashlib
import lzma
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from accelerator.jpeg_records import SplitFiles, join_headers, split_headers

TRAIN_FILE, TEST_FILE = "train.npz", "test.npz"
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 0, "pb": 0}]


def write_train(
    path: Path, files: Sequence[bytes], labels: np.ndarray, class_names: Sequence[str]
) -> None:
    """Writes JPEG files without their common header, after a check that they come back whole.

    Args:
        path: the `.npz` file.
        files: the JPEG files.
        labels: their classes `(n,)`.
        class_names: the name of each class.

    Raises:
        ValueError: if they would not come back bit for bit.
    """
    split = split_headers(files)
    if join_headers(split) != list(files):
        raise ValueError(
            f"The JPEG files must come back bit for bit. Received: {len(files)} files that do not"
        )
    np.savez(
        path,
        headers=np.frombuffer(b"".join(split.headers), "uint8"),
        header_lengths=np.array([len(header) for header in split.headers], "uint32"),
        header_of=split.header_of,
        scans=split.scans,
        lengths=split.lengths,
        labels=np.asarray(labels, "uint8"),
        class_names=np.array(class_names),
        sha256=_digest(b"".join(files)),
    )


def read_train(path: Path, count: int | None = None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Decodes training images with Pillow, on all cores.

    Args:
        path: what `write_train` wrote.
        count: takes the first so many. Defaults to all.

    Returns:
        Images uint8 `(n, H, W, 3)`, labels int64 `(n,)`, and the names of the classes.

    Raises:
        ValueError: if the file is damaged or its images vary in size.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    ends = np.cumsum(arrays["header_lengths"], dtype="int64")
    split = SplitFiles(
        [
            arrays["headers"][end - length : end].tobytes()
            for end, length in zip(ends, arrays["header_lengths"].tolist(), strict=True)
        ],
        arrays["header_of"],
        arrays["scans"],
        arrays["lengths"],
    )
    files = join_headers(split)
    if _digest(b"".join(files)) != str(arrays["sha256"]):
        raise ValueError(
            f"The training images must be those that were packed. Received: path={str(path)!r}, "
            "with another SHA-256"
        )
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(_decode, files[:count], chunksize=256))
    if len({image.shape for image in images}) > 1:
        raise ValueError(f"The images must be of one size. Received: path={str(path)!r}")
    labels = arrays["labels"][:count].astype("int64")
    return np.stack(images), labels, [str(name) for name in arrays["class_names"]]


def _decode(file: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))


def write_test(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Writes the exact pixels of test images.

    Args:
        path: the `.npz` file.
        images: uint8 `(n, H, W, 3)`.
        labels: their classes `(n,)`.
    """
    # Plane after plane, each value beside those of the same place in the images before and after.
    planes = np.ascontiguousarray(np.moveaxis(predict(images), -1, 0))
    stream = lzma.compress(planes.tobytes(), lzma.FORMAT_XZ, filters=_FILTERS)
    np.savez(
        path,
        shape=np.array(images.shape),
        stream=np.frombuffer(stream, "uint8"),
        labels=np.asarray(labels, "uint8"),
        sha256=_digest(images.tobytes()),
    )


def read_test(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The test images and labels that `write_test` wrote.

    Args:
        path: the file.

    Returns:
        Images uint8 `(n, H, W, 3)` and labels int64 `(n,)`.

    Raises:
        ValueError: if the pixels are not those that were packed.
    """
    with np.load(path, allow_pickle=False) as file:
        shape = tuple(file["shape"].tolist())
        planes = np.frombuffer(lzma.decompress(file["stream"].tobytes()), "uint8")
        labels, digest = file["labels"].astype("int64"), str(file["sha256"])
    images = restore(np.moveaxis(planes.reshape(shape[-1], *shape[:-1]), 0, -1))
    if _digest(images.tobytes()) != digest:
        raise ValueError(
            "The test images must be those that were packed. Received: "
            f"path={str(path)!r}, with another SHA-256"
        )
    return images, labels


def first_images(data: Any, count: int) -> Any:
    """The first so many images of an `ImageData` under its name, as an evaluation counts them.

    Args:
        data: the images.
        count: how many, all where there are fewer.
    """
    return dataclasses.replace(data, images=data.images[:count], labels=data.labels[:count])


def predict(images: np.ndarray) -> np.ndarray:
    """What is left of each value when `left + above - above left` is taken off, modulo 256.

    Green is left as it is; of red and blue what green does not tell is kept.

    Args:
        images: uint8 `(n, H, W, 3)`.
    """
    values = images.copy()
    values[..., 0] -= images[..., 1]
    values[..., 2] -= images[..., 1]
    values[:, 1:] -= values[:, :-1].copy()
    values[:, :, 1:] -= values[:, :, :-1].copy()
    return values


def restore(left: np.ndarray) -> np.ndarray:
    """The images that `predict` was given.

    Args:
        left: what it returned.
    """
    values = np.cumsum(np.cumsum(left, axis=1, dtype="uint8"), axis=2, dtype="uint8")
    values[..., 0] += values[..., 1]
    values[..., 2] += values[..., 1]
    return values


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
