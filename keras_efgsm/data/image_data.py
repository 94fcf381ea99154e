"""A labelled image set held in memory, as every source of data returns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_efgsm.checks import check_count, check_number, check_printable, check_seed, visible
from keras_efgsm.data.choosing import draw_by_class
from keras_efgsm.data.digests import DIGEST_BYTES, digests_of_images, record_of
from keras_efgsm.limits import check_num_classes
from keras_efgsm.records.data import DataRecord


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled images in memory, with the names of their classes.

    Pixels stay 8-bit integers here, a quarter of the memory of floats;
    `pixels` and the pipelines of this package turn them into floats in [0, 1].

    Args:
        images: uint8 array `(n, height, width, channels)`.
        labels: integers `(n,)` in `[0, num_classes)`; kept as int32.
        class_names: the name of each class, in the order of the labels.
        name: where the images came from, for run records. Defaults to
            `"custom"`.
        digests: SHA-256 of what each image was read from, uint8 `(n, 32)`, where that is not the
            pixels themselves: a file, whose pixels another machine may round otherwise. Defaults
            to those of the pixels, made when they are asked for.

    Raises:
        ValueError: if a shape, a dtype, a label or the class names are wrong.

    Example:

    ```python
    import numpy as np
    from keras_efgsm.data import ImageData

    data = ImageData(
        images=np.zeros((4, 8, 8, 1), "uint8"),
        labels=np.array([0, 1, 0, 1]),
        class_names=("cat", "dog"),
    )
    assert len(data) == 4 and data.num_classes == 2
    ```
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    name: str = "custom"
    digests: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Checks the fields against each other and settles their types."""
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        if images.ndim != 4 or 0 in images.shape:
            raise ValueError(
                "`images` must be a non-empty array of shape (n, height, width, channels). "
                f"Received: images.shape={images.shape}"
            )
        if images.dtype != np.uint8:
            raise ValueError(
                "`images` must hold 8-bit pixels in 0..255; convert floats in [0, 1] with "
                '`(images * 255).round().astype("uint8")`. '
                f"Received: images.dtype={images.dtype}"
            )
        if labels.shape != (len(images),):
            raise ValueError(
                f"`labels` must have shape ({len(images)},): one label per image. "
                f"Received: labels.shape={labels.shape}"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"`labels` must be integers, one class number per image. "
                f"Received: labels.dtype={labels.dtype}"
            )
        names = (self.class_names,) if isinstance(self.class_names, str) else self.class_names
        names = tuple(names)
        if len(names) < 2 or not all(isinstance(n, str) for n in names):
            raise ValueError(
                "`class_names` must hold the names of two or more classes as strings. "
                f"Received: class_names={names!r}"
            )
        check_num_classes(len(names), f"name={self.name!r}")
        check_printable(names, "class_names")
        if len(set(names)) != len(names):
            raise ValueError(
                f"`class_names` must be distinct. Received: class_names={sorted(names)!r}"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(names):
            raise ValueError(
                f"`labels` must lie in [0, {len(names)}), as there are {len(names)} "
                f"`class_names`. Received: labels.min()={low}, labels.max()={high}"
            )
        if self.digests is not None and self.digests.shape != (len(images), DIGEST_BYTES):
            raise ValueError(
                f"`digests` must have shape ({len(images)}, {DIGEST_BYTES}), a SHA-256 per image. "
                f"Received: digests.shape={self.digests.shape}"
            )
        # A frozen dataclass is filled in this way only.
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels.astype("int32"))
        object.__setattr__(self, "class_names", names)
        object.__setattr__(self, "name", visible(str(self.name)))

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return (
            f"ImageData(name={self.name!r}, n={len(self)}, image_shape={self.image_shape}, "
            f"num_classes={self.num_classes})"
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape `(height, width, channels)` of one image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """The number of classes, those without an image included."""
        return len(self.class_names)

    def pixels(self, indices: np.ndarray | slice | None = None) -> np.ndarray:
        """Returns images as float32 pixels in [0, 1].

        Args:
            indices: which images, as integers `(m,)` or a slice. Defaults to
                all of them.

        Returns:
            Float32 array `(m, height, width, channels)`.
        """
        chosen = self.images if indices is None else self.images[indices]
        return chosen.astype("float32") / np.float32(255)

    def take(self, n: int) -> ImageData:
        """Returns the first `n` images.

        Args:
            n: how many, at least 1 and at most all.

        Raises:
            ValueError: if there are fewer than `n` images.
        """
        n = check_count(n, "n")
        if n > len(self):
            raise ValueError(
                f"`n` must be at most {len(self)}, the number of images of {self.name!r}. "
                f"Received: n={n}"
            )
        return self.subset(slice(n), f"{self.name}[:{n}]")

    def subset(self, chosen: np.ndarray | slice, name: str) -> ImageData:
        """Returns some of the images.

        Args:
            chosen: which, as bool `(n,)`, integers `(m,)` or a slice; one or more.
            name: what they are called in run records.
        """
        digests = None if self.digests is None else self.digests[chosen]
        return ImageData(
            self.images[chosen], self.labels[chosen], self.class_names, name, digests=digests
        )

    def record(self) -> DataRecord:
        """Returns what the images and labels are known again by, from one pass over them."""
        digests = digests_of_images(self.images) if self.digests is None else self.digests
        return record_of(digests, self.labels, self.image_shape, self.class_names)

    def split(self, fraction: float, seed: int = 0) -> tuple[ImageData, ImageData]:
        """Splits off a random part, with the same share of every class, for validation.

        Both parts keep the order of the original. A class with too few images
        to give `fraction` of one stays whole in the first part, unless all have:
        then some classes give one each.

        Args:
            fraction: share of the images in the second part, between 0 and 1.
            seed: number of the draw; the same seed gives the same split.
                Defaults to 0.

        Returns:
            `(rest, held_out)`.

        Raises:
            ValueError: if a part would be empty.

        Example:

        ```python
        from keras_efgsm.data import load_digits

        train, validation = load_digits("train").split(0.1, seed=0)
        ```
        """
        fraction = check_number(fraction, "fraction", minimum=0.0, maximum=1.0, strict=True)
        seed = check_seed(seed)
        # RandomState, unlike the newer generators, promises the same numbers in every version.
        random = np.random.RandomState(seed)
        held = np.zeros(len(self), bool)
        for label in range(self.num_classes):
            members = np.flatnonzero(self.labels == label)
            count = int(fraction * len(members) + 0.5)
            held[random.permutation(members)[:count]] = True
        if not held.any():
            held[draw_by_class(self.labels, round(fraction * len(self)), seed)] = True
        if held.all() or not held.any():
            raise ValueError(
                f"`fraction` must leave images on both sides of the split of {len(self)} images. "
                f"Received: fraction={fraction}"
            )
        rest, held_out = (
            self.subset(mask, f"{self.name}[{part} {fraction:g}, seed {seed}]")
            for part, mask in (("without", ~held), ("held out", held))
        )
        return rest, held_out
