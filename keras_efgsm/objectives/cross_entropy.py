"""Cross-entropy of the adversarial images."""

import keras

from keras_efgsm.objectives.objective import (
    Examples,
    Objective,
    ObjectiveResult,
    check_label_smoothing,
    smoothed_cross_entropy,
)
from keras_efgsm.objectives.registry import register_objective
from keras_efgsm.typing import LogitsFn


@register_objective
@keras.saving.register_keras_serializable(package="keras_efgsm")
class AdversarialCrossEntropy(Objective):
    """Cross-entropy of the adversarial images, with label smoothing: "AdvTrain" of the paper.

    With PGD it is Madry's training, with FGSM and a random start Wong's.

    Args:
        label_smoothing: share of each label spread evenly over the classes, in [0, 1). Defaults to
            `0.1`.

    Raises:
        ValueError: if it is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, attack, objective=AdversarialCrossEntropy(0.3))
    ```
    """

    name = "cross-entropy"
    part_names = ("classification_loss",)

    def __init__(self, label_smoothing: float = 0.1):
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        logits = classifier(examples.x_adv)
        loss = smoothed_cross_entropy(
            examples.labels, logits, self.label_smoothing, examples.sample_weight
        )
        return ObjectiveResult(loss, {"classification_loss": loss}, logits)
