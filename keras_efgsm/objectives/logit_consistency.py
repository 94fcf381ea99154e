"""Adversarial cross-entropy with logits that stay close to those of the attack's start."""

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
from keras_efgsm.typing import LogitsFn, Tensor


@register_objective
@keras.saving.register_keras_serializable(package="keras_efgsm")
class LogitConsistency(Objective):
    """`CE(C(x_adv), smooth(y)) + w * mean_k (C(x_adv) - C(x_start))_k^2`.

    The regulariser of Jia et al., "Prior-guided adversarial initialization for fast adversarial
    training", 2022. The gradient goes through both logits, as in their code and that of their
    successors. Those at the start come from the pass in which the attack took its gradient, under
    the same mode of batch norm, so that the term costs one more backward pass, 7/3 in all; the
    running statistics follow the pass of the adversarial images alone.

    Args:
        consistency_weight: w, >= 0. Defaults to `10.0`, the paper's.
        label_smoothing: as in `AdversarialCrossEntropy`. Defaults to `0.1`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, PriorFGSM(epsilon=0.3), objective=LogitConsistency(10.0)
    )
    ```
    """

    name = "logit-consistency"
    part_names = ("classification_loss", "consistency_loss")
    needs_start_logits = True
    regularizer_weight = "consistency_weight"

    def __init__(self, consistency_weight: float = 10.0, label_smoothing: float = 0.1):
        self.consistency_weight = check_number(
            consistency_weight, "consistency_weight", minimum=0.0
        )
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        logits = classifier(examples.x_adv)
        classification = smoothed_cross_entropy(
            examples.labels, logits, self.label_smoothing, examples.sample_weight
        )
        consistency = logit_consistency(logits, examples)
        parts = {"classification_loss": classification, "consistency_loss": consistency}
        loss = classification + self.consistency_weight * consistency
        return ObjectiveResult(loss, parts, logits)


def logit_consistency(logits: Tensor, examples: Examples) -> Tensor:
    """Mean over the batch of the squared difference of the logits to those at the start.

    Args:
        logits: of the adversarial images, `(B, K)`.
        examples: the batch, with its `start_logits`.
    """
    difference = mean_squared_difference(logits, examples.start_logits)
    return weighted_mean(difference, examples.sample_weight)
