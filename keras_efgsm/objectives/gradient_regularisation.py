"""Cross-entropy with small input gradients."""

import keras
from keras import ops

from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_number
from keras_efgsm.objectives.objective import (
    Examples,
    Objective,
    ObjectiveResult,
    check_label_smoothing,
    smoothed_cross_entropy,
    weighted_mean,
)
from keras_efgsm.objectives.registry import register_objective
from keras_efgsm.typing import LogitsFn, Tensor


@register_objective
@keras.saving.register_keras_serializable(package="keras_efgsm")
class GradientRegularisation(Objective):
    """`CE(C(x), y) + w * ||grad_x CE(C(x), y)||_2^2` of Ross & Doshi-Velez, 2018.

    "Improving the adversarial robustness and interpretability of deep neural networks by
    regularizing their input gradients". Use it with `Identity`: it needs no adversarial example,
    but a gradient of a gradient.

    Args:
        gradient_weight: w, > 0. Defaults to `1.0`.
        label_smoothing: of the cross-entropy that is minimised. Defaults to `0.0`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, Identity(epsilon=0.3), objective=GradientRegularisation(10.0)
    )
    ```
    """

    name = "gradient-regularisation"
    part_names = ("classification_loss", "gradient_loss")
    regularizer_weight = "gradient_weight"

    def __init__(self, gradient_weight: float = 1.0, label_smoothing: float = 0.0):
        self.gradient_weight = check_number(
            gradient_weight, "gradient_weight", minimum=0.0, strict=True
        )
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        def cross_entropy_at(images: Tensor) -> tuple[Tensor, Tensor]:
            logits = classifier(images)
            values = keras.losses.categorical_crossentropy(
                examples.labels, logits, from_logits=True
            )
            return values, logits

        _, logits, gradient = input_gradient(cross_entropy_at, examples.x_adv)
        classification = smoothed_cross_entropy(
            examples.labels, logits, self.label_smoothing, examples.sample_weight
        )
        squared_norm = ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))
        penalty = weighted_mean(squared_norm, examples.sample_weight)
        parts = {"classification_loss": classification, "gradient_loss": penalty}
        return ObjectiveResult(classification + self.gradient_weight * penalty, parts, logits)
