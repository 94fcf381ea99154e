"""`robustness_curve.json`: how robust accuracy falls as the radius of the attacks grows."""

import itertools
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from keras_efgsm.records.evaluation import AttackRecord, check_interval
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Part, Seconds, Share, check_radius_of
from keras_efgsm.records.record import Record

# A radius of any norm, or 0 for the clean images.
AnyEpsilon = Annotated[float, (0.0, math.inf)]


@dataclass(frozen=True, kw_only=True)
class RadiusPart(Part):
    """What was found at one radius.

    Args:
        epsilon: the radius, in pixels of [0, 1]; 0 for the clean images.
        robust_accuracy: share of all images in [0, 1] that withstood every attack at this radius
            and those below.
        robust_interval: lower and upper bound of its 95 % Wilson interval.
        attacks: one record for each attack at this radius; none for the clean images.
    """

    epsilon: AnyEpsilon
    robust_accuracy: Share
    robust_interval: tuple[Share, ...]
    attacks: tuple[AttackRecord, ...]

    @property
    def norm(self) -> str:
        """The norm of the ball, the same for all attacks."""
        return next((attack.norm for attack in self.attacks if attack.norm), "linf")

    def check(self) -> None:
        """Checks that the radius is one of its norm, and the interval one of the accuracy."""
        if self.epsilon:
            check_radius_of(self.norm, self.epsilon)
        check_interval(self.robust_interval, self.robust_accuracy, "robust_interval")


@dataclass(frozen=True, kw_only=True)
class RobustnessCurveRecord(Record):
    """Robust accuracy at several radii, on the same images.

    An image that was turned at a smaller radius counts as turned at a larger one, whose ball holds
    the image that was found; so the curve never rises.

    Args:
        model: what was evaluated.
        twin: the classifier whose gradients stood in. Defaults to none.
        twin_agreement: the share of clean images that it and the model class alike.
        eot: over how many draws of a randomised model every pass averaged; None for one.
        doubts: sentences on why the figures are not to be trusted; None if there are none.
        dataset: name of the data set.
        split: which part of it.
        num_images: how many images were evaluated.
        selection: how these were chosen of the split, see `EvaluationRecord`.
        images: SHA-256 of the images and labels, in the order of the evaluation.
        cascade: whether each attack of a radius saw only the images that withstood those before.
        points: what was found at each radius, rising from 0.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of all.

    Example:

    ```python
    attacks = [PGD(epsilon=epsilon) for epsilon in (0.1, 0.2)]
    curve = evaluate_over_epsilons(classifier, (x, y), attacks, progress=False)
    [(point.epsilon, point.robust_accuracy) for point in curve.record.points]
    ```
    """

    NAME: ClassVar[str] = "robustness_curve.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"twin", "twin_agreement", "eot", "doubts"})

    model: str
    twin: str | None = None
    twin_agreement: Share | None = None
    eot: Count | None = None
    doubts: tuple[str, ...] | None = None
    dataset: str
    split: str
    num_images: Count
    selection: str
    images: str
    cascade: bool
    points: tuple[RadiusPart, ...]
    versions: dict[str, str]
    hardware: str
    seconds: Seconds

    def check(self) -> None:
        """Checks that the radii rise and the accuracies do not."""
        if self.num_images < 1:
            raise RecordError("it must have a num_images above 0", f"num_images={self.num_images}")
        epsilons = [point.epsilon for point in self.points]
        shares = [point.robust_accuracy for point in self.points]
        rises = all(a < b for a, b in itertools.pairwise(epsilons))
        if len(epsilons) < 2 or epsilons[0] != 0.0 or not rises:
            raise RecordError(
                "it must have points that rise from epsilon 0", f"epsilons={epsilons}"
            )
        if any(a + 1e-6 < b for a, b in itertools.pairwise(shares)):
            raise RecordError("it must have accuracies that do not rise", f"accuracies={shares}")
        if not all(point.attacks for point in self.points[1:]):
            raise RecordError("it must have attacks at each epsilon above 0", "attacks=[]")

    @property
    def norm(self) -> str:
        """The norm of the balls, the same for all attacks."""
        return self.points[-1].norm

    @property
    def natural_accuracy(self) -> float:
        """Share of the images in [0, 1] that are classified correctly unattacked."""
        return self.points[0].robust_accuracy
