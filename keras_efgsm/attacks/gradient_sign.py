"""What FGSM and PGD share: a start and steps along the sign of a loss's gradient."""

import keras

from keras_efgsm import equations
from keras_efgsm.attacks.attack import LOSSES, Attack, LogitsFn, Tensor
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_choice, check_number
from keras_efgsm.noise import Noise


class GradientSignAttack(Attack):
    """Base of attacks that ascend a loss by the sign of its gradient.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        step_size: in pixels of [0, 1].
        random_start: whether to start uniformly in the ball.
        loss: `"ce"` (cross-entropy) or `"cw"` (Carlini & Wagner's margin).

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(self, *, epsilon: float, step_size: float, random_start: bool, loss: str):
        super().__init__(epsilon=epsilon)
        self.step_size = check_number(step_size, "step_size", minimum=0.0, strict=True)
        self.random_start = bool(random_start)
        self.loss = check_choice(loss, "loss", tuple(LOSSES))

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        """The clean images, or uniform random points of their balls."""
        if not self.random_start:
            return x
        shift = noise.uniform(tuple(x.shape[1:]), -self.epsilon, self.epsilon)
        return equations.project(x + shift, x, self.epsilon)

    def ascend(
        self,
        logits_fn: LogitsFn,
        images: Tensor,
        x: Tensor,
        labels: Tensor,
        gradient_scale: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step from `images` within the ball around `x` [7].

        Returns:
            `(images, loss, gradient)`: where it went, and the loss `(B,)` and its gradient where
            it came from.
        """

        def loss_at(images):
            return self.loss_of(logits_fn(images), labels), None

        loss, _, gradient = input_gradient(loss_at, images, gradient_scale)
        moved = images + self.step_size * keras.ops.sign(gradient)
        return equations.project(moved, x, self.epsilon), loss, gradient

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "random_start": self.random_start,
            "loss": self.loss,
        }
