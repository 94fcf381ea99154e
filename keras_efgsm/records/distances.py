"""`distances.json`: how far images are from the decision boundary of a classifier."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Part, Seconds
from keras_efgsm.records.record import Record

Distance = Annotated[float, (0.0, math.inf)]


@dataclass(frozen=True, kw_only=True)
class DistanceRecord(Part):
    """The distances that one attack found, of the images that are classified correctly clean.

    Args:
        name: of the attack.
        engine: whose implementation ran; None for the smallest distances of all attacks.
        options: of the attack; None likewise.
        num_attacked: how many images it saw.
        num_found: for how many it found one of another class.
        lower_quartile: of the distances, those not found counted as infinitely far; None if so many
            were not found.
        median: likewise.
        upper_quartile: likewise.
        mean_of_found: of the distances that were found; None if none was.
        seconds: wall-clock time, compilation included.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"engine", "options", "seconds"})

    name: str
    engine: str | None = None
    options: dict[str, Any] | None = None
    num_attacked: Count
    num_found: Count
    lower_quartile: Distance | None
    median: Distance | None
    upper_quartile: Distance | None
    mean_of_found: Distance | None
    seconds: Seconds | None = None

    def check(self) -> None:
        if self.num_found > self.num_attacked:
            raise RecordError(
                f"it must have a num_found of at most {self.num_attacked}, its num_attacked",
                f"num_found={self.num_found}",
            )


@dataclass(frozen=True, kw_only=True)
class DistancesRecord(Record):
    """The figures of a measurement of distances, without that of each image.

    Args:
        model: what was measured.
        dataset: name of the data set.
        split: which part of it.
        norm: of the distances: `"linf"`, `"l2"`, `"l1"` or `"l0"`.
        num_images: how many images were taken.
        num_correct: how many of them are classified correctly clean, and were attacked.
        selection: how these were chosen of the split: `"first"`, or `"by class, seed 0"`.
        images: SHA-256 of the images and labels, in their order.
        attacks: one record for each attack.
        smallest: of each image the smallest distance over all attacks.
        eot: over how many draws of a randomised model every pass averaged; None for one.
        doubts: sentences on why the figures are not to be trusted; None if there are none.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time.

    Example:

    ```python
    from keras_efgsm.distances import DeepFool, measure_distances

    record = measure_distances(classifier, (x, y), [DeepFool()], progress=False).record
    record.write("distances.json")
    DistancesRecord.read("distances.json").smallest.median
    ```
    """

    NAME: ClassVar[str] = "distances.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"eot", "doubts"})

    model: str
    dataset: str
    split: str
    norm: str
    num_images: Count
    num_correct: Count
    selection: str
    images: str | None = None
    attacks: tuple[DistanceRecord, ...]
    smallest: DistanceRecord
    eot: Count | None = None
    doubts: tuple[str, ...] | None = None
    versions: dict[str, str]
    hardware: str
    seconds: Seconds
