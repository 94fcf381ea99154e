"""Adversarial training for free: each batch replayed, one backward pass for weights and images."""

import keras

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

    The updates themselves are `FreeReplayUpdates`'s. Outside of training it is FGSM m times over
    from the clean image.

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
    update = "free"
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
