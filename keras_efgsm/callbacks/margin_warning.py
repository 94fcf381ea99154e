"""A warning as soon as training begins to overfit to its own attack."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_efgsm.callbacks.margin_signal import MarginSignal
from keras_efgsm.checks import check_count
from keras_efgsm.typing import Logs


class MarginWarning(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Prints a line as soon as the margin signal of catastrophic overfitting turns.

    The signal, see `OverfittingStop`, is read every few steps and at the end of each epoch. It is
    said once, and again if it turns again after an epoch in which it was well. Nothing is printed
    with `verbose=0`, and training goes on; `OverfittingStop` ends it.

    Args:
        max_shortfall: as in `OverfittingStop`. Defaults to `0.1`.
        max_drop: as in `OverfittingStop`. Defaults to `0.2`.
        every: steps between two readings within an epoch, each of which waits for the device; the
            values are means over about the last 50 steps. Defaults to `100`.
        history: one dict of logs for each epoch before a resume. Defaults to none.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer.fit(x, y, epochs=50, callbacks=[MarginWarning()])
    ```
    """

    def __init__(
        self,
        max_shortfall: float = 0.1,
        max_drop: float = 0.2,
        *,
        every: int = 100,
        history: Sequence[dict[str, Any]] = (),
    ):
        super().__init__()
        self.every = check_count(every, "every")
        self._history = list(history)
        self._signal = MarginSignal(max_shortfall, max_drop)
        self._turned = False
        self._epoch = self._next = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        self._signal.reset()
        self._turned = False
        for row in self._history:
            self._turned = self._signal.close_epoch(row) is not None
        # A second `fit` of the same callback is another training.
        self._history = []

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch, self._next = epoch, self.every - 1

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if batch < self._next or self._turned:
            return
        self._next = batch + self.every
        names = ("margin_robust_accuracy", "attack_shortfall")
        turned = self._signal.read({n: float(logs[n]) for n in names if logs and n in logs})
        if turned is not None:
            self._warn(turned, f", step {batch + 1} of {self.params.get('steps') or '?'}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        turned = self._signal.close_epoch(logs or {})
        if turned is None:
            self._turned = False
        elif not self._turned:
            self._warn(turned, "")

    def _warn(self, turned: str, step: str) -> None:
        self._turned = True
        if self.params.get("verbose", 1) != 0:
            print(
                f"\nwarning: epoch {self._epoch + 1}{step}: {turned}; "
                "training may be overfitting to its own attack",
                flush=True,
            )
