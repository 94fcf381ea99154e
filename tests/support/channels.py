"""A classifier that can be followed by hand: the class of an image is its brightest channel."""

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.attack import Perturbed

EPSILON = 0.1
# True class, the channels of all four pixels, and what the attacks below make of it at EPSILON.
IMAGES = [
    (0, (0.6, 0.5, 0.4)),  # Raise(1): 0.5, 0.6, 0.3 -> 1
    (0, (0.9, 0.1, 0.1)),  # withstands everything
    (0, (0.6, 0.4, 0.5)),  # Raise(1): 0.5, 0.5 -> 0 (a tie stays), Raise(2): 0.5, 0.3, 0.6 -> 2
    (1, (0.5, 0.6, 0.4)),  # Raise(2): 0.4, 0.5, 0.5 -> 1; withstands both
    (2, (0.4, 0.5, 0.6)),  # Raise(1): 0.3, 0.6, 0.5 -> 1
    (2, (0.6, 0.4, 0.5)),  # is taken for 0 already
]
LABELS = np.array([label for label, _ in IMAGES])
PIXELS = np.tile(np.array([row for _, row in IMAGES], "float32")[:, None, None], (1, 2, 2, 1))
CLEAN = np.array([0, 0, 0, 1, 2, 0])


def channel_classifier():
    """A Keras model of 2 x 2 images with three channels, whose logits are the channels' sums."""
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)]
    )
    model.set_weights([np.tile(np.eye(3, dtype="float32"), (4, 1))])
    return model


class Raise(Attack):
    """Makes one channel as bright as the ball allows and the others as dark."""

    kind = "raise"

    def __init__(self, *, epsilon, channel):
        super().__init__(epsilon=epsilon)
        self.channel = channel

    @property
    def name(self):
        return f"raise-{self.channel}"

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        sign = 2.0 * ops.one_hot(self.channel, x.shape[-1], dtype=x.dtype) - 1.0
        # A little less, so that a tie is one in spite of rounding: the class before it wins.
        return Perturbed(equations.project(x + 0.999 * self.epsilon * sign, x, self.epsilon))
