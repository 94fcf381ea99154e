"""The fast gradient sign method."""

import keras

from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_epsilon
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class FGSM(GradientSignAttack):
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

    kind = "fgsm"
    has_shortfall = True
    tells_start_logits = True

    def __init__(
        self,
        *,
        epsilon: float,
        step_size: float | None = None,
        random_start: bool = False,
        loss: str = "ce",
    ):
        if step_size is None:
            step_size = check_epsilon(epsilon) * (1.25 if random_start else 1.0)
        super().__init__(epsilon=epsilon, step_size=step_size, random_start=random_start, loss=loss)

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        start = self.start(x, noise)
        step = self.ascend(logits_fn, start, x, labels, gradient_scale)
        axes = tuple(range(1, len(x.shape)))
        gain = keras.ops.sum(step.gradient * (step.images - start), axis=axes)
        return Perturbed(
            images=step.images,
            start_loss=step.loss,
            predicted_gain=gain,
            start_logits=step.logits,
        )
