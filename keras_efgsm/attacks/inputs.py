"""Checks of the arguments of `attack(classifier, x, y)`."""

import warnings
import weakref
from collections.abc import Hashable
from typing import Any

import keras
import numpy as np

from keras_efgsm.array_checks import check_images, check_labels
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.networks.answers import FEW, Answers, check_answers
from keras_efgsm.networks.requirements import check_channels_last, check_structure
from keras_efgsm.typing import LogitsFn, Tensor

# What a classifier was found to answer, by the variables and the size of image it was asked with.
_asked: weakref.WeakKeyDictionary[Any, dict[Hashable, Answers]] = weakref.WeakKeyDictionary()


def check_call(classifier: LogitsFn, x: Tensor, y: Tensor) -> int:
    """Checks images and labels, and the classifier as an evaluation checks it.

    A classifier is asked once, while it lives, and not again at each of thousands of calls; a
    function that is made anew for each call is asked each time.

    Args:
        classifier: a Keras model or function that returns logits.
        x: images `(B, H, W, C)` in [0, 1].
        y: true classes `(B,)` or `(B, 1)`.

    Returns:
        The number of classes.

    Raises:
        ValueError: if they are not so.
    """
    check_images(x, "x")
    labels = np.asarray(y)
    if labels.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(
            f"`y` must have shape ({len(x)},): one class per image. "
            f"Received: y.shape={labels.shape}"
        )
    num_classes = _answers(classifier, tuple(x.shape)).num_classes
    check_labels(labels.reshape(-1), num_classes, len(labels), "y")
    return num_classes


def _answers(classifier: Any, shape: tuple[int, ...]) -> Answers:
    is_layer = isinstance(classifier, keras.layers.Layer)
    key = (shape[1:], tuple(map(id, classifier.variables)) if is_layer else ())
    try:
        asked = _asked.setdefault(classifier, {})
    except TypeError:  # what cannot be referred to weakly, or has no hash
        asked = {}
    if key not in asked:
        asked[key] = _ask(classifier, shape)
        # A layer builds its variables when it is first asked.
        if is_layer:
            asked[(shape[1:], tuple(map(id, classifier.variables)))] = asked[key]
    return asked[key]


def _ask(classifier: Any, shape: tuple[int, ...]) -> Answers:
    doubts: tuple[str, ...] = ()
    given, count = shape[1:], min(shape[0], FEW)
    if _says_its_shapes(classifier):
        contract = check_structure(classifier, any_size=True, any_output=True)
        doubts = contract.doubts
        if any(s not in (None, g) for s, g in zip(contract.image_shape, given, strict=True)):
            raise ValueError(
                f"`x` must hold images of shape {contract.image_shape}, as the classifier takes "
                f"them. Received: x.shape={shape}"
            )
    else:
        check_channels_last(given)
        # It may take batches of one size only.
        count = shape[0]
    answers = check_answers(evaluation_logits(classifier), given, count=count)
    if answers.is_random:
        doubts += (
            "The classifier answers the same images differently at each call, which an attack on "
            "single draws cannot follow: attack the mean over many, as in "
            "`attack(expected_logits(classifier, draws=20), x, y)`.",
        )
    for doubt in doubts:
        warnings.warn(doubt, stacklevel=5)
    return answers


def _says_its_shapes(classifier: Any) -> bool:
    """Whether it is a functional or sequential model; a subclass of `keras.Model` has no inputs."""
    return isinstance(classifier, keras.Model) and bool(getattr(classifier, "inputs", None))
