"""No attack: ordinary training through the same loop."""

import keras

from keras_efgsm.attacks.attack import Attack, Perturbed
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class Identity(Attack):
    """Leaves the images as they are: ordinary training, or the re-constructor alone ("REC").

    Args:
        epsilon: radius that robustness is spoken of; nothing is perturbed.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, Identity(epsilon=0.3))
    ```
    """

    kind = "identity"

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        return Perturbed(images=x)
