"""Each file is run before it is published, and must answer like the classifier it was made of."""

import os
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.export.contract import ExportError
from keras_efgsm.export.forms import ONNX, SAVED_MODEL
from keras_efgsm.export.onnx_file import onnx_logits
from keras_efgsm.export.tflite import tflite_logits
from keras_efgsm.networks.requirements import random_images

# Largest difference of logits from Keras. Float16 weights have 11 bits: 5e-4 of each product, and
# some of it adds up. Integers have no such bound; see `LOWEST_AGREEMENT`.
TOLERANCES = {SAVED_MODEL: 1e-5, "tflite": 1e-4, "onnx": 1e-4, "tflite-float16": 1e-2}
# A file that names another class than its original more often than not is another classifier;
# what a quantised one loses beyond that is for its measured accuracy to say.
LOWEST_AGREEMENT = 0.5
_RANDOM_IMAGES = 64
_BATCH = 32


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


def measure_agreement(
    form: str,
    path: str | os.PathLike,
    classifier: keras.Model,
    representative_images: np.ndarray | None = None,
) -> Agreement:
    """Returns how alike the file of an export and `classifier` answer.

    Both run on the CPU, where Keras and the graph compute alike; on a GPU each may choose another
    algorithm.

    Args:
        form: the form that `path` has, one of `FORMS`.
        path: the file, or the folder of a SavedModel.
        classifier: the model that was exported, in float32 (see `float32_twin`).
        representative_images: float32 `(n, H, W, C)` in [0, 1]. Defaults to 64
            random images.

    Raises:
        ExportError: if the file cannot be run.

    Example:

    ```python
    write_tflite(classifier, "cats.tflite", quantization="dynamic")
    measure_agreement("tflite-dynamic", "cats.tflite", classifier).same_class
    ```
    """
    on = "random" if representative_images is None else "representative"
    images = representative_images
    if images is None:
        images = random_images(tuple(classifier.inputs[0].shape[1:]), _RANDOM_IMAGES)
    largest, difference, same = 1.0, 0.0, 0
    with tf.device("/CPU:0"):
        loaded = tf.saved_model.load(str(path)) if form == SAVED_MODEL else None
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH]
            expected = keras.ops.convert_to_numpy(classifier(batch, training=False))
            answers = _answers(form, path, loaded, batch)
            largest = max(largest, float(np.abs(expected).max()))
            # Not `max`, which would let a NaN go by.
            difference = float(np.maximum(difference, np.abs(answers - expected).max()))
            same += int((answers.argmax(axis=1) == expected.argmax(axis=1)).sum())
    return Agreement(difference / largest, same / len(images), len(images), on)


def check_agreement(form: str, agreement: Agreement) -> None:
    """Checks that a file may be published.

    Args:
        form: its form, one of `FORMS`.
        agreement: what `measure_agreement` found.

    Raises:
        ExportError: if its logits are NaN or, in a form of floats, too far
            from those of Keras, or if it gives most representative images
            another class.
    """
    tolerance = TOLERANCES.get(form, np.inf)
    if not (np.isfinite(agreement.difference) and agreement.difference <= tolerance):
        raise ExportError(
            f"The logits of the form {form!r} must be within {tolerance:g} of those of Keras. "
            f"Received: difference={agreement.difference:g}"
        )
    # Random images can all lie at a boundary between classes.
    if agreement.on == "representative" and agreement.same_class < LOWEST_AGREEMENT:
        raise ExportError(
            f"The form {form!r} must give at least {LOWEST_AGREEMENT:.0%} of the representative "
            "images the class that Keras gives them; leave it out with `forms`. "
            f"Received: same_class={agreement.same_class:.3f} of {agreement.num_images} images"
        )


def _answers(form: str, path: str | os.PathLike, loaded, images: np.ndarray) -> np.ndarray:
    if form == SAVED_MODEL:
        signature = loaded.signatures["serving_default"]
        return signature(image=tf.constant(images))["logits"].numpy()
    try:
        return (onnx_logits if form == ONNX else tflite_logits)(path, images)
    # A converter can succeed on an operation that its runtime then cannot prepare; onnxruntime's
    # errors have no common base.
    except Exception as error:
        raise ExportError(
            f"The form {form!r} must run ({str(error)[:300]}). Received: path={str(path)!r}"
        ) from error
