"""The interface of the forms of an exported classifier, see `keras_efgsm.form_table`."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from keras_efgsm.typing import Tensor

if TYPE_CHECKING:
    import keras
    import numpy as np


class ExportError(RuntimeError):
    """The error for a written file that is not the given classifier; the file is not kept."""


@dataclass(frozen=True)
class Contract:
    """The input and the output of an exported classifier.

    Args:
        image_shape: `(height, width, channels)` of one image, pixels in [0, 1].
        class_names: one label per logit, in the order of the logits.
        resizes: whether `serving_bytes` brings image files of another size to
            this one. Defaults to `False`: it refuses them.
    """

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    resizes: bool = False

    @property
    def num_classes(self) -> int:
        """The number K of logits."""
        return len(self.class_names)

    @property
    def batch(self) -> str:
        """The shape of a batch of images, in words."""
        return f"(batch, {', '.join(map(str, self.image_shape))})"

    @property
    def answer(self) -> str:
        """The shape of a batch of logits, in words."""
        return f"(batch, {self.num_classes})"


@dataclass(frozen=True)
class Given:
    """The arguments that a form is written with, besides the classifier.

    Args:
        contract: the shape of what goes in and comes out.
        name: the model's name.
        representative_images: float32 `(n, H, W, C)` in [0, 1], or none.
        options: those of the form, see `Form.options`.
    """

    contract: Contract
    name: str
    representative_images: "np.ndarray | None" = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """The text of a model card on one file.

    Args:
        what: the kind of file.
        takes: its input.
        answers: its output.
        notes: Markdown paragraphs on it, below the table of files.
    """

    what: str
    takes: str
    answers: str
    notes: tuple[str, ...] = ()


class Runner(ABC):
    """A loaded file that answers images with logits.

    Attributes:
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits.
        differentiable: whether a gradient goes through `logits_fn`.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    differentiable: bool = False

    @abstractmethod
    def logits(self, images: "np.ndarray") -> "np.ndarray":
        """Float32 logits `(B, K)`.

        Args:
            images: float32 `(B, H, W, C)` in [0, 1].
        """

    def logits_fn(self, images: Tensor) -> Tensor:
        """The same of tensors, in a graph as well; no gradient goes through it.

        Args:
            images: float32 `(B, H, W, C)` in [0, 1].
        """
        from keras_efgsm.backend import call_on_host

        return call_on_host(self.logits, images, self.num_classes)


