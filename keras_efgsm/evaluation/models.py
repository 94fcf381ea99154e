"""The classifier to evaluate: a Keras model, a run folder, a `.keras` file or an export."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.checks import visible
from keras_efgsm.evaluation.digests import digest_of_arrays, digest_of_files, digest_of_model
from keras_efgsm.form import FORMS, Form, form_of
from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.networks.precision import float32_twin
from keras_efgsm.networks.requirements import are_probabilities, check_classifier, random_images
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
        num_classes = check_classifier(model)
    except ValueError as error:
        raise ValueError(f"{description} cannot be evaluated: {error}") from error
    evaluated = float32_twin(model)
    return EvaluatedModel(
        logits_fn=evaluation_logits(evaluated),
        image_shape=tuple(model.input_shape[1:]),
        num_classes=num_classes,
        description=description,
        digest=lambda: digest_of_model(model),
        variables=evaluated.variables,
    )


def _from_form(form: Form, path: Path) -> EvaluatedModel:
    received = f"Received: path={str(path)!r}"
    check_exported_files(path)
    runner = form.load(path)
    what = f"`{path.suffix}` file" if path.is_file() else "SavedModel"
    return EvaluatedModel(
        logits_fn=runner.logits_fn,
        image_shape=runner.image_shape,
        num_classes=_check_logits(runner.logits_fn, runner.image_shape, what, received),
        description=form.description(path),
        differentiable=runner.differentiable,
        digest=lambda: digest_of_files(list(form.content(path))),
    )


def _check_logits(
    logits_fn: Callable[..., Any], image_shape: tuple[int, int, int], what: str, received: str
) -> int:
    logits = np.asarray(logits_fn(ops.convert_to_tensor(random_images(image_shape))), "float32")
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            f"The {what} must return logits (batch, num_classes), num_classes >= 2. "
            f"{received}, output shape={logits.shape}"
        )
    if are_probabilities(logits):
        raise ValueError(
            f"The {what} must return logits, but its outputs on random images are "
            "probabilities (>= 0, rows that sum to 1); export the classifier without its softmax. "
            f"{received}"
        )
    return int(logits.shape[1])
