"""No attack: ordinary training through the same loop."""

import keras

from keras_efgsm.attacks.attack import Attack, Perturbed


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

    name = "identity"

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        return Perturbed(images=x)
