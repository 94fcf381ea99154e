"""What comes back from the machine: few files, each small, and whole at every moment.

Everything but weights is in `results.zip`, which is written anew whenever something is added; of
weights there are parts. So whatever ends the command, what was there before is there.
"""

import io
import json
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accelerator import weights
from keras_efgsm.atomic_file import write_atomically

RESULTS = "results.zip"
MOST_FILES = 8
MOST_BYTES = 16 << 20
MOST_TOGETHER = 60 << 20
# Of arrays in a part of weights; what a zip adds is far less than the rest.
_PART = 15 << 20


class Outbox:
    """The folder that comes back; at most eight files below 16 MiB, 60 MiB in all.

    Args:
        folder: is made if it is not there.

    Raises:
        ValueError: if there are files in it.

    Example:

    ```python
    outbox = Outbox(Path("out"))
    outbox.put("seed0/metrics.json", {"natural_accuracy": 0.8})
    ```
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        there = [path.name for path in folder.iterdir()]
        if there:
            raise ValueError(f"`--out` must be an empty folder. Received: it holds {sorted(there)}")
        self.entries: dict[str, bytes] = {}
        # The watch that ends a late command writes as well.
        self._lock = threading.RLock()

    def put(self, name: str, content: bytes | str | dict | list) -> None:
        """Adds an entry to `results.zip`, or replaces it.

        Args:
            name: its path in there.
            content: bytes, text, or what becomes JSON.

        Raises:
            ValueError: if it would be too large to come back.
        """
        if isinstance(content, (dict, list)):
            content = json.dumps(content, indent=2, allow_nan=False) + "\n"
        if isinstance(content, str):
            content = content.encode()
        with self._lock:
            entries = {**self.entries, name: content}
            self._write({RESULTS: _zip(entries)})
            self.entries = entries

    def put_weights(self, name: str, stored: Sequence[np.ndarray]) -> list[str]:
        """Writes weights in as many parts as they need.

        Args:
            name: what the parts are called by.
            stored: the weights, see `weights.rounded`.

        Returns:
            The names of the files.

        Raises:
            ValueError: if there is no room for them; nothing was written then.
        """
        parts = weights.split(stored, _PART)
        files = {
            f"{name}.{number}-of-{len(parts)}.npz": part for number, part in enumerate(parts, 1)
        }
        with self._lock:
            self._write(files)
        return list(files)

    def path(self, name: str) -> Path:
        """Where someone else may write one more file, if there is room for it.

        Args:
            name: of the file.

        Raises:
            ValueError: if there is none.
        """
        self._check({name: 0})
        return self.folder / name

    def sizes(self) -> dict[str, int]:
        """Bytes of the files that would come back now."""
        return {path.name: path.stat().st_size for path in sorted(self.folder.iterdir())}

    def _write(self, files: dict[str, bytes]) -> None:
        self._check({name: len(content) for name, content in files.items()})
        for name, content in files.items():
            write_atomically(self.folder / name, content)

    def _check(self, more: dict[str, int]) -> None:
        sizes = {**self.sizes(), **more}
        # Results are always let in.
        files = len(sizes | {RESULTS: 0})
        if (
            files > MOST_FILES
            or max(sizes.values()) >= MOST_BYTES
            or sum(sizes.values()) >= MOST_TOGETHER
        ):
            raise ValueError(
                f"At most {MOST_FILES} files below {MOST_BYTES:,} bytes come back, "
                f"{MOST_TOGETHER:,} bytes together. Received: {files} files, sizes={sizes}"
            )


class Returned:
    """What came back.

    Args:
        folder: that of an `Outbox`, as it was copied.

    Attributes:
        entries: content of each entry of `results.zip`, by its path.

    Raises:
        ValueError: if there is no readable `results.zip`.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            with zipfile.ZipFile(folder / RESULTS) as archive:
                self.entries = {name: archive.read(name) for name in archive.namelist()}
        except (OSError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"The folder must hold a readable {RESULTS} ({error}). "
                f"Received: folder={str(folder)!r}"
            ) from error

    def json(self, name: str) -> Any:
        """An entry that is JSON; None if there is none of that name."""
        return json.loads(self.entries[name]) if name in self.entries else None

    def weights(self, name: str) -> list[np.ndarray] | None:
        """Weights as they were stored; None if there are none of that name.

        Args:
            name: what the parts are called by; `NAME/weights.json` has their files and SHA-256.

        Raises:
            ValueError: if a part is missing or they are not those that were written.
        """
        known = self.json(f"{name}/weights.json")
        if known is None:
            return None
        missing = [file for file in known["files"] if not (self.folder / file).is_file()]
        if missing:
            raise ValueError(f"All parts of the weights must be there. Received: missing={missing}")
        stored = weights.join([(self.folder / file).read_bytes() for file in known["files"]])
        if weights.digest(stored) != known["sha256"]:
            raise ValueError(
                f"The weights must be those that were written. Received: {name!r} of another "
                "SHA-256"
            )
        return stored


def _zip(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()
