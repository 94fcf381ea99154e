"""One update of the weights for each batch."""

import keras

from keras_efgsm.attacks import Perturbed
from keras_efgsm.objectives import ObjectiveResult
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.updates.update import Step, Update


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

    def take(self, step: Step, batch: TrainingBatch) -> tuple[Perturbed, ObjectiveResult]:
        if step.objective.needs_start_logits:
            perturbed, result, gradients = step.gradients_through_attack(batch)
        else:
            perturbed = step.perturb(batch)
            result, gradients, _ = step.gradients_on(batch, perturbed, of_images=False)
        step.apply_gradients(gradients)
        return perturbed, result
