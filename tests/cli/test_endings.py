"""How a command ends, whatever ends it: one line, a status that says which kind, nothing left."""

import errno
import os
import signal
import sys
import time

import pytest

import keras_efgsm.runs.training
from keras_efgsm.cli import ending, main, report
from keras_efgsm.runs.interruption import RESUME, Interruption, going_on


@pytest.fixture
def ends(monkeypatch, capsys):
    """Runs a command whose work is a function, and returns status, stdout and stderr."""

    def run(work, *more):
        # As if the work were the package's: the frames of a test are a user's own code.
        scope = {"work": work}
        exec(compile("def run(options):\n    work()\n", report.__file__, "exec"), scope)
        monkeypatch.setattr(report, "run", scope["run"])
        status = main(["report", "a-run", *more])
        return status, *capsys.readouterr()

    return run


def raising(error):
    """A function that raises, by no frame of this file."""
    scope = {"error": error}
    exec(compile("def fail():\n    raise error\n", report.__file__, "exec"), scope)
    return scope["fail"]


class ResourceExhaustedError(Exception):
    """Has the name of TensorFlow's."""


REFUSALS = [
    (ValueError("It must be so. Received: x=1"), "It must be so. Received: x=1"),
    (FileNotFoundError("There is no model here"), "There is no model here"),
    (OSError(errno.ENOSPC, "No space left on device"), "[Errno 28] No space left on device"),
    (ImportError("it needs a package"), "it needs a package"),
    (ValueError(), "ValueError"),
    (MemoryError(), "there is not enough memory (MemoryError); a smaller `--batch-size`"),
    (MemoryError("The momentum must fit. Received: n=9"), "The momentum must fit. Received: n=9"),
    (ResourceExhaustedError("OOM when\nallocating"), "not enough memory (OOM when allocating)"),
    (RuntimeError("RESOURCE_EXHAUSTED: 3 GB"), "not enough memory (RESOURCE_EXHAUSTED: 3 GB)"),
    (ResourceExhaustedError("m.pb; No space left on device"), "the disk is full (m.pb; No space"),
    (RuntimeError("write failed: No space left on device"), "the disk is full (write failed"),
]


@pytest.mark.parametrize(("error", "line"), REFUSALS, ids=lambda value: repr(value)[:40])
def test_what_input_can_cause_is_one_line_and_status_two(ends, error, line):
    status, out, err = ends(raising(error))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("keras-efgsm report: ")
    assert line in err


def uncovered(error):
    """The error as library code raises it while an interrupt passes through."""
    error.__context__ = RuntimeError("between them")
    error.__context__.__context__ = KeyboardInterrupt()
    return error


@pytest.mark.parametrize("error", [AssertionError("Nesting violated"), ValueError("bad input")])
def test_an_interrupt_that_library_code_turned_into_an_error_is_one(ends, error):
    assert ends(raising(uncovered(error)))[::2] == (130, "\nkeras-efgsm report: interrupted\n")


def test_what_an_interrupted_command_finds_full_is_told(ends):
    full = uncovered(OSError(errno.ENOSPC, "No space left on device"))
    status, _, err = ends(raising(full))
    assert status == 2 and "No space left on device" in err


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("division by zero"), KeyError("loss"), AssertionError(), TypeError("a\nb")],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_of_the_program_is_status_seventy_with_its_traceback_and_where_to_report(
    ends, error
):
    status, out, err = ends(raising(error))
    *above, last = err.splitlines()
    assert (status, out) == (70, "")
    assert above[0] == "Traceback (most recent call last):"
    assert last.startswith("keras-efgsm report: this is a fault of the program, not of what it was")
    assert type(error).__name__ in last and "please report it" in last
    assert last.rpartition(": ")[2].strip()


def test_the_place_to_report_is_that_of_the_package(ends, monkeypatch):
    class Metadata:
        def get_all(self, name):
            return ["Homepage, https://a.example", "Issues, https://b.example/issues"]

    monkeypatch.setattr(ending.importlib.metadata, "metadata", lambda name: Metadata())
    assert ends(raising(KeyError()))[2].endswith("and the command: https://b.example/issues\n")


def test_code_of_the_user_is_told_with_its_line_and_is_no_fault_of_the_program(ends, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def network(shape, classes):\n    return shape.wide\n")
    scope = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    status, _, err = ends(lambda: scope["network"]((8, 8, 1), 10))
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("keras-efgsm report: AttributeError: 'tuple' object has no attribute")
    assert "`--debug` shows the traceback" in err


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt("saved"), KeyError("x")])
def test_debug_shows_the_traceback_of_every_end(ends, error):
    status, _, err = ends(raising(error), "--debug")
    assert err.startswith("Traceback (most recent call last):")
    assert err.count("Traceback") == 1
    assert err.splitlines()[-1].startswith("keras-efgsm report: ")
    assert status == ending.outcome(error)[0]


