"""The log of a run for machines: one line of JSON for each epoch."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keras_efgsm.callbacks.remaining_time import seconds_left
from keras_efgsm.records import LogRecord


class RunLog:
    """A file of JSON lines: what `history.csv` has, when the epoch ended and how long it may go on.

    Each line is an object with `time` (ISO 8601, UTC), `eta_seconds` (if training goes on to its
    last epoch; an early stop may end it sooner) and the values of the epoch. It is written anew at
    each epoch, whole or not at all, so a resumed run has each epoch once.

    Args:
        path: the file, such as `log.jsonl` of a run folder.

    Example:

    ```python
    log = RunLog("log.jsonl")
    log.write([{"epoch": 1, "seconds": 11.2, "loss": 0.4}], epochs=40)
    ```
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def write(self, rows: Sequence[dict[str, Any]], epochs: int) -> None:
        """Writes the lines of these epochs, of which the last has just ended.

        Args:
            rows: one dict for each epoch so far, with `epoch` and `seconds`.
            epochs: how many the run is to have.
        """
        known = self._stamps()
        lines = [known.get(row["epoch"], _stamp(None, None)) | row for row in rows[:-1]]
        left = seconds_left([row["seconds"] for row in rows], epochs - len(rows))
        lines.append(_stamp(datetime.now(UTC).isoformat(timespec="seconds"), left) | rows[-1])
        # A loss can be NaN, which JSON has not.
        LogRecord(lines=tuple(_finite(line) for line in lines)).write(self.path)

    def _stamps(self) -> dict[int, dict[str, Any]]:
        """Time stamps by epoch; those of a file that is damaged or gone are not known any more."""
        try:
            lines = LogRecord.read(self.path).lines
            return {line["epoch"]: _stamp(line["time"], line["eta_seconds"]) for line in lines}
        except (OSError, ValueError, TypeError):
            return {}


def _stamp(time: str | None, left: float | None) -> dict[str, Any]:
    return {"time": time, "eta_seconds": None if left is None else round(left, 1)}


def _finite(line: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in line.items()
    }
