"""The 8x8 digits that come with scikit-learn: real data with no download."""

import numpy as np

from keras_efgsm.checks import check_choice
from keras_efgsm.data.image_data import ImageData
from keras_efgsm.data.source import LoadOptions, Source
from keras_efgsm.data.source_facts import SourceFacts

TRAIN_SIZE, TEST_SIZE = 1437, 360
_CLASS_NAMES = tuple(str(digit) for digit in range(10))


def load_digits(split: str = "train") -> ImageData:
    """Loads scikit-learn's 1,797 handwritten digits of 8x8 pixels.

    The split is a fixed random one: 1,437 images to train on, 360 to test on.

    Args:
        split: `"train"` or `"test"`. Defaults to `"train"`.

    Returns:
        Images `(n, 8, 8, 1)`, their 17 grey levels spread over 0..255.

    Raises:
        ValueError: if there is no such split.

    Example:

    ```python
    from keras_efgsm.data import load_digits

    data = load_digits("test")
    assert data.images.shape == (360, 8, 8, 1)
    ```
    """
    check_choice(split, "split", ("train", "test"))
    # Imported here so that the package opens without the seconds scikit-learn takes.
    from sklearn import datasets

    digits = datasets.load_digits()
    # RandomState, unlike the newer generators, promises the same numbers in every version.
    order = np.random.RandomState(0).permutation(len(digits.images))
    chosen = order[:TRAIN_SIZE] if split == "train" else order[TRAIN_SIZE:]
    grey = np.rint(digits.images[chosen] * (255 / 16)).astype("uint8")
    return ImageData(
        images=grey[..., np.newaxis],
        labels=digits.target[chosen],
        class_names=_CLASS_NAMES,
        name=f"digits:{split}",
    )


class DigitsSource(Source):
    """The digits, under their one name."""

    accepts = '"digits", the 8 x 8 digits of scikit-learn, which need no download'

    def claims(self, dataset: str, options: LoadOptions) -> bool:
        return dataset == "digits"

    def describe(self, dataset: str, options: LoadOptions) -> SourceFacts:
        counts = {"train": TRAIN_SIZE, "test": TEST_SIZE}
        total = TRAIN_SIZE + TEST_SIZE
        return SourceFacts("digits", "digits", _CLASS_NAMES, counts, {(8, 8): total}, {1: total})

    def load(self, dataset: str, split: str, options: LoadOptions) -> ImageData:
        return load_digits(split)
