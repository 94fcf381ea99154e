"""Ctrl-C and SIGTERM as a request to stop after the running step."""

import os
import signal
import threading
from types import FrameType
from typing import Any


class Interruption:
    """While its block runs, the first SIGINT or SIGTERM is noted and the second acts at once.

    Elsewhere than in the main thread, where Python delivers no signals, it does nothing. A signal
    that the process ignores stays ignored.

    Example:

    ```python
    with Interruption() as interruption:
        while not interruption.requested:
            step()
    ```
    """

    def __init__(self) -> None:
        self.requested = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        self.requested = False
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # None is a handler that Python did not install and cannot put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # Not print, which may be what was interrupted.
        os.write(2, b"\nstopping after this step; once more to stop at once\n")
