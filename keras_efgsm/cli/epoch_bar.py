"""The bar of a running epoch, in one line of the terminal, gone when the epoch is over."""

import time
from typing import Any, Self

import keras
from rich.console import Console
from rich.progress import Progress

from keras_efgsm.progress_bar import progress_bar

# Of `accuracy` that it is not what one takes it for.
_SHOWN = {"loss": "loss", "accuracy": "accuracy under attack"}
# Reading a metric waits for the device.
_SECONDS_BETWEEN = 0.2


class EpochBar(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Shows steps, loss and accuracy of the running epoch, and the time left of it.

    Keras's own bar does not know how wide the terminal is and begins a new line with each update;
    the line that it prints after an epoch with `verbose=2` stays. Outside a terminal nothing is
    shown. As a context it takes the bar away when training ends by an exception.

    Args:
        console: where to show it. Defaults to the terminal behind stderr.

    Example:

    ```python
    with EpochBar() as bar:
        trainer.fit(x_train, y_train, verbose=2, callbacks=[bar])
    ```
    """

    def __init__(self, console: Console | None = None):
        super().__init__()
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._task: Any = None
        self._epoch = 0
        self._updated = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._end()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end()
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Not before: when an epoch begins others still print, Keras after all callbacks.
        if self._bar is not None or not self._console.is_terminal:
            return
        self._bar = progress_bar(console=self._console, between_lines=True)
        of_all = f"{self._epoch + 1}/{self.params['epochs']}"
        steps = self.params["steps"]
        self._task = self._bar.add_task(
            f"epoch {of_all}", completed=batch, total=steps, unit="steps"
        )
        self._bar.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        if self._bar is not None and now - self._updated >= _SECONDS_BETWEEN:
            told = [
                f"{words} {float(logs[name]):.3f}"
                for name, words in _SHOWN.items()
                if logs and name in logs
            ]
            self._bar.update(self._task, completed=batch + 1, said=", ".join(told))
            self._updated = now

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
