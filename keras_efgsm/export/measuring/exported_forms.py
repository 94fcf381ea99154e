"""The forms of one exported version: which there are, where they lie, how large they are."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from keras_efgsm.evaluation.models import SAVED_MODEL_FILE
from keras_efgsm.export.forms import FORMS, SAVED_MODEL, file_name

# What follows `NAME-N` in the name of each form that is a file.
_ENDINGS = {f: file_name(f, "", 0).removeprefix("-0") for f in FORMS if f != SAVED_MODEL}
_FILE = re.compile(
    rf"(.+)-(\d+)(?:{'|'.join(map(re.escape, _ENDINGS.values()))})"  # the ending names the form
)
_CARD = re.compile(r"(.+)-(\d+)\.md")


@dataclass(frozen=True)
class Export:
    """One exported version of a model: the folder `TO/N` and the files `TO/NAME-N*`.

    Args:
        name: the model's name.
        version: the integer version N.
        folder: the SavedModel `TO/N`.
        forms: for each form that is there its path, the SavedModel first.

    Example:

    ```python
    find_export("exported_models/mnist/1").forms["tflite"]  # exported_models/mnist/mnist-1.tflite
    ```
    """

    name: str
    version: int
    folder: Path
    forms: dict[str, Path]

    def beside(self, ending: str) -> Path:
        """The path `TO/NAME-N<ending>`."""
        return self.folder.parent / f"{self.name}-{self.version}{ending}"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.beside(".md")

    @property
    def measured(self) -> Path:
        """The figures of `measure_export`."""
        return self.beside(".measured.json")


def find_export(folder: str | os.PathLike) -> Export:
    """Finds the forms of an exported version.

    Args:
        folder: its SavedModel, `TO/N`.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is no SavedModel under an integer, or files of several models of this
            version lie beside it.
    """
    folder = Path(os.path.abspath(folder))
    received = f"Received: path={str(folder)!r}"
    if not folder.exists():
        raise FileNotFoundError(
            f"There is no export here; give the version folder exported_models/NAME/N. {received}"
        )
    if not folder.name.isdecimal() or not (folder / SAVED_MODEL_FILE).is_file():
        raise ValueError(
            "The path must be the version folder of an export, exported_models/NAME/N, with "
            f"`{SAVED_MODEL_FILE}` in it. {received}"
        )
    beside = [entry.name for entry in folder.parent.iterdir()]
    found = [match for name in beside for match in (_FILE.fullmatch(name), _CARD.fullmatch(name))]
    names = {match[1] for match in found if match and match[2] == folder.name}
    if not names or folder.parent.name in names:
        names = {folder.parent.name}
    if len(names) > 1:
        raise ValueError(
            "One model's files must lie beside a version folder. "
            f"{received}, names={', '.join(sorted(names))}"
        )
    export = Export(names.pop(), int(folder.name), folder, {SAVED_MODEL: folder})
    files = {form: export.beside(ending) for form, ending in _ENDINGS.items()}
    export.forms.update({form: path for form, path in files.items() if path.is_file()})
    return export


def find_twin(path: str | os.PathLike) -> Path | None:
    """The SavedModel `N/` beside a file `NAME-N*.tflite` or `NAME-N.onnx`; None if there is none.

    Args:
        path: the file.

    Example:

    ```python
    find_twin("exported_models/mnist/mnist-1.tflite")  # exported_models/mnist/1
    ```
    """
    match = _FILE.fullmatch(Path(path).name)
    folder = Path(path).parent / match[2] if match else None
    return folder if folder is not None and (folder / SAVED_MODEL_FILE).is_file() else None


def size_in_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder.

    Args:
        path: either.
    """
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
