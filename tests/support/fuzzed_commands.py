"""Commands in this process, on files that can be damaged, with what they may take and change."""

import contextlib
import io
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_efgsm.cli import main

MOST_SECONDS = 60  # on a machine with other work; what hangs takes for ever
MOST_MEGABYTES = 1000
_ROOM = 6 * 2**30  # of addresses, so that a fault ends the case and not the machine


class TooLong(BaseException):
    """A case did not end."""


class Ending(NamedTuple):
    """How a command ended.

    Attributes:
        status: its exit status.
        out: what it printed.
        err: what it printed to stderr.
        accepted: whether it came to the work that is left out here.
        megabytes: by how much memory grew in between.
        changes: paths that are new, gone or others.
    """

    status: int
    out: str
    err: str
    accepted: bool
    megabytes: float
    changes: list[str]


class Place:
    """A folder with files for commands, put in order again after each case.

    Args:
        whole: the files as they should be.
        folder: a new folder.
    """

    def __init__(self, whole: Path, folder: Path):
        self.whole, self.path = whole, folder
        shutil.copytree(whole, folder, symlinks=True)
        self._kept = self.seen()
        self.accepted = False

    def seen(self) -> dict[str, Any]:
        """What tells each path from one that was written again."""
        found = {}
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                state = os.lstat(path)
                is_folder = os.path.isdir(path) and not os.path.islink(path)
                # The time of a folder changes with a temporary file in it.
                known = (state.st_ino, state.st_size, state.st_mtime_ns)
                found[os.path.relpath(path, self.path)] = state.st_mode, is_folder or known
        return found

    def restore(self) -> None:
        """Puts back every file."""
        seen = self.seen()
        for name in _differing(self._kept, seen):
            path = self.path / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        for name in sorted(_differing(self._kept, seen)):
            if name in self._kept:
                source, path = self.whole / name, self.path / name
                if source.is_dir():
                    shutil.copytree(source, path, dirs_exist_ok=True)
                else:
                    path.parent.mkdir(exist_ok=True)
                    shutil.copy2(source, path)
        self._kept = self.seen()
        self.accepted = False

    def accept(self, *values: Any, **options: Any) -> None:
        """Stands for work that takes long: the input was taken."""
        self.accepted = True
        raise KeyboardInterrupt("the work")

    def run(self, words: Sequence[str]) -> Ending:
        """Runs a command, and lets what it must never raise through."""
        before = self.seen()
        with bounded() as grown, said() as (out, err), contextlib.chdir(self.path):
            try:
                status = main(list(words))
            except SystemExit as end:
                status = end.code
        changes = _differing(before, self.seen())
        return Ending(status, out(), err(), self.accepted, grown(), changes)


def refused_or_done(ending: Ending) -> None:
    """Checks the promise of every command.

    It ends well, or says in one line what is wrong, with status 2, and has changed nothing.
    """
    lines = ending.err.strip("\n").splitlines()
    said = "\n".join(lines[-20:])[-3000:]
    assert ending.megabytes < MOST_MEGABYTES, f"{ending.megabytes:.0f} MB: {said}"
    if ending.accepted:
        assert ending.status == 130, said
        return
    assert ending.status in (0, 2), f"status {ending.status}: {said}"
    if ending.status == 0:
        return
    assert "Traceback" not in said, said
    # The parser of options says first how a command is used; names of data sets are a list.
    told = [line for line in lines if line.startswith(("keras-efgsm ", "keras-efgsm: "))]
    about = ("usage: ", "  - ", "Accepted are:", "Received: ", " ", "keras-efgsm")
    assert len(told) == 1 and all(line.startswith(about) for line in lines), said
    assert "not enough memory" not in said or "Received: " in said, said
    assert all(line.isprintable() for line in lines), f"not printable: {said!r}"
    # The parser repeats the word that it was given; of a file, nobody wants that.
    assert len(ending.err) < 12_000, f"{len(ending.err)} characters"
    assert ending.changes == [], f"changed {ending.changes}: {said}"


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


@contextlib.contextmanager
def said() -> Iterator[tuple[Callable[[], str], Callable[[], str]]]:
    """Catches what is printed; as in a program, half a character cannot go to stdout."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors=errors, write_through=True)
        for errors in ("strict", "backslashreplace")
    ]

    def reader(stream: io.TextIOWrapper) -> Callable[[], str]:
        return lambda: stream.buffer.getvalue().decode()

    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        yield reader(streams[0]), reader(streams[1])


@contextlib.contextmanager
def bounded() -> Iterator[Callable[[], float]]:
    """Bounds time and memory of a block; returns by how many megabytes it grew at most."""
    # The peak of resident memory begins anew.
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    limit = resource.getrlimit(resource.RLIMIT_AS)
    room = (_memory("VmSize") << 10) + _ROOM
    handler = signal.signal(signal.SIGALRM, _raise_too_long)
    resource.setrlimit(resource.RLIMIT_AS, (room, limit[1]))
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield lambda: (_memory("VmHWM") - before) / 1024
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limit)


def _raise_too_long(number: int, frame: Any) -> None:
    raise TooLong(f"no end within {MOST_SECONDS} s")


def _memory(name: str) -> int:
    """A figure of /proc in kilobytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)
