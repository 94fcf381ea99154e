"""One entry to every source of data, as the command line uses it."""

import os

from keras_efgsm.data.digests import digests_of_images
from keras_efgsm.data.image_channels import with_channels
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_size import check_image_size, resize_image
from keras_efgsm.data.source import LoadOptions, UnknownDataset
from keras_efgsm.data.source_facts import SourceFacts
from keras_efgsm.data.sources import accepted, find_source


def load_data(
    dataset: str | os.PathLike[str],
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
    test_share: float = 0.1,
) -> ImageData:
    """Loads a data set by its name, or a folder of images by its path.

    A data set without test images is split by class: `"test"` is a part drawn with `seed`,
    `"train"` is the rest. The draw depends on the images' names and contents alone, copies of one
    image stay on one side.

    Args:
        dataset: `"digits"` for the digits of scikit-learn; the path of a folder with one sub-folder
            of images per class, or with sub-folders `train` and `test` of that form; the path of an
            `.npz` file, see `load_npz`; any other name is one of tensorflow-datasets, such as
            `"mnist"`.
        split: `"train"` or `"test"`, and for tensorflow-datasets any of its splits. Defaults to
            `"train"`.
        data_dir: folder of prepared tensorflow-datasets. Defaults to the environment variable
            `TFDS_DATA_DIR`.
        image_size: side of a square or `(height, width)` in pixels to which every image is resized,
            antialiased. Defaults to the size they have, which must be one.
        channels: 1 for grey, 3 for colour, 4 for colour with alpha. Defaults to what they have,
            which must be the same for all.
        seed: number from 0 that test images are drawn with. Defaults to 0.
        test_share: share of each class that is drawn, between 0 and 1. Defaults to 0.1.

    Returns:
        The images of the split, all of one shape.

    Raises:
        ValueError: if there is no such data set or split, or the images differ in size or channels
            and none is asked for.

    Example:

    ```python
    from keras_efgsm.data import load_data

    data = load_data("digits", "test")
    assert data.class_names[3] == "3"
    ```
    """
    size = check_image_size(image_size)
    options = LoadOptions(data_dir, size, channels, seed, test_share)
    name = os.fspath(dataset)
    source = find_source(name, options)
    try:
        data = source.load(name, split, options)
    except UnknownDataset as error:
        raise _unknown(name, error) from error.__cause__
    images = with_channels(resize_image(data.images, size), channels)
    if images is data.images:
        return data
    # Of the images as they were read: resized ones may differ by a rounding on another machine.
    digests = digests_of_images(data.images) if data.digests is None else data.digests
    return ImageData(images, data.labels, data.class_names, name=data.name, digests=digests)


def describe_source(
    dataset: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    *,
    seed: int = 0,
    test_share: float = 0.1,
) -> SourceFacts:
    """Finds sizes, channels, classes and numbers of images without reading any pixel.

    Only headers are read, for a folder, an `.npz` file and the digits without Keras and TensorFlow.

    Args:
        dataset: as for `load_data`.
        data_dir: as for `load_data`.
        seed: as for `load_data`. Defaults to 0.
        test_share: as for `load_data`. Defaults to 0.1.

    Raises:
        ValueError: if there is no such data set, or a file in it cannot be used.

    Example:

    ```python
    from keras_efgsm.data import describe_source

    print(describe_source("digits"))
    ```
    """
    options = LoadOptions(data_dir, seed=seed, test_share=test_share)
    name = os.fspath(dataset)
    source = find_source(name, options)
    try:
        return source.describe(name, options)
    except UnknownDataset as error:
        raise _unknown(name, error) from error.__cause__


def _unknown(name: str, error: UnknownDataset) -> ValueError:
    return ValueError(f"{error.reason}\n{accepted()}\nReceived: dataset={name!r}")
