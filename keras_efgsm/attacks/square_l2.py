"""The search of the Square attack in an L2 ball: budget moves from window to window.

Andriushchenko et al. 2020, "Square attack: a query-efficient black-box adversarial attack via
random search", algorithm 3 and the authors' code.
"""

import math

import numpy as np
from keras import ops

from keras_efgsm.attacks.ball import BALLS
from keras_efgsm.attacks.square_search import MOST_HALVINGS, Search, halvings
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Tensor

_TINY = 1e-12
# The start has five times five bumps.
_BUMPS = 5


def search_windows(
    x: Tensor, epsilon: float, noise: Noise, queries: int, p_init: float, gathering: float
) -> Search:
    """The search for L2, in which the whole change is as long as epsilon allows at every query.

    It starts from a grid of bumps, see `bump`. Each query draws two windows of one size: in the
    second the change goes back to zero, and its length, with what [0, 1] had left over, goes into
    the first, whose change is drawn towards a bump of random sign, channel by channel.

    Each image has windows of its own, which may touch the last row and column, where the published
    code has one place for all of a batch and never the last one.

    Args:
        x: clean images `(B, H, W, C)`.
        epsilon: radius in pixels of [0, 1].
        noise: noise of these samples.
        queries: how many there are.
        p_init: share of the pixels that the first windows cover.
        gathering: share of the queries that gather, see `move_windows`.
    """
    height, width, _ = x.shape[1:]
    sides = l2_window_sides(p_init, height, width)
    stages = ops.convert_to_tensor(halvings(queries).astype("int32"))
    bumps = ops.convert_to_tensor(_bump_table(sides))
    sides = ops.convert_to_tensor(sides)
    ball = BALLS["l2"]

    def images_of(shift: Tensor) -> Tensor:
        return ops.clip(x + epsilon * ball.direction(shift), 0.0, 1.0)

    def change(images: Tensor, query: Tensor) -> Tensor:
        stage = ops.take(stages, query)
        side, table = ops.take(sides, stage), ops.take(bumps, stage, axis=0)
        shift = images - x
        return images_of(move_windows(shift, epsilon, noise, query, side, table, gathering))

    return Search(
        start=images_of(start_bumps(noise, tuple(x.shape[1:]))),
        images=lambda images: images,
        change=change,
    )


def move_windows(
    shift: Tensor,
    epsilon: float,
    noise: Noise,
    query: Tensor,
    side: Tensor,
    table: Tensor,
    gathering: float = 0.0,
) -> Tensor:
    """The change with the budget of one random window moved into another.

    In the published search a window gets what lies in it and in the other one, so that the change
    stays spread over the image. A query that gathers gives it a share of the whole change that is
    drawn uniformly, and what is outside the rest: a network that withstands a small change of many
    pixels falls to a large one of few.

    Args:
        shift: changes `(B, H, W, C)`, none longer than epsilon.
        epsilon: radius in pixels of [0, 1].
        noise: noise of these samples.
        query: number of the query, from 1; each has noise of its own.
        side: of the windows, in pixels.
        table: the bump of that side, padded to `(S, S)`.
        gathering: share of the queries that gather. Defaults to `0.0`, the published search.

    Returns:
        The new changes, of any length.
    """
    _, height, width, channels = shift.shape
    draws = noise.uniform((7 + channels,), stream=query)
    rows, row = _within(draws[:, 0], height, side)
    columns, column = _within(draws[:, 1], width, side)
    first = _both(rows, columns)
    second = _both(_within(draws[:, 2], height, side)[0], _within(draws[:, 3], width, side)[0])

    def length(part: Tensor) -> Tensor:
        """Of each channel, `(B, 1, 1, C)`."""
        return ops.sqrt(ops.sum(part * part, axis=(1, 2), keepdims=True))

    inside = shift * first
    # Per channel: the length that both windows have, and a share of what the whole leaves over.
    left = ops.maximum(epsilon**2 - ops.sum(shift * shift, axis=(1, 2, 3), keepdims=True), 0.0)
    budget = length(shift * ops.maximum(first, second)) ** 2 + left / channels
    lies = draws[:, 4, None, None] < 0.5
    row, column = row[:, :, None], column[:, None, :]
    size = table.shape[0]
    place = ops.where(lies, column * size + row, row * size + column)
    bump = ops.take(ops.reshape(table, (-1,)), ops.clip(place, 0, size * size - 1))[..., None]
    signs = ops.where(draws[:, None, None, 5:-2] < 0.5, -1.0, 1.0)
    drawn = first * bump * signs + inside / (length(inside) + _TINY)
    drawn = drawn / (length(drawn) + _TINY)
    outside = shift * (1.0 - second) * (1.0 - first)
    moved = drawn * ops.sqrt(budget) + outside
    if not gathering:
        return moved
    gathers, share = (draws[:, -i, None, None, None] for i in (1, 2))
    rest = BALLS["l2"].direction(outside) * ops.sqrt(1.0 - share**2)
    gathered = epsilon * (drawn * (share / math.sqrt(channels)) + rest)
    return ops.where(gathers < gathering, gathered, moved)


