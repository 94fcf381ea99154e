"""Robust accuracy on a few fixed images, compiled once."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_efgsm.array_checks import check_images, check_labels
from keras_efgsm.attacks.attack import Attack
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import compiled
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Tensor

# A robust accuracy of no more than this, or than guessing, is none.
_NEAR_ZERO = 0.05


def is_none(robust: float, chance: float) -> bool:
    """Whether a robust accuracy is no more than next to nothing, or than guessing gives.

    Args:
        robust: share in [0, 1].
        chance: share of the most frequent class.

    Example:

    ```python
    is_none(0.1, chance=0.1)  # True
    ```
    """
    return robust <= max(_NEAR_ZERO, chance)


class ProbeAccuracies(NamedTuple):
    """Shares of the images of a probe.

    Attributes:
        natural: classified correctly clean.
        robust: classified correctly both clean and attacked.
    """

    natural: float
    robust: float


class Probe:
    """Measures a classifier under an attack on the same images with the same noise each time.

    Args:
        classifier: Keras model from images to logits `(B, K)`.
        attack: an attack without momentum.
        images: `(n, H, W, C)` in [0, 1], n small enough for one batch.
        labels: true classes `(n,)`.

    Raises:
        ValueError: if images or labels are not as they must be.
    """

    def __init__(self, classifier: keras.Model, attack: Attack, images: Any, labels: Any):
        check_images(images, "probe images")
        check_labels(labels, classifier.output_shape[-1], len(images), "probe labels")
        self._images = keras.ops.convert_to_tensor(images, dtype="float32")
        labels = np.asarray(labels)
        one_hot = labels.ndim == 2 and labels.shape[1] > 1
        labels = labels.argmax(axis=1) if one_hot else labels.reshape(-1)
        self._chance = float(np.bincount(labels).max() / len(labels))
        self._labels = keras.ops.convert_to_tensor(labels, dtype="int32")
        noise = Noise(0, 0, keras.ops.arange(len(images), dtype="int32"))
        logits_fn = evaluation_logits(classifier)

        def correct(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            x_adv = attack.perturb(logits_fn, x, y, noise).images
            natural = keras.ops.argmax(logits_fn(x), axis=-1) == y
            robust = keras.ops.argmax(logits_fn(x_adv), axis=-1) == y
            return natural, keras.ops.logical_and(natural, robust)

        self._correct = compiled(correct, classifier.variables)

    @property
    def chance(self) -> float:
        """The accuracy of whoever answers with the class that most of the images have."""
        return self._chance

    def accuracies(self) -> ProbeAccuracies:
        """What the classifier reaches now."""
        natural, robust = self._correct(self._images, self._labels)
        to_numpy = keras.ops.convert_to_numpy
        return ProbeAccuracies(float(to_numpy(natural).mean()), float(to_numpy(robust).mean()))

    def accuracy(self) -> float:
        """Share of the images classified correctly both clean and attacked."""
        return self.accuracies().robust
