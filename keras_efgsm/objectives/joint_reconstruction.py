"""The joint loss of the paper: reconstruction and classification."""

from typing import Any

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.checks import check_number
from keras_efgsm.objectives.logit_consistency import logit_consistency
from keras_efgsm.objectives.objective import (
    Examples,
    Objective,
    ObjectiveResult,
    check_label_smoothing,
    mean_squared_difference,
    smoothed_cross_entropy,
    weighted_mean,
)
from keras_efgsm.objectives.registry import register_objective
from keras_efgsm.typing import LogitsFn


@register_objective
@keras.saving.register_keras_serializable(package="keras_efgsm")
class JointReconstruction(Objective):
    """Reconstruction of the clean image plus lambda times the classification loss.

    Equation 16: `L_R(R(softmax(C(x_adv))), x) + lambda * L_C(C(x_adv), smooth(y))`, L_R the mean
    squared error per pixel against the clean image, L_C the cross-entropy. The re-constructor
    sees the K probabilities and nothing else.

    Args:
        classification_weight: lambda, > 0. Defaults to `0.1`, the paper's choice for MNIST (0.05
            for CIFAR-10).
        label_smoothing: as in `AdversarialCrossEntropy`. Defaults to `0.1`.
        consistency_weight: w, >= 0, of a third term beside the classification loss, `lambda * w *
            mean_k (C(x_adv) - C(x_start))_k^2`, see `LogitConsistency`; it needs an attack that
            tells the logits of its start. Defaults to `0.0`, without.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier,
        EFGSM(epsilon=0.3),
        reconstructor=reconstructor,
        objective=JointReconstruction(classification_weight=0.1),
    )
    ```
    """

    name = "joint-reconstruction"
    part_names: tuple[str, ...] = ("classification_loss", "reconstruction_loss")
    needs_reconstructor = True

    def __init__(
        self,
        classification_weight: float = 0.1,
        label_smoothing: float = 0.1,
        consistency_weight: float = 0.0,
    ):
        self.classification_weight = check_number(
            classification_weight, "classification_weight", minimum=0.0, strict=True
        )
        self.label_smoothing = check_label_smoothing(label_smoothing)
        self.consistency_weight = check_number(
            consistency_weight, "consistency_weight", minimum=0.0
        )
        if self.consistency_weight:
            self.part_names = (*self.part_names, "consistency_loss")
            self.needs_start_logits = True
            self.regularizer_weight = "consistency_weight"

    def losses(
        self, classifier: LogitsFn, reconstructor: Any, examples: Examples
    ) -> ObjectiveResult:
        logits = classifier(examples.x_adv)
        weight = examples.sample_weight
        classification = smoothed_cross_entropy(
            examples.labels, logits, self.label_smoothing, weight
        )
        reconstruction = ops.cast(reconstructor(ops.softmax(logits)), "float32")
        # One value per sample, so that sample weights apply to both losses alike.
        squared_error = weighted_mean(mean_squared_difference(examples.x, reconstruction), weight)
        parts = {"classification_loss": classification, "reconstruction_loss": squared_error}
        if self.needs_start_logits:
            # Inside lambda, so that w means the same with and without a re-constructor.
            parts["consistency_loss"] = logit_consistency(logits, examples)
            classification += self.consistency_weight * parts["consistency_loss"]
        loss = equations.joint_loss(squared_error, classification, self.classification_weight)
        return ObjectiveResult(loss, parts, logits)
