"""YOPO: several steps on the first layer for each pass through the whole network."""

from typing import Any

import keras
from keras import ops

from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.backend import input_gradient
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
    one update, all taken at the images of their pass.

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
    makes_updates = True
    splits_classifier = True

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
        raise TypeError(
            "YOPO needs a network cut in two and makes its examples in the training step only. "
            f"Received: logits_fn={logits_fn!r}"
        )

    def replay(self, trainer: Any, batch: Any) -> tuple[Perturbed, Any]:
        images = self.start(batch.x, trainer.noise(batch))
        totals: Any = None
        for _ in range(self.outer_steps):
            perturbed = Perturbed(images=images)
            result, gradients, slope = trainer.gradients_on(batch, perturbed, at_first_layer=True)
            totals = (
                gradients
                if totals is None
                else [total + gradient for total, gradient in zip(totals, gradients, strict=True)]
            )
            images = self._inner(trainer.split.first, images, batch.x, slope)
        trainer.apply_gradients([total / self.outer_steps for total in totals])
        return perturbed, result

    def _inner(self, first_layer: Any, images: Tensor, x: Tensor, slope: Tensor) -> Tensor:
        axes = tuple(range(1, len(slope.shape)))

        def hamiltonian(images: Tensor) -> tuple[Tensor, None]:
            hidden = ops.cast(first_layer(images, training=False), slope.dtype)
            return ops.sum(slope * hidden, axis=axes), None

        for _ in range(self.inner_steps):
            _, _, gradient = input_gradient(hamiltonian, images)
            images = self.restrict(images + self.step_size * ops.sign(gradient), x)
        return images
