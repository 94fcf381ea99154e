"""Exponential moving average of the classifier's weights."""

from typing import Any

import keras
import numpy as np

from keras_efgsm.backend import WeightAverager
from keras_efgsm.checks import check_number
from keras_efgsm.typing import Logs


@keras.saving.register_keras_serializable(package="keras_efgsm")
class WeightAveraging(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Averages the classifier's weights over the steps and puts the average in place at epoch ends.

    From the end of each epoch (and before its validation) until the next begins, the classifier
    holds the average, so that checkpoints, probes and snapshots of callbacks placed after this one
    see it; so it does when training ends. Moving statistics of batch norm are averaged as the
    weights are. The average of step n weighs the past with `min(momentum, (1 + n) / (10 + n))`,
    so that short runs do not remember their first steps.

    Keras's `SwapEMAWeights` leaves batch-norm statistics out, and a run stopped early ends with
    the raw weights.

    Args:
        momentum: weight of the past, in [0, 1). Defaults to `0.999`.

    Raises:
        ValueError: if `momentum` is out of range.

    Example:

    ```python
    trainer.fit(x, y, callbacks=[WeightAveraging(0.999), OverfittingStop()])
    ```
    """

    def __init__(self, momentum: float = 0.999):
        super().__init__()
        self.momentum = check_number(momentum, "momentum", minimum=0.0, maximum=0.99999)
        self._restored: dict[str, Any] | None = None
        self._averager: WeightAverager | None = None
        self._steps = 0
        self._last_iteration = 0
        self._in_place = False

    def on_train_begin(self, logs: Logs = None) -> None:
        self._averager = WeightAverager(self.model.classifier.weights)
        self._steps = 0
        self._in_place = False
        if self._restored is not None:
            self._averager.set_values(self._restored["averages"], self._restored["raw"])
            self._steps = int(self._restored["steps"])
            # Checkpoints of the first version were written at epoch ends alone.
            self._in_place = bool(self._restored.get("in_place", True))
            self._restored = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._last_iteration = int(self.model.optimizer.iterations.numpy())
        if self._in_place and self._averager is not None:
            self._averager.take_out()
            self._in_place = False

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        steps = 1
        if self.model.steps_per_execution > 1:
            # Called once for n steps, or for those that are left; Keras's `batch` does not tell
            # which. Reading the counter waits for the device, so not for single steps.
            iteration = int(self.model.optimizer.iterations.numpy())
            steps, self._last_iteration = iteration - self._last_iteration, iteration
        self._steps += steps
        momentum = min(self.momentum, (1 + self._steps) / (10 + self._steps))
        assert self._averager is not None  # since training began
        self._averager.update(momentum**steps)

    def on_test_begin(self, logs: Logs = None) -> None:
        self._put_in_place()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._put_in_place()

    def on_train_end(self, logs: Logs = None) -> None:
        self._put_in_place()

    def _put_in_place(self) -> None:
        if self._averager is not None and not self._in_place:
            self._averager.put_in()
            self._in_place = True

    def get_state(self) -> dict[str, list[np.ndarray] | int | bool]:
        """What a resume needs: averages, step count and, where those are in place, raw weights."""
        assert self._averager is not None  # since training began
        averages, raw = self._averager.values()
        return {
            "averages": averages,
            # Within an epoch the classifier itself holds them.
            "raw": raw if self._in_place else [],
            "steps": self._steps,
            "in_place": self._in_place,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back `get_state()` before the `fit` that resumes."""
        self._restored = state

    def get_config(self) -> dict[str, Any]:
        return {"momentum": self.momentum}
