"""Cross-entropy of clean images with a small nuclear norm of the change of the logits."""

import keras
from keras import ops

from keras_efgsm.checks import check_number
from keras_efgsm.objectives.objective import (
    Examples,
    Objective,
    ObjectiveResult,
    check_label_smoothing,
    smoothed_cross_entropy,
)
from keras_efgsm.objectives.registry import register_objective
from keras_efgsm.typing import LogitsFn, Tensor


@register_objective
@keras.saving.register_keras_serializable(package="keras_efgsm")
class NuclearNorm(Objective):
    """`CE(C(x), smooth(y)) + w / B * ||C(x_adv) - C(x)||_*`, the nuclear norm over the batch.

    NuAT of Sriramanan et al., "Towards efficient and effective adversarial training", 2021. The
    nuclear norm, the sum of the singular values of the `(B, K)` matrix of differences, is small
    where the logits change little, and where all images of the batch change them alike. Gradients
    go through both logits, and both passes are in training mode.

    Args:
        nuclear_weight: w, >= 0. Defaults to `4.0`, the published final value for CIFAR-10; its
            authors let it rise from 0.
        label_smoothing: of the cross-entropy that is minimised. Defaults to `0.0`, as published.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, EFGSM(epsilon=8 / 255), objective=NuclearNorm(nuclear_weight=4.0)
    )
    ```
    """

    name = "nuclear-norm"
    part_names = ("classification_loss", "nuclear_loss")
    regularizer_weight = "nuclear_weight"
    couples_batch = True

    def __init__(self, nuclear_weight: float = 4.0, label_smoothing: float = 0.0):
        self.nuclear_weight = check_number(nuclear_weight, "nuclear_weight", minimum=0.0)
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        natural, logits = classifier(examples.x), classifier(examples.x_adv)
        weight = examples.sample_weight
        classification = smoothed_cross_entropy(
            examples.labels, natural, self.label_smoothing, weight
        )
        nuclear = nuclear_loss(logits - natural, weight)
        parts = {"classification_loss": classification, "nuclear_loss": nuclear}
        return ObjectiveResult(classification + self.nuclear_weight * nuclear, parts, logits)


def nuclear_loss(difference: Tensor, sample_weight: Tensor | None = None) -> Tensor:
    """Nuclear norm of the differences `(B, K)` of a batch over its size B.

    Args:
        difference: of the logits, `(B, K)`.
        sample_weight: factors `(B,)` of the rows, or None. Defaults to `None`.

    Example:

    ```python
    nuclear_loss(ops.array([[3.0, 0.0], [0.0, 1.0]]))  # 2.0
    ```
    """
    if sample_weight is not None:
        difference = difference * ops.cast(ops.reshape(sample_weight, (-1, 1)), difference.dtype)
    values = ops.svd(difference, full_matrices=False, compute_uv=False)
    return ops.sum(values) / ops.cast(ops.shape(difference)[0], values.dtype)
