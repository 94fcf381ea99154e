"""Checks of the arguments of `attack(classifier, x, y)`."""

from typing import Any

import keras
import numpy as np

from keras_efgsm.checks import check_images, check_labels
from keras_efgsm.typing import LogitsFn, Tensor


def check_call(classifier: LogitsFn, x: Tensor, y: Tensor) -> None:
    """Checks images and labels, and that the classifier takes them where it says what it takes.

    Args:
        classifier: a Keras model or function that returns logits.
        x: images `(B, H, W, C)` in [0, 1].
        y: true classes `(B,)`.

    Raises:
        ValueError: if they are not so.
    """
    check_images(x, "x")
    labels = np.asarray(y)
    if labels.shape != (len(x),):
        raise ValueError(
            f"`y` must have shape ({len(x)},): one class per image. "
            f"Received: y.shape={labels.shape}"
        )
    expected, num_classes = _shapes(classifier)
    given = tuple(x.shape[1:])
    if expected is not None and any(
        size not in (None, have) for size, have in zip(expected, given, strict=True)
    ):
        raise ValueError(
            f"`x` must hold images of shape {expected}, as the classifier takes them. "
            f"Received: x.shape={tuple(x.shape)}"
        )
    # Of a function the number of classes is not known yet.
    check_labels(labels, num_classes or int(np.iinfo("int32").max), len(labels), "y")


def _shapes(classifier: Any) -> tuple[tuple[int | None, ...] | None, int | None]:
    """Shape of an image, and number of classes, each None where the classifier does not say."""
    if not isinstance(classifier, keras.Model):
        return None, None
    try:
        taken, returned = classifier.input_shape, classifier.output_shape
    except AttributeError:  # a subclass of `keras.Model` has none
        return None, None
    image = tuple(taken[1:]) if isinstance(taken, tuple) and len(taken) == 4 else None
    classes = returned[-1] if isinstance(returned, tuple) and len(returned) == 2 else None
    return image, classes
