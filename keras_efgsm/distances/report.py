"""How far images are from the decision boundary: per image in memory, as JSON, and as a table."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from keras_efgsm.printing import Printed, ResultTable, brief
from keras_efgsm.records import wording
from keras_efgsm.records.distances import DistanceRecord, DistancesRecord
from keras_efgsm.records.wording import percent

_NORM_WORDS = {"linf": "L-infinity", "l2": "L2", "l1": "L1", "l0": "pixels that changed (L0)"}


def quantile(distances: np.ndarray, share: float) -> float | None:
    """A quantile of distances of which some are infinite: of images that were not turned.

    Args:
        distances: `(n,)`, n at least 1.
        share: in [0, 1]; 0.5 is the median.

    Returns:
        The quantile, between two images by linear interpolation; None if it is not finite.

    Example:

    ```python
    quantile(np.array([0.1, 0.3, np.inf]), 0.5)  # 0.3
    ```
    """
    ordered, place = np.sort(distances), share * (len(distances) - 1)
    below, above = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    if not np.isfinite(above):
        return None
    return float(below + (above - below) * (place - np.floor(place)))


@dataclass(frozen=True, eq=False, repr=False)
class DistanceResult:
    """What one minimum-distance attack found.

    Args:
        name: of the attack.
        engine: whose implementation ran.
        options: of the attack.
        budget: what it might spend on an image.
        distances: of the nearest image found of another class, `(n,)`: 0 for an image that is
            misclassified clean, infinite where none was found.
        predicted: class `(n,)` of what the attack returned; -1 for an image that was not attacked.
        attacked: which `(n,)` images are classified correctly clean.
        seconds: wall-clock time, compilation included.
    """

    name: str
    engine: str
    options: dict[str, Any]
    budget: str
    distances: np.ndarray
    predicted: np.ndarray
    attacked: np.ndarray
    seconds: float

    def __repr__(self) -> str:
        record = self.record
        return brief(
            self,
            name=self.name,
            budget=self.budget,
            num_attacked=record.num_attacked,
            num_found=record.num_found,
            median=record.median,
        )

    @property
    def found(self) -> np.ndarray:
        """For which `(n,)` images there is one of another class: misclassified ones included."""
        found: np.ndarray = np.isfinite(self.distances)
        return found

    @property
    def record(self) -> DistanceRecord:
        """The figures of this attack, as a file holds them."""
        return _record_of(
            self.distances[self.attacked],
            name=self.name,
            engine=self.engine,
            options=self.options,
            seconds=self.seconds,
        )


@dataclass(frozen=True, eq=False, repr=False)
class DistancesReport(Printed):
    """How far the images of a set are from the decision boundary of a classifier.

    Every distance is an upper bound: the boundary may be nearer than an attack found.

    Args:
        model: what was measured.
        dataset: name of the data set.
        split: which part of it.
        norm: of the distances.
        correct: whether `(n,)` each clean image was classified correctly; these were attacked.
        attacks: one result for each attack.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of all.
        selection: how the images were chosen of the data set. Defaults to the first ones.
        images: SHA-256 of the images and labels. Defaults to none.
        missing: a warning of the classes that are not among the images. Defaults to none.
        eot: over how many draws every pass averaged; None for one. Defaults to none.
        doubts: sentences on why the figures are not to be trusted. Defaults to none.

    Example:

    ```python
    report = measure_distances(classifier, (x, y), [DeepFool(norm="l2")], progress=False)
    report.smallest, report.record.attacks[0].median
    ```
    """

    model: str
    dataset: str
    split: str
    norm: str
    correct: np.ndarray
    attacks: tuple[DistanceResult, ...]
    versions: dict[str, str]
    hardware: str
    seconds: float
    selection: str = "first"
    images: str | None = None
    missing: str = ""
    eot: int | None = None
    doubts: tuple[str, ...] = ()

    @property
    def smallest(self) -> np.ndarray:
        """The smallest distance `(n,)` that any attack found; infinite where none did."""
        smallest: np.ndarray = np.min([attack.distances for attack in self.attacks], axis=0)
        return smallest

    @property
    def median(self) -> float | None:
        """The median of `smallest` over the images that were attacked; None if it is infinite."""
        return quantile(self.smallest[self.correct], 0.5)

    @property
    def record(self) -> DistancesRecord:
        """The report without the distance of each image, as `distances.json` holds it."""
        return DistancesRecord(
            model=self.model,
            dataset=self.dataset,
            split=self.split,
            norm=self.norm,
            num_images=len(self.correct),
            num_correct=int(self.correct.sum()),
            selection=self.selection,
            images=self.images,
            attacks=tuple(attack.record for attack in self.attacks),
            smallest=_record_of(self.smallest[self.correct], name="smallest"),
            eot=self.eot,
            doubts=self.doubts or None,
            versions=dict(self.versions),
            hardware=self.hardware,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The report without the distance of each image, ready for JSON."""
        return self.record.to_dict()

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_dict()` as JSON; a reader finds the old file or the whole new one.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)

    def table(self) -> Table:
        """The figures as a `rich` table, headed by the median of the smallest distances."""
        draws = f"Each answer is the mean over {self.eot} draws. " if self.eot else ""
        num_correct = int(self.correct.sum())
        table = ResultTable(
            title=(
                f"Median distance to the boundary {_or_beyond(self.median)} "
                f"({_NORM_WORDS[self.norm]})"
            ),
            caption=(
                f"{self.model} on {wording.data_name(self.dataset, self.split)}, "
                f"{wording.selected(len(self.correct), self.selection)}, of which "
                f"{wording.number(num_correct)} ({percent(num_correct / len(self.correct))}) are "
                f"classified correctly and were attacked. {draws}Images for which nothing was "
                "found count as infinitely far. Upper bounds: a better attack can only lower them."
                f"{wording.warnings(self.missing, self.doubts)}"
            ),
        )
        table.add_column("attack")
        table.add_column("budget")
        for name in ("25 %", "median", "75 %", "not found", "time"):
            table.add_column(name, justify="right")
        for attack in self.attacks:
            ours = attack.engine == "native"
            table.add_row(
                attack.name if ours else f"{attack.name} ({attack.engine})",
                attack.budget,
                *_cells(attack.record),
                wording.seconds(attack.seconds),
            )
        if len(self.attacks) > 1:
            table.add_section()
            cells = _cells(self.record.smallest)
            table.add_row("smallest of all", "", *cells, wording.seconds(self.seconds))
        return table

    def _told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "norm": self.norm,
            "num_images": len(self.correct),
            "attacks": [attack.name for attack in self.attacks],
            "median": self.median,
        }


def _record_of(distances: np.ndarray, **about: Any) -> DistanceRecord:
    found = np.isfinite(distances)
    return DistanceRecord(
        num_attacked=len(distances),
        num_found=int(found.sum()),
        lower_quartile=quantile(distances, 0.25),
        median=quantile(distances, 0.5),
        upper_quartile=quantile(distances, 0.75),
        mean_of_found=float(distances[found].mean()) if found.any() else None,
        **about,
    )


def _cells(record: DistanceRecord) -> list[str]:
    quartiles = (record.lower_quartile, record.median, record.upper_quartile)
    not_found = record.num_attacked - record.num_found
    return [*map(_or_beyond, quartiles), wording.number(not_found)]


def _or_beyond(distance: float | None) -> str:
    return "not found" if distance is None else wording.number(distance)
