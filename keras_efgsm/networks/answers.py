"""What a classifier must answer: one tensor of finite logits, the same at each call."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

RANDOM = 1e-3
"""Difference of an image's logits between two calls, as a part of their spread, from which it is
no rounding: float32 keeps it below 1e-5."""

FEW = 4
"""How many random images a classifier is asked about."""

STRIP = (
    "say that they are, and its softmax or sigmoid is taken off: `--output probabilities`, in "
    'Python `load_classifier(model, output="probabilities")` to evaluate it and '
    '`keras_efgsm.networks.with_logits(model, output="probabilities")` for anything else'
)
"""What the user of a classifier that returns probabilities can do."""

# So many times brighter than white and darker than black that no logit stays in [0, 1].
_FAR = 1e3


class Answers(NamedTuple):
    """What a classifier answered random images.

    Attributes:
        num_classes: the number K of logits.
        is_random: whether it answered the same images differently when asked again.
    """

    num_classes: int
    is_random: bool


def check_answers(
    logits_fn: Callable[[Any], Any],
    image_shape: tuple[int, ...],
    *,
    name: str = "`classifier`",
    advice: str = STRIP,
    received: str = "",
    count: int = FEW,
    finite: bool = True,
    declared: bool = False,
) -> Answers:
    """Asks a classifier twice about a few random images, and checks what it answers.

    Args:
        logits_fn: maps float32 images `(B, H, W, C)` to logits `(B, K)`, in evaluation mode.
        image_shape: `(H, W, C)`.
        name: how the caller calls the classifier in an error.
        advice: what the caller can do about a softmax.
        received: what an error says of the classifier, such as `"path='a.onnx', "`.
        count: how many images. Defaults to 4.
        finite: whether logits of random images must be finite; otherwise whoever asks about real
            images checks those. Defaults to `True`.
        declared: whether its user says that it returns logits, whatever they look like. Defaults
            to `False`.

    Raises:
        ValueError: if it does not answer with one tensor of finite logits, or with probabilities:
            rows of them, or one logit, read as two, that stays in [0, 1] for any image.

    Example:

    ```python
    check_answers(classifier, classifier.input_shape[1:]).is_random
    ```
    """
    received = f"Received: {received}"
    images = keras.ops.convert_to_tensor(random_images(image_shape, count))
    first = logits_fn(images)
    if isinstance(first, (dict, list, tuple)):
        parts = sorted(first) if isinstance(first, dict) else len(first)
        what = "a dict of" if isinstance(first, dict) else f"a {type(first).__name__} of"
        raise ValueError(
            f"{name} must return one tensor of logits (batch, num_classes), or several outputs of "
            "which one is named `logits`: say which it is, `--output-name NAME`, of a Keras model "
            "in Python `keras_efgsm.networks.with_logits(model, output_name=NAME)`. "
            f"{received}output={what} {parts}"
        )
    outputs = _float32(first)
    if outputs.ndim != 2 or len(outputs) != count or outputs.shape[1] < 2:
        raise ValueError(
            f"{name} must return logits (batch, num_classes), num_classes >= 2. "
            f"{received}output shape={outputs.shape} for {count} images"
        )
    if finite and not np.isfinite(outputs).all():
        broken = outputs[~np.isfinite(outputs).all(axis=1)][0]
        raise ValueError(
            f"{name} must return finite logits; are its weights NaN? "
            f"{received}logits of a random image={broken[:5].tolist()}"
        )
    if not declared and are_probabilities(outputs):
        raise ValueError(
            f"{name} must return logits, but its outputs are probabilities; {advice}. "
            f"{received}outputs on random images that are >= 0 with row sums "
            f"{outputs.sum(axis=1).round(4)[:FEW].tolist()}"
        )
    if not declared and _is_one_probability(logits_fn, outputs, images):
        raise ValueError(
            f"{name} must return a logit, but its one output is a probability by all that "
            f"is seen: it never leaves [0, 1]. If so, {advice}; if it is a logit nevertheless, "
            "`--output logits`. "
            f"{received}outputs on random images={outputs[:, 1].round(4)[:FEW].tolist()}"
        )
    again = _float32(logits_fn(images))
    with np.errstate(invalid="ignore"):
        spread = np.ptp(outputs, axis=1).clip(np.finfo("float32").tiny)
        is_random = bool((np.abs(again - outputs).max(axis=1) > RANDOM * spread).any())
    return Answers(num_classes=outputs.shape[1], is_random=is_random)


def random_images(image_shape: tuple[int, ...], count: int = FEW) -> np.ndarray:
    """The same uniformly random images `(count, H, W, C)` in [0, 1) at every call."""
    return np.random.default_rng(0).random((count, *image_shape), dtype="float32")


def are_probabilities(outputs: np.ndarray) -> bool:
    """Whether outputs `(n, K)` on random images are rows of probabilities instead of logits.

    A softmax written as an operation or hidden in a custom layer shows only in the outputs. The
    tolerance leaves room for half precision. One class named with a plain 1 whatever the image is
    the constant answer of a classifier that guesses.
    """
    guesses = bool(np.isin(outputs, (0.0, 1.0)).all() and (outputs == outputs[0]).all())
    sums_to_one = np.allclose(outputs.sum(axis=1), 1.0, atol=1e-2)
    return bool((outputs >= 0.0).all() and sums_to_one and not guesses)


def _is_one_probability(logits_fn: Callable[[Any], Any], outputs: np.ndarray, images: Any) -> bool:
    """Whether one logit that was read as two, `[0, z]`, is a probability by all that is seen.

    A small logit may lie in [0, 1] for a few images, but not for ones far outside of the range of
    pixels.
    """
    if outputs.shape[1] != 2 or outputs[:, 0].any():
        return False
    seen = outputs[:, 1]
    if seen.min() < 0.0 or seen.max() > 1.0:
        return False
    try:
        far = [_float32(logits_fn(sign * _FAR * images))[:, 1] for sign in (1.0, -1.0)]
    # A graph may refuse such images.
    except Exception:
        far = []
    values = np.concatenate([seen, *far])
    values = values[np.isfinite(values)]
    # A last layer that begins with zeros has logits of 0, and a sigmoid of them would be a half.
    return bool(values.any() and values.min() >= 0.0 and values.max() <= 1.0)


def _float32(outputs: Any) -> np.ndarray:
    array: np.ndarray = keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
    return array
