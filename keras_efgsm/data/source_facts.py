"""The facts of a data set that are known before its pixels are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keras_efgsm.checks import visible
from keras_efgsm.data.image_channels import NAMES, check_channels
from keras_efgsm.data.image_size import check_image_size


@dataclass(frozen=True)
class SourceFacts:
    """A data set by its headers: sizes, channels, classes and numbers of images.

    Args:
        name: what it is called in records.
        source: the name of its source in `SOURCES`.
        class_names: in the order of the labels.
        num_images: images of each split, `"train"` and `"test"`.
        sizes: `(height, width)` to the number of images that have it, both splits together.
        channels: number of channels to the number of images that have it, likewise.
        notes: sentences that a user should read before a training: how the test images came
            about, which files were passed over.
        examples: a file of each size `(height, width)` and of each number of channels, where there
            are files.

    Example:

    ```python
    from keras_efgsm.data import describe_source

    facts = describe_source("digits")
    assert facts.image_shape() == (8, 8, 1) and facts.num_images["train"] == 1437
    ```
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    num_images: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    channels: Mapping[int, int]
    notes: tuple[str, ...] = ()
    examples: Mapping[tuple[int, int] | int, str] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """`(height, width)` of all images, or `None` where they differ."""
        return next(iter(self.sizes)) if len(self.sizes) == 1 else None

    @property
    def num_channels(self) -> int | None:
        """Channels of all images, or `None` where they differ."""
        return next(iter(self.channels)) if len(self.channels) == 1 else None

    def image_shape(
        self, image_size: int | tuple[int, int] | None = None, channels: int | None = None
    ) -> tuple[int, int, int]:
        """Returns the one shape that all images get.

        Args:
            image_size: side of a square or `(height, width)`. Defaults to the size they have.
            channels: 1, 3 or 4. Defaults to the number they have.

        Returns:
            `(height, width, channels)`.

        Raises:
            ValueError: if one is not given and the images differ in it; the message says how and
                names the option of the command line.
        """
        size = check_image_size(image_size) or self.image_size
        if size is None:
            raise ValueError(self._which_size())
        count = check_channels(channels) or self.num_channels
        if count is None or count == 2:
            raise ValueError(self._which_channels())
        return (*size, count)

    def lines(self) -> list[str]:
        """Returns what is found as lines to print: images, shape, classes, then the notes."""
        counts = ", ".join(f"{count:,} {split}" for split, count in self.num_images.items())
        if self.image_size:
            size = "{} x {} pixels".format(*self.image_size)
        else:
            size = f"{len(self.sizes)} sizes, {self._range()}"
        kinds = " and ".join(NAMES.get(c, f"{c} channels") for c in sorted(self.channels))
        names = ", ".join(self.class_names[:10])
        more = f", and {self.num_classes - 10} more" if self.num_classes > 10 else ""
        lines = [
            f"images: {counts}; {size}, {kinds}",
            f"classes: {self.num_classes} ({names}{more})",
            *self.notes,
        ]
        # Names of files are in them.
        return [visible(line) for line in lines]

    def __str__(self) -> str:
        return "\n".join([visible(self.name), *(f"  {line}" for line in self.lines())])

    def _range(self) -> str:
        # Among sizes of as many images the larger one, so that the answer does not hang on order.
        frequent = max(self.sizes, key=lambda s: (self.sizes[s], s[0] * s[1], s))
        smallest = min(self.sizes, key=lambda s: (s[0] * s[1], s))
        largest = max(self.sizes, key=lambda s: (s[0] * s[1], s))
        total = sum(self.sizes.values())

        def text(size: tuple[int, int]) -> str:
            return f"{size[0]} x {size[1]}{self._example(size)}"

        return (
            f"smallest {text(smallest)}, most frequent {frequent[0]} x {frequent[1]} "
            f"({self.sizes[frequent]} of {total} images), largest {text(largest)}"
        )

    def _example(self, key: tuple[int, int] | int) -> str:
        return f" ({self.examples[key]})" if key in self.examples else ""

    def _which_size(self) -> str:
        return (
            f"which size shall the images of {self.name!r} get? They have {len(self.sizes)} "
            f"(height x width): {self._range()}. Give `--image-size H W`, or "
            "`image_size=(H, W)` in Python, and all are resized to it. Received: image_size=None"
        )

    def _which_channels(self) -> str:
        found = ", ".join(
            f"{count} {NAMES.get(c, c)}{self._example(c)}"
            for c, count in sorted(self.channels.items())
        )
        return (
            f"how many channels shall the images of {self.name!r} get? There are {found}. Give "
            "`--channels 1` for grey or `--channels 3` for colour, or `channels=1`, `channels=3` "
            "in Python, and all are converted. Received: channels=None"
        )
