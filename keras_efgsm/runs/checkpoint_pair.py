"""The newest checkpoint of a run and the one before it."""

from pathlib import Path
from typing import Any

from keras_efgsm.runs.checkpoint import Checkpoint, save_checkpoint


class CheckpointPair:
    """Two files, of which at least one is a whole checkpoint at every instant once one was written.

    Args:
        newest: the newest checkpoint.
        previous: the last good one before it.

    Example:

    ```python
    pair = CheckpointPair(Path("checkpoint.npz"), Path("checkpoint.previous.npz"))
    checkpoint = pair.read()
    ```
    """

    def __init__(self, newest: Path, previous: Path):
        self.newest, self.previous = newest, previous
        self._newest_is_whole: bool | None = None

    def read(self) -> Checkpoint | None:
        """The newest checkpoint, or the one before it if the newest is missing or damaged.

        Falling back is said in one line on stdout.

        Returns:
            None if there is neither.

        Raises:
            ValueError: if no file that is there can be used.
        """
        reasons = []
        for path in (self.newest, self.previous):
            if not path.exists():
                reasons.append(f"{path.name} is missing")
                continue
            try:
                checkpoint = Checkpoint(path)
            except ValueError as error:
                cause = error.__cause__ or error
                reasons.append(f"{path.name} is damaged ({type(cause).__name__}: {cause})")
                continue
            self._newest_is_whole = path == self.newest
            if reasons:
                print(f"{reasons[0]}; falling back to {path.name}")
            return checkpoint
        self._newest_is_whole = False
        if not any(path.exists() for path in (self.newest, self.previous)):
            return None
        raise ValueError(
            f"No checkpoint of the run can be used: {'; '.join(reasons)}. Put back a copy of one, "
            "or train anew in another folder. "
            f"Received: checkpoint={str(self.newest)!r}"
        )

    def read_all(self) -> list[Checkpoint]:
        """The checkpoints that can be used, the newest first."""
        found = []
        for path in (self.newest, self.previous):
            try:
                found += [Checkpoint(path)] if path.exists() else []
            except ValueError as error:
                print(f"{path.name} is damaged ({error.__cause__ or error})")
        return found

    def go_on_from(self, checkpoint: Checkpoint) -> None:
        """Takes it as the last good one: a newer one will not take its place when one is written.

        Args:
            checkpoint: one of `read_all()`.
        """
        self._newest_is_whole = checkpoint.path == self.newest

    def write(self, trainer: Any, *, meta: dict[str, Any], callbacks: dict[str, Any]) -> None:
        """Writes a checkpoint; the newest so far becomes the previous one if it is whole.

        Args:
            trainer: as `save_checkpoint` takes it.
            meta: as `save_checkpoint` takes it.
            callbacks: as `save_checkpoint` takes them.

        Raises:
            OSError: if it cannot be written; the files are as they were.
        """
        # A damaged file must not take the place of the good one that a resume fell back to.
        keep = self.previous if self._newest_is_there_and_whole() else None
        save_checkpoint(self.newest, trainer, meta=meta, callbacks=callbacks, keep_old_as=keep)
        self._newest_is_whole = True

    def _newest_is_there_and_whole(self) -> bool:
        if not self.newest.exists():
            return False
        if self._newest_is_whole is None:
            try:
                Checkpoint(self.newest)
                self._newest_is_whole = True
            except ValueError:
                self._newest_is_whole = False
        return self._newest_is_whole
