"""Projected gradient descent."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import LOSSES, Attack, Perturbed
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_choice, check_count, check_number


@keras.saving.register_keras_serializable(package="keras_efgsm")
class PGD(Attack):
    """Projected gradient descent of Madry et al., on the cross-entropy or the margin.

    Equation 7 of Chen & Lee. Evaluates models, and trains them (Madry's training).

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        steps: number of steps. Defaults to `100`.
        step_size: in pixels of [0, 1]. Defaults to `2.5 * epsilon / steps`.
        random_start: whether to start uniformly in the ball. Defaults to `True`.
        loss: `"ce"` (cross-entropy) or `"cw"` (Carlini-Wagner margin). Defaults to `"ce"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = PGD(epsilon=0.3, steps=100, step_size=0.01, loss="cw")(classifier, x, y)
    ```
    """

    name = "pgd"

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        step_size: float | None = None,
        random_start: bool = True,
        loss: str = "ce",
    ):
        super().__init__(epsilon=epsilon)
        self.steps = check_count(steps, "steps")
        self.step_size = (
            2.5 * self.epsilon / self.steps
            if step_size is None
            else check_number(step_size, "step_size", minimum=0.0, strict=True)
        )
        self.random_start = bool(random_start)
        self.loss = check_choice(loss, "loss", tuple(LOSSES))

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        start = x
        if self.random_start:
            shift = noise.uniform(tuple(x.shape[1:]), -self.epsilon, self.epsilon)
            start = equations.project(x + shift, x, self.epsilon)

        def loss_at(images):
            logits = logits_fn(images)
            return self.loss_of(logits, labels), None

        def step(_, images):
            _, _, gradient = input_gradient(loss_at, images, gradient_scale)
            moved = images + self.step_size * ops.sign(gradient)
            return equations.project(moved, x, self.epsilon)

        return Perturbed(images=ops.fori_loop(0, self.steps, step, start))

    def get_config(self):
        return {
            **super().get_config(),
            "steps": self.steps,
            "step_size": self.step_size,
            "random_start": self.random_start,
            "loss": self.loss,
        }
