"""A classifier as the Adversarial Robustness Toolbox (ART) takes it."""

import contextlib
import random
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_efgsm.backend import BACKEND
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.typing import Tensor


def art_attacks() -> Any:
    """ART's module of attacks.

    Raises:
        ImportError: if ART is not installed.
        ValueError: if Keras runs on another backend than TensorFlow.
    """
    if BACKEND != "tensorflow":
        raise ValueError(
            'The engine "art" runs on TensorFlow alone; use engine="native", or evaluate the saved '
            f"classifier with KERAS_BACKEND=tensorflow. Received: backend={BACKEND!r}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of frameworks that are not installed
            from art.attacks import evasion
    except ImportError as error:
        raise ImportError(
            f'The engine "art" needs an optional dependency: pip install keras-efgsm[art] ({error})'
        ) from error
    return evasion


def art_estimator(model: EvaluatedModel) -> Any:
    """The classifier as ART's `TensorFlowV2Classifier`, with logits and pixels in [0, 1].

    Args:
        model: the classifier, on the TensorFlow backend.

    Raises:
        ImportError: if ART is not installed.
        ValueError: if Keras runs on another backend than TensorFlow.
    """
    art_attacks()
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.estimators.classification import TensorFlowV2Classifier

    # As a graph: it is called thousands of times. A shape of its own for each size of batch would
    # be a trace for each, and attacks call with every number of images that are left.
    height, width, channels = model.image_shape
    signature = [tf.TensorSpec((None, height, width, channels), tf.float32)]
    logits_fn = tf.function(model.logits_fn, input_signature=signature, autograph=False)

    class Logits(tf.Module):  # type: ignore[misc]  # TensorFlow comes without types
        def __call__(self, x: Tensor, training: bool = False) -> Tensor:
            images = tf.cast(x, tf.float32)
            # In L2 its Square divides zero by zero where the start improved nothing; as a plain
            # network would, and unlike an export, this answers NaN, which is no improvement.
            finite = tf.reduce_all(tf.math.is_finite(images), axis=(1, 2, 3))
            images = tf.where(finite[:, None, None, None], images, 0.0)
            # Elastic nets ask about points beyond [0, 1], which an export refuses: they are asked
            # at the nearest image, with the gradient there.
            outside = tf.stop_gradient(images - tf.clip_by_value(images, 0.0, 1.0))
            logits = logits_fn(images - outside)
            return tf.where(finite[:, None], logits, np.nan)

    return TensorFlowV2Classifier(
        model=Logits(),
        nb_classes=model.num_classes,
        input_shape=model.image_shape,
        clip_values=(0.0, 1.0),
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
    )


def one_hot(labels: Tensor, num_classes: int) -> np.ndarray:
    """Labels `(B,)` as ART takes them, `(B, K)`."""
    rows: np.ndarray = np.eye(num_classes, dtype="float32")[np.asarray(labels)]
    return rows


@contextlib.contextmanager
def seeded_numpy(seed: int) -> Iterator[None]:
    """NumPy's and Python's global generators, from which ART draws, with a seed; put back after."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
