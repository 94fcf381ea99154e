"""The images of a run's data set, prepared as the run prepares them."""

import os
from pathlib import Path
from typing import Any

from keras_efgsm.data import ImageData
from keras_efgsm.recipes.building import load_images as recipe_images
from keras_efgsm.recipes.config import TrainingConfig


def load_images(
    dataset: str | os.PathLike[str],
    split: str,
    data_dir: str | os.PathLike[str] | None,
    config: TrainingConfig | None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> ImageData:
    """Loads images, at the size and with the channels of a run.

    Args:
        dataset: name or path.
        split: which part of it.
        data_dir: folder of prepared tensorflow-datasets; None for that of the run.
        config: the run's configuration; None where there is none.
        image_size: `(height, width)`. Defaults to that of the run, or the images' own.
        channels: 1, 3 or 4. Defaults to those of the run, or the images' own.
    """
    if config is not None:
        data_dir = data_dir or config.data_dir
        image_size = image_size or config.image_size
        channels = channels or config.channels
    return recipe_images(
        str(dataset),
        split,
        data_dir=data_dir,
        image_size=image_size,
        channels=channels,
        seed=0 if config is None else config.seed,
    )


def resizes(config: TrainingConfig | None, image_size: Any = None) -> bool:
    """Whether images were resized for the run, so that the export resizes files as well."""
    return (image_size or getattr(config, "image_size", None)) is not None


def path_of(source: Any) -> Path:
    """The path of a run folder, of whichever type it was given."""
    return Path(getattr(source, "path", source))
