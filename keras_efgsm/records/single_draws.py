"""How the robust accuracy of a randomised classifier spreads over single draws."""

from dataclasses import dataclass

from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Part, Share
from keras_efgsm.records.wording import number, percent


@dataclass(frozen=True, kw_only=True)
class SingleDraws(Part):
    """Robust accuracies of single draws on the adversarial images that were found.

    Args:
        draws: how many there are, each on all images.
        mean: of them, a share in [0, 1].
        deviation: their standard deviation, in the same unit.
        lowest: the smallest one.
        highest: the largest one.

    Example:

    ```python
    from keras_efgsm.records import SingleDraws

    SingleDraws(draws=10, mean=0.4, deviation=0.02, lowest=0.37, highest=0.43).in_words
    ```
    """

    draws: Count
    mean: Share
    deviation: Share
    lowest: Share
    highest: Share

    def check(self) -> None:
        """Checks that the mean lies between the ends."""
        if not self.lowest - 1e-9 <= self.mean <= self.highest + 1e-9:
            raise RecordError(
                "its mean over single draws must lie between the lowest and the highest",
                f"mean={self.mean}, lowest={self.lowest}, highest={self.highest}",
            )

    @property
    def in_words(self) -> str:
        """A sentence on what a single draw holds, and how that spreads."""
        return (
            f"A single draw holds on {percent(self.mean)} of the images, standard deviation "
            f"{percent(self.deviation)}, {percent(self.lowest)} to {percent(self.highest)} over "
            f"{number(self.draws)} draws on the adversarial images found."
        )
