"""Each file is run before it is published, and must answer like the classifier it was made of."""

import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.export.operations import plain
from keras_efgsm.form import ExportError
from keras_efgsm.form_table import FORMS
from keras_efgsm.networks.answers import random_images
from keras_efgsm.records.export import Agreement

# A file that names another class than its original more often than not is another classifier;
# what a quantised one loses beyond that is for its measured accuracy to say.
LOWEST_AGREEMENT = 0.5
_RANDOM_IMAGES = 64
# A file may have kept the size of the batch that it was made with.
_FIRST_BATCHES = (1, 3, 17)
_BATCH = 32


def measure_agreement(
    form: str,
    path: str | os.PathLike[str],
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
    from keras_efgsm.export import write_tflite

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
        for batch, answers in _answers(form, Path(path), images):
            expected = keras.ops.convert_to_numpy(classifier(batch, training=False))
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

    Example:

    ```python
    file = "exported_models/mnist/mnist-1.tflite"
    classifier = keras.models.load_model("runs/mnist/classifier.keras")
    check_agreement("tflite", measure_agreement("tflite", file, classifier))
    ```
    """
    tolerance = FORMS[form].tolerance
    if not (np.isfinite(agreement.difference) and agreement.difference <= tolerance):
        raise ExportError(
            f"The logits of the form {form!r} must be within {tolerance:g} of those of Keras, "
            f"not {agreement.difference:g}. Received: difference={agreement.difference:g}"
        )
    # Random images can all lie at a boundary between classes.
    if agreement.on == "representative" and agreement.same_class < LOWEST_AGREEMENT:
        raise ExportError(
            f"The form {form!r} must give at least {LOWEST_AGREEMENT:.0%} of the representative "
            f"images the class that Keras gives them, not {agreement.same_class:.0%}. "
            f"Received: same_class={agreement.same_class:.3f} of {agreement.num_images} images"
        )


def _answers(form: str, path: Path, images: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Batches of the images with the file's answers to them."""
    first = np.cumsum(_FIRST_BATCHES)
    ends = [*first[first < len(images)], *range(int(first[-1]) + _BATCH, len(images), _BATCH)]
    batches = np.split(images, ends)
    try:
        runner = FORMS[form].load(path)
        return [(batch, runner.logits(batch)) for batch in batches]
    # A converter can succeed on an operation that its runtime then cannot prepare; the errors of
    # the runtimes have no common base.
    except Exception as error:
        raise ExportError(
            f"The form {form!r} must run ({plain(error)}). Received: path={str(path)!r}"
        ) from error
