"""Numbered versions in a model's folder: claimed, built out of sight, published as a whole."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.file_lock import LOCK_FILE, HeldLock, in_any_case, lock_file, locks_work
from keras_efgsm.form_table import MAX_VERSION, parse_name

# In a hidden folder: what is about to be renamed out of it.
_PUBLISHING = ".publishing"


@contextmanager
def next_version(to: Path) -> Iterator[tuple[int, Path]]:
    """Claims the next free version and a hidden folder for it, which is removed in the end.

    Exports of several processes into one folder get versions of their own. What a killed one left,
    in its hidden folder or published in part, is removed first.

    Args:
        to: the model's folder; made if missing, and removed again if the export fails.

    Raises:
        ValueError: if it cannot be written.
    """
    made = [folder for folder in (to, *to.parents) if not folder.exists()]
    with contextlib.ExitStack() as claim:
        try:
            to.mkdir(parents=True, exist_ok=True)
            # For a moment: the next export waits until the hidden folder has its lock.
            with lock_file(to / LOCK_FILE, wait=True):
                if locks_work(to / LOCK_FILE):
                    _remove_stale(to)
                version, partial = _claim(to)
                claim.callback(in_any_case, _remove_all, partial)
                claim.enter_context(lock_file(partial / LOCK_FILE))
        except OSError as error:
            claim.close()
            _remove_empty(made)
            raise ValueError(
                f"`to` must be a folder that can be written ({error.strerror or error}). "
                f"Received: to={str(to)!r}"
            ) from error
        try:
            yield version, partial
        except BaseException:
            claim.close()
            _remove_empty(made)
            raise


def _remove_stale(to: Path) -> None:
    """Removes what exports left that were killed: their locks are free."""
    for partial in to.glob(".*.partial"):
        if not re.fullmatch(r"\.[0-9]+\.partial", partial.name) or not partial.is_dir():
            continue
        # One that just ends frees the lock first, and may have removed its folder meanwhile.
        with contextlib.suppress(HeldLock, FileNotFoundError), lock_file(partial / LOCK_FILE):
            _take_back(partial, to)
            _remove_all(partial)


def _take_back(partial: Path, to: Path) -> None:
    """Removes what was published of a version, unless all of it was."""
    try:
        names = json.loads((partial / _PUBLISHING).read_bytes())
    except (OSError, ValueError, RecursionError):
        return  # it was not yet about to be published
    # Nothing but files of this version, whatever is written there.
    known = {name: parse_name(name) for name in map(str, names if isinstance(names, list) else [])}
    own = [n for n, file in known.items() if file and f".{file.version}.partial" == partial.name]
    left = [name for name in own if os.path.lexists(partial / name)]
    for name in set(own) - set(left) if left else ():
        if "/" not in name:
            _remove(to / name)


def _remove_all(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _claim(to: Path) -> tuple[int, Path]:
    version = max(_taken(to), default=0) + 1
    if version > MAX_VERSION:
        raise ValueError(
            "`to` must leave a number for a new version, and versions end at 2**63 - 1, as those "
            f"of TensorFlow Serving. Received: to={str(to)!r} with version {version - 1}"
        )
    while True:
        partial = to / f".{version}.partial"
        try:
            # `mkdir` is the one step that only one of two exports can win.
            partial.mkdir()
        except FileExistsError:
            version += 1
            continue
        # Whoever held the claim before may have published between our look and our `mkdir`.
        if version not in _taken(to):
            return version, partial
        partial.rmdir()
        version += 1


def _taken(to: Path) -> set[int]:
    found = [parse_name(entry.name) for entry in to.iterdir()]
    return {file.version for file in found if file is not None}


def publish(targets: Mapping[Path, Path]) -> None:
    """Renames files and folders to their targets, in order, or leaves none of them there.

    Args:
        targets: for each source, all in one folder, its target, which must not exist.

    Raises:
        FileExistsError: if a target appeared meanwhile.
    """
    folder = next(iter(targets)).parent
    # A kill between the renames is seen by the next export, see `_take_back`.
    write_atomically(folder / _PUBLISHING, json.dumps([source.name for source in targets]))
    published: list[Path] = []
    try:
        for source, target in targets.items():
            # Only a stranger can have made it since the claim; a file would be replaced silently.
            if os.path.lexists(target):
                raise FileExistsError(f"`{target.name}` appeared while it was exported")
            os.rename(source, target)
            published.append(target)
    except BaseException:
        for target in published:
            _remove(target)
        raise


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def check_name(name: str) -> str:
    """Returns `name` if a model can be called so.

    Raises:
        ValueError: otherwise.
    """
    # It becomes part of file names, of a URL path in TensorFlow Serving, and of shell lines.
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(
            "`name` must consist of letters, digits, `.`, `_` and `-`, and start with a letter or "
            f"digit. Received: name={name!r}"
        )
    return name
