"""Keeps the terminal free of TensorFlow's own log; its errors remain."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Of information and warnings, and the notice that they come early.
_LOG_LINE = re.compile(
    rb"^([IW]\d{4} |\d{4}-\d\d-\d\d .*: [IW] |WARNING: All log messages before absl)"
)
# An error where there is a GPU, and no news where there is none.
_NO_GPU = re.compile(rb"^E\d{4} .*failed call to cuInit")
_GPU_DRIVER = Path("/dev/nvidiactl")
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


def import_everything(verbose: bool = False) -> None:
    """Imports the package with Keras and its backend, so that what was saved can be loaded.

    Args:
        verbose: whether what they log is shown. Defaults to `False`.
    """
    with contextlib.nullcontext() if verbose else _without_log_lines():
        from keras_efgsm.backend import BACKEND

        if BACKEND == "tensorflow":
            import tensorflow as tf

            # Looks for GPUs, which is said as well; nothing is set up by it.
            tf.config.list_physical_devices()


@contextlib.contextmanager
def _without_log_lines() -> Iterator[None]:
    """Leaves out the lines of a log that C++ writes to stderr before its level can be set."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            written.seek(0)
            for line in written:
                is_noise = _LOG_LINE.match(line) or (
                    _NO_GPU.match(line) and not _GPU_DRIVER.exists()
                )
                if not is_noise:
                    os.write(2, line)
