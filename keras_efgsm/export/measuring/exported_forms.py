"""The forms of one exported version: which there are, where they lie, how large they are."""

import os
from dataclasses import dataclass
from pathlib import Path

from keras_efgsm.export.forms.saved_model import SAVED_MODEL, SAVED_MODEL_FILE
from keras_efgsm.form_table import FORMS, parse_name


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
    def record(self) -> Path:
        """What the card was written from, see `ExportRecord`; earlier versions kept none."""
        return self.beside(".json")

    @property
    def measured(self) -> Path:
        """The figures of `measure_export`."""
        return self.beside(".measured.json")


def find_export(folder: str | os.PathLike[str]) -> Export:
    """Finds the forms of an exported version.

    Args:
        folder: its SavedModel, `TO/N`.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it is not a SavedModel under an integer, or files of several models of this
            version lie beside it.

    Example:

    ```python
    find_export("exported_models/mnist/1").card  # exported_models/mnist/mnist-1.md
    ```
    """
    folder = Path(os.path.abspath(folder))
    received = f"Received: path={str(folder)!r}"
    if not folder.exists():
        raise FileNotFoundError(
            f"There is no export here; give the version folder exported_models/NAME/N. {received}"
        )
    named = parse_name(folder.name)
    if named is None or named.name or not (folder / SAVED_MODEL_FILE).is_file():
        raise ValueError(
            "The path must be the version folder of an export, exported_models/NAME/N, with "
            f"`{SAVED_MODEL_FILE}` in it and N at most 2**63 - 1. {received}"
        )
    version = named.version
    beside = [parse_name(entry.name) for entry in folder.parent.iterdir()]
    names = {file.name for file in beside if file and file.name and file.version == version}
    if not names or folder.parent.name in names:
        names = {folder.parent.name}
    if len(names) > 1:
        raise ValueError(
            "One model's files must lie beside a version folder. "
            f"{received}, names={', '.join(sorted(names))}"
        )
    export = Export(names.pop(), version, folder, {SAVED_MODEL: folder})
    files = {name: export.beside(form.ending) for name, form in FORMS.items() if form.ending}
    export.forms.update({name: path for name, path in files.items() if path.is_file()})
    return export


def find_twin(path: str | os.PathLike[str]) -> Path | None:
    """The SavedModel `N/` beside a file `NAME-N*` of another form; None if there is none.

    Args:
        path: the file.

    Example:

    ```python
    find_twin("exported_models/mnist/mnist-1.tflite")  # exported_models/mnist/1
    ```
    """
    file = parse_name(Path(path).name)
    if file is None or not file.name or file.form is None:
        return None
    folder = Path(path).parent / str(file.version)
    return folder if (folder / SAVED_MODEL_FILE).is_file() else None
