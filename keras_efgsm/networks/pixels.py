"""The statistics by which networks normalise the pixels they see."""

from typing import NamedTuple


class PixelStatistics(NamedTuple):
    """Mean and standard deviation of each channel over a data set, in pixels of [0, 1].

    Attributes:
        mean: of each channel.
        std: standard deviation of each channel.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def for_channels(self, channels: int) -> "PixelStatistics":
        """The statistics for images of another number of channels.

        Args:
            channels: number of channels of the images.

        Returns:
            These statistics if they are of as many channels; otherwise their mean for each.

        Example:

        ```python
        CIFAR10_PIXELS.for_channels(1).mean  # (0.4734,), up to rounding
        ```
        """
        if len(self.mean) == channels:
            return self
        return PixelStatistics(*((sum(value) / len(value),) * channels for value in self))


CIFAR10_PIXELS = PixelStatistics(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
"""Those of the training images of CIFAR-10."""

NEUTRAL_PIXELS = PixelStatistics(mean=(0.5,), std=(0.25,))
"""Of no data set: pixels of [0, 1] become numbers of [-2, 2], alike for any number of channels."""
