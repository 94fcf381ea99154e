"""Which lines of a framework's log a user need not read, and the process that leaves them out.

Libraries in C++ write to stderr themselves, some before their level can be set and some whatever
it is. As a process of its own, that needs nothing but the standard library, it also passes on what
is written right before a crash:

```sh
python -I -S keras_efgsm/cli/log_lines.py  # reads stdin, writes to stderr
```
"""

import re
import signal
import sys
from pathlib import Path

_NOISE = re.compile(
    rb"^([IW]\d{4} |\d{4}-\d\d-\d\d .*: [IW] "  # information and warnings
    rb"|WARNING: All log messages before absl|To enable the following instructions: "
    # TensorFlow Lite's interpreter and its converter.
    rb"|INFO: |fully_quantize: \d|WARNING: Attempting to use a delegate"
    # An error in its level alone: the same is computed in another way.
    rb"|(E\d{4} |\d{4}-\d\d-\d\d .*: E ).*(oneDNN supports DT_|Unable to register cu))"
)
# An error where there is a GPU, and no news where there is none.
_NO_GPU = re.compile(rb"^(E\d{4} |\d{4}-\d\d-\d\d .*: E ).*(cuInit|CUDA_ERROR_NO_DEVICE)")
_GPU_DRIVER = Path("/dev/nvidiactl")


def is_noise(line: bytes) -> bool:
    """Whether a line of stderr is left out.

    Args:
        line: as it was written.
    """
    without_gpu = _NO_GPU.match(line) is not None and not _GPU_DRIVER.exists()
    return without_gpu or _NOISE.match(line) is not None


def main() -> None:
    """Passes on what is read, but for noise, until the last writer is gone."""
    # They are for the program, whose last words still have to come through.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    for line in iter(sys.stdin.buffer.readline, b""):
        if not is_noise(line):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
