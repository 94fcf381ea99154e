"""Numbered versions in a model's folder: claimed, built out of sight, published as a whole."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from keras_efgsm.form import MAX_VERSION, parse_name


@contextmanager
def next_version(to: Path) -> Iterator[tuple[int, Path]]:
    """Claims the next free version and a hidden folder for it, which is removed in the end.

    Args:
        to: the model's folder; made if missing, and removed again if the export fails.

    Raises:
        ValueError: if it cannot be written.
    """
    made = [folder for folder in (to, *to.parents) if not folder.exists()]
    try:
        to.mkdir(parents=True, exist_ok=True)
        version, partial = _claim(to)
    except OSError as error:
        _remove_empty(made)
        raise ValueError(
            f"`to` must be a folder that can be written ({error.strerror or error}). "
            f"Received: to={str(to)!r}"
        ) from error
    try:
        yield version, partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_empty(made)
        raise
    shutil.rmtree(partial, ignore_errors=True)


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
        targets: for each source its target, which must not exist.

    Raises:
        FileExistsError: if a target appeared meanwhile.
    """
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
            shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
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
