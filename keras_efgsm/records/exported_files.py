"""The files of an export on disk: their sizes and digests."""

import hashlib
from pathlib import Path

from keras_efgsm.form import form_of


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
    return {
        file.relative_to(path.parent).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(_all_files(path))
    }


def _all_files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    form = form_of(path)
    files = form.files(path) if form is not None else (path,)
    return [file for file in files if file.is_file()]
