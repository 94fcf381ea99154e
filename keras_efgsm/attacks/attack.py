"""What every attack is: images, labels and noise in, perturbed images out."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from keras_efgsm import equations
from keras_efgsm.checks import check_epsilon
from keras_efgsm.noise import Noise

Tensor = Any
LogitsFn = Callable[[Tensor], Tensor]


class Perturbed(NamedTuple):
    """What an attack hands back for a batch.

    Attributes:
        images: adversarial images `(B, H, W, C)`.
        start_loss: the attack's own loss `(B,)` at its start, see `Attack.loss_of`; None unless
            `Attack.has_shortfall`.
        predicted_gain: by how much the linearised loss rises from the start to `images`, `(B,)`;
            None as `start_loss`.
        robust: whether `(B,)` the linearised margin stays positive over the whole ball; None if
            the attack takes no gradient of a margin.
        momentum: updated per-sample momentum; None for an attack without.
        start: where it started `(B, H, W, C)`; None for an attack that does not tell.
    """

    images: Tensor
    start_loss: Tensor | None = None
    predicted_gain: Tensor | None = None
    robust: Tensor | None = None
    momentum: Tensor | None = None
    start: Tensor | None = None


class Attack:
    """Base of every attack of training and evaluation: a small object with keyword-only options.

    A subclass sets `name`, implements `perturb` and extends `get_config`. Attacks hold no state:
    the same arguments give the same images, whatever the batch. An attack of several `rounds`,
    one for each target class, makes round `noise.step % rounds` at a call of `perturb`; whoever
    evaluates runs them all and carries on the images that withstood.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].

    Raises:
        ValueError: if epsilon is not in (0, 1].
    """

    name = "attack"
    uses_momentum = False
    # Whether it makes one step whose gain can be compared with what its gradient promised.
    has_shortfall = False
    # How many calls of `perturb`, with steps 0, 1, ... of the noise, make the whole attack.
    rounds = 1
    # Whether it goes through gradients of the model, or asks for logits alone.
    needs_gradient = True
    # Whether its images lie in the ball; those of a training attack need not.
    stays_in_ball = True
    loss = "ce"

    def __init__(self, *, epsilon: float):
        self.epsilon = check_epsilon(epsilon)

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        """Perturbs a batch within the ball.

        Args:
            logits_fn: maps images to logits `(B, K)` in evaluation mode.
            x: clean images `(B, H, W, C)` in [0, 1].
            labels: true classes `(B,)`, integers.
            noise: noise of these samples.
            momentum: their Gamma `(B, H, W, C)`, for an attack that uses it.
            gradient_scale: factor that keeps a float16 network's gradients from underflowing.
        """
        raise NotImplementedError

    def __call__(self, classifier: LogitsFn, x: Tensor, y: Tensor, seed: int = 0) -> Tensor:
        """Adversarial images for a batch of clean ones; sample ids are positions in the batch.

        Of several rounds, each image is that of the first one that turned it, else of the last.

        Args:
            classifier: a Keras model or function that returns logits.
            x: images `(B, H, W, C)` in [0, 1].
            y: true classes `(B,)`.
            seed: seed of the attack's noise. Defaults to 0.
        """
        x = keras.ops.convert_to_tensor(x, dtype="float32")
        y = keras.ops.convert_to_tensor(y, dtype="int32")
        logits_fn = evaluation_logits(classifier)
        ids = keras.ops.arange(x.shape[0], dtype="int32")
        momentum = self.initial_momentum(x) if self.uses_momentum else None
        images, withstood = x, keras.ops.ones(x.shape[:1], dtype="bool")
        for step in range(self.rounds):
            made = self.perturb(logits_fn, x, y, Noise(seed, step, ids), momentum).images
            images = keras.ops.where(equations.per_sample(withstood, x), made, images)
            if step + 1 < self.rounds:
                held = equations.margin(logits_fn(images), y) > 0.0
                withstood = keras.ops.logical_and(withstood, held)
        return images

    def momentum_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape of one sample's momentum. Defaults to that of its image."""
        return tuple(image_shape)

    def initial_momentum(self, x: Tensor) -> Tensor:
        """The momentum of samples not seen before: zeros."""
        return keras.ops.zeros((x.shape[0], *self.momentum_shape(x.shape[1:])), dtype="float32")

    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss `(B,)` that the attack raises, of logits `(B, K)`."""
        return LOSSES[self.loss](logits, labels)

    def get_config(self) -> dict:
        return {"epsilon": self.epsilon}

    @classmethod
    def from_config(cls, config: dict) -> "Attack":
        return cls(**config)


def evaluation_logits(classifier: LogitsFn) -> LogitsFn:
    """Float32 logits of a classifier in evaluation mode: batch-norm statistics do not move."""
    if isinstance(classifier, keras.layers.Layer):
        return lambda x: keras.ops.cast(classifier(x, training=False), "float32")
    return lambda x: keras.ops.cast(classifier(x), "float32")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per sample `(B,)` of integer labels."""
    one_hot = keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return keras.ops.categorical_crossentropy(one_hot, logits, from_logits=True)


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Carlini & Wagner's margin loss `(B,)`: the runner-up's logit minus the true one."""
    return -equations.margin(logits, labels)


LOSSES = {"ce": cross_entropy, "cw": margin_loss}
