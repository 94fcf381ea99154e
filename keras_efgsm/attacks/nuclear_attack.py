"""NuAT's attack: FGSM on cross-entropy and the nuclear norm of the change of the logits."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.losses import cross_entropy
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_epsilon, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class NuclearAttack(GradientSignAttack):
    """FGSM from Bernoulli noise, in every other step on the nuclear norm as well.

    Sriramanan et al., "Towards efficient and effective adversarial training", 2021: from `x' = x +-
    epsilon / 2`, each pixel by a coin, one step of alpha along the sign of the gradient of `mean
    CE(C(x')) + w / B * ||C(x') - C(x)||_*`, w zero in even steps. Train it with `NuclearNorm`. Both
    logits are in the mode of the update, where its authors' x' is in evaluation mode.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        nuclear_weight: w, >= 0. Defaults to `4.0`.
        step_size: alpha in pixels of [0, 1]. Defaults to epsilon.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, NuclearAttack(epsilon=8 / 255), objective=NuclearNorm(4.0)
    )
    ```
    """

    kind = "nuat"
    couples_batch = True

    def __init__(
        self, *, epsilon: float, nuclear_weight: float = 4.0, step_size: float | None = None
    ):
        super().__init__(
            epsilon=epsilon,
            step_size=check_epsilon(epsilon) if step_size is None else step_size,
            random_start=True,
            loss="ce",
        )
        self.nuclear_weight = check_number(nuclear_weight, "nuclear_weight", minimum=0.0)

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        coin = ops.sign(noise.uniform(tuple(x.shape[1:]), -1.0, 1.0))
        return ops.clip(x + 0.5 * self.epsilon * coin, 0.0, 1.0)

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        natural = ops.stop_gradient(logits_fn(x))
        # Of all even steps; a whole number of an evaluation is one too.
        is_odd = ops.cast(ops.convert_to_tensor(noise.step) % 2, "float32")

        def loss_at(images: Tensor) -> tuple[Tensor, Tensor]:
            logits = logits_fn(images)
            values = ops.svd(logits - natural, full_matrices=False, compute_uv=False)
            # The sum over the batch is B times the mean, and so is the norm counted here.
            share = ops.sum(values) / ops.cast(ops.shape(logits)[0], values.dtype)
            loss = cross_entropy(logits, labels)
            return loss + self.nuclear_weight * is_odd * share, logits

        start = self.start(x, noise)
        _, _, gradient = input_gradient(loss_at, start, gradient_scale)
        return Perturbed(
            images=equations.project(start + self.step_size * ops.sign(gradient), x, self.epsilon)
        )
