"""The base of every objective, from the examples of a batch to losses."""

import copy
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Self

import keras
from keras import ops

from keras_efgsm.checks import check_number
from keras_efgsm.configured import Configured
from keras_efgsm.typing import LogitsFn, Tensor


class Examples(NamedTuple):
    """A batch as an objective sees it.

    Attributes:
        x: clean images `(B, H, W, C)`.
        x_adv: adversarial images, same shape.
        labels: class probabilities `(B, K)`, not yet smoothed.
        sample_weight: weights `(B,)` or None.
        start_logits: logits `(B, K)` where the attack started, in the mode of the update and with
            the gradients of the weights; None if the attack does not tell.
    """

    x: Tensor
    x_adv: Tensor
    labels: Tensor
    sample_weight: Tensor | None = None
    start_logits: Tensor | None = None


class ObjectiveResult(NamedTuple):
    """Losses of a batch.

    Attributes:
        loss: the scalar to minimise.
        parts: named scalars shown beside it.
        logits: logits `(B, K)` of the adversarial images.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    logits: Tensor


class Objective(Configured, ABC):
    """Base of training objectives; with an attack it makes a training method.

    A subclass sets `name`, by which `register_objective` makes it found, and keeps its options as
    attributes of their names. It names its losses in `part_names`, implements `losses`, and says
    with `needs_reconstructor` whether it minimises a reconstruction, with `needs_start_logits`
    whether the attack has to tell the logits where it started, with `regularizer_weight` which of
    its attributes weighs a term that may rise over the training.

    Example:

    ```python
    class CleanLoss(Objective):
        name = "clean-loss"

        def losses(self, classifier, reconstructor, examples):
            logits = classifier(examples.x)
            loss = smoothed_cross_entropy(
                examples.probabilities, logits, 0.0, examples.sample_weight
            )
            return ObjectiveResult(loss, {}, logits)


    trainer = AdversarialTrainer(classifier, objective=CleanLoss(), epsilon=0.3)
    ```
    """

    name: ClassVar[str] = "objective"
    part_names: tuple[str, ...] = ()
    needs_reconstructor: bool = False
    needs_start_logits: bool = False
    regularizer_weight: str | None = None
    # Whether a term of it is one of the whole batch, no mean over images.
    couples_batch: bool = False

    @abstractmethod
    def losses(
        self, classifier: LogitsFn, reconstructor: LogitsFn | None, examples: Examples
    ) -> ObjectiveResult:
        """Losses of a batch; called once inside the gradient tape.

        Args:
            classifier: maps images to float32 logits in training mode.
            reconstructor: maps class probabilities to images in training mode, or None.
            examples: the batch.
        """

    def scaled(self, factor: Tensor) -> Self:
        """The same objective with `factor` times the weight of its regulariser, for a warm-up."""
        if self.regularizer_weight is None:
            return self
        objective = copy.copy(self)
        weight = getattr(self, self.regularizer_weight)
        setattr(objective, self.regularizer_weight, weight * factor)
        return objective


class MeanOfValues(keras.losses.Loss):  # type: ignore[misc]  # Keras has no types
    """Keras's reduction of losses that are already computed, one for each sample."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred


def weighted_mean(values: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Mean of a loss `(B,)`, samples weighted and replicas counted as Keras's own losses do."""
    return MeanOfValues()(ops.zeros_like(values), values, sample_weight=sample_weight)


def smoothed_cross_entropy(
    labels: Tensor, logits: Tensor, label_smoothing: float, sample_weight: Tensor | None
) -> Tensor:
    """Mean cross-entropy of logits `(B, K)` with smoothed labels."""
    # Keras losses weight samples and divide by the replicas; our own mean would not.
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)
    return loss(labels, logits, sample_weight=sample_weight)


def mean_squared_difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean over all but the first axis of `(a - b)^2`, `(B,)`."""
    return ops.mean(ops.square(a - b), axis=tuple(range(1, len(a.shape))))


def check_label_smoothing(value: float) -> float:
    """Returns `value` if it is a label smoothing in [0, 1)."""
    checked = check_number(value, "label_smoothing", minimum=0.0)
    if checked >= 1.0:
        raise ValueError(
            "`label_smoothing` must be below 1, where labels say nothing. "
            f"Received: label_smoothing={value!r}"
        )
    return checked
