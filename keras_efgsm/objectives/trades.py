"""TRADES: natural cross-entropy plus the divergence between clean and adversarial predictions."""

import keras

from keras_efgsm import equations
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
from keras_efgsm.typing import LogitsFn


@register_objective
@keras.saving.register_keras_serializable(package="keras_efgsm")
class Trades(Objective):
    """`CE(C(x), y) + beta * KL(softmax(C(x)) || softmax(C(x_adv)))` of Zhang et al., 2019.

    "Theoretically principled trade-off between robustness and accuracy". With `TradesAttack` it is
    TRADES, with `EFGSM` the combination of Chen & Lee's section 4.2. The gradient goes through
    both predictions.

    Args:
        beta: weight of the divergence, `1 / lambda` of their equation 5, > 0. Defaults to `1.0`,
            the choice for MNIST (6 for CIFAR-10).
        label_smoothing: of the natural cross-entropy. Defaults to `0.0`, as published.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, EFGSM(epsilon=0.3), objective=Trades(beta=6.0))
    ```
    """

    name = "trades"
    part_names = ("classification_loss", "divergence_loss")
    regularizer_weight = "beta"

    def __init__(self, beta: float = 1.0, label_smoothing: float = 0.0):
        self.beta = check_number(beta, "beta", minimum=0.0, strict=True)
        self.label_smoothing = check_label_smoothing(label_smoothing)

    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        natural, logits = classifier(examples.x), classifier(examples.x_adv)
        classification = smoothed_cross_entropy(
            examples.labels, natural, self.label_smoothing, examples.sample_weight
        )
        divergence = weighted_mean(equations.kl_divergence(natural, logits), examples.sample_weight)
        parts = {"classification_loss": classification, "divergence_loss": divergence}
        return ObjectiveResult(classification + self.beta * divergence, parts, logits)
