"""The folders of a run with several workers."""

import contextlib

from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.folder import RunFolder


def prepare_folders(
    folder: RunFolder,
    config: TrainingConfig,
    resume: bool,
    agreement: Agreement,
    held: contextlib.ExitStack | None = None,
) -> None:
    """Prepares this worker's folder, or refuses on all workers what one of them refuses.

    The folders of the other workers lie in that of worker 0, which must be empty first.

    Args:
        folder: this worker's.
        config: the run's options.
        resume: whether the run is continued.
        agreement: with the other workers.
        held: takes the lock of the folder, see `RunFolder.prepare`. Defaults to none.

    Raises:
        ValueError: as `RunFolder.prepare` does on one of the workers.
        PermissionError: if the folder cannot be written.
    """
    if agreement.workers == 1:
        folder.prepare(config, resume, held)
        return
    worker = agreement.shard.index
    for turn in (worker == 0, worker != 0):
        error = None
        if turn:
            try:
                # Of a run that ended before its first checkpoint some folders may be missing.
                begun = worker == 0 or folder.config.exists()
                folder.prepare(config, resume and begun, held)
            except (ValueError, PermissionError) as refused:
                error = refused
        failed = agreement.gather([error is not None])[:, 0].nonzero()[0]
        if error is not None:
            raise error
        if len(failed):
            raise ValueError(
                f"Worker {failed[0]} cannot use its run folder and says why. "
                f"Received: out={str(folder.path)!r} of worker {worker}"
            )
