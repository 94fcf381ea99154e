"""One perturbation for all images, by projected signed ascent over their batches."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.losses import cross_entropy
from keras_efgsm.backend import compiled_once, input_gradient
from keras_efgsm.checks import check_choice, check_count, check_epsilon, check_number
from keras_efgsm.configured import Configured
from keras_efgsm.typing import LogitsFn, Tensor

NORMS = ("linf", "l2")
_TINY = 1e-12
# The published clip of the loss is 9 on ImageNet; what counts is that it is well above that of an
# image that is just turned.
_CLIP = 9.0


class UniversalPerturbation(Configured):
    """Makes one perturbation v that turns many images: stochastic projected ascent.

    Shafahi, Najibi, Xu, Dickerson, Davis & Goldstein 2020, "Universal adversarial training",
    algorithm 1, in place of the iterated DeepFool of Moosavi-Dezfooli, Fawzi, Fawzi & Frossard
    2017, "Universal adversarial perturbations", which works image by image:

        v <- P(v + alpha sign(sum_b grad_v min(CE(x_b + v, y_b), beta)))

    over batches b, P being the projection onto the ball; in L2 the step goes along the gradient
    divided by its length. The loss is clipped at beta, so that images that are far beyond the
    boundary do not draw the perturbation. `x + v` is clipped to [0, 1]. The step falls linearly to
    a tenth. y is what the classifier answers on the clean image: what is asked for is another
    answer, and labels are not needed.

    Args:
        epsilon: radius of the ball in pixels of [0, 1]; in L2 it may be above 1.
        norm: `"linf"` or `"l2"`. Defaults to `"linf"`.
        steps: batches that are stepped on. Defaults to `300`.
        step_size: alpha, first length of a step in the norm. Defaults to `epsilon / 10`.
        clip: beta. Defaults to `9.0`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    maker = UniversalPerturbation(epsilon=0.3, steps=20)
    v = maker.make(classifier, np.asarray(x), np.asarray(y), batch_size=4)
    v.shape  # (28, 28, 1)
    ```
    """

    def __init__(
        self,
        *,
        epsilon: float,
        norm: str = "linf",
        steps: int = 300,
        step_size: float | None = None,
        clip: float = _CLIP,
    ):
        self.norm = check_choice(norm, "norm", NORMS)
        # A radius on the 0..255 scale is told by L-infinity alone.
        self.epsilon = (
            check_epsilon(epsilon)
            if norm == "linf"
            else check_number(epsilon, "epsilon", minimum=0.0, strict=True)
        )
        self.steps = check_count(steps, "steps")
        if step_size is None:
            step_size = self.epsilon / 10.0
        self.step_size = check_number(step_size, "step_size", minimum=0.0, strict=True)
        self.clip = check_number(clip, "clip", minimum=0.0, strict=True)

    def make(
        self,
        logits_fn: LogitsFn,
        x: np.ndarray,
        answers: np.ndarray,
        *,
        batch_size: int = 100,
        seed: int = 0,
        reads: Sequence[keras.Variable] = (),
        tell: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Makes the perturbation.

        Args:
            logits_fn: maps images to float32 logits `(B, K)` in evaluation mode.
            x: images `(n, H, W, C)` in [0, 1], float32.
            answers: the classes `(n,)` that it is to lead away from.
            batch_size: of each step. Defaults to `100`.
            seed: of the order of the images. Defaults to `0`.
            reads: the variables that `logits_fn` reads. Defaults to none.
            tell: is told the number of each step. Defaults to nobody.

        Returns:
            The perturbation `(H, W, C)`, within the ball.
        """
        step = compiled_once(lambda x, y, v, rate: self.step(logits_fn, x, y, v, rate), reads)
        generator = np.random.default_rng(seed)
        size = min(batch_size, len(x))
        perturbation = ops.zeros(x.shape[1:], dtype="float32")
        order = np.zeros(0, int)
        for number in range(self.steps):
            if len(order) < size:
                order = generator.permutation(len(x))
            chosen, order = order[:size], order[size:]
            rate = self.step_size * (1.0 - 0.9 * number / self.steps)
            perturbation = step(
                ops.convert_to_tensor(x[chosen]),
                ops.convert_to_tensor(answers[chosen].astype("int32")),
                perturbation,
                ops.convert_to_tensor(np.float32(rate)),
            )
            if tell is not None:
                tell(number)
        return np.array(perturbation)

    def step(
        self, logits_fn: LogitsFn, x: Tensor, answers: Tensor, perturbation: Tensor, rate: Tensor
    ) -> Tensor:
        """One step on one batch.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            x: images `(B, H, W, C)`.
            answers: classes `(B,)`.
            perturbation: `(H, W, C)`.
            rate: length of the step.

        Returns:
            The perturbation after it, within the ball.
        """

        def loss_at(shift: Tensor) -> tuple[Tensor, Tensor]:
            logits = logits_fn(ops.clip(x + shift, 0.0, 1.0))
            return ops.minimum(cross_entropy(logits, answers), self.clip), logits

        shift = ops.broadcast_to(perturbation[None], ops.shape(x))
        gradient = ops.sum(input_gradient(loss_at, shift)[2], axis=0)
        if self.norm == "linf":
            return ops.clip(perturbation + rate * ops.sign(gradient), -self.epsilon, self.epsilon)
        length = ops.sqrt(ops.sum(ops.square(gradient)))
        moved = perturbation + rate * gradient / (length + _TINY)
        reach = ops.sqrt(ops.sum(ops.square(moved)))
        return moved * ops.minimum(1.0, self.epsilon / (reach + _TINY))

    def random(self, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
        """A perturbation of the same size in a random direction, for a comparison.

        Args:
            shape: `(H, W, C)`.
            seed: of the direction. Defaults to `0`.
        """
        drawn = np.random.default_rng(seed).normal(size=shape)
        if self.norm == "linf":
            return (self.epsilon * np.sign(drawn)).astype("float32")
        return (self.epsilon * drawn / np.linalg.norm(drawn)).astype("float32")
