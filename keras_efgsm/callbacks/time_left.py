"""How long the whole training will still take."""

import time
from collections.abc import Sequence

import keras

from keras_efgsm.callbacks.remaining_time import describe_duration, seconds_left
from keras_efgsm.typing import Logs


class TimeLeft(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Prints before each epoch how long the rest of the training will take.

    Keras's bar covers the running epoch alone. The estimate is the median of the last epochs,
    with all that other callbacks do in them. Nothing is printed with `verbose=0`.

    Args:
        epoch_seconds: how long each epoch before a resume took, in seconds. Defaults to none.
        may_end_sooner: whether something may end training before its last epoch, so that the time
            is said to be an upper bound. Defaults to `False`.

    Example:

    ```python
    trainer.fit(x, y, epochs=50, callbacks=[TimeLeft()])
    # 3 of 50 epochs, 11.2 s an epoch, about 9 min left
    ```
    """

    def __init__(self, epoch_seconds: Sequence[float] = (), *, may_end_sooner: bool = False):
        super().__init__()
        self.may_end_sooner = bool(may_end_sooner)
        self._before = list(epoch_seconds)
        self._seconds: list[float] = []
        self._begun: float | None = None
        self._first_batch: int | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        # A second `fit` of the same callback is another training.
        self._seconds, self._before = self._before, []
        self._begun = self._first_batch = None

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        # Here and not at an epoch's end, where Keras's bar still stands on the line, and other
        # callbacks still measure and write.
        now = time.perf_counter()
        # An epoch resumed in its middle says nothing of a whole one.
        if self._begun is not None and self._first_batch == 0:
            self._seconds.append(now - self._begun)
        self._begun, self._first_batch = now, None
        epochs = self.params.get("epochs")
        if self._seconds and epochs and self.params.get("verbose", 1) != 0:
            print(self.describe(epoch, epochs), flush=True)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        if self._first_batch is None:
            self._first_batch = batch

    def describe(self, epoch: int, epochs: int) -> str:
        """The line printed when `epoch` of `epochs` are done."""
        left = seconds_left(self._seconds, epochs - epoch)
        assert left is not None  # an epoch has been timed
        typical = left / (epochs - epoch)
        bound = "at most " if self.may_end_sooner else ""
        return (
            f"{epoch} of {epochs} epochs, {typical:.3g} s an epoch, "
            f"{bound}about {describe_duration(left)} left"
        )
