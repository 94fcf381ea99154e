"""N-FGSM: FGSM after strong noise, without projection."""

import keras

from keras_efgsm.attacks.fgsm import FGSM
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class NFGSM(FGSM):
    """FGSM from noise wider than the ball, and nothing projected back to it.

    De Jorge et al., "Make some noise: reliable and efficient single-step adversarial training",
    2022: `clip01(x + eta + alpha * sign(grad_x L(x + eta)))`, eta uniform in `[-k epsilon, k
    epsilon]`. For training only: its images leave the ball.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        noise_scale: k, >= 0. Defaults to `2.0`, the paper's.
        step_size: alpha in pixels of [0, 1]. Defaults to epsilon.
        loss: `"ce"` (cross-entropy) or `"cw"` (margin). Defaults to `"ce"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, NFGSM(epsilon=8 / 255))
    ```
    """

    kind = "n-fgsm"
    stays_in_ball = False

    def __init__(
        self,
        *,
        epsilon: float,
        noise_scale: float = 2.0,
        step_size: float | None = None,
        loss: str = "ce",
    ):
        super().__init__(epsilon=epsilon, step_size=step_size, loss=loss)
        self.noise_scale = check_number(noise_scale, "noise_scale", minimum=0.0)

    @property
    def starts_at_random(self) -> bool:
        return self.noise_scale > 0.0

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        shift = noise.uniform(tuple(x.shape[1:]), -1.0, 1.0)
        return self.restrict(x + self.noise_scale * self.epsilon * shift, x)

    def restrict(self, images: Tensor, x: Tensor) -> Tensor:
        return keras.ops.clip(images, 0.0, 1.0)
