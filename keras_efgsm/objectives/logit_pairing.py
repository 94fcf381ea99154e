"""Adversarial logit pairing."""

import keras

from keras_efgsm.checks import check_number
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
class LogitPairing(Objective):
    """Cross-entropy of clean and adversarial images, whose logits are drawn together.

    Kannan et al., "Adversarial logit pairing", 2018: `(CE(C(x), y) + CE(C(x_adv), y)) / 2 + w *
    mean_k (C(x) - C(x_adv))_k^2`.

    Args:
        pairing_weight: w, > 0. Defaults to `0.5`.
        label_smoothing: of both cross-entropies. Defaults to `0.0`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, PGD(epsilon=0.3, steps=40), objective=LogitPairing(pairing_weight=0.5)
    )
    ```
    """

    name = "logit-pairing"
    part_names = ("classification_loss", "pairing_loss")
    regularizer_weight = "pairing_weight"

    def __init__(self, pairing_weight: float = 0.5, label_smoothing: float = 0.0):
        self.pairing_weight = check_number(
            pairing_weight, "pairing_weight", minimum=0.0, strict=True
        )
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        natural, logits = classifier(examples.x), classifier(examples.x_adv)
        classification = 0.5 * sum(
            smoothed_cross_entropy(examples.labels, z, self.label_smoothing, examples.sample_weight)
            for z in (natural, logits)
        )
        pairing = weighted_mean(mean_squared_difference(natural, logits), examples.sample_weight)
        parts = {"classification_loss": classification, "pairing_loss": pairing}
        return ObjectiveResult(classification + self.pairing_weight * pairing, parts, logits)
