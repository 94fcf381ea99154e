"""Python processes in which nothing has run yet, without the seconds that its start takes.

A template imports the libraries once and does nothing with them; each process is a fork of it. The
package itself is imported by the process, as it is at that time.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

# What takes long. None of them starts a thread when it is imported, which a fork would lose.
LIBRARIES = ("tensorflow", "keras", "sklearn.datasets", "matplotlib.pyplot", "rich.console")


class Done(NamedTuple):
    """How a process ended, as `subprocess.run` says it."""

    returncode: int
    stdout: str
    stderr: str


class Running:
    """A process that was started and not yet waited for.

    Args:
        template: the process that forked it.
        folder: where its output goes.

    Attributes:
        pid: its number.
    """

    def __init__(self, template, folder):
        self._template, self._folder = template, folder
        self.pid = int(template.stdout.readline())

    def send_signal(self, number):
        """Sends it a signal; it may have ended, but its number is not yet given to another."""
        os.kill(self.pid, number)

    def processor_seconds(self) -> float | None:
        """Seconds of a processor that it had so far (Linux); None when it has ended."""
        values = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(values[11]) + int(values[12])
        return None if values[0] == "Z" else ticks / os.sysconf("SC_CLK_TCK")

    def wait(self) -> Done:
        """Waits for its end; no other process can be started before."""
        self._template.stdin.write("its end\n")
        self._template.stdin.flush()
        code = int(self._template.stdout.readline())
        with self._folder as folder:
            out, err = (Path(folder, name).read_text() for name in ("out", "err"))
        return Done(code, out, err)


class FreshProcesses:
    """Runs Python in processes of their own, one at a time.

    On another backend than TensorFlow each is started anew.
    """

    def __init__(self):
        self._template = None

    def _start(self):
        names = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        names |= {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg", "PYTHONUNBUFFERED": "1"}
        self._template = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **names},
        )

    def run(self, *argv, code=None, module=None, cwd=None, env=None) -> Done:
        """Runs `code`, a `module` as `python -m` does, or the script that is the first of `argv`.

        Args:
            *argv: the arguments after the program, or the script and these.
            code: the text of a program, indented as it may be. Defaults to none.
            module: name of a module. Defaults to none.
            cwd: the folder to run in. Defaults to that of the tests.
            env: variables on top of those of the tests. Defaults to none.
        """
        variables = {**os.environ, **(env or {})}
        if variables.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
            what = ["-m", module] if module else ["-c", textwrap.dedent(code)] if code else []
            words = [sys.executable, *what, *map(str, argv)]
            done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=variables)
            return Done(done.returncode, done.stdout, done.stderr)
        return self.start(*argv, code=code, module=module, cwd=cwd, env=env).wait()

    def start(self, *argv, code=None, module=None, cwd=None, env=None) -> Running:
        """Starts what `run` runs, on TensorFlow; it must be waited for before the next."""
        if self._template is None:
            self._start()
        folder = tempfile.TemporaryDirectory()
        request = {
            "argv": [str(word) for word in argv],
            "code": None if code is None else textwrap.dedent(code),
            "module": module,
            "cwd": os.fspath(cwd or os.getcwd()),
            "env": {**os.environ, **(env or {})},
            "out": os.path.join(folder.name, "out"),
            "err": os.path.join(folder.name, "err"),
        }
        # There from the begin, as it may be killed before it opens them.
        for name in ("out", "err"):
            Path(request[name]).touch()
        self._template.stdin.write(json.dumps(request) + "\n")
        self._template.stdin.flush()
        return Running(self._template, folder)

    def close(self):
        """Ends the template."""
        if self._template is not None:
            self._template.stdin.close()
            self._template.wait(60)
            self._template.stdout.close()


def serve():
    """Forks a process for each line of the input, and answers with its exit status."""
    # Answers go where the output did; what libraries print goes nowhere.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for name in LIBRARIES:
        __import__(name)
    threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    assert threads == 1, f"{threads} threads, which a fork loses"
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            answers.close()
            os._exit(become(json.loads(line)))
        answers.write(f"{child}\n")
        answers.flush()
        # Until somebody asks for its end it keeps its number, so that no signal finds another.
        sys.stdin.readline()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.write(f"{code}\n")
        answers.flush()
    os._exit(0)  # nothing is left to end, which Keras and TensorFlow would look for


def become(request) -> int:
    """Runs what is asked for in this process and returns its exit status."""
    import runpy
    import traceback

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    # Or all of them would draw alike where no seed is set.
    random.seed()
    sys.modules["numpy"].random.seed()
    sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parent]
    for path in reversed(request["env"].get("PYTHONPATH", "").split(os.pathsep)):
        if path and path not in sys.path:
            sys.path.insert(0, path)
    try:
        argv = request["argv"]
        if request["code"] is not None:
            sys.argv = ["-c", *argv]
            sys.path.insert(0, "")
            exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
        elif request["module"] is not None:
            sys.argv = [request["module"], *argv]
            sys.path.insert(0, "")
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        else:
            sys.argv = argv
            sys.path.insert(0, str(Path(argv[0]).parent))
            runpy.run_path(argv[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return status


if __name__ == "__main__":
    serve()
