"""The classifier to evaluate: a Keras model, a run folder, a `.keras` file or an export."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.checks import visible
from keras_efgsm.evaluation.digests import digest_of_arrays, digest_of_files, digest_of_model
from keras_efgsm.form import FORMS, Form, form_of
from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.answers import Answers, check_answers, random_images
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.networks.precision import float32_twin
from keras_efgsm.networks.requirements import check_channels_last, read_contract
from keras_efgsm.records.exported_files import check_exported_files
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.typing import Tensor

CLASSIFIER_FILE = "classifier.keras"
CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class EvaluatedModel:
    """A classifier as an evaluation sees it: logits and their shapes.

    Args:
        logits_fn: maps float32 images `(B, H, W, C)` in [0, 1] to float32 logits `(B, K)` in
            evaluation mode; the gradient with respect to the images goes through it.
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits.
        description: what it is, for the report.
        differentiable: whether that gradient is there: an attack that needs it is refused
            otherwise. Defaults to `True`.
        digest: returns a text that is another one for another classifier, by which a state to
            resume from is known. Defaults to one of its logits on fixed random images.
        twin: the classifier whose gradients stand in for its own, see `StraightThrough`. Defaults
            to none.
        variables: those that `logits_fn` reads; on JAX a compiled attack keeps the values that
            others had at its first call. Defaults to none.
        doubts: sentences on what is hardly meant to be so, which a report repeats. Defaults to
            none.
        draws: over how many draws `logits_fn` averages, see `with_eot`. Defaults to `1`.
        one_draw: the logits of a single draw, where `logits_fn` averages. Defaults to none.

    Example:

    ```python
    weights = keras.random.normal((64, 10))
    model = EvaluatedModel(
        lambda x: ops.reshape(x, (-1, 64)) @ weights, (8, 8, 1), 10, "a linear classifier"
    )
    ```
    """

    logits_fn: Callable[[Tensor], Tensor]
    image_shape: tuple[int, int, int]
    num_classes: int
    description: str
    differentiable: bool = True
    digest: Callable[[], str] | None = None
    twin: "EvaluatedModel | None" = None
    variables: Sequence[keras.Variable] = ()
    doubts: tuple[str, ...] = ()
    draws: int = 1
    one_draw: Callable[[Tensor], Tensor] | None = None

    @cached_property
    def answers(self) -> Answers:
        """What it answers a few random images, asked twice, and checked once.

        Raises:
            ValueError: if that is not one tensor of logits; whether those of the images are finite
                is seen on them.
        """
        check_channels_last(self.image_shape)
        return check_answers(
            self.logits_fn,
            self.image_shape,
            name=self.description,
            advice="export or evaluate the classifier without its softmax",
            finite=False,
        )

    def knowing(self, answers: Answers) -> Self:
        """This classifier, which need not be asked any more.

        Args:
            answers: what it answered, or what is behind it.
        """
        # Where a `cached_property` keeps its value.
        vars(self)["answers"] = answers
        return self

    def __post_init__(self) -> None:
        # The name of a folder, which goes onto terminals and pages.
        object.__setattr__(self, "description", visible(self.description))

    def identity(self) -> str:
        """The digest of this classifier."""
        if self.digest is not None:
            return self.digest()
        images = ops.convert_to_tensor(random_images(self.image_shape))
        return digest_of_arrays(np.asarray(self.logits_fn(images), "float32"))


def load_classifier(path: str | os.PathLike[str] | keras.Model | EvaluatedModel) -> EvaluatedModel:
    """Loads the classifier that is to be evaluated.

    A SavedModel is attacked white-box through the graph it serves, without Keras. A file of another
    form answers without gradients: attacks that need none, `Transfer`, and all attacks through
    `StraightThrough`, are for it. Of a training
    wrapper (`AdversarialTrainer`) only its classifier is taken. A classifier trained in mixed
    precision is evaluated in float32, as it is exported: half-precision gradients that underflow
    would pass for robustness.

    Args:
        path: a run folder (`classifier.keras` and `config.json`), a `.keras` file, the version
            folder of an exported SavedModel (`saved_model.pb`), a file of another form
            (`.tflite`, `.onnx`, `.xml`, see `keras_efgsm.form.FORMS`), or a `keras.Model` itself.

    Raises:
        ImportError: if a package that runs the file is not installed.
        FileNotFoundError: if nothing is at `path`.
        ValueError: if it is none of these, cannot be read, is part of an export and not as it was
            exported, does not take images or does not
            return logits.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    classifier.save("classifier.keras")
    load_classifier("classifier.keras").num_classes  # 10
    ```
    """
    check_keras_settings()
    if isinstance(path, EvaluatedModel):
        if path.answers.num_classes != path.num_classes:
            raise ValueError(
                f"{path.description} must return as many logits as it has classes. Received: "
                f"num_classes={path.num_classes}, logits={path.answers.num_classes}"
            )
        return path
    if isinstance(path, keras.Model):
        return _from_keras(path, f"Keras model {path.name!r}")
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            f"`path` must be a keras.Model or the path of {_what_it_can_be()}. "
            f"Received: path={path!r}"
        )
    received, path = f"Received: path={str(path)!r}", Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model here; give {_what_it_can_be()}. {received}")
    form = form_of(path)
    if form is not None:
        return _from_form(form, path)
    if path.is_dir():
        if (path / CLASSIFIER_FILE).is_file() and (path / CONFIG_FILE).is_file():
            model = read_keras_file(path / CLASSIFIER_FILE)
            return _from_keras(model, path.resolve().name)
        raise ValueError(f"`path` must be {_what_it_can_be()}{_what_is_there(path)}. {received}")
    if path.suffix != ".keras":
        raise ValueError(f"`path` must be {_what_it_can_be()}. {received}")
    return _from_keras(read_keras_file(path), path.name)


def _what_it_can_be() -> str:
    suffixes = dict.fromkeys(Path("x" + form.ending).suffix for form in FORMS.values())
    return (
        f"a run folder ({CLASSIFIER_FILE} and {CONFIG_FILE}), a `.keras` file, the version folder "
        f"of an exported SavedModel, or a {', '.join(f'`{s}`' for s in suffixes if s)} file"
    )


def _what_is_there(folder: Path) -> str:
    """A hint for a folder that is nearly right."""
    versions = sorted(p.name for p in folder.iterdir() if p.is_dir() and form_of(p))
    if versions:
        return f"; this one holds the versions {', '.join(versions)}, give one of them"
    if (folder / CONFIG_FILE).is_file():
        return f"; this run has no {CLASSIFIER_FILE}, did it finish?"
    if (folder / CLASSIFIER_FILE).is_file():
        return f"; this folder has no {CONFIG_FILE}, give its {CLASSIFIER_FILE} instead"
    return ""


def _from_keras(model: keras.Model, description: str) -> EvaluatedModel:
    if isinstance(model, AdversarialTrainer):
        model = model.classifier
    try:
        contract = read_contract(model)
    except ValueError as error:
        raise ValueError(f"{description} cannot be evaluated: {error}") from error
    evaluated = float32_twin(model)
    return EvaluatedModel(
        logits_fn=evaluation_logits(evaluated),
        image_shape=contract.image_shape,
        num_classes=contract.num_classes,
        description=description,
        digest=lambda: digest_of_model(model),
        variables=evaluated.variables,
        doubts=contract.doubts,
    ).knowing(Answers(contract.num_classes, contract.is_random))


def _from_form(form: Form, path: Path) -> EvaluatedModel:
    check_exported_files(path)
    runner = form.load(path)
    what = f"`{path.suffix}` file" if path.is_file() else "SavedModel"
    received = f"path={str(path)!r}, "
    try:
        check_channels_last(runner.image_shape)
    except ValueError as error:
        raise ValueError(f"The {what} cannot be evaluated: {error}, {received[:-2]}") from error
    answers = check_answers(
        runner.logits_fn,
        runner.image_shape,
        name=f"The {what}",
        advice="export the classifier without its softmax",
        received=received,
    )
    return EvaluatedModel(
        logits_fn=runner.logits_fn,
        image_shape=runner.image_shape,
        num_classes=answers.num_classes,
        description=form.description(path),
        differentiable=runner.differentiable,
        digest=lambda: digest_of_files(list(form.content(path))),
    ).knowing(answers)
