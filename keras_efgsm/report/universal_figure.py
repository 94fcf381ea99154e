"""The universal perturbation of a run as the page shows it."""

from typing import NamedTuple

from keras_efgsm.records import UniversalRecord
from keras_efgsm.records.wording import number, percent, radius

_NORM_WORDS = {"linf": "L-infinity", "l2": "L2"}


class UniversalFigure(NamedTuple):
    """A universal perturbation, with its picture.

    Attributes:
        text: what it does.
        png: its picture in base64; empty of images that have none.
        alt: what the picture shows, for who cannot see it.
        height: of the picture in pixels.
        width: of the picture in pixels.
    """

    text: str
    png: str
    alt: str
    height: int
    width: int


def universal_figure(record: UniversalRecord) -> UniversalFigure:
    """The figures of a universal perturbation in words, beside its picture.

    Args:
        record: what `keras-efgsm universal` wrote.
    """
    height, width = record.size[0], record.size[-1]
    ball = f"{_NORM_WORDS.get(record.norm, record.norm)} epsilon {radius(record.epsilon)}"
    text = (
        f"One perturbation for all images, {ball}, made on {number(record.num_made_on)} images, "
        f"gives {percent(record.fooling_rate)} of {number(record.num_images)} others another class "
        f"than clean, a random one of the same size {percent(record.fooling_rate_random)}; their "
        f"accuracy falls from {percent(record.clean_accuracy)} to {percent(record.accuracy)}. "
        f"Seed {record.seed}."
    )
    if record.png:
        text += " It is shown scaled to its largest value: red is brighter, blue darker, white "
        text += "unchanged; in colour images grey is unchanged."
    return UniversalFigure(text, record.png or "", f"universal perturbation, {ball}", height, width)
