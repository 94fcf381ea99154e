"""The result of a diagnosis: one finding for each sign, and the verdict."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from keras_efgsm.printing import Printed, ResultTable, brief
from keras_efgsm.records import DiagnosisRecord, FindingRecord
from keras_efgsm.records.wording import count, percent, radius, selected, warnings
from keras_efgsm.records.wording import seconds as in_seconds

MASKED = "gradients are masked"
MILD = "mild signs of masking"
CLEAR = "no sign of masking"
NOTHING = "nothing to attack"


@dataclass(frozen=True, repr=False)
class Finding:
    """One sign of masking that was looked for.

    Args:
        name: what the sign is, such as `"black_box_beats_white_box"`.
        flagged: whether it is there, beyond what chance and an honest model's misses explain.
        evidence: a plain sentence with the counts.
        figures: the numbers behind it, ready for JSON; `chance` is the probability that an honest
            model shows as much.
        mild: whether it alone is not proof. Defaults to `False`.
    """

    name: str
    flagged: bool
    evidence: str
    figures: dict[str, Any]
    mild: bool = False

    def __repr__(self) -> str:
        return brief(self, name=self.name, flagged=self.flagged, mild=self.mild)

    @property
    def record(self) -> FindingRecord:
        """The finding, as a file holds it."""
        return FindingRecord(
            name=self.name,
            flagged=self.flagged,
            severity="mild" if self.mild else "strong",
            evidence=self.evidence,
            figures=self.figures,
        )

    def to_dict(self) -> dict[str, Any]:
        """The finding, ready for JSON."""
        return self.record.to_dict()


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Printed):
    """Whether a model masks its gradients, and the evidence.

    Args:
        model: what was diagnosed.
        dataset: name of the data set.
        epsilon: radius of the ball in pixels of [0, 1].
        num_images: how many images were taken.
        num_correct: how many of them are classified correctly, and were attacked.
        lowest_accuracy: share of the `num_images` that withstood everything tried at epsilon.
        findings: one for each sign; none if there was nothing to attack.
        seed: seed of all noise.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time.
        curves: accuracy by epsilon, iterations and restarts, for the picture.
        surfaces: `ImageSurface`s for the picture.
        selection: how the images were chosen of the data set: `"first"`, or `"by class, seed 0"`.
            Defaults to the first ones.
        missing: a warning of the classes that are not among the images. Defaults to none.
        eot: over how many draws every pass averaged; None for one. Defaults to none.
        doubts: sentences on why the figures are not to be trusted. Defaults to none.
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.

    Example:

    ```python
    diagnosis = diagnose(classifier, (x_test, y_test), 0.3)
    diagnosis.masked, [finding.name for finding in diagnosis.findings if finding.flagged]
    ```
    """

    model: str
    dataset: str
    epsilon: float
    num_images: int
    num_correct: int
    lowest_accuracy: float
    findings: tuple[Finding, ...]
    seed: int
    versions: dict[str, str]
    hardware: str
    seconds: float
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    surfaces: tuple[Any, ...] = ()
    selection: str = "first"
    missing: str = ""
    eot: int | None = None
    doubts: tuple[str, ...] = ()
    norm: str = "linf"

    @property
    def masked(self) -> bool:
        """Whether a sign was found that is proof by itself."""
        return any(finding.flagged and not finding.mild for finding in self.findings)

    @property
    def verdict(self) -> str:
        """What the findings come to.

        `"gradients are masked"`, `"mild signs of masking"`, `"no sign of masking"`, or
        `"nothing to attack"` for a model that does not beat guessing.
        """
        if not self.findings:
            return NOTHING
        if self.masked:
            return MASKED
        return MILD if any(finding.flagged for finding in self.findings) else CLEAR

    @property
    def advice(self) -> str:
        """What to believe of the model's robust accuracy, in one or two sentences."""
        lowest = percent(self.lowest_accuracy, 1)
        if self.verdict == NOTHING:
            return (
                f"The model is right on {self.num_correct} of {count(self.num_images, 'image')}, "
                "which guessing reaches as well."
            )
        signs = ", ".join(
            finding.name.replace("_", " ")
            for finding in self.findings
            if finding.flagged and (not finding.mild or not self.masked)
        )
        if self.masked:
            return (
                f"Signs: {signs}. Believe at most {lowest}, the lowest figure measured here, and "
                "that only until an attack made for this model has been tried."
            )
        norm = "" if self.norm == "linf" else f" --norm {self.norm}"
        doubt = f"Signs that are no proof: {signs}. " if signs else ""
        return (
            f"{doubt}The lowest figure over all attacks here, with and without gradients, is "
            f"{lowest}; a full evaluation (`keras-efgsm evaluate --attacks standard{norm}`) may "
            "lower it."
        )

    @property
    def record(self) -> DiagnosisRecord:
        """The diagnosis without the surfaces, as `diagnosis.json` holds it."""
        return DiagnosisRecord(
            verdict=self.verdict,
            masked=self.masked,
            advice=self.advice,
            findings=tuple(finding.record for finding in self.findings),
            epsilon=self.epsilon,
            norm=None if self.norm == "linf" else self.norm,
            num_images=self.num_images,
            selection=self.selection,
            num_correct=self.num_correct,
            lowest_accuracy=self.lowest_accuracy,
            seed=self.seed,
            dataset=self.dataset,
            model=self.model,
            eot=self.eot,
            doubts=self.doubts or None,
            curves=self.curves,
            versions=dict(self.versions),
            hardware=self.hardware,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis without the surfaces, ready for JSON (schema 1)."""
        return self.record.to_dict()

    def write_json(self, path: str | Path) -> None:
        """Writes `to_dict()` as JSON; a reader finds the old file or the whole new one.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)

    def table(self, details: bool = True) -> Table:
        """The findings as a `rich` table, headed by the verdict.

        Args:
            details: whether to give the evidence of signs that are not there as well. Defaults to
                `True`; `False` leaves a line for each of these.
        """
        draws = f", each answer the mean over {self.eot} draws" if self.eot else ""
        table = ResultTable(
            box=box.HEAVY_HEAD if details else box.SIMPLE_HEAD,
            title=f"{self.model}: {self.verdict}",
            caption=f"{self.num_correct} of {selected(self.num_images, self.selection)} of "
            f"{self.dataset} are classified correctly and were attacked, epsilon "
            f"{radius(self.epsilon, self.norm)}, seed {self.seed}, {in_seconds(self.seconds)}"
            f"{draws}. "
            f"{self.advice}{warnings(self.missing, self.doubts)}",
        )
        table.add_column("sign of masking", no_wrap=True)
        table.add_column("found", no_wrap=True)
        table.add_column("evidence", ratio=1)
        for finding in self.findings:
            found = ("mild" if finding.mild else "yes") if finding.flagged else "no"
            style = "bold red" if finding.flagged else None
            evidence = finding.evidence if details or finding.flagged else ""
            table.add_row(finding.name.replace("_", " "), found, evidence, style=style)
        return table

    def _told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "dataset": self.dataset,
            "epsilon": self.epsilon,
            "num_images": self.num_images,
            "verdict": self.verdict,
            "flagged": [finding.name for finding in self.findings if finding.flagged],
            "lowest_accuracy": self.lowest_accuracy,
        }
