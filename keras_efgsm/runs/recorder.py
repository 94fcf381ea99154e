"""Writes a run's history and checkpoint as it goes."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from keras_efgsm.checks import check_number
from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.records import DataRecord
from keras_efgsm.runs.checkpoint import Checkpoint
from keras_efgsm.runs.checkpoint_pair import CheckpointPair
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.interruption import RESUME, Interruption
from keras_efgsm.runs.log import RunLog
from keras_efgsm.typing import Logs

# Several workers ask each other after so many steps whether one of them wants a checkpoint.
_STEPS_TO_AGREEMENT = 10


class RunRecorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Writes a run's checkpoint every few minutes, and with its history after every epoch.

    Place it last, so that the state it saves is the one after all other callbacks.

    Args:
        folder: the run's folder.
        callbacks: name to callback, for each whose `get_state()` belongs to the checkpoint.
        rows: history of a run that is resumed. Defaults to none.
        checkpoint_minutes: minutes after which a checkpoint is written within an epoch; 0 for
            after every step. Defaults to `10.0`.
        checkpoints: the run's checkpoint files. Defaults to those of the folder.
        interruption: asks to stop after the running step. Defaults to nothing.
        agreement: with other workers, each of which has a recorder. Defaults to there being none.
        facts: plain values kept in each checkpoint. Defaults to none.
        data: what the images are known again by, by split, kept in each checkpoint. Defaults to
            nothing.

    Raises:
        ValueError: if `checkpoint_minutes` is out of range; at the end of an epoch, if the loss is
            not a number.

    Example:

    ```python
    folder, stop = RunFolder("runs/mine"), OverfittingStop()
    folder.path.mkdir(parents=True)
    trainer.fit(x, y, callbacks=[stop, RunRecorder(folder, {"stop": stop})])
    ```
    """

    def __init__(
        self,
        folder: RunFolder,
        callbacks: dict[str, Any],
        rows: list[dict[str, Any]] | None = None,
        *,
        checkpoint_minutes: float = 10.0,
        checkpoints: CheckpointPair | None = None,
        interruption: Interruption | None = None,
        agreement: Agreement | None = None,
        facts: dict[str, Any] | None = None,
        data: Mapping[str, DataRecord] | None = None,
    ):
        super().__init__()
        self.folder = folder
        self.stateful = callbacks
        self.rows = list(rows or [])
        self.checkpoint_minutes = check_number(
            checkpoint_minutes, "checkpoint_minutes", minimum=0.0
        )
        self.checkpoints = checkpoints or CheckpointPair(
            folder.checkpoint, folder.previous_checkpoint
        )
        self._interruption = interruption or Interruption()
        self._agreement = agreement or Agreement()
        self.facts = dict(facts or {})
        self.data = dict(data or {})
        self._metrics: list[Any] = []
        self._seconds = 0.0
        self._begun = self._written = time.perf_counter()

    def resume_from(self, checkpoint: Checkpoint) -> None:
        """Takes over the history, and what belongs to the epoch that was running.

        Raises:
            ValueError: if the checkpoint does not say these.
        """
        checkpoint.check_position()
        self.rows = list(checkpoint.meta["rows"])
        if checkpoint.meta["step"]:
            self._metrics = checkpoint.metrics
            self._seconds = checkpoint.meta["seconds"]

    def update_files(self, epochs: int) -> None:
        """Brings history and log in line with the rows, as a kill may have come between them.

        Args:
            epochs: how many the run is to have.
        """
        with self.folder.writing():
            self.folder.update_history(self.rows)
            log = self.folder.log
            # The log of a finished run stays as it is: its times are those of the training.
            if not self.rows:
                log.unlink(missing_ok=True)
            elif not self.folder.metrics.exists() and _count_lines(log) != len(self.rows):
                RunLog(log).write(self.rows, epochs)

    @property
    def seconds(self) -> float:
        """Seconds of all recorded epochs, those before a resume included."""
        total: float = sum(row["seconds"] for row in self.rows)
        return total

    def on_train_begin(self, logs: Logs = None) -> None:
        self._written = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._begun = time.perf_counter() - self._seconds
        # Keras resets the metrics right before.
        for variable, value in zip(
            self.model.metrics_variables if self._metrics else [], self._metrics, strict=True
        ):
            variable.assign(value)
        self._metrics, self._seconds = [], 0.0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        minutes = (time.perf_counter() - self._written) / 60
        if self._agree(batch, minutes >= self.checkpoint_minutes):
            # `rows` has one for each epoch before this one.
            self._write(epoch=len(self.rows), step=batch + 1)
            where = f"step {batch + 1} of {self.params['steps']} of epoch {len(self.rows) + 1}"
            self._stop_if_asked(where)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if math.isnan(loss):
            raise ValueError(
                f"The training diverged in epoch {epoch + 1}: its loss is not a number. Try a "
                f"lower learning rate or smaller weights of its losses. Received: loss={loss}"
            )
        row = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - self._begun, 3)}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row |= {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append(row)
        self._write(epoch=epoch + 1, step=0)
        # After the checkpoint, which has the rows as well: so it never tells of an epoch too many.
        with self.folder.writing():
            self.folder.write_history(self.rows)
            # An early stop leaves no epochs.
            epochs = len(self.rows) if self.model.stop_training else self.params["epochs"]
            RunLog(self.folder.log).write(self.rows, epochs)
        self._agree(None, due=False)
        self._stop_if_asked(f"epoch {epoch + 1} of {self.params['epochs']}")

    def _write(self, epoch: int, step: int) -> None:
        meta = {
            **self.facts,
            **self._described,
            "epoch": epoch,
            "step": step,
            "seconds": time.perf_counter() - self._begun if step else 0.0,
            "rows": self.rows,
            "steps": self.params["steps"],
            "backend": keras.backend.backend(),
            "stopped": bool(self.model.stop_training) and step == 0,
        }
        with self.folder.writing():
            self.checkpoints.write(self.model, meta=meta, callbacks=self.stateful)
        self._written = time.perf_counter()

    @property
    def _described(self) -> dict[str, Any]:
        described = {split: record.to_dict() for split, record in self.data.items()}
        return {"data": described} if described else {}

    def _agree(self, batch: int | None, due: bool) -> bool:
        """Whether a checkpoint is written now, as it is by all workers or none."""
        agreement = self._agreement
        if agreement.workers == 1:
            return due or self._interruption.requested
        # To ask waits for the slowest worker.
        if batch is not None and self.checkpoint_minutes and (batch + 1) % _STEPS_TO_AGREEMENT:
            return False
        due, interrupted = agreement.any([due, self._interruption.requested])
        self._interruption.requested = interrupted
        return due or interrupted

    def _stop_if_asked(self, where: str) -> None:
        if self._interruption.requested:
            raise KeyboardInterrupt(f"saved after {where}; {RESUME}")


def _count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
