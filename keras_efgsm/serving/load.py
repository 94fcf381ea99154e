"""Puts load on a server by concurrent clients and measures the time of each answer."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_efgsm.serving.answers import ServerError
from keras_efgsm.serving.asking import Client

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class LoadReport:
    """What a load test measured.

    Args:
        latencies: seconds of each answered request, ascending.
        errors: message to number of requests that it answered.
        seconds: from the first request to the last answer.
        batch_size: images in each request.
    """

    latencies: tuple[float, ...]
    errors: dict[str, int]
    seconds: float
    batch_size: int

    def figures(self) -> dict[str, Any]:
        """Returns the figures by name: latencies in milliseconds, rates per second."""
        answered = len(self.latencies)
        figures: dict[str, Any] = {
            "answered": answered,
            "errors": sum(self.errors.values()),
            "seconds": self.seconds,
            "requests_per_second": answered / self.seconds,
            "images_per_second": answered * self.batch_size / self.seconds,
        }
        if answered:
            for percent in PERCENTILES:
                figures[f"p{percent}_ms"] = 1e3 * float(np.percentile(self.latencies, percent))
            figures["max_ms"] = 1e3 * self.latencies[-1]
        return figures


def put_load(
    make_client: Callable[[], Client],
    inputs: Mapping[str, np.ndarray],
    signature: str,
    *,
    clients: int = 4,
    requests: int | None = 200,
    seconds: float | None = None,
    warmup: int = 5,
    on_answer: Callable[[], None] = lambda: None,
) -> LoadReport:
    """Asks a server from several threads, and returns what was measured.

    Args:
        make_client: makes the client of one thread.
        inputs: what each request sends; one row for each image.
        signature: the signature to ask.
        clients: threads that ask at the same time. Defaults to 4.
        requests: how many in all. Defaults to 200; `None` for as many as fit in
            `seconds`.
        seconds: after how long no new request is sent. Defaults to no limit.
        warmup: requests of each client that are not counted. Defaults to 5.
        on_answer: called after each counted request. Defaults to nothing.

    Raises:
        ValueError: if a number cannot be used.
        ServerError: if the first request is refused.

    Example:

    ```python
    signature, inputs = load_inputs(["three.png"])
    put_load(lambda: make_client("mnist"), inputs, signature, requests=100)
    ```
    """
    if clients < 1 or warmup < 0 or (requests is None and seconds is None):
        raise ValueError(
            "`clients` must be at least 1, `warmup` at least 0, and `requests` or `seconds` given. "
            f"Received: clients={clients}, warmup={warmup}, requests={requests}, seconds={seconds}"
        )
    given: tuple[tuple[str, float | None], ...] = (("requests", requests), ("seconds", seconds))
    for name, value in given:
        if value is not None and value <= 0:
            raise ValueError(f"`{name}` must be above 0. Received: {name}={value}")
    first = make_client()
    try:
        first.predict(inputs, signature)
    finally:
        first.close()
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    unexpected: list[BaseException] = []
    left: list[int | None] = [requests]
    lock = threading.Lock()
    begun = [0.0]

    def set_clock() -> None:
        begun[0] = time.perf_counter()

    # Nobody starts to count before everybody is warm.
    start = threading.Barrier(clients, action=set_clock)

    def take() -> bool:
        with lock:
            is_over = seconds is not None and time.perf_counter() - begun[0] >= seconds
            if is_over or left[0] == 0:
                return False
            if left[0] is not None:
                left[0] -= 1
            return True

    def ask(client: Client) -> None:
        sent = time.perf_counter()
        try:
            client.predict(inputs, signature)
        except ServerError as error:
            with lock:
                errors[str(error)] += 1
        else:
            with lock:
                latencies.append(time.perf_counter() - sent)

    def work() -> None:
        client = make_client()
        try:
            for _ in range(warmup):
                client.predict(inputs, signature)
            start.wait()
            while take():
                ask(client)
                on_answer()
        except BaseException as error:
            start.abort()
            unexpected.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    causes = [e for e in unexpected if not isinstance(e, threading.BrokenBarrierError)]
    if causes:
        raise causes[0]
    spent = time.perf_counter() - begun[0]
    batch_size = len(next(iter(inputs.values())))
    return LoadReport(tuple(sorted(latencies)), dict(errors), spent, batch_size)
