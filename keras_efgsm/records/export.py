"""`NAME-N.json`: the record of an export, from which its model card is written.

An application finds in it what images the model takes and what its answers mean.
"""

import hashlib
import os
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from keras_efgsm.form import Contract
from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Part, Share
from keras_efgsm.records.record import Record

_RESIZING = "antialiased bilinear interpolation"


@dataclass(frozen=True, kw_only=True)
class ContractRecord(Part):
    """What an export is asked and answers.

    Args:
        image_size: height and width of one image.
        channels: of one image.
        pixels: their range.
        resizing: how `serving_bytes` brings files of another size to this one; None if it refuses
            them.
        class_names: one label per logit, in the order of the logits.
    """

    image_size: tuple[Count, ...]
    channels: Count
    pixels: str = "[0, 1]"
    resizing: str | None
    class_names: tuple[str, ...]

    def check(self) -> None:
        """Checks that the size is height and width."""
        if len(self.image_size) != 2:
            raise RecordError(
                "it must have an image_size of height and width", f"image_size={self.image_size}"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of one image."""
        height, width = self.image_size
        return height, width, self.channels

    @property
    def resizes(self) -> bool:
        """Whether `serving_bytes` resizes image files."""
        return self.resizing is not None

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """The record of a contract.

        Args:
            contract: of the export.
        """
        return cls(
            image_size=contract.image_shape[:2],
            channels=contract.image_shape[2],
            resizing=_RESIZING if contract.resizes else None,
            class_names=contract.class_names,
        )


@dataclass(frozen=True)
class Agreement(Part):
    """How alike a file and the classifier it was made of answer.

    Args:
        difference: largest difference of logits, divided by the largest logit
            where that is above 1, as float32 has 7 digits.
        same_class: share of images, in [0, 1], that both give the same class.
        num_images: how many images were compared.
        on: `"representative"` or `"random"` images.
    """

    difference: float
    same_class: Share
    num_images: Count
    on: str


@dataclass(frozen=True, kw_only=True)
class FileRecord(Part):
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
    size: Count | None
    sha256: dict[str, str]
    what: str
    takes: str
    answers: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExportRecord(Record):
    """The facts of an exported version at the time of its export.

    Args:
        contract: what it is asked and answers.
        name: the model's name.
        version: its integer version.
        files: one entry for each form that was written.
        agreements: for each form how alike it and Keras in float32 answer.
        loading: Markdown with the code that loads each file.
        limits: sentences on what the files do not do.
        figures: the JSON of `keras-efgsm evaluate`; None if it was not evaluated.
        config: the training configuration.
        command: the command that makes the export again.
        versions: those of the packages that wrote it.
        failed: for each form that the classifier cannot have the reason; None if there is none.
        license: identifier of the model's licence, as model hubs know it; None if none was said.
        card_sha256: digest of the card as it was last written, by which one
            that was edited by hand is known.

    Example:

    ```python
    ExportRecord.read("exported_models/mnist/mnist-1.json").contract.class_names
    ```
    """

    NAME: ClassVar[str] = "The record of an export"
    # Labels can be read as they are.
    ASCII: ClassVar[bool] = False
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"failed", "license"})

    contract: ContractRecord
    name: str
    version: Count
    files: tuple[FileRecord, ...] = ()
    agreements: dict[str, Agreement] = field(default_factory=dict)
    loading: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    figures: dict[str, Any] | None = None
    config: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] | None = None
    license: str | None = None
    card_sha256: str | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        try:
            return super().read(path)
        except RecordError as error:
            raise type(error)(
                "The record of an export must be readable; export again, or remove it to go on "
                f"without ({error.reason})",
                f"path={os.fspath(path)!r}",
            ) from error

    def check(self) -> None:
        """Checks that the figures are those of an evaluation."""
        if self.figures is not None:
            EvaluationRecord.from_dict(self.figures, "figures")

    def with_card(self, text: str) -> Self:
        """The record beside this card.

        Args:
            text: of the card.
        """
        return replace(self, card_sha256=_digest(text))

    def describes(self, text: str) -> bool:
        """Whether a card is as it was last written.

        Args:
            text: of the card.
        """
        return self.card_sha256 == _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
