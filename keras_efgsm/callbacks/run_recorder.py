"""Writes a run's history and checkpoint as it goes."""

import time

import keras

from keras_efgsm.checkpoint import save_checkpoint
from keras_efgsm.runs import RunFolder


class RunRecorder(keras.callbacks.Callback):
    """Writes `history.csv` and the checkpoint of a run after every epoch.

    Place it last, so that the state it saves is the one after all other callbacks.

    Args:
        folder: the run's folder.
        callbacks: name to callback, for each whose `get_state()` belongs to the checkpoint.
        rows: history of a run that is resumed. Defaults to none.

    Example:

    ```python
    stop = OverfittingStop()
    trainer.fit(x, y, callbacks=[stop, RunRecorder(RunFolder("runs/mine"), {"stop": stop})])
    ```
    """

    def __init__(self, folder: RunFolder, callbacks: dict, rows: list[dict] | None = None):
        super().__init__()
        self.folder = folder
        self.stateful = callbacks
        self.rows = list(rows or [])
        self._begun = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of all recorded epochs, those before a resume included."""
        return sum(row["seconds"] for row in self.rows)

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - self._begun, 3)}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row |= {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append(row)
        self.folder.write_history(self.rows)
        meta = {"epoch": epoch + 1, "rows": self.rows, "stopped": bool(self.model.stop_training)}
        save_checkpoint(self.folder.checkpoint, self.model, meta=meta, callbacks=self.stateful)
