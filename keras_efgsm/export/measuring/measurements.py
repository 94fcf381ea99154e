"""The figures of an export's forms: in memory, as JSON on disk, and as a table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from keras_efgsm.printing import Printed, ResultTable, brief
from keras_efgsm.records import FormRecord, MeasurementsRecord
from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.wording import drawn, percent, radius

KERAS = "keras"
KERAS_EAGER = "keras-eager"


@dataclass(frozen=True, repr=False)
class FormResult:
    """What was measured on one form.

    Args:
        path: the file's or folder's name, relative to the model's folder.
        digest: of its content, by which a result is known to be of this file.
        size: in bytes.
        evaluation: `RobustnessReport.to_dict()` of the attacks on this form.
    """

    path: str
    digest: str
    size: int
    evaluation: dict[str, Any]

    def __repr__(self) -> str:
        return brief(self, path=self.path, size=self.size, natural=self.natural, robust=self.robust)

    @property
    def natural(self) -> float:
        """Natural accuracy in [0, 1]."""
        natural: float = self.evaluation["natural_accuracy"]
        return natural

    @property
    def robust(self) -> float:
        """Worst case over all attacks, in [0, 1]."""
        robust: float = self.evaluation["worst_case_accuracy"]
        return robust

    @property
    def routes(self) -> str:
        """How the attacks came by their images."""
        names = [attack["name"] for attack in self.evaluation["attacks"]]
        if "twin" not in self.evaluation:
            return "own gradients"
        if any("straight-through" in name for name in names):
            return "straight-through and transfer"
        return "direct and transfer"


@dataclass(repr=False)
class Measurements(Printed):
    """The figures of one exported version, kept on disk after every form.

    Args:
        path: the JSON file.
        settings: everything that decides the outcome, as values that JSON can hold.
        latency: the latencies of all forms and what they were measured on; None before that.
        forms: what is measured so far, by form.

    Example:

    ```python
    Measurements.read("exported_models/mnist/mnist-1.measured.json").forms["tflite-int8"].robust
    ```
    """

    path: Path
    settings: dict[str, Any]
    latency: dict[str, Any] | None = None
    forms: dict[str, FormResult] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> "Measurements":
        """Reads what `write` wrote.

        Args:
            path: the JSON file.

        Raises:
            ValueError: if it is damaged or of another schema.
            OSError: if it cannot be read.
        """
        try:
            record = MeasurementsRecord.read(path)
        except ValueError as error:
            raise ValueError(
                "The figures of an export must be readable; remove the file to measure from the "
                f"beginning ({error}). Received: path={str(path)!r}"
            ) from error
        forms = {
            name: FormResult(form.path, form.digest, form.size, form.evaluation.to_dict())
            for name, form in record.forms.items()
        }
        return cls(Path(path), record.settings, record.latency, forms)

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        forms = {
            name: FormRecord(
                path=result.path,
                digest=result.digest,
                size=result.size,
                evaluation=EvaluationRecord.from_dict(result.evaluation),
            )
            for name, result in self.forms.items()
        }
        record = MeasurementsRecord(settings=self.settings, latency=self.latency, forms=forms)
        record.write(self.path)

    def lowest(self) -> tuple[str, FormResult]:
        """The exported form that withstood least."""
        exported = [item for item in self.forms.items() if item[0] != KERAS]
        return min(exported, key=lambda item: item[1].robust)

    def latency_of(self, form: str) -> dict[str, float] | None:
        """The latency of a form in milliseconds; None if it was not measured."""
        latency: dict[str, float] | None = (self.latency or {}).get("forms", {}).get(form)
        return latency

    def relative_latency(self, form: str) -> float | None:
        """Median latency of one image over that of the compiled Keras model, if there is one."""
        own, keras = self.latency_of(form), self.latency_of(KERAS)
        return own["median_ms"] / keras["median_ms"] if own and keras else None

    @property
    def images(self) -> str:
        """How many images were taken, and how they were chosen, in words."""
        settings = self.settings
        how = drawn(settings.get("selection"))
        return f"{'' if how else 'the first '}{settings['num_images']} images{how}"

    def table(self) -> Table:
        """The figures as a `rich` table."""
        settings = self.settings
        table = ResultTable(
            title="Measured on each file: epsilon "
            f"{radius(settings['epsilon'], settings.get('norm'))}, {self.images} of "
            f"{settings['dataset']} ({settings['split']})",
            caption="Milliseconds for one image, the median and the 90th percentile, and for 100. "
            "Robust: the worst case over all attacks, image by image; an upper bound. "
            "Files without gradients: straight-through and by transfer.",
            # Narrow, so that no figure is cut on a terminal of 80 columns.
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
        )
        table.add_column("form", no_wrap=True)
        for name in ("size", "ms", "p90", "ms/100", "x Keras", "natural", "robust"):
            table.add_column(name, justify="right", no_wrap=True)
        for form in self.forms:
            table.add_row(form, *self.cells(form))
        return table

    def _told(self) -> dict[str, Any]:
        robust = {form: round(result.robust, 4) for form, result in self.forms.items()}
        return {"path": str(self.path), "robust": robust}

    def cells(self, form: str) -> list[str]:
        """Size, latencies and accuracies of a form as text.

        Args:
            form: one that was measured.
        """
        result, latency = self.forms[form], self.latency_of(form)
        assert latency is not None  # it was measured
        relative = self.relative_latency(form)
        times = [f"{latency[k]:.2f}" for k in ("median_ms", "p90_ms", "batch_median_ms")]
        return [
            f"{result.size / 1000:,.0f} kB",
            *times,
            "-" if relative is None else f"{relative:.2f}",
            percent(result.natural),
            percent(result.robust),
        ]
