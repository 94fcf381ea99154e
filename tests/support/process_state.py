"""What belongs to a whole process, which a test leaves as it found it, whatever test comes next."""

import gc
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_efgsm.attacks import ATTACKS
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.objectives import OBJECTIVES

# Those there are, and those that ours and its libraries read; not what libraries add when they are
# imported, what a command asks of their logs once, and where pytest says what it is at.
_VARIABLES = {
    *os.environ,
    *("KERAS_BACKEND", "KERAS_HOME", "TFDS_DATA_DIR", "TF_CONFIG", "XLA_FLAGS"),
} - {"GLOG_minloglevel", "GRPC_VERBOSITY", "PYTEST_CURRENT_TEST", "TF_CPP_MIN_LOG_LEVEL"}
_SIGNALS = [number for number in signal.Signals if number not in (signal.SIGKILL, signal.SIGSTOP)]


class Part(NamedTuple):
    """One thing of the process.

    Attributes:
        read: returns what it is; None while the library that has it is not imported.
        write: puts back what `read` returned.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _module(name: str) -> Any:
    return sys.modules.get(name)


def _variables() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in _VARIABLES}


def _write_variables(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _write_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def _table(table: dict[str, Any]) -> Part:
    def write(entries: dict[str, Any]) -> None:
        table.clear()
        table.update(entries)

    return Part(lambda: dict(table), write)


def _of_tensorflow(module: str, read: str, write: Callable[[Any, Any], object]) -> Part:
    """A setting of TensorFlow's, by its module and the function that reads it."""

    def found() -> Any:
        return _module(f"tensorflow.python.{module}")

    return Part(
        lambda: getattr(found(), read)() if found() else None,
        lambda value: write(found(), value),
    )


def _forms() -> dict[str, Any]:
    return _module("keras_efgsm.form_table").FORMS


PARTS = {
    "the working directory": Part(os.getcwd, os.chdir),
    "environment variables": Part(_variables, _write_variables),
    "handlers of signals": Part(_handlers, _write_handlers),
    "`sys.argv`": Part(lambda: list(sys.argv), lambda value: setattr(sys, "argv", value)),
    "garbage collection": Part(gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    "NumPy's handling of errors": Part(np.geterr, lambda value: np.seterr(**value)),
    "Keras's dtype policy": Part(
        lambda: keras.config.dtype_policy().name, keras.config.set_dtype_policy
    ),
    "`floatx`": Part(keras.config.floatx, keras.config.set_floatx),
    "`image_data_format`": Part(keras.config.image_data_format, keras.config.set_image_data_format),
    "determinism of operations": _of_tensorflow(
        "framework.config",
        "is_op_determinism_enabled",
        lambda config, on: (
            config.enable_op_determinism() if on else config.disable_op_determinism()
        ),
    ),
    "functions without graphs": _of_tensorflow(
        "eager.polymorphic_function.eager_function_run",
        "functions_run_eagerly",
        lambda module, on: module.run_functions_eagerly(on),
    ),
    "attacks": _table(ATTACKS),
    "objectives": _table(OBJECTIVES),
    "classifiers": _table(CLASSIFIERS),
    "re-constructors": _table(RECONSTRUCTORS),
    # They register themselves when exports are first asked for.
    "forms": Part(
        lambda: dict(_forms()) if _module("keras_efgsm.export.forms") else None,
        lambda forms: (_forms().clear(), _forms().update(forms)),
    ),
    "open figures": Part(
        lambda: (pyplot := _module("matplotlib.pyplot")) and pyplot.get_fignums(),
        lambda numbers: [
            _module("matplotlib.pyplot").close(number)
            for number in _module("matplotlib.pyplot").get_fignums()
            if number not in numbers
        ],
    ),
}


def seed() -> None:
    """Has everything that draws without a seed draw the same, whatever was drawn before."""
    random.seed(0)
    np.random.seed(0)


@contextmanager
def put_back() -> Iterator[list[str]]:
    """Puts the process back to what it was; the list then names what had changed.

    For what a test is about, such as a training that makes all operations deterministic from then
    on.
    """
    before = {name: part.read() for name, part in PARTS.items()}
    found: list[str] = []
    try:
        yield found
    finally:
        for name, part in PARTS.items():
            if before[name] is not None and part.read() != before[name]:
                found.append(name)
                part.write(before[name])
