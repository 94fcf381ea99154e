"""YOPO: several steps on the first layer for each pass through the whole network."""

import keras

from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_count, check_epsilon
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class YOPO(GradientSignAttack):
    """You Only Propagate Once (YOPO-m-n) of Zhang et al., 2019.

    m times over, a pass through the whole network gives the gradients of the weights and `p`, that
    of the first layer's output; then n steps `x_adv <- x_adv + step_size * sign(grad_x <p,
    f_0(x_adv)>)` touch the first layer f_0 alone. The m gradients of the weights are averaged into
    one update, all taken at the images of their pass: see `YOPOUpdate`.

    Outside of training, where there is no network cut in two, it is what YOPO-m-n stands in for:
    PGD from a random start, m * n steps through the whole network.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        outer_steps: m. Defaults to `5`.
        inner_steps: n. Defaults to `3`.
        step_size: in pixels of [0, 1]. Defaults to `2.5 * epsilon / (m * n)`.

    Raises:
        ValueError: if an option is out of range; by the trainer, if the classifier cannot be cut
            in two after its first layer with weights.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, YOPO(epsilon=0.3, outer_steps=5, inner_steps=10))
    ```
    """

    kind = "yopo"
    update = "yopo"

    def __init__(
        self,
        *,
        epsilon: float,
        outer_steps: int = 5,
        inner_steps: int = 3,
        step_size: float | None = None,
    ):
        self.outer_steps = check_count(outer_steps, "outer_steps")
        self.inner_steps = check_count(inner_steps, "inner_steps")
        if step_size is None:
            step_size = 2.5 * check_epsilon(epsilon) / (self.outer_steps * self.inner_steps)
        super().__init__(epsilon=epsilon, step_size=step_size, random_start=True, loss="ce")

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        images = self.start(x, noise)
        for _ in range(self.outer_steps * self.inner_steps):
            images = self.ascend(logits_fn, images, x, labels, gradient_scale).images
        return Perturbed(images=images)
