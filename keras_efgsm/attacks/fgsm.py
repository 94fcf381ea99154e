"""One-step attacks on the cross-entropy: FGSM, FGSM with a random start, N-FGSM."""

import keras

from keras_efgsm import equations
from keras_efgsm.attacks.attack import LOSSES, Attack, Perturbed
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_choice, check_number


@keras.saving.register_keras_serializable(package="keras_efgsm")
class FGSM(Attack):
    """Fast gradient sign method, with or without a uniform random start.

    Equation 6 of Chen & Lee: `clip01(x + alpha * sign(grad_x L))` (Goodfellow et al., 2014). With
    `random_start=True` it is FGSM-RS of Wong et al., "Fast is better than free".

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        step_size: alpha in pixels of [0, 1]. Defaults to epsilon, or 1.25 epsilon after a random
            start, as Wong et al. recommend.
        random_start: whether to start uniformly in the ball. Defaults to `False`.
        loss: `"ce"` (cross-entropy) or `"cw"` (margin). Defaults to `"ce"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = FGSM(epsilon=8 / 255, random_start=True)(classifier, x, y)
    ```
    """

    name = "fgsm"
    has_shortfall = True

    def __init__(
        self,
        *,
        epsilon: float,
        step_size: float | None = None,
        random_start: bool = False,
        loss: str = "ce",
    ):
        super().__init__(epsilon=epsilon)
        default = self.epsilon * (1.25 if random_start else 1.0)
        self.step_size = (
            default
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

        start_loss, _, gradient = input_gradient(loss_at, start, gradient_scale)
        x_adv = equations.project(
            start + self.step_size * keras.ops.sign(gradient), x, self.epsilon
        )
        gain = keras.ops.sum(gradient * (x_adv - start), axis=(1, 2, 3))
        return Perturbed(
            images=x_adv,
            start_loss=start_loss,
            predicted_gain=gain,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "step_size": self.step_size,
            "random_start": self.random_start,
            "loss": self.loss,
        }
