"""Versions and hardware of a measurement, without anything that names the machine."""

import importlib.metadata
import os
import platform
from pathlib import Path

from keras_efgsm.backend import BACKEND, accelerators
from keras_efgsm.version import __version__

# The backend, whose package has its name, first.
_PACKAGES = (BACKEND, "keras", "numpy")


def versions(*extra: str) -> dict[str, str]:
    """Versions of Python, this library, the Keras backend and the packages that decide a result.

    Args:
        *extra: names of further packages.

    Example:

    ```python
    versions("cleverhans")["keras"]
    ```
    """
    found = {"python": platform.python_version(), "keras_efgsm": __version__}
    return found | {name: importlib.metadata.version(name) for name in (*_PACKAGES, *extra)}


def allowed_cores() -> int:
    """How many cores this process may use, which can be fewer than the machine has.

    Example:

    ```python
    allowed_cores()  # 1 under `taskset -c 0`
    ```
    """
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def hardware() -> str:
    """The processor's model, the cores this process may use, and the GPUs if there are any.

    Example:

    ```python
    hardware()  # such as "AMD EPYC, 2 cores"
    ```
    """
    cores = allowed_cores()
    parts = [f"{_processor()}, {cores} core{'s' if cores > 1 else ''}"]
    return ", ".join([*parts, *accelerators()])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
