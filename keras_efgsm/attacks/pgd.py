"""Projected gradient descent."""

from typing import Any, ClassVar, Self

import keras
from keras import ops

from keras_efgsm.attacks.attack import Budget, Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import NORMS, check_count, check_epsilon
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor

# The step of Madry et al. on MNIST is 0.01 in a ball of 0.3.
_STEPS_PER_RADIUS = 30


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class PGD(GradientSignAttack):
    """Projected gradient descent of Madry et al., on the cross-entropy or the margin.

    Equation 7 of Chen & Lee: steps along the sign of the gradient, or in an L2 ball along the
    gradient at length 1 (foolbox, `L2ProjectedGradientDescentAttack`). Evaluates models, and trains
    them (Madry's training).

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        steps: number of steps. Defaults to `100`.
        step_size: in pixels of [0, 1]. Defaults to `2.5 * epsilon / steps`.
        random_start: whether to start uniformly in the ball. Defaults to `True`.
        loss: `"ce"` (cross-entropy) or `"cw"` (Carlini-Wagner margin). Defaults to `"ce"`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = PGD(epsilon=0.3, steps=100, step_size=0.01, loss="cw")(classifier, x, y)
    ```
    """

    kind = "pgd"
    evaluation_options: ClassVar[tuple[str, ...] | None] = ("steps", "step_size")
    norms: ClassVar[tuple[str, ...]] = NORMS

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        step_size: float | None = None,
        random_start: bool = True,
        loss: str = "ce",
        norm: str = "linf",
    ):
        self.steps = check_count(steps, "steps")
        if step_size is None:
            step_size = 2.5 * check_epsilon(epsilon, norm=norm) / self.steps
        super().__init__(
            epsilon=epsilon,
            step_size=step_size,
            random_start=random_start,
            loss=loss,
            norm=norm,
        )

    @property
    def budget(self) -> Budget:
        return super().budget._replace(steps=self.steps)

    @classmethod
    def for_evaluation(cls, epsilon: float, **options: Any) -> Self:
        step = check_epsilon(epsilon, norm=options.get("norm", "linf")) / _STEPS_PER_RADIUS
        return cls(epsilon=epsilon, **{"step_size": step} | options)

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        def step(_: Tensor, images: Tensor) -> Tensor:
            return self.ascend(logits_fn, images, x, labels, gradient_scale).images

        return Perturbed(images=ops.fori_loop(0, self.steps, step, self.start(x, noise)))
