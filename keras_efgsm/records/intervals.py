"""How sure a share of so many images is: the Wilson score interval."""

import math
from statistics import NormalDist

Interval = tuple[float, float]
"""Lower and upper bound, in [0, 1]."""


def wilson_interval(successes: int, count: int, confidence: float = 0.95) -> Interval:
    """The interval in which the share behind a sample lies with a confidence.

    `(p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)` with `p = successes / n`
    and z the quantile of the normal distribution: Wilson, "Probable inference, the law of
    succession, and statistical inference" (1927). Unlike `p -+ z sqrt(p (1 - p) / n)` it stays in
    [0, 1], and says of 0 of 10 what is not known of them. In closed form here, as SciPy takes a
    second to import.

    Args:
        successes: how many, in [0, count].
        count: of how many, at least 1.
        confidence: how often the interval holds the share, in (0, 1). Defaults to `0.95`.

    Raises:
        ValueError: if one is out of range.

    Example:

    ```python
    wilson_interval(9, 10)  # (0.596, 0.982)
    ```
    """
    if not 0 <= successes <= count or count < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(
            "An interval is of 0 to `count` successes, of a `count` of at least 1, with a "
            f"`confidence` in (0, 1). Received: successes={successes}, count={count}, "
            f"confidence={confidence}"
        )
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2 / count
    share = successes / count
    middle = share + z2 / 2
    half = math.sqrt(z2 * share * (1 - share) + z2 * z2 / 4)
    # Exactly 0 of none and 1 of all, where rounding would leave 1e-17.
    low = 0.0 if successes == 0 else (middle - half) / (1 + z2)
    high = 1.0 if successes == count else (middle + half) / (1 + z2)
    return low, high


def interval_of(share: float | None, count: int | None) -> Interval | None:
    """The 95 % Wilson interval of a share of so many images.

    Args:
        share: in [0, 1]; None if it is not known.
        count: how many images; None or 0 likewise.

    Returns:
        Lower and upper bound; None if share or count is not known.

    Example:

    ```python
    interval_of(0.9, 1000)  # (0.880, 0.917)
    ```
    """
    if share is None or not count:
        return None
    return wilson_interval(min(count, max(0, round(share * count))), count)
