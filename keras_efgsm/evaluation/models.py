"""What is evaluated: a Keras model in memory, a run folder, a `.keras` file or a SavedModel."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.attacks.attack import evaluation_logits
from keras_efgsm.classifiers import are_probabilities, check_classifier, random_images
from keras_efgsm.precision import float32_twin
from keras_efgsm.trainer import AdversarialTrainer

Tensor = Any

CLASSIFIER_FILE = "classifier.keras"
CONFIG_FILE = "config.json"
SAVED_MODEL_FILE = "saved_model.pb"
_WHAT_IT_CAN_BE = (
    f"a run folder ({CLASSIFIER_FILE} and {CONFIG_FILE}), a `.keras` file or the version folder "
    f"of an exported SavedModel ({SAVED_MODEL_FILE})"
)


@dataclass(frozen=True)
class EvaluatedModel:
    """A classifier as an evaluation sees it: differentiable logits and their shapes.

    Args:
        logits_fn: maps float32 images `(B, H, W, C)` in [0, 1] to float32 logits `(B, K)` in
            evaluation mode; the gradient with respect to the images goes through it.
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits.
        description: what it is, for the report.

    Example:

    ```python
    model = EvaluatedModel(
        lambda x: tf.reshape(x, (-1, 64)) @ weights, (8, 8, 1), 10, "a linear classifier"
    )
    ```
    """

    logits_fn: Callable[[Tensor], Tensor]
    image_shape: tuple[int, int, int]
    num_classes: int
    description: str


def load_classifier(path: str | os.PathLike | keras.Model | EvaluatedModel) -> EvaluatedModel:
    """Loads the classifier that is to be evaluated.

    A SavedModel is attacked white-box through the graph it serves, without Keras. Of a training
    wrapper (`AdversarialTrainer`) only its classifier is taken. A classifier trained in mixed
    precision is evaluated in float32, as it is exported: half-precision gradients that underflow
    would pass for robustness.

    Args:
        path: a run folder (`classifier.keras` and `config.json`), a `.keras` file, the version
            folder of an exported SavedModel (`saved_model.pb`), or a `keras.Model` itself.

    Raises:
        FileNotFoundError: if nothing is at `path`.
        ValueError: if it is none of these, cannot be read, does not take images or does not
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
    if isinstance(path, EvaluatedModel):
        return path
    if isinstance(path, keras.Model):
        return _from_keras(path, f"Keras model {path.name!r}")
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            f"`path` must be a keras.Model or the path of {_WHAT_IT_CAN_BE}. "
            f"Received: path={path!r}"
        )
    received, path = f"Received: path={str(path)!r}", Path(path)
    if not path.exists():
        raise FileNotFoundError(f"There is no model here; give {_WHAT_IT_CAN_BE}. {received}")
    if path.is_dir():
        if (path / SAVED_MODEL_FILE).is_file():
            return _from_saved_model(path)
        if (path / CLASSIFIER_FILE).is_file() and (path / CONFIG_FILE).is_file():
            model = _read_keras_file(path / CLASSIFIER_FILE)
            return _from_keras(model, path.resolve().name)
        raise ValueError(f"`path` must be {_WHAT_IT_CAN_BE}{_what_is_there(path)}. {received}")
    if path.suffix != ".keras":
        raise ValueError(f"`path` must be {_WHAT_IT_CAN_BE}. {received}")
    return _from_keras(_read_keras_file(path), path.name)


def _what_is_there(folder: Path) -> str:
    """A hint for a folder that is nearly right."""
    versions = sorted(p.parent.name for p in folder.glob(f"*/{SAVED_MODEL_FILE}"))
    if versions:
        return f"; this one holds the versions {', '.join(versions)}, give one of them"
    if (folder / CONFIG_FILE).is_file():
        return f"; this run has no {CLASSIFIER_FILE}, did it finish?"
    if (folder / CLASSIFIER_FILE).is_file():
        return f"; this folder has no {CONFIG_FILE}, give its {CLASSIFIER_FILE} instead"
    return ""


def _read_keras_file(path: Path) -> keras.Model:
    received = f"Received: path={str(path)!r}"
    if not zipfile.is_zipfile(path):
        raise ValueError(f"The `.keras` file is damaged: it is no zip archive. {received}")
    try:
        return keras.models.load_model(path, compile=False)
    # Keras lets through whatever the archive, h5py or a layer's constructor raises.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            "The `.keras` file cannot be loaded: it is damaged, or holds a custom object that was "
            f"not imported. {type(error).__name__}: {reason} {received}"
        ) from error


def _from_keras(model: keras.Model, description: str) -> EvaluatedModel:
    if isinstance(model, AdversarialTrainer):
        model = model.classifier
    try:
        num_classes = check_classifier(model)
    except ValueError as error:
        raise ValueError(f"{description} cannot be evaluated: {error}") from error
    return EvaluatedModel(
        logits_fn=evaluation_logits(float32_twin(model)),
        image_shape=tuple(model.input_shape[1:]),
        num_classes=num_classes,
        description=description,
    )


def _from_saved_model(folder: Path) -> EvaluatedModel:
    received = f"Received: path={str(folder)!r}"
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"The SavedModel cannot be loaded. {type(error).__name__}: {reason} {received}"
        ) from error
    signature = loaded.signatures.get("serving_default")
    if signature is None:
        raise ValueError(
            "The SavedModel must have a signature `serving_default`. "
            f"{received}, signatures={sorted(loaded.signatures)}"
        )
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    spec = next(iter(inputs.values()))
    shape = spec.shape.as_list() if spec.shape.rank is not None else []
    if len(inputs) != 1 or spec.dtype != tf.float32 or len(shape) != 4 or None in shape[1:]:
        described = [f"{k}: {v.dtype.name} {v.shape}" for k, v in inputs.items()]
        raise ValueError(
            "`serving_default` must take one batch of float32 images (batch, height, width, "
            f"channels). {received}, inputs={described}"
        )
    if shape[0] is not None:
        raise ValueError(
            f"`serving_default` must take batches of any size. {received}, shape={tuple(shape)}"
        )
    output = "logits" if "logits" in outputs else next(iter(outputs))
    if output != "logits" and len(outputs) != 1:
        raise ValueError(
            "`serving_default` must return one output, or one named `logits`. "
            f"{received}, outputs={sorted(outputs)}"
        )
    name = next(iter(inputs))

    def logits_fn(images: Tensor) -> Tensor:
        # `loaded` owns the variables: it must live as long as this function.
        return loaded.signatures["serving_default"](**{name: images})[output]

    image_shape = tuple(shape[1:])
    return EvaluatedModel(
        logits_fn=logits_fn,
        image_shape=image_shape,
        num_classes=_check_logits(logits_fn, image_shape, received),
        # The folder's own name is only a version number.
        description="/".join(folder.resolve().parts[-2:]),
    )


def _check_logits(logits_fn: Callable, image_shape: tuple[int, int, int], received: str) -> int:
    logits = np.asarray(logits_fn(tf.constant(random_images(image_shape))), "float32")
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            "The SavedModel must return logits (batch, num_classes), num_classes >= 2. "
            f"{received}, output shape={logits.shape}"
        )
    if are_probabilities(logits):
        raise ValueError(
            "The SavedModel must return logits, but its outputs on random images are "
            "probabilities (>= 0, rows that sum to 1); export the classifier without its softmax. "
            f"{received}"
        )
    return logits.shape[1]
