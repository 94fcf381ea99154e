"""The limits above which a count of images is a sign, each with its reason."""

import math

CHANCE = 0.01
"""A count is a sign only if chance would give as much in fewer than one case of a hundred. Some
ten signs are looked for, so a model without any is accused in about one diagnosis of ten at the
very limit; honest models stay far below the limits, planted ones far above."""

MISSED = 0.02
"""Share of the images on which the strongest attack by gradients may miss what another search
finds. Of nine honest models on digits it missed none; larger robust networks have an image or two
in a hundred that only Square turns."""

RISE = 0.10
"""By how much accuracy may rise with a larger radius, a longer step or more iterations: an
undefended network bends within the ball, and a long step may come out a few points behind a
shorter one. After catastrophic overfitting it is tens of points."""

ZERO = 0.05
"""Share of images that may have no gradient at all: a few images may lie where every unit of a
small network is off. Rounding, thresholds and saturation take it from nearly all."""

UNREACHABLE = 10.0
"""A gradient is vanishing if, taken at its word, the nearest boundary lies this many times the
whole range of pixels away. Honest robust models say 0.1 to 1."""

FOLLOWED = 0.25
"""Least part of the promised fall of the margin that a short step along the gradient must reach. A
bend takes some of it; a gradient of something else gives about none."""

UNFAITHFUL = 0.15
"""Share of images whose gradient may break its promise, next to a kink for instance."""

LATE = 0.06
"""Share of images that restarts of the second half may still turn: on a small PGD-trained network
the last two of five turned 4 % of the digits."""

OVERFITTED = 0.6
"""Share of images that hold under one step and fall to many. On digits it was below a tenth for
undefended networks, a quarter for robust ones and 80 % after catastrophic overfitting; undefended
networks of other data may come to a half."""

FEWEST = 20
"""With fewer correctly classified images no count could be told from chance."""


def chance_of(count: int, total: int, share: float) -> float:
    """Probability of at least `count` out of `total` where each comes with probability `share`.

    Args:
        count: how many were seen.
        total: how many there could be.
        share: the share that is allowed.

    Example:

    ```python
    chance_of(7, 100, 0.02)  # 0.0041
    ```
    """
    tail = (math.comb(total, k) * share**k * (1.0 - share) ** (total - k) for k in range(count))
    return min(1.0, max(0.0, 1.0 - math.fsum(tail)))


def is_more(count: int, total: int, share: float) -> bool:
    """Whether `count` out of `total` is more than a share allows, chance taken into account."""
    return chance_of(count, total, share) < CHANCE


def rises(lost: int, gained: int, total: int) -> bool:
    """Whether of `total` images clearly more hold only afterwards than hold only before.

    A sign test of the images that differ, and a least difference of `RISE`.

    Args:
        lost: images that held before and do not afterwards.
        gained: images that did not hold before and do afterwards.
        total: all images.
    """
    return gained - lost > RISE * total and is_more(gained, gained + lost, 0.5)
