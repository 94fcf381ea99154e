"""`universal.json`: what one perturbation for all images does to a classifier."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from keras_efgsm.records.part import Count, Seconds, Share
from keras_efgsm.records.record import Record

Length = Annotated[float, (1e-12, math.inf)]


@dataclass(frozen=True, kw_only=True)
class UniversalRecord(Record):
    """The figures of a universal perturbation, and its picture.

    Args:
        model: what was attacked.
        dataset: name of the data set.
        split: which part of it.
        engine: whose implementation made the perturbation.
        norm: of the ball: `"linf"` or `"l2"`.
        epsilon: radius of the ball in pixels of [0, 1].
        options: how it was made.
        seed: of the halves, of the order of images and of the random direction.
        num_made_on: on how many images it was made.
        num_images: on how many others it was tested.
        selection: how all of these were chosen of the split: `"first"`, or `"by class, seed 0"`.
        images: SHA-256 of all of these and their labels.
        fooling_rate_made_on: share in [0, 1] of the images it was made on that are given another
            class than clean.
        fooling_rate: the same of the others.
        fooling_rate_random: the same of the others under a random perturbation of the same size.
        clean_accuracy: share of the others in [0, 1] that are classified correctly clean.
        accuracy: the same under the perturbation.
        size: height and width of the images.
        png: the perturbation in colours, as PNG in base64; None of images that are neither grey
            nor in colour.
        eot: over how many draws of a randomised model every pass averaged; None for one.
        doubts: sentences on why the figures are not to be trusted; None if there are none.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time.

    Example:

    ```python
    from keras_efgsm.universal import UniversalPerturbation, measure_universal

    maker = UniversalPerturbation(epsilon=0.3, steps=5)
    measure_universal(classifier, (x, y), maker).write_json("universal.json")
    UniversalRecord.read("universal.json").fooling_rate
    ```
    """

    NAME: ClassVar[str] = "universal.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"png", "eot", "doubts"})

    model: str
    dataset: str
    split: str
    engine: str
    norm: str
    epsilon: Length
    options: dict[str, Any]
    seed: int
    num_made_on: Count
    num_images: Count
    selection: str
    images: str | None = None
    fooling_rate_made_on: Share
    fooling_rate: Share
    fooling_rate_random: Share
    clean_accuracy: Share
    accuracy: Share
    size: tuple[int, ...]
    png: str | None = None
    eot: Count | None = None
    doubts: tuple[str, ...] | None = None
    versions: dict[str, str]
    hardware: str
    seconds: Seconds
