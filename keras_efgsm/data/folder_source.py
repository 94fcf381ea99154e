"""A user's own images: one folder per class."""

from __future__ import annotations

import functools
import math
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.checks import check_choice, first_words
from keras_efgsm.data.digests import DIGEST_BYTES, digest_of_file
from keras_efgsm.data.folder_files import (
    ImageFiles,
    class_files,
    class_folders,
    folder_facts,
    read_layout,
)
from keras_efgsm.data.image_channels import check_channels, with_channels
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_header import (
    SERVED_FORMATS,
    ImageHeader,
    opened_image,
    orientation_of,
    unreadable,
)
from keras_efgsm.data.image_size import check_image_size, empty_images
from keras_efgsm.data.source import LoadOptions, Source
from keras_efgsm.data.source_facts import SourceFacts
from keras_efgsm.data.splitting import held_out_name

# Bytes of pixels that are decoded at the same time, one image at least.
_DECODED_AT_ONCE = 2**28
_ROWS = 64
# Bytes to a multiple of which TensorFlow wants its arrays to lie.
_ALIGNMENT = 64


def load_folder(
    path: str | os.PathLike[str],
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
) -> ImageData:
    """Loads a folder that holds one sub-folder of images per class.

    Classes are the sub-folders in sorted order; files are read in sorted order, from nested folders
    too, and resized one by one. Hidden files and files that are no images by their ending are
    passed over. PNG and JPEG files become pixels by the function that an exported model uses,
    `pixels_of_file`, whose JPEG pixels differ from Pillow's, and JPEG and WebP files are turned as
    their EXIF data say; of a GIF or WebP the first frame is taken.

    Args:
        path: the folder.
        image_size: side of a square or `(height, width)` in pixels to which every image is resized.
            Defaults to `None`, which asks that all images already are of one size.
        channels: 1 for grey, 3 for colour, 4 for colour with alpha. Defaults to `None`, which asks
            that all files have the same.

    Raises:
        ValueError: if the folder, a class or an image in it cannot be used;
            the message names the file.

    Example:

    ```python
    import os, tempfile
    import tensorflow as tf
    from keras_efgsm.data import load_folder

    with tempfile.TemporaryDirectory() as root:
        for name in ("cat", "dog"):
            os.mkdir(f"{root}/{name}")
            tf.keras.utils.save_img(f"{root}/{name}/1.png", tf.zeros((8, 8, 3)))
        data = load_folder(root)
    assert data.class_names == ("cat", "dog")
    ```
    """
    check_image_size(image_size)
    check_channels(channels)
    root = Path(path).expanduser()
    names = tuple(class_folders(root))
    files, notes = class_files(root, names)
    facts = folder_facts(_called(root), names, {"train": files}, notes)
    shape = facts.image_shape(image_size, channels)
    pixels, digests = read_files(files, shape, image_size is not None)
    return ImageData(pixels, files.labels, names, f"folder:{_called(root)}", digests)