class Form(ABC):
    """A form of an exported classifier: how it is called, written, run and described.

    A new form is a subclass and one `register_form`: the export, its card, `load_classifier`,
    `keras-efgsm evaluate` and `keras-efgsm measure` know it from then on.

    Attributes:
        name: what it is asked for by, such as `"onnx"`.
        ending: what follows `NAME-N` in the name of its file; `""` for a form
            that is the folder `N`.
        companions: endings of further files that belong to it, written beside
            the first. Defaults to none.
        what: the kind of file in a few words, for the card.
        packages: modules that writing and running it needs. Defaults to none.
        extra: the optional dependency of this library that installs these.
        runtimes: distributions whose versions decide what it answers.
        tolerance: largest difference of its logits from those of Keras,
            divided by the largest logit where that is above 1. Defaults to
            1e-4; infinity for a form of integers, which has no such bound.
        needs_images: whether it cannot be written without representative
            images. Defaults to `False`.
        compared_on_images: whether it is compared with Keras on these, where
            there are some, and not on random images. Defaults to `False`.
        family: forms of one family are loaded by the same code, shown once on
            a card. Defaults to the name.
        limits: sentences on what it does not do, for the card.
        options: its options in `export_classifier` with their defaults.

    Example:

    ```python
    from keras_efgsm.export import register_form


    class Weights(Form):
        name, ending, what = "weights", ".npz", "weights of a linear classifier"

        def write(self, classifier, path, given):
            kernel, bias = classifier.get_weights()
            np.savez(path, kernel=kernel, bias=bias, shape=given.contract.image_shape)

        def load(self, path):
            return LinearRunner(**np.load(path))

        def loading(self, file, contract, name):
            return f"With NumPy: `np.load('{file}')`."


    register_form(Weights())
    ```
    """

    name: str
    ending: str
    what: str
    companions: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str | None = None
    runtimes: tuple[str, ...] = ()
    tolerance: float = 1e-4
    needs_images: bool = False
    compared_on_images: bool = False
    family: str | None = None
    limits: tuple[str, ...] = ()
    options: ClassVar[Mapping[str, Any]] = {}

    # Writing and running.

    @abstractmethod
    def write(self, classifier: "keras.Model", path: Path, given: Given) -> None:
        """Writes the classifier.

        Args:
            classifier: float32, images `(B, H, W, C)` in [0, 1] to logits `(B, K)`.
            path: the file or folder, which does not exist yet.
            given: what else there is to write it with.

        Raises:
            ExportError: if the classifier has no such form.
        """

    @abstractmethod
    def load(self, path: Path) -> Runner:
        """Loads a file or folder of this form.

        Args:
            path: where it lies.

        Raises:
            ImportError: if a package is missing.
            ValueError: if it cannot be read, or is not a classifier of images.
        """

    def load_output(self, path: Path, output: str) -> Runner:
        """Loads it to answer with one of several outputs.

        Args:
            path: where it lies.
            output: the name of the output.

        Raises:
            ImportError: if a package is missing.
            ValueError: if it cannot be read, has no such output, or a file of this form has one.
        """
        raise ValueError(
            "`output_name` (`--output-name`) is for Keras models and SavedModels; a file of the "
            f"form {self.name} must have one output. Received: path={str(path)!r}, "
            f"output_name={output!r}"
        )

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Checks the values of `options` before anything is written.

        Raises:
            ValueError: if one cannot be used.
        """
        del options

    # Names.

    def file_name(self, name: str, version: int) -> str:
        """What the file, or the folder, of a version is called.

        Args:
            name: the model's name.
            version: its integer version.

        Example:

        ```python
        from keras_efgsm.export import FORMS

        FORMS["tflite-int8"].file_name("mnist", 3)  # "mnist-3-int8.tflite"
        ```
        """
        return f"{name}-{version}{self.ending}" if self.ending else str(version)

    def files(self, path: Path) -> tuple[Path, ...]:
        """Everything that belongs to it: the file or folder, and its companions.

        Args:
            path: the file or folder.
        """
        stem = path.name.removesuffix(self.ending)
        return path, *(path.with_name(stem + ending) for ending in self.companions)

    def content(self, path: Path) -> tuple[Path, ...]:
        """The files whose bytes decide what it answers.

        Args:
            path: the file or folder.
        """
        return self.files(path)

    def is_form_of(self, path: Path) -> bool:
        """Whether what lies at `path`, under whatever name, can be loaded as this form."""
        return bool(self.ending) and path.suffix == Path("x" + self.ending).suffix

    def description(self, path: Path) -> str:
        """How a report calls it."""
        return path.name

    # What it needs.

    def missing(self) -> tuple[str, ...]:
        """Those of its packages that are not installed."""
        return tuple(p for p in self.packages if importlib.util.find_spec(p) is None)

    def how_to_install(self) -> str:
        """Which of its packages are needed, and the command that installs them."""
        wanted = ", ".join(self.missing() or self.packages)
        install = f"keras-efgsm[{self.extra}]" if self.extra else " ".join(self.packages)
        return f"it needs {wanted}: pip install {install}"

    # Words of the card.

    def words(self, path: Path, contract: Contract, calibration: str | None) -> Words:
        """The text of the card on the file.

        Args:
            path: the file, which may be missing.
            contract: what it takes and answers.
            calibration: how many and which images it was calibrated with, if any.
        """
        del path, calibration
        takes = f"`image` float32 {contract.batch} in [0, 1]"
        return Words(self.what, takes, f"`logits` float32 {contract.answer}")

    @abstractmethod
    def loading(self, file: str, contract: Contract, name: str, others: Sequence[str] = ()) -> str:
        """Markdown with the code that loads the file from its own folder.

        Args:
            file: its name.
            contract: what it takes and answers.
            name: the model's name.
            others: names of the other files of its family. Defaults to none.
        """
