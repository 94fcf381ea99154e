"""`diagnosis.json`: whether a model masks its gradients, and the evidence."""

from dataclasses import dataclass
from typing import Any, ClassVar

from keras_efgsm.records.part import AnyRadius, Count, Part, Seconds, Share, check_radius_of
from keras_efgsm.records.record import Record


@dataclass(frozen=True, kw_only=True)
class FindingRecord(Part):
    """One sign of masking that was looked for.

    Args:
        name: what the sign is, such as `"black_box_beats_white_box"`.
        flagged: whether it is there.
        severity: `"strong"`, or `"mild"` if the sign alone is not proof.
        evidence: a sentence with the counts.
        figures: the numbers behind it.
    """

    name: str
    flagged: bool
    severity: str | None = None
    evidence: str | None = None
    figures: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class DiagnosisRecord(Record):
    """The figures of a diagnosis, without the loss surfaces.

    Args:
        verdict: what the findings come to, such as `"no sign of masking"`.
        masked: whether a sign was found that is proof by itself.
        advice: what to believe of the model's robust accuracy.
        findings: one for each sign; none if there was nothing to attack.
        epsilon: radius of the ball in pixels of [0, 1].
        norm: of the ball, one of `checks.NORMS`; None for L-infinity.
        num_images: how many images were taken.
        selection: how these were chosen of the data set: `"first"`, or `"by class, seed 0"`. Not
            in files of earlier versions, which took the first ones.
        num_correct: how many of them are classified correctly, and were attacked.
        lowest_accuracy: share of the `num_images` that withstood everything tried at epsilon.
        seed: seed of all noise.
        dataset: name of the data set.
        model: what was diagnosed.
        eot: over how many draws of a randomised model every pass averaged; None for one.
        doubts: sentences on why the figures are not to be trusted; None if there are none.
        curves: accuracy by epsilon, step, iterations and restarts.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time.

    Example:

    ```python
    record = DiagnosisRecord.read("runs/mnist/diagnosis.json")
    record.verdict, record.is_doubtful
    ```
    """

    NAME: ClassVar[str] = "diagnosis.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"norm", "selection", "eot", "doubts"})

    verdict: str
    masked: bool
    advice: str
    findings: tuple[FindingRecord, ...]
    epsilon: AnyRadius
    norm: str | None = None
    num_images: Count
    selection: str | None = None
    num_correct: Count
    lowest_accuracy: Share
    seed: int
    dataset: str
    model: str
    eot: Count | None = None
    doubts: tuple[str, ...] | None = None
    curves: dict[str, Any]
    versions: dict[str, str]
    hardware: str
    seconds: Seconds

    def check(self) -> None:
        """Checks that the radius is one of its norm."""
        check_radius_of(self.norm, self.epsilon)

    @property
    def is_doubtful(self) -> bool:
        """Whether a robust accuracy of this model is in doubt.

        A verdict that is not known to be good is not shown as if it were.
        """
        flagged = any(finding.flagged for finding in self.findings)
        return flagged or not self.verdict.startswith("no sign")
