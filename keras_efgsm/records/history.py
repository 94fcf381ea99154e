"""`history.csv` and `log.jsonl`: the figures of each epoch of a training."""

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from keras_efgsm.checks import visible
from keras_efgsm.printing import Printed, ResultTable
from keras_efgsm.records import wording
from keras_efgsm.records.json_text import RecordError, parse_json
from keras_efgsm.records.record import Record

COLUMNS = {
    "accuracy": "accuracy under the training's attack",
    "margin_robust_accuracy": "margin-robust",
    "attack_shortfall": "attack fell short",
    "probe_accuracy": "PGD probe",
    "val_accuracy": "accuracy on clean validation images",
}
"""What the shares of an epoch are called where people read them, by their names in the file.

`accuracy` is that of the adversarial images which the network is trained on, and not to be compared
with `val_accuracy`, which is of clean ones. The glossary says what the others are.
"""


@dataclass(frozen=True, kw_only=True, repr=False)
class HistoryRecord(Printed, Record):
    """The figures of each epoch, one line of comma-separated values each.

    Args:
        rows: one dict for each epoch, without what it does not have or what is not finite.

    Example:

    ```python
    history = HistoryRecord.read("runs/mnist/history.csv")
    print(history)
    history.rows[-1]["loss"]
    ```
    """

    NAME: ClassVar[str] = "history.csv"
    HAS_SCHEMA: ClassVar[bool] = False

    rows: tuple[dict[str, float], ...]

    def table(self) -> ResultTable:
        """The epochs as a `rich` table."""
        table = ResultTable()
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        for name in columns:
            table.add_column(COLUMNS.get(name, name.replace("_", " ")), justify="right")
        for row in self.rows:
            table.add_row(*(_cell(name, row.get(name)) for name in columns))
        return table

    def _told(self) -> dict[str, Any]:
        return {"epochs": len(self.rows), "last": self.rows[-1] if self.rows else None}

    def encode(self) -> bytes:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue().encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        try:
            # The last line may be half of one.
            if not content.endswith(b"\n"):
                raise ValueError("its last line has no end")
            reader = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
            rows = tuple(_numbers(row) for row in reader)
            if "epoch" not in (reader.fieldnames or ()):
                raise ValueError("it has no column `epoch`")
        except (ValueError, csv.Error) as error:
            raise RecordError(
                f"history.csv must hold one line of numbers per epoch ({error})", "content"
            ) from error
        return cls(rows=rows)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name == "seconds":
        return wording.seconds(value)
    return wording.percent(value) if name in COLUMNS else wording.number(value)


def _numbers(row: dict[str | Any, str | Any]) -> dict[str, float]:
    if None in row or None in row.values():
        raise ValueError("a line has more or fewer values than the header")
    # A column that began in a later epoch is empty before; a metric without a value is NaN.
    numbers = {name: _number(value) for name, value in row.items() if value}
    return {visible(name): value for name, value in numbers.items() if math.isfinite(value)}


def _number(text: str) -> float:
    return int(text) if text.isdecimal() and len(text) < 16 else float(text)


@dataclass(frozen=True, kw_only=True)
class LogRecord(Record):
    """The log of a run for machines: one line of JSON for each epoch.

    Args:
        lines: each an object with `epoch`, `time` (ISO 8601, UTC, None where it is not known),
            `eta_seconds` and the values of the epoch, None for one that is not finite.

    Example:

    ```python
    LogRecord.read("runs/mnist/log.jsonl").lines[-1]["eta_seconds"]
    ```
    """

    NAME: ClassVar[str] = "log.jsonl"
    HAS_SCHEMA: ClassVar[bool] = False

    lines: tuple[dict[str, Any], ...]

    def encode(self) -> bytes:
        return "".join(json.dumps(line, allow_nan=False) + "\n" for line in self.lines).encode()

    @classmethod
    def decode(cls, content: bytes) -> Self:
        reason = "log.jsonl must hold one line of JSON per epoch"
        if not content.endswith(b"\n"):
            raise RecordError(f"{reason} (its last line has no end)", "content")
        lines = []
        for number, text in enumerate(content.splitlines(), 1):
            try:
                line = parse_json(text)
            except RecordError as error:
                raise RecordError(f"{reason} (line {number}: {error.reason})", "content") from error
            known = isinstance(line, dict) and isinstance(line.get("epoch"), int)
            if not known or not {"time", "eta_seconds"} <= line.keys():
                raise RecordError(
                    f"{reason} (line {number} has no epoch, time or eta_seconds)", "content"
                )
            lines.append(line)
        return cls(lines=tuple(lines))
