"""The interface of a source of labelled images."""

from __future__ import annotations

import abc
import os
from dataclasses import dataclass

from keras_efgsm.checks import check_number, check_seed
from keras_efgsm.data.image_channels import check_channels
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.image_size import check_image_size
from keras_efgsm.data.source_facts import SourceFacts


@dataclass(frozen=True)
class LoadOptions:
    """How a data set is to be loaded, the same for every source.

    Args:
        data_dir: folder of prepared data sets, for the sources that have one.
        image_size: `(height, width)` of every image, or the side of a square; `None` for the size
            they have.
        channels: 1, 3 or 4; `None` for the number they have.
        seed: number from 0 that a held-out part is drawn with, where there are no test images.
        test_share: share of that part, between 0 and 1.

    Raises:
        ValueError: if one of them is out of range.

    Example:

    ```python
    LoadOptions(image_size=32, channels=1).image_size  # (32, 32)
    ```
    """

    data_dir: str | os.PathLike[str] | None = None
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    seed: int = 0
    test_share: float = 0.1

    def __post_init__(self) -> None:
        """Checks the fields."""
        if self.data_dir is not None and not isinstance(self.data_dir, (str, os.PathLike)):
            raise ValueError(
                "`data_dir` must be the path of a folder, or None. "
                f"Received: data_dir={self.data_dir!r}"
            )
        object.__setattr__(self, "image_size", check_image_size(self.image_size))
        check_channels(self.channels)
        check_seed(self.seed)
        check_number(self.test_share, "test_share", minimum=0.0, strict=True)
        if self.test_share >= 1:
            raise ValueError(
                "`test_share` must leave images to train on, so be below 1. "
                f"Received: test_share={self.test_share!r}"
            )


class UnknownDataset(ValueError):
    """The error for a name that no source knows; `load_data` lists the names that exist.

    Args:
        reason: why, and what to try.
        name: the name.
    """

    def __init__(self, reason: str, name: str):
        super().__init__(f"{reason}\nReceived: name={name!r}")
        self.reason = reason


class Source(abc.ABC):
    """One kind of data set. To add one, put an object of a subclass into `SOURCES`.

    Attributes:
        accepts: the names or paths it takes, as words of an error message.
    """

    accepts: str

    @abc.abstractmethod
    def claims(self, dataset: str, options: LoadOptions) -> bool:
        """Returns whether `dataset` is a name or path of this source, from a look at most."""

    @abc.abstractmethod
    def describe(self, dataset: str, options: LoadOptions) -> SourceFacts:
        """Returns what is known of `dataset` without its pixels being read.

        Raises:
            ValueError: if it cannot be used.
        """

    @abc.abstractmethod
    def load(self, dataset: str, split: str, options: LoadOptions) -> ImageData:
        """Returns the images of one split.

        A source whose images all have one shape may leave size and channels to `load_data`.

        Raises:
            ValueError: if they cannot be loaded or there is no such split.
        """
