"""One entry to every source of data, as the command line uses it."""

import os
from pathlib import Path

from keras_efgsm.checks import check_choice
from keras_efgsm.data.digits_source import load_digits
from keras_efgsm.data.folder_source import class_folders, load_folder
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_size import check_image_size, resize_image
from keras_efgsm.data.npz_source import load_npz
from keras_efgsm.data.tfds_source import load_tfds


def load_data(
    name_or_path: str | os.PathLike,
    split: str = "train",
    data_dir: str | os.PathLike | None = None,
    image_size: int | tuple[int, int] | None = None,
) -> ImageData:
    """Loads a data set by its name, or a folder of images by its path.

    Args:
        name_or_path: `"digits"` for the digits of scikit-learn; the path of an
            existing folder with one sub-folder of images per class, or with
            sub-folders `train` and `test` of that form; the path of an `.npz` file, see
            `load_npz`; any other name is one of tensorflow-datasets, such as `"mnist"`.
        split: `"train"` or `"test"`, and for tensorflow-datasets any of its
            splits. A folder without `train` and `test` is one set, which
            `"train"` names. Defaults to `"train"`.
        data_dir: folder of prepared tensorflow-datasets. Defaults to the
            environment variable `TFDS_DATA_DIR`.
        image_size: side of a square or `(height, width)` in pixels to which
            every image is resized. Defaults to the size they have.

    Raises:
        ValueError: if there is no such data set or split.

    Example:

    ```python
    from keras_efgsm.data import load_data

    data = load_data("digits", "test")
    assert data.class_names[3] == "3"
    ```
    """
    size = check_image_size(image_size)
    if name_or_path == "digits":
        data = load_digits(split)
        return ImageData(resize_image(data.images, size), data.labels, data.class_names, data.name)
    path = Path(name_or_path).expanduser()
    # A folder of prepared tensorflow-datasets may lie right here under the name of a data set.
    if path.is_dir() and not any(path.glob("*/features.json")):
        return _load_split_of_folder(path, split, size)
    if path.suffix == ".npz":
        data = load_npz(path, split)
        return ImageData(resize_image(data.images, size), data.labels, data.class_names, data.name)
    if path.is_absolute() or str(name_or_path).startswith((".", "~")):
        raise ValueError(
            "a path must be that of an existing folder with one sub-folder of images per class. "
            f"Received: name_or_path={str(name_or_path)!r}"
        )
    return load_tfds(str(name_or_path), split, data_dir=data_dir, image_size=size)


def _load_split_of_folder(path: Path, split: str, size: tuple[int, int] | None) -> ImageData:
    parts = {part: path / part for part in ("train", "test")}
    if not all(folder.is_dir() for folder in parts.values()):
        if split != "train":
            raise ValueError(
                '`split` must be "train" for a folder that is not divided into `train` and `test` '
                "sub-folders; hold images out with `load_data(...).split(fraction)`. "
                f"Received: split={split!r}"
            )
        return load_folder(path, image_size=size)
    check_choice(split, "split", ("train", "test"))
    train, test = (class_folders(folder) for folder in parts.values())
    if train != test:
        # A class missing on one side would shift the numbers of those after it.
        only = sorted(set(train) ^ set(test))
        raise ValueError(
            "`train` and `test` must have the same class sub-folders, but only one of them has "
            f"{', '.join(map(repr, only))}. Received: name_or_path={str(path)!r}"
        )
    data = load_folder(parts[split], image_size=size)
    return ImageData(data.images, data.labels, data.class_names, name=f"folder:{path.name}:{split}")
