"""The test double as a process of its own: whatever a request does to it, the checks go on."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path


class DoubleProcess:
    """A running test double on free ports.

    Args:
        export: the model's folder.
        name: the model's name.
        more: further arguments of `test_double.py`. Defaults to none.
        seconds: how long it may take to start. Defaults to 300.

    Raises:
        RuntimeError: if it does not start.
    """

    def __init__(self, export: Path, name: str, more: tuple[str, ...] = (), seconds: float = 300):
        words = [sys.executable, str(Path(__file__).with_name("test_double.py")), str(export)]
        words += ["--name", name, "--grpc-port", "0", "--rest-port", "0", *more]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self.stop()
            raise RuntimeError(f"the test double did not start: {self.said()[-300:]}")
        listens = json.loads(line)
        self.url, self.address = listens["url"], listens["address"]

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def peak_mib(self) -> float | None:
        """Returns the most memory it has used so far, in MiB; `None` where that is not known."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return None
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else None

    def said(self) -> str:
        """Returns what it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def stop(self) -> int:
        """Ends it and returns its exit status."""
        self._process.terminate()
        try:
            status = self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process.stdout.close()
        return status

    def __enter__(self) -> "DoubleProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._errors.close()
