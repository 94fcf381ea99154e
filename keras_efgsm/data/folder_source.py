"""A user's own images: one folder per class."""

import os
from pathlib import Path

import numpy as np

from keras_efgsm.checks import check_choice
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_size import check_image_size, resize_image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def load_folder(
    path: str | os.PathLike,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
) -> ImageData:
    """Loads a folder that holds one sub-folder of images per class.

    Classes are the sub-folders in sorted order; files are read in sorted
    order, from nested folders too. Hidden files and files that are no images
    by their suffix are passed over. Images are decoded by TensorFlow, whose
    JPEG pixels differ from Pillow's: serve with the same decoder.

    Args:
        path: the folder.
        image_size: side of a square or `(height, width)` in pixels to which
            every image is resized. Defaults to `None`, which asks that all
            images already are of one size.
        channels: 1 for grey, 3 for colour, 4 for colour with alpha. Defaults
            to `None`, which asks that all files have the same.

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
    size = check_image_size(image_size)
    check_choice(channels, "channels", (None, 1, 3, 4))
    root = Path(path).expanduser()
    images, labels, files = [], [], []
    names = class_folders(root)
    for label, name in enumerate(names):
        found = _image_files(root / name)
        if not found:
            raise ValueError(
                f"every class sub-folder must hold images ({', '.join(SUFFIXES)}), but {name!r} "
                f"holds none; remove it if it is no class. Received: path={str(path)!r}"
            )
        for file in found:
            image = resize_image(_decode(file, channels), size)
            if images and image.shape != images[0].shape:
                raise ValueError(_mixed(files[0], images[0], file, image))
            images.append(image)
            labels.append(label)
            files.append(file)
    return ImageData(np.stack(images), np.array(labels), tuple(names), name=f"folder:{root.name}")


def class_folders(root: Path) -> list[str]:
    """Returns the sorted names of the class sub-folders of `root`.

    Raises:
        ValueError: if `root` is no folder or has fewer than two sub-folders.
    """
    if not root.is_dir():
        raise ValueError(
            "`path` must be a folder that holds one sub-folder of images per class. "
            f"Received: path={str(root)!r} (no such folder)"
        )
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(names) < 2:
        if names:
            state = f"the only sub-folder is {names[0]!r}"
        elif _image_files(root):
            state = "it holds images but no sub-folders"
        else:
            state = "the folder is empty"
        raise ValueError(
            "`path` must hold at least two sub-folders, one per class, with the images of that "
            f"class in each. Received: path={str(root)!r} ({state})"
        )
    return names


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file()
        and p.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in p.relative_to(folder).parts)
    )


def _decode(file: Path, channels: int | None) -> np.ndarray:
    import tensorflow as tf

    # The BMP decoder only checks `channels`, it does not convert.
    wanted = 0 if channels is None or file.suffix.lower() == ".bmp" else channels
    try:
        image = tf.io.decode_image(
            tf.io.read_file(str(file)), channels=wanted, expand_animations=False
        )
        if channels == 1 and image.shape[-1] == 3:
            image = tf.image.rgb_to_grayscale(image)
        elif channels == 3 and image.shape[-1] == 1:
            image = tf.image.grayscale_to_rgb(image)
    except (tf.errors.OpError, ValueError) as error:
        reason = str(getattr(error, "message", error)).splitlines()[0]
        raise ValueError(
            f"every image file must be readable as {', '.join(SUFFIXES)}: {reason} "
            f"Received: file={str(file)!r}"
        ) from error
    if channels is not None and image.shape[-1] != channels:
        raise ValueError(
            f"this image cannot be read with `channels={channels}`, as it has "
            f"{image.shape[-1]}. Received: file={str(file)!r}"
        )
    return image.numpy()


def _mixed(first_file: Path, first: np.ndarray, file: Path, image: np.ndarray) -> str:
    if image.shape[:2] != first.shape[:2]:
        what = "size; give `image_size=(height, width)` to resize them"
    else:
        what = "number of channels; give `channels=1` or `channels=3` to convert them"
    return (
        f"all images must have the same {what}. Received: {first_file.name} of shape "
        f"{first.shape}, file={str(file)!r} of shape {image.shape}"
    )
