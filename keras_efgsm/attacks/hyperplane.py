"""The smallest move within [0, 1] that takes an affine function to zero, in two norms."""

from keras import ops

from keras_efgsm import equations
from keras_efgsm.typing import Tensor

# Newton's steps of a projection; see `water_level` for why this many always do.
_MAX_NEWTON_STEPS = 32
# What a projection may miss of its hyperplane, relative to the way: the rounding of float32.
_TOLERANCE = 1e-6


def inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product `(B,)` of two batches of images."""
    return ops.sum(a * b, axis=tuple(range(1, len(a.shape))))


def project_to_hyperplane(x: Tensor, gradient: Tensor, values: Tensor) -> Tensor:
    """The smallest L-infinity move within [0, 1] that takes an affine function to zero.

    The move d has all pixels go by `min(t, room)` against the function's sign, room being what is
    left to the bound of the pixel, and t the smallest with `values + <gradient, d> = 0`. Where no
    move within [0, 1] gets there, it goes as far as the box allows; where the gradient is zero, it
    is zero.

    Args:
        x: images `(B, H, W, C)` in [0, 1], or any shape with the batch first.
        gradient: of the affine functions, same shape.
        values: of the affine functions at `x`, `(B,)`.

    Returns:
        The moves, of the shape of `x`.

    Example:

    ```python
    project_to_hyperplane(ops.array([[0.9, 0.5]]), ops.array([[1.0, 1.0]]), ops.array([-0.3]))
    # [[0.1, 0.2]]: the first pixel ends at 1
    ```
    """
    weights, wanted = ops.abs(gradient), ops.abs(values)
    direction = -equations.per_sample(ops.sign(values), x) * ops.sign(gradient)
    room = ops.where(direction > 0.0, 1.0 - x, x)
    level = water_level(weights, room, wanted)
    return direction * ops.minimum(room, equations.per_sample(level, x))


def project_to_hyperplane_l2(x: Tensor, gradient: Tensor, values: Tensor) -> Tensor:
    """The smallest L2 move within [0, 1] that takes an affine function to zero.

    The move d has pixel p go by `min(t |g_p|, room_p)` against the function's sign, with the
    smallest t for which `values + <gradient, d> = 0`: with t as the multiplier these are the
    conditions of Karush, Kuhn and Tucker. Where no move within [0, 1] gets there, it goes as far as
    the box allows; where the gradient is zero, it is zero.

    Args:
        x: images `(B, H, W, C)` in [0, 1], or any shape with the batch first.
        gradient: of the affine functions, same shape.
        values: of the affine functions at `x`, `(B,)`.

    Returns:
        The moves, of the shape of `x`.

    Example:

    ```python
    project_to_hyperplane_l2(ops.array([[0.9, 0.5]]), ops.array([[1.0, 2.0]]), ops.array([-0.7]))
    # [[0.1, 0.3]]: the first pixel ends at 1, without that bound it were [[0.14, 0.28]]
    ```
    """
    axes = tuple(range(1, len(x.shape)))
    largest = ops.max(ops.abs(gradient), axis=axes)
    # In units of the largest component, as the squares of a small gradient are zero in float32.
    unit = ops.where(largest > 0.0, largest, 1.0)
    slopes = ops.abs(gradient) / equations.per_sample(unit, x)
    direction = -equations.per_sample(ops.sign(values), x) * ops.sign(gradient)
    room = ops.where(direction > 0.0, 1.0 - x, x)
    reach = _divided(room, slopes)
    level = water_level(slopes * slopes, reach, ops.abs(values) / unit)
    way = slopes * ops.minimum(reach, equations.per_sample(level, x))
    return direction * ops.minimum(room, way)


def steepest_move_l2(x: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
    """The move of an L2 ball and [0, 1] along which an affine function falls most.

    Pixel p goes by `min(t |g_p|, room_p)` against the gradient, t being the one at which the move
    is epsilon long, or all the way to its bound where the box is the smaller.

    Args:
        x: images `(B, H, W, C)` in [0, 1], or any shape with the batch first.
        gradient: of the affine functions, same shape.
        epsilon: radius in pixels of [0, 1].

    Returns:
        The moves, of the shape of `x`.

    Example:

    ```python
    steepest_move_l2(ops.array([[0.5, 0.9]]), ops.array([[3.0, -4.0]]), epsilon=0.1)
    # [[-0.06, 0.08]]
    ```
    """
    axes = tuple(range(1, len(x.shape)))
    largest = ops.max(ops.abs(gradient), axis=axes)
    unit = ops.where(largest > 0.0, largest, 1.0)
    slopes = ops.abs(gradient) / equations.per_sample(unit, x)
    direction = -ops.sign(gradient)
    room = ops.where(direction > 0.0, 1.0 - x, x)
    squared = slopes * slopes
    wanted = ops.zeros_like(largest) + epsilon * epsilon
    level = water_level(squared, _divided(room * room, squared), wanted)
    return direction * ops.minimum(room, slopes * equations.per_sample(ops.sqrt(level), x))


def water_level(weights: Tensor, rooms: Tensor, wanted: Tensor) -> Tensor:
    """The smallest t with `sum_p w_p min(t, r_p)` as wanted, or one above all rooms if none is.

    The sum is piecewise linear, increasing and concave in t, so Newton's steps from t = 0 never
    overshoot and the last one is exact. From one step to the next
    `missing'/missing + slope'/slope <= 1`, hence the product of the two falls by a factor of four
    at least: 32 steps are more than float32 can tell apart. A handful do on real images, each one
    two sums, where the usual solution sorts the pixels.

    Args:
        weights: w, >= 0, of any shape with the batch first.
        rooms: r, >= 0, same shape.
        wanted: what the sum is to be, `(B,)`, >= 0.

    Returns:
        t `(B,)`.

    Example:

    ```python
    water_level(ops.array([[1.0, 2.0]]), ops.array([[0.1, 0.5]]), ops.array([0.7]))  # [0.3]
    ```
    """
    axes = tuple(range(1, len(rooms.shape)))

    def newton(level: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        level = level + step
        limit = equations.per_sample(level, rooms)
        missing = wanted - ops.sum(weights * ops.minimum(rooms, limit), axis=axes)
        slope = ops.sum(ops.where(rooms > limit, weights, 0.0), axis=axes)
        goes_on = ops.logical_and(missing > _TOLERANCE * wanted, slope > 0.0)
        return level, ops.where(goes_on, missing / ops.where(goes_on, slope, 1.0), 0.0)

    zero = ops.zeros_like(wanted)
    level, step = ops.while_loop(
        lambda level, step: ops.any(step > 0.0),
        newton,
        newton(zero, zero),
        maximum_iterations=_MAX_NEWTON_STEPS,
    )
    found: Tensor = level + step
    return found


def _divided(rooms: Tensor, slopes: Tensor) -> Tensor:
    """How far each pixel may go in units of its slope; zero where it has none."""
    return ops.where(slopes > 0.0, rooms / ops.where(slopes > 0.0, slopes, 1.0), 0.0)
