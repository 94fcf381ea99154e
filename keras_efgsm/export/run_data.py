"""The images of a run's data set, prepared as the run prepares them."""

import os
from pathlib import Path
from typing import Any

from keras_efgsm.data import ImageData, load_data
from keras_efgsm.recipes.config import TrainingConfig


def load_images(
    dataset: str | os.PathLike[str],
    split: str,
    data_dir: str | os.PathLike[str] | None,
    config: TrainingConfig | None,
    image_size: tuple[int, int] | None = None,
) -> ImageData:
    """Loads images, at the size and with the channels of a run.

    Args:
        dataset: name or path.
        split: which part of it.
        data_dir: folder of prepared tensorflow-datasets; None for that of the run.
        config: the run's configuration; None where there is none.
        image_size: `(height, width)`. Defaults to that of the run, or the images' own.
    """
    given: dict[str, Any] = {"image_size": image_size or getattr(config, "image_size", None)}
    if config is not None:
        given["channels"] = getattr(config, "channels", None)
        data_dir = data_dir or config.data_dir
    return load_data(dataset, split, data_dir, **{k: v for k, v in given.items() if v is not None})


def resizes(config: TrainingConfig | None, image_size: Any = None) -> bool:
    """Whether images were resized for the run, so that the export resizes files as well."""
    return (image_size or getattr(config, "image_size", None)) is not None


def path_of(source: Any) -> Path:
    """The path of a run folder, of whichever type it was given."""
    return Path(getattr(source, "path", source))
