"""The folder of a search: its files, its options and the right to write them."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_efgsm.data import ImageData
from keras_efgsm.file_lock import LOCK_FILE, folder_lock
from keras_efgsm.records import SearchRecord, read_json
from keras_efgsm.records.record import NewerSchemaError
from keras_efgsm.runs.same_data import changes
from keras_efgsm.tuning.search_options import SearchOptions

# What may change from one call to the next: where the data lie, and how many trials there are.
_MAY_CHANGE = ("config.data_dir", "trials")


class SearchFolder:
    """The folder of a search.

    It holds `search.json` with everything the trials depend on, `trials/trial_N` of each trial,
    `trials.json` and `search.png` with all of them, `finalists.json`, the run folder `best`, and
    in `logs` what workers printed.

    Args:
        path: the folder.

    Example:

    ```python
    options = SearchFolder("searches/mnist").read()
    ```
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.search = self.path / "search.json"
        self.trials = self.path / "trials.json"
        self.picture = self.path / "search.png"
        self.finalists = self.path / "finalists.json"
        self.best = self.path / "best"
        self.logs = self.path / "logs"

    def __repr__(self) -> str:
        return f"SearchFolder({str(self.path)!r})"

    def prepare(self, options: SearchOptions) -> bool:
        """Makes the folder, or checks that it holds the same search, and returns which.

        Raises:
            ValueError: if the folder holds something else or another search.
            PermissionError: if it cannot be written.
        """
        received = f"Received: out={str(self.path)!r}"
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"`out` must be a folder, but a file is there. {received}")
        there = self.search.exists()
        if there:
            stored, given = _flat(self.read().to_dict()), _flat(options.to_dict())
            differing = [
                f"{name}: {stored.get(name)!r} there, {given.get(name)!r} now"
                for name in dict.fromkeys((*stored, *given))
                if stored.get(name) != given.get(name) and name not in _MAY_CHANGE
            ]
            if differing:
                raise ValueError(
                    "`out` holds a search with other options; give another folder, or the same "
                    f"options to continue it. They differ in {', '.join(differing)}. {received}"
                )
        elif self.path.exists() and any(p.name != LOCK_FILE for p in self.path.iterdir()):
            raise ValueError(f"`out` must be a new or empty folder, but holds files. {received}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._write(options)
        except OSError as error:
            raise PermissionError(f"`out` must be writable ({error}). {received}") from error
        return there

    def check_data(self, data: Mapping[str, ImageData]) -> None:
        """Checks that trials go on with the images that they were begun with, and notes these.

        Args:
            data: the images by what they are for, `"train"` and `"validation"`.

        Raises:
            ValueError: if they are others; it says in what.
        """
        now = {name: images.record() for name, images in data.items()}
        record = SearchRecord.read(self.search)
        changed = changes(record.data or {}, now)
        if changed:
            raise ValueError(
                f"A search must be continued with the images that it was begun with. Changed: "
                f"{changed}. Put them back as they were, or give another folder. "
                f"Received: out={str(self.path)!r}"
            )
        if record.data is None:
            replace(record, data=now).write(self.search)

    def _write(self, options: SearchOptions) -> None:
        record = SearchRecord.from_dict({"schema": SearchRecord.SCHEMA, **options.to_dict()})
        if self.search.exists():
            record = replace(record, data=SearchRecord.read(self.search).data)
        # Workers of other machines come to the same file.
        if not self.search.exists() or self.search.read_bytes() != record.encode():
            record.write(self.search)

    def read(self) -> SearchOptions:
        """The search's options.

        Raises:
            ValueError: if `search.json` is missing, damaged or of something else.
        """
        try:
            record = SearchRecord.read(self.search)
        except NewerSchemaError:
            raise
        except (OSError, ValueError) as error:
            raise ValueError(
                f"The folder of a search must hold a readable search.json ({error}). "
                f"Received: path={str(self.path)!r}"
            ) from error
        values = record.to_dict()
        del values["schema"]
        values.pop("data", None)
        return SearchOptions.from_dict(values)

    def read_json(self, path: Path) -> Any:
        """A file of the folder; None if it is not there.

        Raises:
            ValueError: if it is damaged.
        """
        try:
            return read_json(path)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second search out of the folder; a kill sets it free.

        Raises:
            ValueError: if one is at work in it.
            PermissionError: if it cannot be written.
        """
        received = f"out={str(self.path)!r}"
        with contextlib.ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock = folder_lock(self.path, "the folder of this search", received)
                stack.enter_context(lock)
            except OSError as error:
                raise PermissionError(
                    f"`out` must be writable ({error}). Received: {received}"
                ) from error
            yield


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
