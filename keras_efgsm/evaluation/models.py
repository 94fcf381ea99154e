"""The classifier to evaluate: a Keras model, a run folder, a model file or an export."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.checks import visible
from keras_efgsm.evaluation.digests import digest_of_arrays, digest_of_files, digest_of_model
from keras_efgsm.form import Form
from keras_efgsm.form_table import FORMS, form_of
from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.answers import Answers, check_answers, random_images
from keras_efgsm.networks.other_forms import read_model
from keras_efgsm.networks.outputs import (
    LOGARITHM,
    Output,
    check_output,
    check_probabilities,
    choose_output,
    logits_of_probabilities,
    read_logits,
    saturation_doubt,
)
from keras_efgsm.networks.own_models import MODEL_SUFFIXES, read_keras_file
from keras_efgsm.networks.precision import float32_twin
from keras_efgsm.networks.requirements import check_channels_last, read_contract
from keras_efgsm.printing import brief
from keras_efgsm.records.exported_files import check_exported_files
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.typing import Tensor

CLASSIFIER_FILE = "classifier.keras"
CONFIG_FILE = "config.json"


@dataclass(frozen=True, repr=False)
class EvaluatedModel:
    """A classifier as an evaluation sees it: logits and their shapes.

    Args:
        logits_fn: maps float32 images `(B, H, W, C)` in [0, 1] to float32 logits `(B, K)` in
            evaluation mode; the gradient with respect to the images goes through it. One logit,
            `(B,)` or `(B, 1)`, is read as two, and of several outputs the one named `logits`.
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits, 2 for one.
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

    def __repr__(self) -> str:
        return brief(
            self,
            description=self.description,
            image_shape=self.image_shape,
            num_classes=self.num_classes,
        )

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
        given = vars(self)["_given"] = self.logits_fn
        object.__setattr__(self, "logits_fn", lambda images: read_logits(given(images)))

    def identity(self) -> str:
        """The digest of this classifier."""
        if self.digest is not None:
            return self.digest()
        images = ops.convert_to_tensor(random_images(self.image_shape))
        return digest_of_arrays(np.asarray(self.logits_fn(images), "float32"))


