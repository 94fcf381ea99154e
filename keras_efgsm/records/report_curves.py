"""`report-curves.json`: the measurements of a report on a run, kept for the next report."""

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import AnyRadius, Count, Part, Seconds, Share, check_radius_of
from keras_efgsm.records.record import Record
from keras_efgsm.records.wording import is_number


@dataclass(frozen=True, kw_only=True)
class Point(Part):
    """A point of a curve.

    Args:
        epsilon: radius in pixels of [0, 1], of a curve by radius; 0 for no attack.
        steps: iterations, of a curve by iterations.
        accuracies: share of images that withstood, by attack. In the file they lie beside the
            others.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"epsilon", "steps"})

    epsilon: Annotated[float, (0.0, math.inf)] | None = None
    steps: Count | None = None

    def accuracy(self, attack: str) -> float:
        """The share in [0, 1] that withstood an attack."""
        return float(self.extra[attack])

    def check(self) -> None:
        """Checks the accuracies, which have the names of their attacks."""
        for name, share in self.extra.items():
            if not is_number(share) or not 0 <= share <= 1:
                raise RecordError(f"it must have a {name} in [0, 1] of a point", f"{name}={share}")


@dataclass(frozen=True, kw_only=True)
class PicturePart(Part):
    """An image of the page.

    Args:
        png: as PNG in base64.
        predicted: number of the predicted class.
        probability: that it was given.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"predicted", "probability"})

    png: str
    predicted: Count | None = None
    probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class ExamplePart(Part):
    """An image, what was done to it, and what the networks made of it.

    Args:
        label: number of the true class.
        size: height and width.
        clean: the image as it was.
        adversarial: the image attacked.
        perturbation: their difference in colours.
        largest_change: of a pixel, in pixels of [0, 1].
        reconstruction: what the re-constructor makes of it; None without one.
    """

    label: Count
    size: tuple[int, ...]
    clean: PicturePart
    adversarial: PicturePart
    perturbation: PicturePart
    largest_change: float
    reconstruction: PicturePart | None


@dataclass(frozen=True, kw_only=True)
class FramePart(Part):
    """An image under an attack of one radius, and what the model takes it for.

    Args:
        epsilon: the radius in pixels of [0, 1]; 0 for the clean image.
        png: the image as PNG in base64.
        predicted: number of the predicted class.
        probability: that it was given, in [0, 1].
    """

    epsilon: Annotated[float, (0.0, math.inf)]
    png: str
    predicted: Count
    probability: Share


@dataclass(frozen=True, kw_only=True)
class FilmPart(Part):
    """An image under attacks of growing radius, until the model takes it for another class.

    Args:
        label: number of the true class.
        size: height and width.
        frames: the clean image, then one for each radius.
    """

    label: Count
    size: tuple[int, ...]
    frames: tuple[FramePart, ...]


@dataclass(frozen=True, kw_only=True)
class MeasuredPart(Part):
    """What a report measures.

    Args:
        num_images: how many images were attacked.
        selection: how these were chosen of the split: `"first"`, or `"by class, seed 0"`. Not in
            files of earlier versions, which took the first ones.
        natural_accuracy: share of them in [0, 1] that are classified correctly unattacked.
        epsilon_curve: accuracies by radius.
        steps_curve: accuracies by iterations.
        confusion: counts by true class (rows) and predicted class (columns) under attack.
        examples: a few images.
        films: a few under growing radii. Neither these nor the milliseconds are in files of earlier
            versions.
        milliseconds_per_image: of the clean images, classified in batches; the quickest of a few.
        dataset: name of the data set.
        split: which part of it.
        epsilon: radius of the evaluation in pixels of [0, 1].
        norm: of the ball, one of `checks.NORMS`; None for L-infinity.
        seed: of the attacks' noise.
        class_names: of the classes, in order.
        hardware: the processor, its cores and the GPUs.
        versions: versions of the packages that decide a result.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset(
        {"selection", "norm", "films", "milliseconds_per_image"}
    )

    num_images: Count
    selection: str | None = None
    natural_accuracy: Share
    epsilon_curve: tuple[Point, ...]
    steps_curve: tuple[Point, ...]
    confusion: tuple[tuple[Count, ...], ...]
    examples: tuple[ExamplePart, ...]
    films: tuple[FilmPart, ...] | None = None
    milliseconds_per_image: Seconds | None = None
    dataset: str
    split: str
    epsilon: AnyRadius
    norm: str | None = None
    seed: int
    class_names: tuple[str, ...]
    hardware: str
    versions: dict[str, str]

    def check(self) -> None:
        """Checks that the radii are those of its norm."""
        for epsilon in (self.epsilon, *(point.epsilon for point in self.epsilon_curve)):
            check_radius_of(self.norm, epsilon)


@dataclass(frozen=True, kw_only=True)
class ReportCurvesRecord(Record):
    """What was measured, with what, and a checksum by which an edited file is known.

    Args:
        measured_with: everything that decides the outcome.
        measured: the outcome.
        checksum: of both; made when it is not given.
    """

    NAME: ClassVar[str] = "report-curves.json"
    INDENT: ClassVar[int] = 1

    measured_with: dict[str, Any]
    measured: MeasuredPart
    checksum: str = ""

    def to_dict(self) -> dict[str, Any]:
        content = super().to_dict()
        given = content.pop("checksum")
        return content | {"checksum": given or _checksum(content)}

    def check(self) -> None:
        """Checks the checksum."""
        content = super().to_dict()
        if content.pop("checksum") != _checksum(content):
            raise RecordError("its checksum must be that of its content", "checksum")


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
