"""Files that are there whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def atomic_file(path: str | Path, keep_old_as: str | Path | None = None) -> Iterator[BinaryIO]:
    """Opens a file under a temporary name, which becomes `path` once it is on the disk.

    Whatever ends the block early, a full disk say, leaves the old file as it was.

    Args:
        path: the file to write or replace.
        keep_old_as: where the old file goes, in the same folder; it must be there. Defaults to
            nowhere.

    Example:

    ```python
    with atomic_file("history.csv") as file:
        file.write(b"epoch,loss")
    ```
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep_old_as is not None:
            os.replace(path, keep_old_as)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name and renames it, so that it is never half-written."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _sync_folder(folder: Path) -> None:
    """Puts the new names on the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