def read_files(
    files: ImageFiles, shape: tuple[int, int, int], resized: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Reads image files into one array, each resized as it is read.

    Args:
        files: the files.
        shape: `(height, width, channels)` of every image.
        resized: whether they are resized; otherwise they must have that size.

    Returns:
        Pixels uint8 `(n, height, width, channels)`, and SHA-256 of the files uint8 `(n, 32)`.

    Raises:
        ValueError: if a file cannot be read, or the images do not fit into memory.
    """
    pixels = empty_images(len(files), shape)
    digests = np.empty((len(files), DIGEST_BYTES), "uint8")
    # Here, as a thread has the bounds of no `raised_limits`.
    headers = files.headers()

    def read(index: int) -> None:
        pixels[index] = _read(files.files[index], headers[index], shape, resized)
        digests[index] = digest_of_file(files.files[index])

    # TensorFlow and Pillow decode outside the lock of Python.
    largest = max((h.height * h.width * shape[-1] for h in headers), default=1)
    pool = ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, _DECODED_AT_ONCE // largest)))
    try:
        for _ in pool.map(read, range(len(files))):
            pass
    finally:
        pool.shutdown(cancel_futures=True)
    return pixels, digests


class FolderSource(Source):
    """Folders of images, one sub-folder per class, as one set or divided into train and test."""

    accepts = "the path of a folder with one sub-folder of images per class, or with `train/` of it"

    def claims(self, dataset: str, options: LoadOptions) -> bool:
        path = Path(dataset).expanduser()
        # A folder of prepared tensorflow-datasets may lie right here under the name of a data set.
        return path.is_dir() and not any(path.glob("*/features.json"))

    def describe(self, dataset: str, options: LoadOptions) -> SourceFacts:
        layout = read_layout(Path(dataset).expanduser(), options.test_share, options.seed)
        name = f"folder:{_called(layout.root)}"
        return folder_facts(name, layout.class_names, layout.parts, layout.notes)

    def load(self, dataset: str, split: str, options: LoadOptions) -> ImageData:
        check_choice(split, "split", ("train", "test"))
        layout = read_layout(Path(dataset).expanduser(), options.test_share, options.seed)
        name = f"folder:{_called(layout.root)}"
        # The headers of both splits, so that a test image of another size is found before the
        # training and not after it.
        facts = folder_facts(name, layout.class_names, layout.parts)
        shape = facts.image_shape(options.image_size, options.channels)
        files = layout.parts[split]
        pixels, digests = read_files(files, shape, options.image_size is not None)
        if layout.held_out:
            name = held_out_name(name, split, options.test_share, options.seed)
        else:
            name = f"{name}:{split}"
        return ImageData(pixels, files.labels, layout.class_names, name, digests)


def _called(root: Path) -> str:
    """The name of a folder, of `.` as well."""
    return root.name or Path(os.path.abspath(root)).name


@functools.cache
def _served_decoder(channels: int) -> Any:
    """The function of an export, traced once for all files; resizing needs no trace."""
    import tensorflow as tf

    from keras_efgsm.data.image_files import decoded_file

    @tf.function(  # type: ignore[untyped-decorator]  # TensorFlow has no types
        input_signature=[tf.TensorSpec((), tf.string)], autograph=False
    )
    def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return decoded_file(contents, channels)

    return decode.get_concrete_function()


def _read(
    file: Path, header: ImageHeader, shape: tuple[int, int, int], resized: bool
) -> np.ndarray:
    channels = shape[-1]
    if channels == 4 and header.format not in ("BMP", "PNG", "WEBP"):
        raise ValueError(
            f"this image cannot be read with `channels=4`, as a {header.format} file has no alpha. "
            f"Received: file={str(file)!r}"
        )
    decode = _with_tensorflow if header.format in SERVED_FORMATS else _with_pillow
    try:
        # No copy is made of what may be a photograph of 50 megapixels.
        lying, orientation = decode(file, channels)
    # Whatever a damaged file makes of its decoder.
    except Exception as error:
        raise ValueError(unreadable(file, first_words(error))) from error
    sides = tuple(lying.shape[:2])
    sides = sides[::-1] if orientation >= 5 else sides
    if sides != (header.height, header.width):
        size = f"{header.height} x {header.width}"
        raise ValueError(unreadable(file, f"its header says {size}, its pixels have {sides}"))
    wanted = shape[:2] if resized and sides != shape[:2] else None
    from keras_efgsm.data.image_files import upright_pixels

    pixels: np.ndarray = upright_pixels(lying, orientation, channels, wanted).numpy()
    return pixels


def _with_tensorflow(file: Path, channels: int) -> tuple[Any, int]:
    """The pixels as they lie in the file, and its orientation."""
    import tensorflow as tf

    try:
        pixels, orientation = _served_decoder(channels)(tf.constant(file.read_bytes()))
    except tf.errors.OpError as error:
        raise ValueError(first_words(error.message)) from error
    return pixels, int(orientation)


def _with_pillow(file: Path, channels: int) -> tuple[Any, int]:
    """Likewise, in strips of rows, as Pillow holds four bytes for each pixel of three."""
    import tensorflow as tf

    mode = "RGBA" if channels == 4 else "RGB"
    with opened_image(file) as image:
        pixels = _aligned((image.height, image.width, channels))
        for top in range(0, image.height, _ROWS):
            strip = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
            colour = np.asarray(strip.convert(mode))
            pixels[top : top + _ROWS] = with_channels(colour[np.newaxis], channels)[0]
        # By `tf.convert_to_tensor` the pixels would be there three times.
        return tf.experimental.dlpack.from_dlpack(pixels.__dlpack__()), orientation_of(image)


def _aligned(shape: tuple[int, int, int]) -> np.ndarray:
    """Room for 8-bit pixels that TensorFlow can take over as it is."""
    size = math.prod(shape)
    room = np.empty(size + _ALIGNMENT, "uint8")
    first = -room.ctypes.data % _ALIGNMENT
    return room[first : first + size].reshape(shape)
