"""The shared part of FGSM and PGD: a start and steps along the gradient of a loss."""

from typing import NamedTuple

from keras_efgsm.attacks.attack import Attack, Budget
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_choice, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


class Ascent(NamedTuple):
    """One step along a gradient.

    Attributes:
        images: where it went, `(B, H, W, C)`.
        loss: the loss `(B,)` where it came from.
        gradient: its gradient there, `(B, H, W, C)`.
        logits: the logits there, `(B, K)`.
    """

    images: Tensor
    loss: Tensor
    gradient: Tensor
    logits: Tensor


class GradientSignAttack(Attack):
    """Base of attacks that ascend a loss along the steepest way that their ball has.

    In the L-infinity ball that is the sign of the gradient, in an L2 ball the gradient itself.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        step_size: in pixels of [0, 1].
        random_start: whether to start uniformly in the ball.
        loss: `"ce"` (cross-entropy) or `"cw"` (Carlini & Wagner's margin).
        norm: of the ball, one of `norms`. Defaults to `"linf"`.

    Raises:
        ValueError: if an option is out of range.
    """

    losses = ("ce", "cw")

    def __init__(
        self,
        *,
        epsilon: float,
        step_size: float,
        random_start: bool,
        loss: str,
        norm: str = "linf",
    ):
        self.norm = norm
        super().__init__(epsilon=epsilon)
        self.step_size = check_number(step_size, "step_size", minimum=0.0, strict=True)
        self.random_start = bool(random_start)
        self.loss = check_choice(loss, "loss", ("ce", "cw"))

    @property
    def budget(self) -> Budget:
        return super().budget._replace(step_size=self.step_size)

    @property
    def starts_at_random(self) -> bool:
        return self.random_start

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        """The clean images, or uniform random points of their balls."""
        if not self.random_start:
            return x
        shift = self.ball.uniform(noise, x)
        return self.restrict(x + self.epsilon * shift, x)

    def ascend(
        self,
        logits_fn: LogitsFn,
        images: Tensor,
        x: Tensor,
        labels: Tensor,
        gradient_scale: float,
    ) -> Ascent:
        """One step from `images` within the ball around `x` [7]."""

        def loss_at(images: Tensor) -> tuple[Tensor, Tensor]:
            logits = logits_fn(images)
            return self.loss_of(logits, labels), logits

        loss, logits, gradient = input_gradient(loss_at, images, gradient_scale)
        moved = images + self.step_size * self.ball.direction(gradient)
        return Ascent(self.restrict(moved, x), loss, gradient, logits)

    def restrict(self, images: Tensor, x: Tensor) -> Tensor:
        """Puts images back into the ball around `x`."""
        return self.ball.project(images, x, self.epsilon)
