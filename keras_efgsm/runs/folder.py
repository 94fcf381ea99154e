"""The folder of a training run: its files and the right to write them."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import try_to_make, write_atomically
from keras_efgsm.file_lock import LOCK_FILE, folder_lock
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import (
    EvaluationRecord,
    HistoryRecord,
    MetricsRecord,
    RecordError,
    read_json,
)
from keras_efgsm.runs.interruption import RESUME


class RunFolder:
    """The folder of a training run.

    It holds `config.json`, `history.csv`, `log.jsonl`, `metrics.json`, `classifier.keras`,
    `reconstructor.keras` of a method that trains one, `checkpoint.npz` and the one before it,
    `checkpoint.previous.npz`, `curves.png`, and `evaluation.json` once it was evaluated,
    `evaluation-l2.json` if that was in another norm than that of the training.

    Args:
        path: the folder.

    Example:

    ```python
    config = RunFolder("runs/mnist").read_config()
    ```
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.history = self.path / "history.csv"
        self.log = self.path / "log.jsonl"
        self.metrics = self.path / "metrics.json"
        self.classifier = self.path / "classifier.keras"
        self.reconstructor = self.path / "reconstructor.keras"
        self.checkpoint = self.path / "checkpoint.npz"
        self.previous_checkpoint = self.path / "checkpoint.previous.npz"
        self.curves = self.path / "curves.png"
        self.evaluation = self.path / "evaluation.json"

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @staticmethod
    def of_norm(path: Path, norm: str) -> Path:
        """Where figures lie that were measured in another norm than that of the training.

        Args:
            path: where those of the training's norm lie.
            norm: the other, see `checks.NORMS`.

        Example:

        ```python
        RunFolder.of_norm(RunFolder("runs/mnist").evaluation, "l2").name  # 'evaluation-l2.json'
        ```
        """
        return path.with_name(f"{path.stem}-{norm}{path.suffix}")

    def prepare(
        self, config: TrainingConfig, resume: bool, held: contextlib.ExitStack | None = None
    ) -> None:
        """Makes the folder, or checks that it holds the run to be resumed.

        Args:
            config: the run's options.
            resume: whether the run is continued.
            held: takes the lock of the folder, which keeps a second training out until it is
                closed. Defaults to none: the folder is not locked.

        Raises:
            ValueError: if the folder holds something else, another run, or nothing to resume, or
                another process is at work in it.
            PermissionError: if it cannot be written.
        """
        self.check(config, resume)
        received = f"Received: out={str(self.path)!r}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if held is not None:
                what = f"out={str(self.path)!r}"
                held.enter_context(folder_lock(self.path, "the folder of this run", what))
                # Another may have begun a run since, and be through with it.
                self.check(config, resume)
            if not resume:
                write_atomically(self.config, json.dumps(config.to_dict(), indent=2) + "\n")
            elif not os.access(self.path, os.W_OK):
                raise PermissionError("no right to write")
            # What a kill left half-written.
            for partial in self._partial():
                partial.unlink()
        except OSError as error:
            raise PermissionError(f"`out` must be writable ({error}). {received}") from error

    def check(self, config: TrainingConfig, resume: bool) -> None:
        """Checks what `prepare` needs, and writes nothing.

        Raises:
            ValueError: if the folder holds something else, another run, or nothing to resume.
            PermissionError: if it cannot be written.
        """
        received = f"Received: out={str(self.path)!r}"
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"`out` must be a folder, but a file is there. {received}")
        ours = {*self._partial(), self.path / LOCK_FILE} if self.path.exists() else set()
        occupied = self.path.exists() and any(set(self.path.iterdir()) - ours)
        if resume:
            self._check_files()
            self._check_same_run(config)
        elif self.config.exists():
            raise ValueError(
                "`out` holds a run already; give another folder, or `--resume` to continue it. "
                f"{received}"
            )
        elif occupied:
            raise ValueError(f"`out` must be a new or empty folder, but holds files. {received}")
        there = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not os.access(there, os.W_OK):
            raise PermissionError(f"`out` must be writable (no right to write). {received}")
        try_to_make(self.path, "out")

    def _partial(self) -> list[Path]:
        return [*self.path.glob(".*.partial"), *self.path.glob(".partial.keras")]

    def _check_files(self) -> None:
        """Refuses pipes and devices, whose reading may never end."""
        for path in (self.log, self.history, self.checkpoint, self.previous_checkpoint):
            if path.exists() and not path.is_file():
                raise ValueError(
                    f"{path.name} of a run must be a file, no folder, pipe or device. "
                    f"Received: out={str(self.path)!r}"
                )

    def _check_same_run(self, config: TrainingConfig) -> None:
        if not self.config.exists():
            raise ValueError(
                "`--resume` continues a run, but there is none in the folder. "
                f"Received: out={str(self.path)!r}"
            )
        stored, given = self.read_config().to_dict(), config.to_dict()
        # Where things lie may change between machines; what they are may not.
        places = {field.name for field in dataclasses.fields(config) if field.metadata["place"]}
        differing = [k for k in given if given[k] != stored[k] and k not in places]
        if differing:
            listed = ", ".join(f"{k}: {stored[k]!r} there, {given[k]!r} now" for k in differing)
            raise ValueError(
                f"`--resume` continues a run with its own options; these differ: {listed}. "
                f"Received: out={str(self.path)!r}"
            )

    def read_config(self) -> TrainingConfig:
        """The run's configuration.

        Raises:
            ValueError: if `config.json` is missing, damaged or of something else.
        """
        try:
            return TrainingConfig.from_dict(read_json(self.config))
        except (
            OSError,
            RecordError,
            TypeError,
            AttributeError,
        ) as error:
            raise ValueError(
                f"A run folder must hold a readable config.json ({error}). "
                f"Received: path={str(self.path)!r}"
            ) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Re-raises an `OSError` with advice on resuming.

        Raises:
            OSError: of the same kind as the one raised in the block.
        """
        try:
            yield
        except OSError as error:
            raise OSError(
                error.errno,
                f"The run could not be written ({error}). What was written before is whole: make "
                f"room or put the disk right and {RESUME}. "
                f"Received: out={str(self.path)!r}",
            ) from error

    def write_history(self, rows: list[dict[str, Any]]) -> None:
        """Writes one line per epoch."""
        HistoryRecord(rows=tuple(rows)).write(self.history)

    def update_history(self, rows: list[dict[str, Any]]) -> None:
        """Writes these rows unless they are there; without rows there is no file."""
        if not rows:
            self.history.unlink(missing_ok=True)
            return
        record = HistoryRecord(rows=tuple(rows))
        if not self.history.exists() or self.history.read_bytes() != record.encode():
            record.write(self.history)

    def read_history(self) -> list[dict[str, float]]:
        """What `write_history` wrote: a dict for each epoch, without what it did not have.

        Raises:
            ValueError: if the file is damaged.
            OSError: if it cannot be read.
        """
        return list(HistoryRecord.read(self.history).rows)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Writes how training ended."""
        MetricsRecord.from_dict(metrics).write(self.metrics)

    def read_metrics(self) -> dict[str, Any]:
        """What `write_metrics` wrote.

        Raises:
            ValueError: if the file is damaged.
            OSError: if it cannot be read.
        """
        return MetricsRecord.read(self.metrics).to_dict()

    def read_evaluation(self) -> EvaluationRecord:
        """What `keras-efgsm evaluate` measured.

        Raises:
            ValueError: if the file is damaged.
            OSError: if it cannot be read.
        """
        return EvaluationRecord.read(self.evaluation)

    def is_finished(self, has_reconstructor: bool) -> bool:
        """Whether all that a run leaves at its end is there."""
        files = [self.classifier, self.curves, self.metrics]
        if has_reconstructor:
            files.append(self.reconstructor)
        return all(path.exists() for path in files)

    def save_model(self, model: Any, path: Path) -> None:
        """Saves a network in the folder, under a temporary name until it is whole."""
        partial = self.path / ".partial.keras"
        try:
            model.save(partial)
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
