"""YOPO: one update from several passes, with steps on the first layer alone between them."""

from typing import Any

import keras
from keras import ops

from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_count
from keras_efgsm.objectives import ObjectiveResult
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.typing import Tensor
from keras_efgsm.updates.update import Step, Update


@keras.saving.register_keras_serializable(package="keras_efgsm")
class YOPOUpdate(Update):
    """The update of You Only Propagate Once (YOPO-m-n), Zhang et al., 2019.

    m times over, a pass through the whole network gives the gradients of the weights and `p`, that
    of the first layer's output; then n steps `x_adv <- x_adv + step_size * sign(grad_x <p,
    f_0(x_adv)>)` touch the first layer f_0 alone. The m gradients of the weights are averaged into
    one update, all taken at the images of their pass.

    Args:
        outer_steps: m. Defaults to `5`.
        inner_steps: n. Defaults to `3`.

    Raises:
        ValueError: if an option is not a whole number of at least 1; by the trainer, if the
            classifier cannot be cut in two after its first layer with weights, or the attack makes
            no steps along the sign of a gradient.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, YOPO(epsilon=0.3, outer_steps=5, inner_steps=10))
    trainer.update.inner_steps  # 10
    ```
    """

    splits_classifier = True

    def __init__(self, *, outer_steps: int = 5, inner_steps: int = 3):
        self.outer_steps = check_count(outer_steps, "outer_steps")
        self.inner_steps = check_count(inner_steps, "inner_steps")

    @classmethod
    def for_attack(cls, attack: Any) -> "YOPOUpdate":
        return cls(outer_steps=attack.outer_steps, inner_steps=attack.inner_steps)

    def check(self, attack: Attack) -> None:
        if not isinstance(attack, GradientSignAttack) or attack.uses_momentum:
            raise ValueError(
                "YOPO needs an attack without momentum that steps along the sign of a gradient, "
                f"such as `YOPO` or `PGD`. Received: attack={type(attack).__name__}"
            )

    def take(self, step: Step, batch: TrainingBatch) -> tuple[Perturbed, ObjectiveResult]:
        attack: Any = step.attack_now()
        images = attack.start(batch.x, step.noise(batch))
        totals: list[Tensor] = []
        for _ in range(self.outer_steps):
            perturbed = Perturbed(images=images)
            result, gradients, slope = step.gradients_on(batch, perturbed, at_first_layer=True)
            totals = (
                [total + gradient for total, gradient in zip(totals, gradients, strict=True)]
                if totals
                else gradients
            )
            images = self._inner(attack, step.split.first, images, batch.x, slope)
        step.apply_gradients([total / self.outer_steps for total in totals])
        return perturbed, result

    def _inner(
        self, attack: Any, first_layer: Any, images: Tensor, x: Tensor, slope: Tensor
    ) -> Tensor:
        axes = tuple(range(1, len(slope.shape)))

        def hamiltonian(images: Tensor) -> tuple[Tensor, None]:
            hidden = ops.cast(first_layer(images, training=False), slope.dtype)
            return ops.sum(slope * hidden, axis=axes), None

        for _ in range(self.inner_steps):
            _, _, gradient = input_gradient(hamiltonian, images)
            images = attack.restrict(images + attack.step_size * ops.sign(gradient), x)
        return images

    def get_config(self) -> dict[str, Any]:
        return {"outer_steps": self.outer_steps, "inner_steps": self.inner_steps}
