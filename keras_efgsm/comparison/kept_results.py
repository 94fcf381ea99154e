"""Results of the models that are finished, kept beside the figures until the comparison is."""

import json
import os
from pathlib import Path
from typing import Any

from keras_efgsm.records import ComparedPart, ComparisonStateRecord


class KeptResults:
    """The finished models of a comparison on disk, so that it goes on where it was interrupted.

    Args:
        path: the JSON file. None keeps nothing.
        settings: everything that decides an outcome but the model, as values that JSON can hold: a
            file that was written under others is refused.

    Raises:
        ValueError: if the file is damaged or of another comparison; it stays as it is.
        OSError: if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str] | None, settings: dict[str, Any]):
        self.path = None if path is None else Path(path)
        self._settings = json.loads(json.dumps(settings, default=str))
        self._models: list[ComparedPart] = []
        if self.path is not None and os.path.lexists(self.path):
            self._read(self.path)

    def find(self, digest: str, access: str) -> ComparedPart | None:
        """The result of a model, if it is finished.

        Args:
            digest: of the model.
            access: what attacks know of it.
        """
        wanted = (digest, access)
        return next((m for m in self._models if (m.digest, m.access) == wanted), None)

    def keep(self, model: ComparedPart) -> None:
        """Writes down a finished model, and removes what its evaluation would go on from.

        Raises:
            OSError: if it cannot be written.
        """
        if self.path is None:
            return
        self._models.append(model)
        ComparisonStateRecord(settings=self._settings, models=tuple(self._models)).write(self.path)
        at_work = self.at_work(model.digest)
        assert at_work is not None  # as there is a path
        at_work.unlink(missing_ok=True)

    def at_work(self, digest: str) -> Path | None:
        """Where the evaluation of a model keeps its state; None if nothing is kept.

        Args:
            digest: of the model.
        """
        return None if self.path is None else self.path.with_suffix(f".{digest[:12]}.npz")

    def _read(self, path: Path) -> None:
        received = f"Received: state={str(path)!r}"
        try:
            record = ComparisonStateRecord.read(path)
        except ValueError as error:
            raise ValueError(
                "The results of an interrupted comparison must be readable; remove them to start "
                f"from the beginning ({error}). {received}"
            ) from error
        names = sorted(self._settings.keys() | record.settings.keys())
        differing = [n for n in names if self._settings.get(n) != record.settings.get(n)]
        if differing:
            raise ValueError(
                "The results are those of an interrupted comparison that is not this one; continue "
                "it as it was begun, give this one another file, or remove them. They differ in: "
                f"{', '.join(differing)}. {received}"
            )
        self._models = list(record.models)
