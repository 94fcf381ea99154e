"""The models that are diagnosed, and the verdict that each should have."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from experiments.masking.workshop import Workshop
from keras_efgsm import (
    EFGSM,
    PGD,
)
from keras_efgsm.evaluation import EvaluatedModel

MASKED, CLEAR, NOTHING = "gradients are masked", "no sign of masking", "nothing to attack"


def quantise(images, levels=4):
    """Rounds pixels to a few levels; `tf.round` has no gradient."""
    return tf.round(images * levels) / levels


def median_filter(images):
    """The median of each pixel and its four neighbours, in NumPy: no gradient passes."""

    def filtered(pixels):
        edge = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        middle, up, down = edge[:, 1:-1, 1:-1], edge[:, :-2, 1:-1], edge[:, 2:, 1:-1]
        left, right = edge[:, 1:-1, :-2], edge[:, 1:-1, 2:]
        return np.median([middle, up, down, left, right], axis=0).astype("float32")

    return tf.numpy_function(filtered, [images], tf.float32)


def threshold(images):
    """Black or white: a comparison has no gradient."""
    return tf.cast(images > 0.5, tf.float32)


def add_noise(images):
    """Other noise at every call."""
    return images + 0.2 * tf.random.normal(tf.shape(images))


def shift_at_random(images):
    """Moves the images up or down by a pixel or not at all, by chance at every call."""
    return tf.roll(images, tf.random.uniform((), -1, 2, tf.int32), 1)


def drop_pixels(images):
    """Dropout that is active in evaluation as well."""
    return tf.nn.dropout(images, 0.2)


@tf.custom_gradient
def wrong_gradient(images):
    """Leaves the images as they are and gives back a gradient with its signs scrambled."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=images.shape[1:]).astype("float32")
    return tf.identity(images), lambda upstream: upstream * signs


def ripple(images):
    """A ripple too small to change an answer, and steep enough to rule the gradient."""
    return images + 0.003 * tf.sin(2000.0 * images)


@tf.custom_gradient
def straight_through(images):
    """Rounds pixels and passes the gradient straight through: quantised, and nothing hidden."""
    return quantise(images, 16), lambda upstream: upstream


class Case(NamedTuple):
    """A model, what is to be said of it, and whether it is attacked at the larger epsilon."""

    expected: str
    make: Callable[[Workshop], EvaluatedModel | keras.Model]
    after_overfitting: bool = False


def _wrapped(before: Callable | None = None, after: Callable | None = None) -> Callable:
    return lambda shop: shop.wrapped((before or after).__name__, before, after)


def huge_logits(logits):
    """So large that the softmax has no gradient left in float32."""
    return 1e4 * logits


def saturated_logits(logits):
    """A tanh that is flat nearly everywhere but between the two largest logits."""
    between = tf.reduce_mean(tf.math.top_k(logits, 2).values, axis=1, keepdims=True)
    return 20.0 * tf.tanh(30.0 * (logits - between))


def confident_logits(logits):
    """Very sure of itself, as after a long training: the gradients are tiny and right."""
    return 3.0 * logits


CASES = {
    "quantised input": Case(MASKED, _wrapped(quantise)),
    "thresholded input": Case(MASKED, _wrapped(threshold)),
    "median filter in NumPy": Case(MASKED, _wrapped(median_filter)),
    "huge logits": Case(MASKED, _wrapped(after=huge_logits)),
    "saturated logits": Case(MASKED, _wrapped(after=saturated_logits)),
    "noise at every call": Case(MASKED, _wrapped(add_noise)),
    "random shift": Case(MASKED, _wrapped(shift_at_random)),
    "dropout in evaluation": Case(MASKED, _wrapped(drop_pixels)),
    "wrong custom gradient": Case(MASKED, _wrapped(wrong_gradient)),
    "rippled input": Case(MASKED, _wrapped(ripple)),
    "catastrophic overfitting": Case(MASKED, Workshop.overfitted, after_overfitting=True),
    "ordinary training": Case(CLEAR, lambda shop: shop.ordinary),
    "ordinary, at the larger epsilon": Case(
        CLEAR, lambda shop: shop.ordinary, after_overfitting=True
    ),
    "label smoothing": Case(CLEAR, lambda shop: shop.train(label_smoothing=0.2)),
    "confident": Case(CLEAR, _wrapped(after=confident_logits)),
    "quantised, straight-through": Case(CLEAR, _wrapped(straight_through)),
    "linear": Case(CLEAR, Workshop.linear),
    "PGD training": Case(
        CLEAR,
        lambda shop: shop.train_on(
            PGD(epsilon=shop.setting.epsilon, steps=7), shop.setting.robust_epochs
        ),
    ),
    "eFGSM training": Case(
        CLEAR,
        lambda shop: shop.train_on(EFGSM(epsilon=shop.setting.epsilon), shop.setting.robust_epochs),
    ),
    "random weights": Case(NOTHING, lambda shop: shop.setting.network()),
}
