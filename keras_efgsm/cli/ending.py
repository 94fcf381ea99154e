"""How a command ends: an exit status, and one line on stderr if it did not end well."""

import contextlib
import importlib.metadata
import os
import select
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from keras_efgsm.version import __version__

REFUSED, FAULT, INTERRUPTED, NOBODY_READS = 2, 70, 130, 141

_PACKAGE = Path(__file__).parents[1]
_SECONDS_OF_A_CALLBACK = 0.05
_TERMINATIONS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def run_to_an_end(
    job: Callable[[], int], name: Callable[[], str], *, debug: bool, is_program: bool
) -> int:
    """Runs a command and says in one line why it did not end well.

    SIGTERM and SIGHUP, unless the process ignores them, act as Ctrl-C does.

    Args:
        job: the command; it returns an exit status.
        name: what the line begins with, once that is known.
        debug: whether the traceback is shown for every end that is not good.
        is_program: whether the process ends afterwards, and hears no more of signals.

    Returns:
        The status of the job; 2 on bad input, or what the machine has not enough of; 70 on a fault
        of the program, with its traceback; 130 when interrupted; 141 when nobody reads what it
        prints.

    Raises:
        SystemExit: if the job did.
    """
    with terminations_as_interrupts(leave_ignored=is_program):
        try:
            status = job()
            if sys.stdout is not None:
                sys.stdout.flush()
            return status
        except SystemExit as end:
            # `rich` makes one of a closed pipe.
            if not isinstance(end.__context__, BrokenPipeError):
                raise
            return NOBODY_READS
        except BaseException as error:
            # The end is an orderly one.
            ignore(_TERMINATIONS if not is_program else (*_TERMINATIONS, signal.SIGINT))
            if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout, sys.stderr):
                return NOBODY_READS
            status, line = outcome(_uncovered(error))
            if debug or status == FAULT:
                _say("".join(traceback.format_exception(error)).rstrip())
            # Below the ^C of a terminal.
            above = "\n" if status == INTERRUPTED else ""
            # Here, as `--help` needs no NumPy.
            from keras_efgsm.checks import visible

            _say(f"{above}{name()}: {visible(line)}")
            return status
        finally:
            if is_program:
                _drop_what_nobody_takes()


def _uncovered(error: BaseException) -> BaseException:
    """The interrupt behind an error of the code that it came into, else the error.

    Not behind one of the machine: that the end of an interrupted command found the disk full is
    what must be said.
    """
    # Here, as `--help` needs no NumPy.
    from keras_efgsm.checks import raise_interrupt_behind

    if not isinstance(error, (OSError, MemoryError)):
        try:
            raise_interrupt_behind(error)
        except KeyboardInterrupt as interrupt:
            return interrupt
    return error


def outcome(error: BaseException) -> tuple[int, str]:
    """The exit status of what ended a command, and the line that says it.

    Args:
        error: what was raised.
    """
    text = str(error)
    kind = type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, f"interrupted; {text}" if text else "interrupted"
    refused = (ValueError, OSError, ImportError)
    if isinstance(error, refused) or (isinstance(error, MemoryError) and "Received: " in text):
        return REFUSED, text or kind
    # Libraries in C++ have errors of their own for what is used up.
    if "No space left on device" in text:
        return REFUSED, f"the disk is full ({_one_line(text)})"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text or _is_exhausted(error):
        return REFUSED, (
            f"there is not enough memory ({_one_line(text) or kind}); a smaller `--batch-size` or "
            "smaller images take less"
        )
    where = _own_code_of_the_user(error)
    if where is not None:
        return REFUSED, f"{kind}: {_one_line(text)} (in {where}; `--debug` shows the traceback)"
    return FAULT, (
        f"this is a fault of the program, not of what it was given ({kind}: {_one_line(text)}); "
        f"please report it with the lines above and the command: {_where_to_report()}"
    )


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."


def _is_exhausted(error: BaseException) -> bool:
    """Whether it is TensorFlow's or JAX's error of memory, or of a disk, that is used up."""
    return "ResourceExhaustedError" in (kind.__name__ for kind in type(error).__mro__)


