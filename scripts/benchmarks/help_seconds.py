"""Processor seconds of `keras-efgsm --help`, beside an import of all that a command runs with.

```sh
python scripts/benchmarks/help_seconds.py
```
"""

import resource
import subprocess
import sys


def seconds(*words: str, rounds: int = 3) -> float:
    """The least processor seconds of a Python process out of some."""
    best = float("inf")
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
        best = min(best, used)
    return best


def main() -> None:
    """Prints both, and their ratio."""
    everything = seconds("-c", "import keras_efgsm")
    for words in (["--help"], ["train", "--help"], ["--version"]):
        used = seconds("-m", "keras_efgsm", *words)
        print(
            f"keras-efgsm {' '.join(words)}: {used:.2f} s; an import of everything, which it "
            f"waited for before: {everything:.2f} s, {everything / used:.1f} times"
        )


if __name__ == "__main__":
    main()
