"""Files that are there whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from keras_efgsm.file_lock import has_locks, in_any_case, open_locked, remove_own


@contextlib.contextmanager
def atomic_file(path: str | Path, keep_old_as: str | Path | None = None) -> Iterator[BinaryIO]:
    """Opens a file under a temporary name, which becomes `path` once it is on the disk.

    Whatever ends the block early, a full disk say, leaves the old file as it was. Two processes
    that write the same file do it one after the other. What a kill left under the temporary name is
    taken over by the next that writes the file.

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
    with open_locked(partial, wait=True) as file:
        try:
            file.truncate(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not has_locks():
                file.close()  # an open file cannot be renamed there
            if keep_old_as is not None:
                os.replace(path, keep_old_as)
            os.replace(partial, path)
        except BaseException:
            in_any_case(remove_own, file, partial)
            raise
    _sync_folder(path.parent)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name and renames it, so that it is never half-written."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def copy_atomically(source: str | os.PathLike[str], path: Path) -> None:
    """Copies the content of a file, so that the copy is never half-written."""
    with open(source, "rb") as file, atomic_file(path) as copy:
        while block := file.read(2**20):
            copy.write(block)


def try_to_write(path: str | os.PathLike[str], name: str) -> None:
    """Checks that a file can be written, before the work whose result it takes.

    It writes another one beside it for a moment, as no question to the system tells for sure.

    Args:
        path: the file, which may be there already.
        name: what the caller calls it, for the error.

    Raises:
        ValueError: if it is a folder, or lies in none.
        PermissionError: if it cannot be written.

    Example:

    ```python
    try_to_write("evaluation.json", "json")
    ```
    """
    path = Path(path)
    received = f"Received: {name}={str(path)!r}"
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"`{name}` must be a file in a folder that exists. {received}")
    try:
        _try_folder(path.absolute().parent)
    except OSError as error:
        raise PermissionError(
            f"`{name}` must be a file that can be written ({error.strerror or error}). {received}"
        ) from error


def try_to_make(folder: str | os.PathLike[str], name: str) -> None:
    """Checks that a folder is there or can be made, and files in it, and makes nothing.

    Args:
        folder: the folder.
        name: what the caller calls it, for the error.

    Raises:
        PermissionError: if a file is in the way, or nothing can be written.
    """
    folder = Path(folder)
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    try:
        _try_folder(there)
    except OSError as error:
        raise PermissionError(
            f"`{name}` must be writable ({error.strerror or error}). "
            f"Received: {name}={str(folder)!r}"
        ) from error


def _try_folder(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"a byte, which a full disk has no room for")
        file.flush()


def _sync_folder(folder: Path) -> None:
    """Puts the new names on the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
