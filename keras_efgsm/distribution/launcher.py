"""Several workers on one machine, started together and restarted together."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from keras_efgsm.checks import check_count

# Exit statuses after which another attempt would end the same way: bad input, interruption.
_INTERRUPTED = 130
_FINAL = (2, _INTERRUPTED)
# Seconds that the others have to end by themselves when one has ended.
_GRACE = 3.0
_GRACE_TO_SAVE = 300.0


def launch(
    command: Sequence[str],
    workers: int,
    *,
    restarts: int = 0,
    more_on_restart: Callable[[], Sequence[str]] = tuple,
    started: Callable[[list[subprocess.Popen[bytes]]], None] = lambda processes: None,
) -> int:
    """Runs a command as several workers, each with its `TF_CONFIG`, until all have ended.

    When one dies the others, which would wait for it, are killed; then all are started again. What
    worker 0 writes is shown; the end of what another wrote, if that one was the first to die.

    Args:
        command: program and arguments.
        workers: how many.
        restarts: how many times to start them again. Defaults to 0.
        more_on_restart: gives further arguments for a restart. Defaults to none.
        started: called with the processes of each start. Defaults to nothing.

    Returns:
        0 when all ended well, else the exit status of the first that did not; of one that was
        killed 128 and the number of the signal.

    Raises:
        ValueError: if a number is out of range.

    Example:

    ```python
    launch(["keras-efgsm", "train", "digits"], workers=2, restarts=1)
    ```
    """
    workers = check_count(workers, "workers")
    restarts = check_count(restarts, "restarts", minimum=0)
    more: list[str] = []
    for attempt in range(restarts + 1):
        status = _attempt([*command, *more], workers, started)
        if status == 0 or status in _FINAL or attempt == restarts:
            return status
        more = list(more_on_restart())
        print(f"starting all workers again ({attempt + 1} of {restarts})", flush=True)
    raise AssertionError


def _attempt(
    command: Sequence[str], workers: int, started: Callable[[list[subprocess.Popen[bytes]]], None]
) -> int:
    addresses = free_addresses(workers)
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        outputs: list[IO[bytes] | None] = [None]
        outputs += [stack.enter_context(tempfile.TemporaryFile()) for _ in addresses[1:]]
        try:
            for index, output in enumerate(outputs):
                task = {"type": "worker", "index": index}
                config = json.dumps({"cluster": {"worker": addresses}, "task": task})
                processes.append(
                    subprocess.Popen(
                        command,
                        env={**os.environ, "TF_CONFIG": config},
                        stdout=output,
                        stderr=None if output is None else subprocess.STDOUT,
                    )
                )
            stack.enter_context(_terminated_together(processes))
            started(processes)
            return _wait(processes, outputs)
        finally:
            for process in processes:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _terminated_together(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Passes SIGTERM and SIGHUP on to the workers, which save and end; else they would live on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, frame: object) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    # One that is ignored, as by nohup, stays so.
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, pass_on) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _wait(processes: list[subprocess.Popen[bytes]], outputs: list[IO[bytes] | None]) -> int:
    """Waits until all have ended, or one has ended badly and the others had their grace."""
    first: int | None = None
    deadline: float | None = None
    while True:
        states = [process.poll() for process in processes]
        if first is None and any(states):
            first = next(index for index, state in enumerate(states) if state)
            # One that was interrupted has saved, and so will the others.
            grace = _GRACE_TO_SAVE if states[first] == _INTERRUPTED else _GRACE
            deadline = time.monotonic() + grace
        if None not in states or (deadline is not None and time.monotonic() > deadline):
            break
        try:
            time.sleep(0.05)
        except KeyboardInterrupt:
            # The workers have it too and save before they end.
            continue
    if first is None:
        return 0
    status = states[first]
    assert status is not None  # it has ended
    if status < 0:
        status = 128 - status
    print(f"worker {first} ended with status {status}", file=sys.stderr)
    output = outputs[first]
    if output is not None:
        output.seek(0)
        print(output.read()[-2000:].decode(errors="replace"), file=sys.stderr)
    return status


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine on which nothing listens now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
