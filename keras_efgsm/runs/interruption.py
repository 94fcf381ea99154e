"""Ctrl-C, SIGTERM and SIGHUP as a request to stop after the running step."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

# What a supervisor, a shell that logs out or a user sends to have a process end in order.
REQUESTS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
# How a training says that it can be continued, which whoever called it may do in another way.
RESUME = "continue with `--resume`"
# `timeout` sends its signal to the process and to its group, which is two at once.
_SECONDS_OF_ONE = 1.0


class Interruption:
    """While its block runs, the first SIGINT, SIGTERM or SIGHUP is noted, the second acts at once.

    A second one that is no Ctrl-C and comes within a second of the first is the same request.
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
        self._at = 0.0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        self.requested = False
        if threading.current_thread() is threading.main_thread():
            for number in REQUESTS:
                # None is a handler that Python did not install and cannot put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.requested:
            self.requested, self._at = True, time.monotonic()
            # Not print, which may be what was interrupted; nobody may be there to read it.
            with contextlib.suppress(OSError):
                os.write(2, b"\nstopping after this step; once more to stop at once\n")
        elif number == signal.SIGINT or time.monotonic() - self._at > _SECONDS_OF_ONE:
            raise KeyboardInterrupt


@contextlib.contextmanager
def going_on(how: str) -> Iterator[None]:
    """Says how the caller of a training goes on, where the training would say `RESUME`.

    Args:
        how: such as `"the same command goes on with the search"`.

    Raises:
        KeyboardInterrupt: as raised in the block, in other words.
        OSError: of the same number as the one raised in the block.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        said = str(interrupt).replace(RESUME, how)
        raise KeyboardInterrupt(said or how) from interrupt
    except OSError as error:
        if error.errno is None or RESUME not in str(error):
            raise
        raise OSError(error.errno, str(error.strerror).replace(RESUME, how)) from error
