"""What every attack is: images, labels and noise in, perturbed images out."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from keras_efgsm import equations
from keras_efgsm.backend import compiled
from keras_efgsm.checks import check_epsilon
from keras_efgsm.noise import Noise

Tensor = Any
LogitsFn = Callable[[Tensor], Tensor]

_TINY = 1e-12


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
        start_logits: logits `(B, K)` where it took its gradient; None unless `tells_start_logits`.
    """

    images: Tensor
    start_loss: Tensor | None = None
    predicted_gain: Tensor | None = None
    robust: Tensor | None = None
    momentum: Tensor | None = None
    start_logits: Tensor | None = None


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
    # Whether the logits of its one gradient pass are handed on, for an objective that wants them.
    tells_start_logits = False
    # Whose momentum it is: that of a training "sample", of a "position" in the batch, or one for
    # the whole "dataset".
    momentum_of = "sample"
    # Bound on the magnitude of the momentum.
    momentum_limit: float = 1.0
    # How a batch becomes updates of the weights, a name in `updates.UPDATES`.
    update = "one"
    # Whether what it does to an image depends on the other images of the batch by more than the
    # statistics of batch norm.
    couples_batch = False
    # How many updates of the weights a training step makes.
    replays = 1
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
            logits_fn: maps images to float32 logits `(B, K)`; a trainer's uses the statistics of
                the batch, an evaluation's those that the network keeps.
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

        def make(x, y, step):
            momentum = self.initial_momentum(x) if self.uses_momentum else None
            made = self.perturb(logits_fn, x, y, Noise(seed, step, ids), momentum).images
            return made, still_correct(logits_fn(made), y)

        # One graph for all rounds: step by step, thousands of queries would take minutes.
        make = compiled(make)
        images, withstood = x, keras.ops.ones(x.shape[:1], dtype="bool")
        for step in range(self.rounds):
            made, held = make(x, y, keras.ops.convert_to_tensor(step, dtype="int32"))
            images = keras.ops.where(equations.per_sample(withstood, x), made, images)
            withstood = keras.ops.logical_and(withstood, held)
        return images

    def momentum_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape of one sample's momentum. Defaults to that of its image."""
        return tuple(image_shape)

    def momentum_rows(self, num_samples: int) -> int:
        """How many entries the momentum has. Defaults to one for each training sample."""
        return num_samples

    def initial_momentum(self, x: Tensor) -> Tensor:
        """The momentum of samples not seen before: zeros."""
        return keras.ops.zeros((x.shape[0], *self.momentum_shape(x.shape[1:])), dtype="float32")

    def loss_of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss `(B,)` that the attack raises, of logits `(B, K)`."""
        return LOSSES[self.loss](logits, labels)

    def scaled(self, factor: Tensor) -> "Attack":
        """The same attack on a ball `factor` times as large, for a warm-up of epsilon."""
        attack = copy.copy(self)
        attack.epsilon = self.epsilon * factor
        if getattr(self, "step_size", None) is not None:
            attack.step_size = self.step_size * factor
        return attack

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


def batch_statistics_logits(classifier: keras.Model) -> LogitsFn:
    """Float32 logits of a classifier in training mode, which leave the classifier as it was.

    Batch norm normalises by the batch, as in the update that follows, but its running statistics
    do not move; dropout and other random layers draw what that update will draw.
    """

    def logits_of(images: Tensor) -> Tensor:
        state = [(variable, variable.value) for variable in classifier.variables]
        with keras.StatelessScope(state_mapping=state):
            return keras.ops.cast(classifier(images, training=True), "float32")

    return logits_of


def still_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether `(B,)` the logits `(B, K)` are finite and the largest is that of the true class."""
    finite = keras.ops.all(keras.ops.isfinite(logits), axis=-1)
    predicted = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
    return keras.ops.logical_and(finite, predicted == keras.ops.cast(labels, "int32"))


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per sample `(B,)` of integer labels."""
    one_hot = keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return keras.ops.categorical_crossentropy(one_hot, logits, from_logits=True)


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Carlini & Wagner's margin loss `(B,)`: the runner-up's logit minus the true one."""
    return -equations.margin(logits, labels)


def dlr_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio `(B,)` of Croce & Hein: the margin loss on the logits' own scale.

    `-(z_t - max_{i != t} z_i) / (z_(1) - z_(3))`, z_(i) the i-th largest logit. Unlike the
    cross-entropy it does not change, nor its gradient's sign vanish, when all logits are scaled.

    Raises:
        ValueError: if there are fewer than 3 classes.
    """
    num_classes = logits.shape[-1]
    if num_classes < 3:
        raise ValueError(
            'The loss "dlr" divides by the difference of the largest and the third logit, so the '
            'classifier must have at least 3 classes; use "ce" or "cw". '
            f"Received: num_classes={num_classes}"
        )
    largest = keras.ops.top_k(logits, 3)[0]
    return margin_loss(logits, labels) / (largest[:, 0] - largest[:, 2] + _TINY)


def targeted_dlr_loss(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Croce & Hein's targeted difference of logits ratio `(B,)`.

    `-(z_t - z_target) / (z_(1) - (z_(3) + z_(4)) / 2)`. Of fewer than 4 classes, which have no
    fourth logit, it is the numerator alone: the margin loss towards the target.

    Args:
        logits: `(B, K)`.
        labels: true classes `(B,)`.
        targets: classes `(B,)` that the images are to be taken for.
    """
    num_classes = logits.shape[-1]
    # Without a gather: its gradient would be a scatter.
    towards = keras.ops.one_hot(targets, num_classes, dtype=logits.dtype)
    away = keras.ops.one_hot(labels, num_classes, dtype=logits.dtype)
    difference = keras.ops.sum((towards - away) * logits, axis=-1)
    if num_classes < 4:
        return difference
    largest = keras.ops.top_k(logits, 4)[0]
    return difference / (largest[:, 0] - 0.5 * (largest[:, 2] + largest[:, 3]) + _TINY)


LOSSES = {"ce": cross_entropy, "cw": margin_loss, "dlr": dlr_loss}
