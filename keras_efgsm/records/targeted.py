"""`targeted.json`: how often attacks had images classified as a target."""

from dataclasses import dataclass
from typing import ClassVar

from keras_efgsm.records.evaluation import AttackRecord, check_interval
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Seconds, Share
from keras_efgsm.records.record import Record


@dataclass(frozen=True, kw_only=True)
class TargetedRecord(Record):
    """The figures of a targeted evaluation.

    Args:
        model: what was evaluated.
        twin: the classifier whose gradients stood in. Defaults to none.
        twin_agreement: the share of clean images that it and the model class alike.
        eot: over how many draws of a randomised model every pass averaged; None for one.
        doubts: sentences on why the figures are not to be trusted; None if there are none.
        dataset: name of the data set.
        split: which part of it.
        target: name of the class that images were to be taken for, or `"least-likely"`.
        num_images: how many images were evaluated, all of other classes.
        selection: how the images were chosen of the split, see `EvaluationRecord`.
        images: SHA-256 of all images and labels that were chosen.
        clean_rate: share of the images in [0, 1] that are classified as the target unattacked.
        cascade: whether each attack saw only the images that those before had not taken there.
        attacks: one record for each attack; `robust_accuracy` is the share that it did not take to
            the target.
        success_rate: share of the images in [0, 1] that are classified as the target, clean or
            after one of the attacks.
        success_interval: lower and upper bound of its 95 % Wilson interval.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of all.

    Example:

    ```python
    attacks = PGD(epsilon=0.3, loss="cw")
    report = evaluate_targeted(classifier, (x, y), attacks, target=3, progress=False)
    report.record.success_rate, report.record.success_interval
    ```
    """

    NAME: ClassVar[str] = "targeted.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"twin", "twin_agreement", "eot", "doubts"})

    model: str
    twin: str | None = None
    twin_agreement: Share | None = None
    eot: Count | None = None
    doubts: tuple[str, ...] | None = None
    dataset: str
    split: str
    target: str
    num_images: Count
    selection: str
    images: str
    clean_rate: Share
    cascade: bool
    attacks: tuple[AttackRecord, ...]
    success_rate: Share
    success_interval: tuple[Share, ...]
    versions: dict[str, str]
    hardware: str
    seconds: Seconds

    @property
    def norm(self) -> str:
        """The norm of the ball, the same for all attacks."""
        return next((attack.norm for attack in self.attacks if attack.norm), "linf")

    def check(self) -> None:
        """Checks that no attack did better than all together."""
        if self.num_images < 1:
            raise RecordError("it must have a num_images above 0", f"num_images={self.num_images}")
        check_interval(self.success_interval, self.success_rate, "success_interval")
        most = max((1.0 - attack.robust_accuracy for attack in self.attacks), default=0.0)
        if self.success_rate < max(most, self.clean_rate) - 1e-6:
            raise RecordError(
                "it must have a success_rate no lower than that of an attack",
                f"success_rate={self.success_rate}",
            )