def start_bumps(noise: Noise, shape: tuple[int, int, int]) -> Tensor:
    """Changes `(B, H, W, C)` of bumps beside each other, each with a sign for every channel.

    Args:
        noise: noise of these samples.
        shape: `(H, W, C)`.
    """
    height, width, channels = shape
    side = max(min(height, width) // _BUMPS, 1)
    rows, columns = _tiles(height, side), _tiles(width, side)
    upright = bump(side)
    inside = (rows[:, None] >= 0) & (columns[None] >= 0)
    # Where each pixel lies in its bump.
    row, column = rows[:, None] % side, columns[None] % side
    patterns = [np.where(inside, which[row, column], 0.0) for which in (upright, upright.T)]
    standing, lying = (ops.convert_to_tensor(p.astype("float32")[..., None]) for p in patterns)
    counts = height // side, width // side
    draws = noise.uniform((*counts, 1 + channels))
    for axis, tiles, count in ((1, rows, counts[0]), (2, columns, counts[1])):
        draws = ops.take(draws, np.clip(tiles // side, 0, count - 1), axis=axis)
    signs = ops.where(draws[..., 1:] < 0.5, -1.0, 1.0)
    return signs * ops.where(draws[..., :1] < 0.5, lying, standing)


def bump(side: int) -> np.ndarray:
    """The window of the paper's equation 2, `(side, side)`, of length 1: a hill above a hollow.

    In each half the value at a Chebyshev distance r from the centre is
    `sum_{k >= r} 1 / (k + 1)^2`, over as many k as the half is wide.

    Args:
        side: in pixels.

    Example:

    ```python
    bump(3)  # of the signs [[1, 1, 1], [-1, -1, -1], [-1, -1, -1]]
    ```
    """
    upper = side // 2
    halves = [_hill(rows, side) for rows in (upper, side - upper) if rows]
    halves[-1] = -halves[-1]
    whole = np.concatenate(halves)
    found: np.ndarray = whole / np.sqrt((whole**2).sum())
    return found


def l2_window_sides(p_init: float, height: int, width: int) -> np.ndarray:
    """Side of the windows in pixels after each halving: as for L-infinity, but odd and 3 at least.

    Args:
        p_init: share of the pixels at first.
        height: of the image in pixels.
        width: of the image in pixels.

    Example:

    ```python
    l2_window_sides(0.8, 28, 28)  # [25, 19, 13, 9, 7, 5, 3, 3, 3, 3]
    ```
    """
    sides = [
        max(round(math.sqrt(p_init / 2**h * height * width)), 3) for h in range(MOST_HALVINGS + 1)
    ]
    largest = min(height, width)
    odd = [side + 1 - side % 2 for side in sides]
    return np.minimum(odd, largest).astype("int32")


def _hill(height: int, width: int) -> np.ndarray:
    rows = np.abs(np.arange(height) - height // 2)[:, None]
    distance = np.maximum(rows, np.abs(np.arange(width) - width // 2)[None])
    terms = 1.0 / np.arange(1, max(height, width) // 2 + 2) ** 2
    steps = np.cumsum(terms[::-1])[::-1][distance]
    hill: np.ndarray = steps / np.sqrt((steps**2).sum())
    return hill


def _bump_table(sides: np.ndarray) -> np.ndarray:
    """The bump of each side, padded to the largest."""
    size = int(max(sides))
    padded = [np.pad(bump(side), (0, size - side)) for side in sides.tolist()]
    return np.stack(padded).astype("float32")


def _tiles(size: int, side: int) -> np.ndarray:
    """Position of each pixel along the row of bumps; negative outside of it."""
    count = size // side
    position = np.arange(size) - (size - count * side) // 2
    return np.where(position < count * side, position, -1)


def _within(draw: Tensor, size: int, side: Tensor) -> tuple[Tensor, Tensor]:
    """Which pixels `(B, size)` lie in a window at a drawn place, and where in it they lie."""
    first = ops.floor(draw * ops.cast(size - side + 1, "float32"))
    place = ops.arange(size, dtype="int32") - ops.cast(first, "int32")[:, None]
    return ops.logical_and(place >= 0, place < side), place


def _both(rows: Tensor, columns: Tensor) -> Tensor:
    """Whether `(B, H, W, 1)` pixels lie in rows and columns, as 0 or 1."""
    return ops.cast(ops.logical_and(rows[:, :, None, None], columns[:, None, :, None]), "float32")
