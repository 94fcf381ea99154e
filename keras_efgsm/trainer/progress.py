"""Metrics of a training step: losses, accuracy, and signs of catastrophic overfitting."""

from typing import Any

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks import Attack, Perturbed
from keras_efgsm.objectives import Objective, ObjectiveResult
from keras_efgsm.sample_memory.batch import TrainingBatch
from keras_efgsm.trainer.recent_mean import RecentMean
from keras_efgsm.typing import Tensor


class TrainingProgress:
    """Metrics of training and evaluation, updated step by step.

    Args:
        attack: the attack of the training, for its loss where `has_shortfall`.
        objective: for the names of its parts.

    Attributes:
        loss: mean of the objective.
        parts: means of its parts.
        accuracy: share of the images classified correctly; in training, of the adversarial ones.
        robust: recent share of images with a positive margin, see `OverfittingStop`.
        shortfall: recent share of images whose step gained less than half of what its gradient
            promised; None unless the attack `has_shortfall`.
    """

    def __init__(self, attack: Attack, objective: Objective):
        self._attack = attack
        self.loss = keras.metrics.Mean(name="loss")
        self.parts = [keras.metrics.Mean(name=name) for name in objective.part_names]
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.robust = RecentMean(name="margin_robust_accuracy")
        self.shortfall = RecentMean(name="attack_shortfall") if attack.has_shortfall else None

    def saved_attributes(self) -> dict[str, Any]:
        """The metrics by the attribute under which saved trainers hold them, in their order."""
        held: dict[str, Any] = {
            "_loss_metric": self.loss,
            "_part_metrics": self.parts,
            "_accuracy_metric": self.accuracy,
            "_robust_metric": self.robust,
        }
        return held if self.shortfall is None else {**held, "_shortfall_metric": self.shortfall}

    def directions(self) -> dict[str, str]:
        """Whether less or more of a metric is better, `"min"` or `"max"`, by its name."""
        losses = {metric.name: "min" for metric in (self.loss, *self.parts)}
        shares = {self.accuracy.name: "max", self.robust.name: "max", "attack_shortfall": "min"}
        # The last two are what `OverfittingStop` shows.
        probe = {"probe_accuracy": "max", "probe_natural_accuracy": "max"}
        return {**losses, **shares, **probe}

    def update(
        self, batch: TrainingBatch, perturbed: Perturbed, result: ObjectiveResult
    ) -> tuple[TrainingBatch, Tensor]:
        """Takes in a training step.

        Args:
            batch: the training batch.
            perturbed: its adversarial examples.
            result: the objective on them.

        Returns:
            `(batch, logits)` of the images that this replica really has, for compiled metrics.
        """
        count = batch.count
        batch, perturbed = batch.real_tensors(batch), batch.real_tensors(perturbed)
        logits = batch.real(result.logits)
        self.loss.update_state(result.loss, sample_weight=count)
        for metric in self.parts:
            metric.update_state(result.parts[metric.name], sample_weight=count)
        self._update_accuracy(batch.labels, logits)
        self._update_margin_signals(batch.labels, perturbed, logits)
        return batch, logits

    def update_evaluation(self, loss: Tensor, labels: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Takes in a batch of clean images and returns what is known so far.

        Args:
            loss: their mean loss.
            labels: true classes `(B,)`.
            logits: `(B, K)`.
        """
        self.loss.update_state(loss, sample_weight=ops.shape(logits)[0])
        self._update_accuracy(labels, logits)
        return {metric.name: metric.result() for metric in (self.loss, self.accuracy)}

    def _update_margin_signals(self, labels: Tensor, perturbed: Perturbed, logits: Tensor) -> None:
        """The free signals of catastrophic overfitting; `OverfittingStop` says how to read them."""
        if perturbed.robust is not None:
            self.robust.update_state(perturbed.robust)
            return
        robust = equations.margin(logits, labels) > 0.0
        if self.shortfall is not None and perturbed.predicted_gain is not None:
            gain = self._attack.loss_of(logits, labels) - perturbed.start_loss
            fell_short = gain < 0.5 * perturbed.predicted_gain
            self.shortfall.update_state(fell_short)
            robust = ops.logical_and(robust, ops.logical_not(fell_short))
        self.robust.update_state(robust)

    def _update_accuracy(self, labels: Tensor, logits: Tensor) -> None:
        correct = ops.equal(ops.argmax(logits, axis=-1), ops.cast(labels, "int32"))
        self.accuracy.update_state(ops.cast(correct, "float32"))
