"""SHA-256 of images, by which a data set is known again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np

from keras_efgsm.limits import check_is_file
from keras_efgsm.records.data import DataRecord

DIGEST_BYTES = hashlib.sha256().digest_size


def digests_of_images(images: np.ndarray) -> np.ndarray:
    """Returns SHA-256 of the values of each image.

    Args:
        images: `(n, height, width, channels)`.

    Returns:
        Uint8 array `(n, 32)`.
    """
    images = np.ascontiguousarray(images)
    found = b"".join(hashlib.sha256(image).digest() for image in images)
    return np.frombuffer(found, "uint8").reshape(len(images), DIGEST_BYTES)


def digest_of_file(file: str | os.PathLike[str]) -> np.ndarray:
    """Returns SHA-256 of the bytes of a file, as uint8 `(32,)`.

    Raises:
        OSError: if it cannot be read.
    """
    check_is_file(file)
    with open(file, "rb") as opened:
        return np.frombuffer(hashlib.file_digest(opened, "sha256").digest(), "uint8")


def digest_of_data(digests: np.ndarray | None, images: np.ndarray, labels: np.ndarray) -> str:
    """Returns SHA-256 of what images were read from, in their order, and of their labels.

    Args:
        digests: SHA-256 of each, uint8 `(n, 32)`; None where they are those of the pixels.
        images: the pixels `(n, height, width, channels)`.
        labels: integers `(n,)`.
    """
    digests = digests_of_images(images) if digests is None else digests
    return hashlib.sha256(_images(digests) + _labels(labels)).hexdigest()


def record_of(
    digests: np.ndarray,
    labels: np.ndarray,
    image_shape: tuple[int, ...],
    class_names: Sequence[str],
) -> DataRecord:
    """Returns what a set of images is known again by.

    Args:
        digests: SHA-256 of each image, uint8 `(n, 32)`, in their order.
        labels: integers `(n,)`.
        image_shape: height, width and channels.
        class_names: in the order of the labels.
    """
    # Sorted as whole rows: the same images in another order have the same contents.
    rows = sorted(digest.tobytes() for digest in digests)
    return DataRecord(
        num_images=len(digests),
        image_shape=tuple(int(side) for side in image_shape),
        class_names=tuple(class_names),
        images=hashlib.sha256(_images(digests)).hexdigest(),
        contents=hashlib.sha256(b"".join(rows)).hexdigest(),
        labels=hashlib.sha256(_labels(labels)).hexdigest(),
    )


def _images(digests: np.ndarray) -> bytes:
    return np.ascontiguousarray(digests).tobytes()


def _labels(labels: np.ndarray) -> bytes:
    return np.ascontiguousarray(labels, "<i4").tobytes()
