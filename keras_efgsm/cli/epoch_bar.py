"""The bar of a running epoch, in one line of the terminal, gone when the epoch is over."""

import time
from typing import Any, Self

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_SHOWN = ("loss", "accuracy")
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
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        of_all = f"{self._epoch + 1}/{self.params['epochs']}"
        steps = self.params["steps"]
        self._task = self._bar.add_task("", completed=batch, total=steps, epoch=of_all, said="")
        self._bar.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.monotonic()
        if self._bar is not None and now - self._updated >= _SECONDS_BETWEEN:
            told = [f"{name} {float(logs[name]):.3f}" for name in _SHOWN if logs and name in logs]
            self._bar.update(self._task, completed=batch + 1, said=", ".join(told))
            self._updated = now

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
