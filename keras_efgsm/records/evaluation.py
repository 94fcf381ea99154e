"""`evaluation.json`: how a classifier withstood a set of attacks."""

from dataclasses import dataclass
from typing import Any, ClassVar

from keras_efgsm.records import wording
from keras_efgsm.records.classes import ClassesPart
from keras_efgsm.records.intervals import Interval, interval_of
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import AnyRadius, Count, Part, Seconds, Share, check_radius_of
from keras_efgsm.records.record import Record
from keras_efgsm.records.single_draws import SingleDraws


@dataclass(frozen=True, kw_only=True)
class AttackRecord(Part):
    """What one attack achieved. Rows of schema 1 and of other libraries have fewer fields.

    Args:
        name: the attack and its loss, such as `"pgd-cw"`.
        engine: whose implementation ran.
        loss: what it maximised; None for an attack without a choice.
        epsilon: radius of the ball in pixels of [0, 1].
        norm: of the ball, one of `checks.NORMS`; None for L-infinity.
        steps: gradient steps of a round; None for an attack that takes none.
        step_size: in pixels of [0, 1]; None for an attack that chooses its own.
        rounds: how many runs make the attack, one for each target class.
        queries: how many candidates it asks for; None for an attack that goes by gradients.
        restarts: how often it started.
        random_start: whether it starts at a random point.
        num_images: of how many images `robust_accuracy` is a share.
        num_attacked: how many images it saw: in a cascade those that withstood the ones before.
        num_turned: how many of these it turned.
        seed: seed of its noise.
        robust_accuracy: share of the images in [0, 1] that withstood; in a cascade, all so far.
        robust_interval: lower and upper bound of its 95 % Wilson interval. Not in files of earlier
            versions, of which `interval` has it too.
        seconds: wall-clock time, compilation included.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"norm", "robust_interval"})

    name: str
    engine: str | None = None
    loss: str | None = None
    epsilon: AnyRadius | None = None
    norm: str | None = None
    steps: Count | None = None
    step_size: float | None = None
    rounds: Count | None = None
    queries: Count | None = None
    restarts: Count | None = None
    random_start: bool | None = None
    num_images: Count | None = None
    num_attacked: Count | None = None
    num_turned: Count | None = None
    seed: int | None = None
    robust_accuracy: Share
    robust_interval: tuple[Share, ...] | None = None
    seconds: Seconds | None = None

    def check(self) -> None:
        """Checks that the interval is one of the accuracy."""
        check_interval(self.robust_interval, self.robust_accuracy, "robust_interval")

    @property
    def interval(self) -> Interval | None:
        """The 95 % Wilson interval of `robust_accuracy`; None if the images were not counted."""
        return interval_of(self.robust_accuracy, self.num_images)

    @property
    def budget(self) -> str:
        """What it could spend on an image, such as `"100 steps x 9 targets"`."""
        if self.name.startswith("square") and self.queries is None and self.steps is not None:
            # Other libraries count the queries of a black-box attack as steps.
            return wording.count(self.steps, "query")
        return wording.budget(self)

    @property
    def in_words(self) -> str:
        """Name and budget, such as `"apgd-t (100 steps x 9 targets)"`."""
        return f"{self.name} ({self.budget})" if self.budget else self.name


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord(Record):
    """The figures of an evaluation, without the outcome of each image.

    Args:
        schema: 1, or 2, which added cascades, targeted attacks and queries. Defaults to 2.
        model: what was evaluated.
        twin: the classifier whose gradients stood in. Defaults to none.
        twin_agreement: the share of clean images that it and the model class alike.
        eot: over how many draws of a randomised model every pass averaged; None for one.
        doubts: sentences on why the figures are not to be trusted; None if there are none.
        single_draws: how single draws of a randomised model decide on the images found; None for
            a model that does not draw, and in files of earlier versions.
        dataset: name of the data set.
        split: which part of it.
        num_images: how many images were evaluated.
        selection: how these were chosen of the split: `"first"`, or `"by class, seed 0"`. Not in
            files of earlier versions, which took the first ones.
        images: SHA-256 of the images and labels, in the order of the evaluation.
        natural_accuracy: share of them in [0, 1] that are classified correctly unattacked.
        natural_interval: lower and upper bound of its 95 % Wilson interval. Neither this one nor
            `worst_case_interval` is in files of earlier versions, of which the properties
            `interval_of_natural` and `interval` have them too.
        cascade: whether each attack saw only the images that withstood those before it.
        attacks: one record for each attack.
        worst_case_accuracy: share of the images in [0, 1] that withstood every attack on all of
            them; None only if there is no attack.
        worst_case_interval: lower and upper bound of its 95 % Wilson interval.
        classes: accuracy of each class, and what the images were turned to; None in files of
            earlier versions.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of all.

    Example:

    ```python
    record = EvaluationRecord.read("runs/mnist/evaluation.json")
    record.robust_accuracy, [attack.in_words for attack in record.headline_attacks]
    ```
    """

    NAME: ClassVar[str] = "evaluation.json"
    SCHEMA: ClassVar[int] = 2
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset(
        {
            *("twin", "twin_agreement", "eot", "doubts", "single_draws", "selection", "images"),
            *("natural_interval", "worst_case_interval", "classes"),
        }
    )

    schema: int = 2
    model: str | None = None
    twin: str | None = None
    twin_agreement: Share | None = None
    eot: Count | None = None
    doubts: tuple[str, ...] | None = None
    single_draws: SingleDraws | None = None
    dataset: str | None = None
    split: str | None = None
    num_images: Count
    selection: str | None = None
    images: str | None = None
    natural_accuracy: Share
    natural_interval: tuple[Share, ...] | None = None
    cascade: bool | None = None
    attacks: tuple[AttackRecord, ...] = ()
    worst_case_accuracy: Share | None = None
    worst_case_interval: tuple[Share, ...] | None = None
    classes: ClassesPart | None = None
    versions: dict[str, str] | None = None
    hardware: str | None = None
    seconds: Seconds | None = None

    def check(self) -> None:
        """Checks that the worst case is one: a report must not be surer than its figures."""
        received = f"worst_case_accuracy={self.worst_case_accuracy}"
        if self.num_images < 1:
            raise RecordError("it must have a num_images above 0", f"num_images={self.num_images}")
        check_interval(self.natural_interval, self.natural_accuracy, "natural_interval")
        if not self.attacks:
            return
        if self.worst_case_accuracy is None:
            raise RecordError("it must have a worst_case_accuracy in [0, 1]", received)
        for number, attack in enumerate(self.attacks):
            check_radius_of(attack.norm, attack.epsilon, f"attacks[{number}]")
        norms = sorted({attack.norm or "linf" for attack in self.attacks})
        if len(norms) > 1:
            raise RecordError(
                "it must have attacks of one norm, as a worst case over several is that of no ball",
                f"norms={norms}",
            )
        same = [attack.robust_accuracy for attack in self._on_all_images]
        if self.worst_case_accuracy > min(same, default=1.0) + 1e-6:
            raise RecordError(
                "it must have a worst_case_accuracy no higher than that of an attack on the same "
                f"images, {min(same):g}, but has {self.worst_case_accuracy:g}",
                received,
            )
        check_interval(self.worst_case_interval, self.worst_case_accuracy, "worst_case_interval")

    @property
    def _on_all_images(self) -> list[AttackRecord]:
        return [a for a in self.attacks if a.num_images in (None, self.num_images)]

    @property
    def norm(self) -> str:
        """The norm of the ball, the same for all attacks."""
        return next((attack.norm for attack in self.attacks if attack.norm), "linf")

    @property
    def strongest(self) -> AttackRecord:
        """The attack of the lowest accuracy.

        Raises:
            ValueError: if there is no attack.
        """
        return min(self.attacks, key=lambda attack: attack.robust_accuracy)

    @property
    def worst_is_one_attack(self) -> bool:
        """Whether one attack, on fewer images, found more than all on all images did."""
        worst = self.worst_case_accuracy
        return worst is not None and self.strongest.robust_accuracy < worst

    @property
    def robust_accuracy(self) -> float:
        """The headline: the lowest share of images in [0, 1] that was found to withstand.

        Raises:
            ValueError: if there is no attack.
        """
        lowest = self.strongest.robust_accuracy
        return lowest if self.worst_case_accuracy is None else min(lowest, self.worst_case_accuracy)

    @property
    def interval_of_natural(self) -> Interval | None:
        """The 95 % Wilson interval of `natural_accuracy`."""
        return interval_of(self.natural_accuracy, self.num_images)

    @property
    def interval(self) -> Interval | None:
        """The 95 % Wilson interval of `worst_case_accuracy`; None without an attack."""
        return interval_of(self.worst_case_accuracy, self.num_images)

    @property
    def interval_of_robust(self) -> Interval | None:
        """The 95 % Wilson interval of the headline, `robust_accuracy`; None without an attack."""
        if not self.attacks:
            return None
        return self.strongest.interval if self.worst_is_one_attack else self.interval

    @property
    def headline_attacks(self) -> tuple[AttackRecord, ...]:
        """The attacks that the headline is the worst case of."""
        return (self.strongest,) if self.worst_is_one_attack else tuple(self._on_all_images)

    def attacks_in_words(self) -> str:
        """The headline's attacks with their budgets."""
        return ", ".join(attack.in_words for attack in self.headline_attacks)

    def measured_with(self) -> dict[str, Any]:
        """What was asked of the model, without what came out: equal if two can be compared."""
        outcome = ("robust_accuracy", "robust_interval", "num_attacked", "num_turned", "seconds")
        return {
            "dataset": self.dataset,
            "split": self.split,
            "num_images": self.num_images,
            "selection": self.selection or "first",
            "cascade": self.cascade,
            "attacks": [
                {name: value for name, value in attack.to_dict().items() if name not in outcome}
                for attack in self.attacks
            ],
        }


def check_interval(interval: tuple[float, ...] | None, share: float, name: str) -> None:
    """Checks that an interval of a file holds its share.

    Args:
        interval: lower and upper bound; None if the file has none.
        share: in [0, 1].
        name: of the field.

    Raises:
        RecordError: a `ValueError`, if it does not.
    """
    if interval is None:
        return
    if len(interval) != 2 or not interval[0] - 1e-6 <= share <= interval[1] + 1e-6:
        raise RecordError(
            f"it must have a {name} of two bounds around {share:g}", f"{name}={list(interval)}"
        )
