"""What a training step tells of itself: losses, accuracy, and signs of catastrophic overfitting."""

from typing import Any

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.objectives import ObjectiveResult
from keras_efgsm.trainer.batch import TrainingBatch
from keras_efgsm.trainer.recent_mean import RecentMean

Tensor = Any


class TrainingProgress:
    """Mixin for a `keras.Model` with an `attack` and an `objective`: the metrics of its steps."""

    def make_progress_metrics(self) -> None:
        """Makes the metrics, once attack and objective are there."""
        self._loss_metric = keras.metrics.Mean(name="loss")
        self._part_metrics = [keras.metrics.Mean(name=name) for name in self.objective.part_names]
        self._accuracy_metric = keras.metrics.Mean(name="accuracy")
        self._robust_metric = RecentMean(name="margin_robust_accuracy")
        if self.attack.has_shortfall:
            self._shortfall_metric = RecentMean(name="attack_shortfall")

    def update_training_metrics(
        self, batch: TrainingBatch, perturbed: Any, result: ObjectiveResult
    ) -> dict:
        """Progress of the step: losses, and accuracy and margins on the adversarial images."""
        count = batch.count
        batch, perturbed = _real(batch, batch), _real(batch, perturbed)
        result = result._replace(logits=batch.real(result.logits))
        self._loss_metric.update_state(result.loss, sample_weight=count)
        for metric in self._part_metrics:
            metric.update_state(result.parts[metric.name], sample_weight=count)
        self._update_accuracy(batch.labels, result.logits)
        self._update_margin_signals(batch, perturbed, result)
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(batch.y, result.logits, batch.sample_weight)
        return self.get_metrics_result()

    def _update_margin_signals(
        self, batch: TrainingBatch, perturbed: Any, result: ObjectiveResult
    ) -> None:
        """The free signals of catastrophic overfitting; `OverfittingStop` says how to read them."""
        if perturbed.robust is not None:
            self._robust_metric.update_state(perturbed.robust)
            return
        robust = equations.margin(result.logits, batch.labels) > 0.0
        if self.attack.has_shortfall:
            gain = self.attack.loss_of(result.logits, batch.labels) - perturbed.start_loss
            fell_short = gain < 0.5 * perturbed.predicted_gain
            self._shortfall_metric.update_state(fell_short)
            robust = ops.logical_and(robust, ops.logical_not(fell_short))
        self._robust_metric.update_state(robust)

    def _update_accuracy(self, labels: Tensor, logits: Tensor) -> None:
        correct = ops.equal(ops.argmax(logits, axis=-1), ops.cast(labels, "int32"))
        self._accuracy_metric.update_state(ops.cast(correct, "float32"))


def _real(batch: TrainingBatch, values: Any) -> Any:
    """The tensors of a named tuple without those of images that are not really there."""
    if batch.present is None:
        return values
    tensors = {name: v for name, v in values._asdict().items() if ops.is_tensor(v)}
    return values._replace(**batch.real(tensors))
