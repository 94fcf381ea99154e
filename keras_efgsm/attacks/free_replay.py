"""Adversarial training for free: each batch replayed, one backward pass for weights and images."""

from typing import Any

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_count, check_epsilon
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class FreeReplay(GradientSignAttack):
    """Free adversarial training ("AdvFree") of Shafahi et al., "Adversarial training for free!".

    Each batch is replayed m times; each replay takes the gradients of the weights and of the
    images from the same backward pass, updates the weights, and moves the perturbation by
    `step_size` along the sign. The perturbation is carried on to the next batch, position by
    position. Train for `1 / m` of the usual epochs.

    Outside of training it is FGSM m times over from the clean image.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        replays: m. Defaults to `8`.
        step_size: in pixels of [0, 1]. Defaults to epsilon.
        largest_batch: positions there is room for. Defaults to `1024`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, FreeReplay(epsilon=0.3, replays=15, step_size=0.01))
    ```
    """

    kind = "free"
    uses_momentum = True
    momentum_of = "position"
    makes_updates = True
    momentum_limit = 1.0

    def __init__(
        self,
        *,
        epsilon: float,
        replays: int = 8,
        step_size: float | None = None,
        largest_batch: int = 1024,
    ):
        super().__init__(
            epsilon=epsilon,
            step_size=check_epsilon(epsilon) if step_size is None else step_size,
            random_start=False,
            loss="ce",
        )
        self.replays = check_count(replays, "replays")
        self.largest_batch = check_count(largest_batch, "largest_batch")

    def momentum_rows(self, num_samples: int) -> int:
        return self.largest_batch

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        images = x if momentum is None else self._images(x, momentum)
        for _ in range(self.replays):
            images = self.ascend(logits_fn, images, x, labels, gradient_scale).images
        return Perturbed(images=images, momentum=(images - x) / self.epsilon)

    def _images(self, x: Tensor, shift: Tensor) -> Tensor:
        return equations.project(x + self.epsilon * shift, x, self.epsilon)

    def replay(self, trainer: Any, batch: Any) -> tuple[Perturbed, Any]:
        # In units of epsilon, which a warm-up changes.
        shift = trainer.read_momentum(batch)
        for _ in range(self.replays):
            images = self._images(batch.x, shift)
            result, gradients, gradient = trainer.gradients_on(batch, Perturbed(images=images))
            trainer.apply_gradients(gradients)
            moved = shift + self.step_size / self.epsilon * ops.sign(gradient)
            shift = ops.clip(moved, -1.0, 1.0)
        trainer.write_momentum(batch, shift)
        return Perturbed(images=images), result
