"""Locks that one process at a time holds, and that are free again however it ends."""

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # of a module

# The name of a folder's lock in it.
LOCK_FILE = ".lock"
_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class HeldLock(ValueError):
    """Another process, or another thread of this one, holds a lock.

    Args:
        holder: who, as in "process 12 on host (keras-efgsm train), since 2026-01-31 12:00".
    """

    def __init__(self, holder: str):
        super().__init__(f"Held by {holder}")
        self.holder = holder


@contextlib.contextmanager
def lock_file(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock of this name for the block, in which the file says who holds it.

    The system frees it when the process ends, killed even; the file may then lie there and is taken
    over. Where the system has no locks, on Windows or a disk that cannot, nothing is held.

    Args:
        path: the file, in a folder that exists; it is gone afterwards.
        wait: whether to wait for it. Defaults to `False`.

    Raises:
        HeldLock: a `ValueError`, if it is held and `wait` is not set.
        OSError: if the file cannot be written.

    Example:

    ```python
    with lock_file(Path(".lock"), wait=True):
        ...  # nobody else is here
    ```
    """
    with open_locked(path, wait=wait) as file:
        try:
            file.truncate(0)
            file.write(_myself().encode())
            file.flush()
            yield
        finally:
            in_any_case(remove_own, file, path)


@contextlib.contextmanager
def folder_lock(folder: Path, what: str, received: str) -> Iterator[None]:
    """Keeps every other process that asks for it out of a folder, while the block runs.

    Args:
        folder: which exists.
        what: what it is, for the error, such as `"the folder of this run"`.
        received: what was given, for the error, such as `"out='runs/mnist'"`.

    Raises:
        ValueError: if another process is at work in it; the error says which.
        OSError: if the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(lock_file(folder / LOCK_FILE))
        except HeldLock as held:
            raise ValueError(
                f"Another process is at work in {what}: {held.holder}. Wait until it ends, or end "
                f"it; what it has done is there for the next. Received: {received}"
            ) from held
        yield


def has_locks() -> bool:
    """Whether the system has locks, and renames a file that is open."""
    return fcntl is not None


def locks_work(path: Path) -> bool:
    """Whether a lock that is held here would be seen to be.

    Args:
        path: as of `lock_file`, in whose block this is asked.
    """
    try:
        with open_locked(path, wait=False):
            return False
    except HeldLock:
        return True


@contextlib.contextmanager
def open_locked(path: Path, *, wait: bool) -> Iterator[BinaryIO]:
    """Opens a file to write that nobody else has open in this way; made if missing.

    Args:
        path: the file.
        wait: whether to wait for it.

    Raises:
        HeldLock: a `ValueError`, if another has it and `wait` is not set.
        OSError: if it cannot be opened.
    """
    while True:
        # Neither emptied nor asked to be new: it may be another's.
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "wb") as file:
            if not _lock(file, wait):
                raise HeldLock(_holder(file))
            # Who had it before may have renamed or removed it since it was opened here.
            if is_at(file, path):
                yield file
                return


def is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is the one of this name.

    Args:
        file: an open file.
        path: the name.
    """
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def remove_own(file: BinaryIO, path: Path) -> None:
    """Removes a file that is open and locked here, unless another has taken its name.

    Args:
        file: as of `open_locked`.
        path: its name.
    """
    if fcntl is None:
        file.close()  # nothing is removed there while it is open
        path.unlink(missing_ok=True)
    elif is_at(file, path):
        path.unlink(missing_ok=True)


def in_any_case(tidy: Callable[..., object], *arguments: Any) -> None:
    """Calls what brings something in order, and once more if an interrupt came into it.

    Args:
        tidy: called with the arguments; to do it twice is to do it once.
        *arguments: of it.

    Raises:
        BaseException: the interrupt, afterwards.
    """
    try:
        tidy(*arguments)
    except KeyboardInterrupt:
        tidy(*arguments)
        raise


def _lock(file: BinaryIO, wait: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        # Every other error is of a disk that has no locks.
        return error.errno not in _BUSY
    return True


def _myself() -> str:
    program = Path(sys.argv[0] or "python").name
    # A path of the second word is left out: whoever reads it looks for a process.
    words = " ".join([program, *sys.argv[1:2]]) if program == "keras-efgsm" else program
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()} ({words}), since {since}"


def _holder(file: BinaryIO) -> str:
    text = os.pread(file.fileno(), 300, 0).decode(errors="replace")
    # Whoever holds it may be about to write it.
    return "".join(filter(str.isprintable, text)) or "one that began just now"
