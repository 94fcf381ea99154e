"""One update of the weights for each batch."""

import keras

from keras_efgsm.updates.update import Update


@keras.saving.register_keras_serializable(package="keras_efgsm")
class OneUpdate(Update):
    """The usual training step: perturb the batch, then one update on the result.

    For an objective that asks for the logits at the attack's start, the gradients of the weights go
    through the attack's own pass as well.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, PGD(epsilon=0.3), update=OneUpdate())
    ```
    """

    def take(self, step, batch):
        if step.objective.needs_start_logits:
            perturbed, result, gradients = step.gradients_through_attack(batch)
        else:
            perturbed = step.perturb(batch)
            result, gradients, _ = step.gradients_on(batch, perturbed, of_images=False)
        step.apply_gradients(gradients)
        return perturbed, result