def test_debug_is_an_option_of_the_program_and_of_every_command(capsys):
    for words in (["--help"], ["train", "--help"], ["serve-request", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 0
        assert "--debug" in capsys.readouterr().out


# Signals.


@pytest.fixture
def handlers():
    """Those of the signals must be there again in the end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    # Of a process in the background of a shell it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    during = {number: signal.getsignal(number) for number in numbers}
    yield
    after = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == during


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_every_signal_that_asks_for_an_end_acts_as_ctrl_c(ends, name):
    cleaned = []

    def work():
        try:
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(5)
        finally:
            cleaned.append(True)

    assert ends(work) == (130, "", "\nkeras-efgsm report: interrupted\n")
    assert cleaned == [True]


@pytest.mark.usefixtures("handlers")
def test_a_second_signal_does_not_break_into_what_the_first_has_begun(ends):
    """As `timeout` sends it to the process and then to its group."""
    cleaned = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            cleaned.append(True)

    assert ends(work) == (130, "", "\nkeras-efgsm report: interrupted\n")
    assert cleaned == [True]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_within_a_callback_that_nothing_leaves_is_not_lost(ends, name):
    """As in one of the garbage collector, where Python reports it and goes on."""

    class Callback:
        def __del__(self):
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(0.01)

    def work():
        callback = Callback()
        del callback
        for _ in range(500):
            time.sleep(0.01)
        pytest.fail("it went on")

    hook = sys.unraisablehook
    assert ends(work) == (130, "", "\nkeras-efgsm report: interrupted\n")
    assert sys.unraisablehook is hook


def test_a_signal_that_the_process_ignores_stays_ignored(ends):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ends(lambda: os.kill(os.getpid(), signal.SIGHUP)) == (0, "", "")
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("handlers")
def test_a_training_takes_sigterm_and_its_twin_for_one_request_and_heeds_sighup():
    for number in (signal.SIGTERM, signal.SIGHUP):
        with Interruption() as interruption:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert interruption.requested
            interruption._at -= 2.0
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
                time.sleep(1)


IMPORTING = """
    import os, signal, sys, time
    import keras_efgsm.cli as cli

    def half_imported():
        try:
            os.kill(os.getpid(), getattr(signal, {name!r}))
            time.sleep(5)
        except BaseException:
            raise ImportError("half imported")

    signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.import_everything = half_imported
    sys.exit(cli.main())
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupt_within_the_imports_is_not_told_as_something_else(fresh, name):
    done = fresh.run("methods", code=IMPORTING.replace("{name!r}", repr(name)))
    assert done == (130, "", "\nkeras-efgsm methods: interrupted\n")


# How to go on.


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyboardInterrupt(f"saved after epoch 1; {RESUME}"), "saved after epoch 1; do it again"),
        (KeyboardInterrupt(), "do it again"),
        (OSError(errno.ENOSPC, f"make room and {RESUME}"), "make room and do it again"),
        (OSError(errno.EIO, "the disk is gone"), "the disk is gone"),
    ],
)
def test_who_trains_as_a_part_of_something_says_how_that_goes_on(error, said):
    with pytest.raises(type(error), match=said) as caught, going_on("do it again"):
        raise error
    assert "--resume" not in str(caught.value)
    assert getattr(caught.value, "errno", None) == getattr(error, "errno", None)


def test_quickstart_and_methods_say_nothing_of_an_option_that_they_do_not_have(
    tmp_path, monkeypatch, capsys
):
    def interrupted(config, out, **options):
        raise KeyboardInterrupt(f"saved after epoch 1 of 60; {RESUME}")

    monkeypatch.setattr(keras_efgsm.runs.training, "train", interrupted)
    out = tmp_path / "out"
    assert main(["quickstart", "--out", str(out)]) == 130
    again = f"keras-efgsm train digits --seed 0 --out {out}/robust --resume"
    assert capsys.readouterr().err == (
        "\nkeras-efgsm quickstart: interrupted; saved after epoch 1 of 60; "
        f"`{again}` continues this training alone\n"
    )
    assert main(["methods", "--smoke", "--only", "efgsm"]) == 130
    assert "--resume" not in capsys.readouterr().err


# Readers that are gone.

CLOSED = """
    import os, sys
    read, write = os.pipe()
    os.close(read)
    for number in {numbers}:
        os.dup2(write, number)
    if {line_buffered}:
        sys.stdout.reconfigure(line_buffering=True)
    from keras_efgsm.cli import main
    sys.exit(main())
"""


@pytest.mark.parametrize(
    ("words", "numbers", "line_buffered", "status"),
    [
        ("methods", [1], False, 141),
        ("methods", [1, 2], True, 141),
        ("serve-config --help", [1], False, 0),
        ("serve-config --no-such", [1, 2], False, 2),
    ],
)
def test_a_command_whose_reader_is_gone_ends_quietly(fresh, words, numbers, line_buffered, status):
    code = CLOSED.format(numbers=numbers, line_buffered=line_buffered)
    done = fresh.run(*words.split(), code=code)
    assert (done.returncode, done.stderr) == (status, "")


def test_what_is_printed_on_a_full_disk_is_one_line(fresh):
    code = """
        import os, sys
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        from keras_efgsm.cli import main
        sys.exit(main())
    """
    done = fresh.run("methods", code=code)
    assert done.returncode == 2
    assert done.stderr == "keras-efgsm methods: [Errno 28] No space left on device\n"


def test_a_broken_connection_of_another_kind_is_told(ends):
    status, _, err = ends(raising(BrokenPipeError(errno.EPIPE, "Broken pipe of a server")))
    assert (status, err) == (2, "keras-efgsm report: [Errno 32] Broken pipe of a server\n")
