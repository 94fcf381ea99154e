"""The record of an export, `NAME-N.json`: its contract, its files and how alike they answer.

The model card is written from it, and again from it once the files were measured. An application
finds in it what images the model takes and what its answers mean.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.form import Contract, form_of

SCHEMA = 1
_RESIZING = "antialiased bilinear interpolation"


@dataclass(frozen=True)
class Agreement:
    """How alike a file and the classifier it was made of answer.

    Args:
        difference: largest difference of logits, divided by the largest logit
            where that is above 1, as float32 has 7 digits.
        same_class: share of images, in [0, 1], that both give the same class.
        num_images: how many images were compared.
        on: `"representative"` or `"random"` images.
    """

    difference: float
    same_class: float
    num_images: int
    on: str


@dataclass(frozen=True)
class FileRecord:
    """One form of an export, with its text on the card.

    Args:
        form: its name in `FORMS`.
        file: name of its file or folder.
        size: in bytes, its companions included; None if it was not there.
        sha256: for each of its files, relative to the card, its digest.
        what: the kind of file.
        takes: its input.
        answers: its output.
        notes: Markdown paragraphs on it.
    """

    form: str
    file: str
    size: int | None
    sha256: dict[str, str]
    what: str
    takes: str
    answers: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportRecord:
    """The facts of an exported version at the time of its export.

    Args:
        name: the model's name.
        version: its integer version.
        contract: what it is asked and answers.
        files: one entry for each form that was written.
        agreements: for each form how alike it and Keras in float32 answer.
        loading: Markdown with the code that loads each file.
        limits: sentences on what the files do not do.
        figures: the JSON of `keras-efgsm evaluate`; None if it was not evaluated.
        config: the training configuration.
        command: the command that makes the export again.
        versions: those of the packages that wrote it.
        card_sha256: digest of the card as it was last written, by which one
            that was edited by hand is known.

    Example:

    ```python
    ExportRecord.read("exported_models/mnist/mnist-1.json").contract.class_names
    ```
    """

    name: str
    version: int
    contract: Contract
    files: tuple[FileRecord, ...] = ()
    agreements: dict[str, Agreement] = field(default_factory=dict)
    loading: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    figures: dict[str, Any] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    card_sha256: str | None = None

    def with_card(self, text: str) -> "ExportRecord":
        """The record beside this card.

        Args:
            text: of the card.
        """
        return replace(self, card_sha256=_digest(text.encode()))

    def describes(self, text: str) -> bool:
        """Whether a card is as it was last written.

        Args:
            text: of the card.
        """
        return self.card_sha256 == _digest(text.encode())

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the file, whole or not at all.

        Args:
            path: `NAME-N.json`.
        """
        height, width, channels = self.contract.image_shape
        contract = {
            "image_size": [height, width],
            "channels": channels,
            "pixels": "[0, 1]",
            "resizing": _RESIZING if self.contract.resizes else None,
            "class_names": list(self.contract.class_names),
        }
        fields = {k: v for k, v in asdict(self).items() if k != "contract"}
        content = {"schema": SCHEMA, "contract": contract} | fields
        text = json.dumps(content, indent=2, allow_nan=False, default=str, ensure_ascii=False)
        write_atomically(Path(path), text + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "ExportRecord":
        """Reads what `write` wrote.

        Args:
            path: `NAME-N.json`.

        Raises:
            ValueError: if it is damaged or of another schema.
            OSError: if it cannot be read.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content.pop("schema") != SCHEMA:
                raise ValueError(f"a schema other than {SCHEMA}")
            return cls(
                **content
                | {
                    "contract": _contract(content["contract"]),
                    "files": tuple(
                        FileRecord(**entry | {"notes": tuple(entry["notes"])})
                        for entry in content["files"]
                    ),
                    "agreements": {k: Agreement(**v) for k, v in content["agreements"].items()},
                    "loading": tuple(content["loading"]),
                    "limits": tuple(content["limits"]),
                }
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                "The record of an export must be readable; export again, or remove it to go on "
                f"without ({type(error).__name__}: {error}). Received: path={str(path)!r}"
            ) from error


def _contract(values: Mapping[str, Any]) -> Contract:
    height, width = values["image_size"]
    return Contract(
        image_shape=(int(height), int(width), int(values["channels"])),
        class_names=tuple(values["class_names"]),
        resizes=values["resizing"] is not None,
    )


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
        file.relative_to(path.parent).as_posix(): _digest(file.read_bytes())
        for file in sorted(_all_files(path))
    }


def _all_files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    form = form_of(path)
    files = form.files(path) if form is not None else (path,)
    return [file for file in files if file.is_file()]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
