"""Images on the disk in place of memory: a row of float32 pixels for each."""

import os
import tempfile
import weakref
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from keras_efgsm.typing import ImageShape


class ImageFile:
    """Images of one shape in a file, read and written by their numbers.

    By plain reads, not as a memory map: what is mapped counts as memory of the process.

    Args:
        image_shape: `(H, W, C)`.
        path: the file, which is kept and opened again. Defaults to one without a name in the folder
            of temporary files (`TMPDIR`), which goes with the object.

    Raises:
        OSError: if it cannot be opened.

    Example:

    ```python
    file = ImageFile((2, 2, 1))
    file.write(np.array([3]), np.ones((1, 2, 2, 1)))
    file.read(np.array([3, 3])).shape  # (2, 2, 2, 1)
    ```
    """

    def __init__(self, image_shape: ImageShape, path: str | os.PathLike[str] | None = None):
        self.image_shape = tuple(image_shape)
        self.path = None if path is None else Path(path)
        self._bytes = 4 * int(np.prod(self.image_shape))
        # Open as long as the object lives.
        if self.path is None:
            self._file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115
        else:
            mode = "r+b" if self.path.exists() else "w+b"
            self._file = cast(BinaryIO, open(self.path, mode))  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def write(self, numbers: np.ndarray, images: np.ndarray) -> None:
        """Writes images in the places of their numbers.

        Args:
            numbers: integers `(m,)`.
            images: `(m, H, W, C)`.

        Raises:
            OSError: if the disk is full.
        """
        for number, image in zip(numbers.tolist(), images, strict=True):
            self._file.seek(number * self._bytes)
            self._file.write(np.ascontiguousarray(image, "float32").tobytes())

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """Reads images, float32 `(m, H, W, C)`.

        Args:
            numbers: integers `(m,)` of images that were written.

        Raises:
            OSError: if one is not there.
        """
        images = np.empty((len(numbers), *self.image_shape), "float32")
        for number, image in zip(numbers.tolist(), images, strict=True):
            self._file.seek(number * self._bytes)
            content = self._file.read(self._bytes)
            if len(content) != self._bytes:
                raise OSError(
                    "The file of images must hold all that were written. "
                    f"Received: path={str(self.path)!r}, missing image={number}"
                )
            image[...] = np.frombuffer(content, "float32").reshape(self.image_shape)
        return images

    def flush(self) -> None:
        """Has what was written on the disk, if the file has a name."""
        self._file.flush()
        if self.path is not None:
            os.fsync(self._file.fileno())

    def clear(self) -> None:
        """Removes all images."""
        self._file.truncate(0)