def load_classifier(
    path: str | os.PathLike[str] | keras.Model | EvaluatedModel,
    *,
    output: str = "auto",
    output_name: str | None = None,
    image_shape: tuple[int, ...] | None = None,
    unsafe: bool = False,
) -> EvaluatedModel:
    """Loads the classifier that is to be evaluated.

    A SavedModel is attacked white-box through the graph it serves, without Keras. A file of another
    form answers without gradients: attacks that need none, `Transfer`, and all attacks through
    `StraightThrough`, are for it. Of a training
    wrapper (`AdversarialTrainer`) only its classifier is taken. A classifier trained in mixed
    precision is evaluated in float32, as it is exported: half-precision gradients that underflow
    would pass for robustness. One logit is read as two, `[0, z]`, and a subclassed model as a
    functional one, see `keras_efgsm.networks.with_logits`.

    Args:
        path: a run folder (`classifier.keras` and `config.json`), a `.keras` file, an `.h5` file
            of a whole model, the version folder of an exported SavedModel (`saved_model.pb`), a
            file of another form (`.tflite`, `.onnx`, `.xml`, see `keras_efgsm.form_table.FORMS`),
            or a `keras.Model` itself.
        output: `"probabilities"` for a classifier that ends in a softmax or sigmoid: that is taken
            off, or of what no layers are known (an export, a function) the logarithm taken, with a
            doubt in the report; `"logits"` for one whose logits look like probabilities. Defaults
            to `"auto"`, which takes logits and refuses what looks like probabilities.
        output_name: which of several outputs. Defaults to the only one, or that named `logits`.
        image_shape: `(H, W, C)` of the images, for a Keras model that was not built, or leaves a
            size open. Defaults to its own.
        unsafe: whether code that is stored in a `.keras` or `.h5` file may run, see
            `read_keras_file`. Defaults to `False`.

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
    returned = check_output(output, output_name)
    if isinstance(path, EvaluatedModel):
        return _from_function(path, returned)
    if isinstance(path, keras.Model):
        return _from_keras(path, f"Keras model {path.name!r}", returned, image_shape)
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
        return _from_form(form, path, returned)
    if path.is_dir():
        if (path / CLASSIFIER_FILE).is_file() and (path / CONFIG_FILE).is_file():
            model = read_keras_file(path / CLASSIFIER_FILE, unsafe=unsafe)
            return _from_keras(model, path.resolve().name, returned, image_shape)
        raise ValueError(f"`path` must be {_what_it_can_be()}{_what_is_there(path)}. {received}")
    if path.suffix not in MODEL_SUFFIXES:
        raise ValueError(f"`path` must be {_what_it_can_be()}. {received}")
    return _from_keras(read_keras_file(path, unsafe=unsafe), path.name, returned, image_shape)


def _what_it_can_be() -> str:
    suffixes = dict.fromkeys(Path("x" + form.ending).suffix for form in FORMS.values())
    endings = ", ".join(f"`{suffix}`" for suffix in suffixes if suffix)
    return (
        f"a run folder ({CLASSIFIER_FILE} and {CONFIG_FILE}), a `.keras` or `.h5` file, the "
        f"version folder of an exported SavedModel, or a {endings} file"
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


def _from_keras(
    model: keras.Model, description: str, output: Output, image_shape: tuple[int, ...] | None
) -> EvaluatedModel:
    if isinstance(model, AdversarialTrainer):
        model = model.classifier
    try:
        read = read_model(model, output, image_shape)
        contract = read_contract(read.classifier, declared=output.kind == "logits")
    except ValueError as error:
        raise ValueError(f"{description} cannot be evaluated: {error}") from error
    evaluated = float32_twin(read.classifier)
    return EvaluatedModel(
        logits_fn=evaluation_logits(evaluated),
        image_shape=contract.image_shape,
        num_classes=contract.num_classes,
        description=", ".join((description, *read.changes)),
        digest=lambda: digest_of_model(read.classifier),
        variables=evaluated.variables,
        doubts=(*contract.doubts, *read.doubts),
    ).knowing(Answers(contract.num_classes, contract.is_random))


def _from_function(model: EvaluatedModel, output: Output) -> EvaluatedModel:
    if output != Output():
        model = _as_said(model, output)
    if model.answers.num_classes != model.num_classes:
        raise ValueError(
            f"{model.description} must return as many logits as it has classes, two for one. "
            f"Received: num_classes={model.num_classes}, logits={model.answers.num_classes}"
        )
    return model


def _as_said(model: EvaluatedModel, output: Output) -> EvaluatedModel:
    """A classifier of which no layers are known, whose outputs are what its user says."""
    given: Callable[[Tensor], Any] = vars(model)["_given"]
    name, doubts = model.description, model.doubts
    if output.name is not None:
        name += f", its output {output.name!r}"
    if output.kind == "probabilities":
        found = choose_output(
            given(ops.convert_to_tensor(random_images(model.image_shape))), output.name
        )
        check_probabilities(ops.convert_to_numpy(ops.cast(found, "float32")))
        doubts = (*doubts, saturation_doubt(name))
        name += f", {LOGARITHM}"

    def logits_fn(images: Tensor) -> Tensor:
        answer = choose_output(given(images), output.name)
        if output.kind == "probabilities":
            return logits_of_probabilities(answer)
        return read_logits(answer)

    answers = check_answers(
        logits_fn, model.image_shape, name=name, declared=output.kind != "auto", finite=False
    )
    return EvaluatedModel(
        logits_fn=logits_fn,
        image_shape=model.image_shape,
        num_classes=model.num_classes,
        description=name,
        differentiable=model.differentiable,
        digest=lambda: f"{model.identity()}, {output.kind} {output.name}",
        twin=model.twin,
        variables=model.variables,
        doubts=doubts,
        draws=model.draws,
    ).knowing(answers)


def _from_form(form: Form, path: Path, output: Output) -> EvaluatedModel:
    check_exported_files(path)
    runner = form.load(path) if output.name is None else form.load_output(path, output.name)
    what = f"`{path.suffix}` file" if path.is_file() else "SavedModel"
    received = f"path={str(path)!r}, "
    try:
        check_channels_last(runner.image_shape)
    except ValueError as error:
        raise ValueError(f"The {what} cannot be evaluated: {error}, {received[:-2]}") from error
    is_said = output.kind != "auto"
    answers = check_answers(
        lambda images: read_logits(runner.logits_fn(images)),
        runner.image_shape,
        name=f"The {what}",
        received=received,
        declared=is_said,
    )
    model = EvaluatedModel(
        logits_fn=runner.logits_fn,
        image_shape=runner.image_shape,
        num_classes=answers.num_classes,
        description=form.description(path),
        differentiable=runner.differentiable,
        digest=lambda: digest_of_files(list(form.content(path))) + (output.name or ""),
    ).knowing(answers)
    # Of several outputs the runner has taken the one that was named.
    return _as_said(model, Output(output.kind)) if is_said else model
