"""What a recipe is chosen by: size, channels, classes and number of the images of a data set."""

from typing import NamedTuple

from keras_efgsm import data


class SourceFacts(NamedTuple):
    """What is known of a data set before it is trained on.

    Attributes:
        image_shape: height, width and channels.
        num_classes: how many classes it has.
        num_images: how many training images.
        notes: sentences that a user should read before a training.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    num_images: int
    notes: list[str]


def source_facts(
    dataset: str,
    data_dir: str | None = None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> SourceFacts:
    """The facts of the training images.

    Args:
        dataset: as for `load_data`.
        data_dir: as there. Defaults to none.
        image_size: to which they are resized. Defaults to the size they have.
        channels: likewise. Defaults to those they have.
        seed: that test images are drawn with, where there are none. Defaults to 0.

    Raises:
        ValueError: if they cannot be read, or are not of one size and none is given.

    Example:

    ```python
    source_facts("digits").image_shape  # (8, 8, 1)
    ```
    """
    found = data.describe_source(dataset, data_dir, seed=seed)
    shape = found.image_shape(image_size, channels)
    return SourceFacts(shape, found.num_classes, found.num_images["train"], found.lines())
