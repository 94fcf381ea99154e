"""How long a training will still take."""

import statistics
from collections.abc import Sequence

# Epochs that the estimate looks back on: the first is slow, and a machine's load changes.
_RECENT = 5


def seconds_left(epoch_seconds: Sequence[float], epochs_left: int) -> float | None:
    """The median of the last epochs times those that are left; None before the first.

    Args:
        epoch_seconds: how long each epoch took, in seconds.
        epochs_left: how many there still are.

    Example:

    ```python
    seconds_left([20.0, 11.0, 12.0], epochs_left=10)  # 120.0
    ```
    """
    if epochs_left <= 0:
        return 0.0
    if not epoch_seconds:
        return None
    # Of two values the lower, as the first epoch compiles.
    return statistics.median_low(epoch_seconds[-_RECENT:]) * epochs_left


def describe_duration(seconds: float) -> str:
    """A duration in words, as exact as an estimate is: `"40 s"`, `"7 min"`, `"2 h 05 min"`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"
