"""The files of an export on disk: their sizes, their digests, and whether they are as exported."""

import hashlib
from pathlib import Path

from keras_efgsm.form_table import form_of, parse_name
from keras_efgsm.records.export import ExportRecord


def size_in_bytes(path: Path) -> int:
    """Size of a file with its companions, or of all files in a folder.

    Args:
        path: either.

    Example:

    ```python
    size_in_bytes(Path("exported_models/mnist/1"))
    ```
    """
    return sum(file.stat().st_size for file in _all_files(path))


def digests(path: Path) -> dict[str, str]:
    """SHA-256 of each file of a form, by its path relative to the card.

    Args:
        path: the file or folder.
    """
    found = {}
    for file in sorted(_all_files(path)):
        with open(file, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        found[file.relative_to(path.parent).as_posix()] = digest
    return found


def check_exported_files(path: Path) -> None:
    """Refuses a file or folder of an export that is not as it was exported.

    The digests are those of its record `NAME-N.json`. They tell a damaged file from a whole one;
    whoever can write the files can write the record as well, so they are no proof of origin. What
    is not part of an export, or of one without digests, goes through.

    Args:
        path: the version folder `N` or a file `NAME-N*`.

    Raises:
        ValueError: if a file was changed, is missing, or was added, or the record is damaged.
        OSError: if one cannot be read.

    Example:

    ```python
    check_exported_files(Path("exported_models/mnist/mnist-1.onnx"))
    ```
    """
    found: dict[str, str] | None = None
    for file in _records(path):
        if not file.exists():
            continue
        record = ExportRecord.read(file)
        entry = next((each for each in record.files if each.file == path.name), None)
        if entry is None:
            raise ValueError(
                f"A file of an export must be one that was exported, and {file.name} has none of "
                "this name: it was added later. Move it elsewhere, or export again. "
                f"Received: path={str(path)!r}"
            )
        if not entry.sha256:
            continue
        found = digests(path) if found is None else found
        wrong = [
            f"{name} {'is missing' if name not in found else 'was changed'}"
            for name, digest in entry.sha256.items()
            if found.get(name) != digest
        ] + [f"{name} was added" for name in found if name not in entry.sha256]
        if wrong:
            raise ValueError(
                f"The files of an export must be those whose SHA-256 {file.name} holds, but "
                f"{', '.join(wrong[:3])}{', ...' if wrong[3:] else ''}. Export again or put back a "
                f"copy. Received: path={str(path)!r}"
            )


def without_digests(path: Path) -> str | None:
    """Returns a sentence on an export whose files cannot be checked; None where they can.

    Args:
        path: as for `check_exported_files`.
    """
    for file in _records(path):
        if not file.exists():
            return (
                f"{path} was exported without digests: whether it is as it was exported is "
                "not known; a new export has them"
            )
    return None


def _records(path: Path) -> list[Path]:
    """Where the records of an export lie: beside each card of its version, which says its name."""
    found = parse_name(path.name)
    if found is None or not path.parent.is_dir():
        return []
    if found.name:
        return [_beside(path, found.name)] if _beside(path, found.name, ".md").is_file() else []
    cards = [parse_name(file.name) for file in path.parent.glob(f"*-{found.version}.md")]
    names = {card.name for card in cards if card is not None and card.version == found.version}
    # As `find_export` does: what is called as the folder goes first.
    own = Path(path.absolute().parent).name
    return [_beside(path, name) for name in ([own] if own in names else sorted(names))]


def _beside(path: Path, name: str, ending: str = ".json") -> Path:
    version = parse_name(path.name)
    assert version is not None  # as its caller has seen
    return path.with_name(f"{name}-{version.version}{ending}")


def _all_files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    form = form_of(path)
    files = form.files(path) if form is not None else (path,)
    return [file for file in files if file.is_file()]
