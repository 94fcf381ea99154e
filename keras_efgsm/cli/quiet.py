"""Keeps the terminal free of TensorFlow's own log; its errors remain."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from keras_efgsm.cli import log_lines

# Read by TensorFlow, gRPC and XLA when they are loaded.
_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "GLOG_minloglevel": "2",
    "GRPC_VERBOSITY": "ERROR",
}


def silence() -> None:
    """Asks TensorFlow for errors alone; must be called before it is imported.

    What the environment already says of a log level stays.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Python's side of it: tensorflow, absl, tensorflow-datasets.
    import logging
    import warnings

    for logger in ("tensorflow", "absl", "h5py", "jax"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def import_everything() -> None:
    """Imports Keras with its backend, and looks whether its settings are such as are needed.

    Raises:
        ImportError: if it cannot be imported.
        ValueError: if it is set to another kind of numbers or images.
    """
    # Not by way of the package `backend`, which needs Keras itself.
    from keras_efgsm.keras_settings import check_keras_settings

    check_keras_settings()
    from keras_efgsm.backend import BACKEND

    if BACKEND == "tensorflow":
        import tensorflow as tf

        # Looks for GPUs, which is said as well; nothing is set up by it.
        tf.config.list_physical_devices()


@contextlib.contextmanager
def without_log_lines() -> Iterator[None]:
    """Leaves out what C++ writes to stderr and no user need read, see `log_lines`.

    What Python writes to `sys.stderr` goes there straight. It is meant for the program, whose whole
    process it concerns.
    """
    if sys.stderr is None:  # closed by whoever started the program
        yield
        return
    sys.stderr.flush()
    kept, shown = os.dup(2), sys.stderr
    command = [sys.executable, "-I", "-S", log_lines.__file__]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    os.dup2(reader.stdin.fileno(), 2)
    reader.stdin.close()
    sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1, errors="backslashreplace")
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = shown
        os.dup2(kept, 2)
        os.close(kept)
        # A process of ours that still runs holds the other end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            reader.wait(1.0)
