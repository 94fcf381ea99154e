"""A search by several processes on this machine: keras-tuner's chief, and workers that it feeds."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_efgsm.checks import check_count
from keras_efgsm.limits import limits
from keras_efgsm.tuning.search_failed import SearchFailed
from keras_efgsm.tuning.search_folder import SearchFolder

# Status of a process that found the search hopeless; to start it again would change nothing.
HOPELESS = 3
_RESTARTS = 2
_SECONDS_TO_END = 5.0


def run_workers(folder: SearchFolder, count: int) -> None:
    """Runs the trials of a search by a chief and workers, and ends all of them with it.

    A worker that dies is started again, at most twice, and keras-tuner gives it its trial again.
    Where the chief dies, or all workers did, everything is ended: each would wait for the other.
    What they print goes to `logs` in the search's folder.

    Args:
        folder: the search's folder, which every process can read and write.
        count: how many workers.

    Raises:
        SearchFailed: if the search could not be finished.
    """
    check_count(count, "workers")
    folder.logs.mkdir(exist_ok=True)
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(_free_port())}
    # Shared out, or each would start a thread for every core.
    threads = str(max(1, _cores() // count))
    thread_counts = {
        name: os.environ.get(name, threads)
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    }
    names = [f"worker-{number}" for number in range(1, count + 1)]
    with _Processes(folder, {**os.environ, **address, **thread_counts}).running() as processes:
        processes.start("chief")
        for name in names:
            processes.start(name)
        print(f"{count} workers; what they print: {folder.logs}", flush=True)
        _watch(processes, names)


class _Processes:
    """Processes of a search, each with its log, which end when this one does."""

    def __init__(self, folder: SearchFolder, environment: dict[str, str]):
        self.folder = folder
        self.environment = environment
        self.by_name: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def running(self) -> Iterator["_Processes"]:
        try:
            yield self
        finally:
            self.end()

    def start(self, name: str) -> None:
        if name in self.by_name:
            _close_stdin(self.by_name[name])
        # A GPU is for the workers, and all of them; TensorFlow would give it to the first.
        gpus = (
            {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
            if name != "chief"
            else {"CUDA_VISIBLE_DEVICES": "-1"}
        )
        with open(self.log(name), "ab") as log:
            self.by_name[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "keras_efgsm.tuning.process", str(self.folder.path)),
                    *(str(limits().max_classes), str(limits().max_pixels)),
                ],
                env={**self.environment, **gpus, "KERASTUNER_TUNER_ID": name},
                # They end when they can read no more from it, however this process ended.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def log(self, name: str) -> Path:
        return self.folder.logs / f"{name}.log"

    def end(self) -> None:
        for process in self.by_name.values():
            if process.poll() is None:
                process.terminate()
        for process in self.by_name.values():
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close_stdin(process)


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None  # a pipe
    process.stdin.close()


def _watch(processes: _Processes, names: list[str]) -> None:
    restarts = dict.fromkeys(names, 0)
    working = set(names)
    dead: list[str] = []
    while working:
        time.sleep(0.5)
        for name in sorted(working):
            status = processes.by_name[name].poll()
            if status is None:
                continue
            if status == 0:
                working.discard(name)
            elif status == HOPELESS:
                raise SearchFailed(f"{_last_words(processes.log(name))}")
            elif restarts[name] < _RESTARTS:
                restarts[name] += 1
                print(f"{name} died with status {status}; it is started again", flush=True)
                processes.start(name)
            else:
                working.discard(name)
                dead.append(name)
        if working and processes.by_name["chief"].poll() is not None:
            raise SearchFailed(
                f"The chief of the search died; {_last_words(processes.log('chief'))} "
                "The same command goes on with the search."
            )
    # The chief has every finished trial on disk; it may be waiting for a worker that died.
    if dead:
        raise SearchFailed(
            f"Workers died again and again ({', '.join(dead)}); "
            f"{_last_words(processes.log(dead[0]))} The same command goes on with the search."
        )


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"the end of {log}: {lines[-1]}" if lines else f"its log {log} is empty."


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _cores() -> int:
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
