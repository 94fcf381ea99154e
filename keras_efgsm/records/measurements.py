"""`NAME-N.measured.json`: the measurements of each file of an export."""

from dataclasses import dataclass
from typing import Any, ClassVar

from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.part import Count, Part
from keras_efgsm.records.record import Record


@dataclass(frozen=True, kw_only=True)
class FormRecord(Part):
    """What was measured on one form.

    Args:
        path: the file's or folder's name, relative to the model's folder.
        digest: of its content, by which a result is known to be of this file.
        size: in bytes.
        evaluation: of the attacks on this form.
    """

    path: str
    digest: str
    size: Count
    evaluation: EvaluationRecord


@dataclass(frozen=True, kw_only=True)
class LatencyPart(Part):
    """The latencies of all forms and what they were measured on.

    Args:
        hardware: the processor, its cores and the GPUs.
        cores: how many the process might use.
        calls: timed calls of each form with one image.
        batch: images of the larger batch.
        files: digest of each form.
        forms: milliseconds by form and by name.
    """

    hardware: str
    cores: Count
    calls: Count
    batch: Count
    files: dict[str, str]
    forms: dict[str, dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class MeasurementsRecord(Record):
    """The figures of one exported version.

    Args:
        settings: everything that decides the outcome.
        latency: the latencies of all forms and what they were measured on; None before that.
        forms: what is measured so far, by form.

    Example:

    ```python
    record = MeasurementsRecord.read("exported_models/mnist/mnist-1.measured.json")
    record.forms["tflite-int8"].evaluation.worst_case_accuracy
    ```
    """

    NAME: ClassVar[str] = "The file of an export's figures"

    settings: dict[str, Any]
    latency: dict[str, Any] | None
    forms: dict[str, FormRecord]

    def check(self) -> None:
        """Checks what was measured of latency."""
        if self.latency is not None:
            LatencyPart.from_dict(self.latency, "latency")