def _own_code_of_the_user(error: BaseException) -> str | None:
    """Where in a file that is neither of this package nor installed something went wrong.

    Such as in the function that `--classifier package.module:function` names.
    """
    package = _PACKAGE.resolve()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = {sys.prefix, *map(sysconfig.get_path, names)}
    known = [package, *(Path(path).resolve() for path in installed if path)]
    entered = False  # whoever called the package has no part in it
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = Path(frame.f_code.co_filename).resolve()
        entered |= file.is_relative_to(package)
        if entered and file.is_file() and not any(map(file.is_relative_to, known)):
            return f"{file}, line {line}"
    return None


def _where_to_report() -> str:
    try:
        urls = importlib.metadata.metadata("keras-efgsm").get_all("Project-URL") or []
    except importlib.metadata.PackageNotFoundError:
        urls = []
    places = dict(url.partition(", ")[::2] for url in urls)
    for name in ("Issues", "Repository", "Homepage"):
        if name in places:
            return str(places[name])
    return f"to whom you have keras-efgsm {__version__} from"


def _say(text: str) -> None:
    # Nobody may be there to read it.
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def _is_closed(*streams: Any) -> bool:
    """Whether the reader of one of these is gone."""
    for stream in streams:
        try:
            poll = select.poll()
            poll.register(stream.fileno(), 0)
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
                return True
        except (AttributeError, OSError, ValueError):
            continue  # no file, or not a system that can tell
    return False


def _drop_what_nobody_takes() -> None:
    """Sends to nowhere what cannot be written, or the interpreter tries it again and complains."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def terminations_as_interrupts(*, leave_ignored: bool = False) -> Iterator[None]:
    """While the block runs, SIGTERM and SIGHUP raise `KeyboardInterrupt`, as Ctrl-C does.

    The first does; what comes after it is ignored, so that the end is an orderly one. In another
    thread than the main one nothing is done, and a signal that the process ignores stays ignored.

    Args:
        leave_ignored: whether these signals and Ctrl-C are ignored after the block, as by a process
            whose work is done. Defaults to `False`: their handlers are put back.
    """
    request = _Request()
    kept = _handled_by(request, _TERMINATIONS)
    report, sys.unraisablehook = sys.unraisablehook, request.hear_again
    request.report = report
    try:
        yield
    finally:
        sys.unraisablehook = report
        if request.timer is not None:
            request.timer.cancel()
        if leave_ignored:
            ignore((*_TERMINATIONS, signal.SIGINT))
        else:
            _put_back(kept)


class _Request:
    """A handler of signals that raises `KeyboardInterrupt` once.

    An interrupt that comes within a callback of the garbage collector, say, gets lost there: Python
    reports it and goes on. It is raised again then.
    """

    def __init__(self) -> None:
        self.heard = False
        self.report: Callable[[Any], object] = sys.__unraisablehook__
        self.timer: threading.Timer | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.heard:
            self.heard = True
            raise KeyboardInterrupt

    def hear_again(self, unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            self.report(unraisable)
            return
        self.heard = False
        # Not now, as this is still the callback.
        self.timer = threading.Timer(_SECONDS_OF_A_CALLBACK, self._send)
        self.timer.daemon = True
        self.timer.start()

    def _send(self) -> None:
        mine = [n for n in _TERMINATIONS if signal.getsignal(n) is self]
        # A process that hears none of them was interrupted by Ctrl-C.
        os.kill(os.getpid(), mine[0] if mine else signal.SIGINT)


@contextlib.contextmanager
def ended_at_once(name: Callable[[], str]) -> Iterator[None]:
    """While the block runs, Ctrl-C, SIGTERM and SIGHUP end the process at once, with its line.

    For imports: a library of which half is imported says anything when it is interrupted, and
    nothing is there yet that had to be put in order.

    Args:
        name: what the line begins with.
    """

    def end(number: int, frame: FrameType | None) -> None:
        _say(f"\n{name()}: interrupted")
        os._exit(INTERRUPTED)

    kept = _handled_by(end, (*_TERMINATIONS, signal.SIGINT))
    try:
        yield
    finally:
        _put_back(kept)


def ignore(numbers: Sequence[int]) -> None:
    """Lets signals pass, in the main thread.

    Args:
        numbers: of the signals.
    """
    _handled_by(signal.SIG_IGN, numbers)


def _handled_by(handler: Any, numbers: Sequence[int]) -> dict[int, Any]:
    """Sets a handler where signals are heard at all, and returns those that were there."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    # None is a handler that Python did not install and cannot put back.
    heard = [n for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    return {number: signal.signal(number, handler) for number in heard}


def _put_back(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
