"""Margins against rival classes, and what the linearised classifier says of them."""

from keras import ops

from keras_efgsm.equations.steps import ball_bounds, per_sample
from keras_efgsm.typing import Tensor

_TINY = 1e-12


def rival_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits `(B, K)` with the true class pushed below all others.

    Example:

    ```python
    rival_logits(ops.array([[3.0, 1.0, 2.0]]), ops.array([0]))  # [[-2.0, 1.0, 2.0]]
    ```
    """
    num_classes = logits.shape[-1]
    span = ops.max(logits, axis=-1, keepdims=True) - ops.min(logits, axis=-1, keepdims=True)
    true_class = ops.one_hot(labels, num_classes, dtype=logits.dtype)
    # Relative to the spread of this sample's logits, so that huge logits stay exact.
    return logits - true_class * (2.0 * span + 1.0)


def nearest_rivals(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    """Indices `(B, count)` of the largest rival logits, the runner-up first.

    Example:

    ```python
    nearest_rivals(ops.array([[3.0, 1.0, 2.0]]), ops.array([0]), 2)  # [[2, 1]]
    ```
    """
    among = rival_logits(logits, labels)
    if count == 1:
        return ops.argmax(among, axis=-1)[:, None]  # Cheaper than to sort them.
    return ops.top_k(among, count)[1]


def margins(logits: Tensor, labels: Tensor, rivals: Tensor) -> Tensor:
    """Logit margins `m_i = z_t - z_i` of the given rivals [8].

    Args:
        logits: `(B, K)`.
        labels: true classes `(B,)`.
        rivals: rival classes `(B, M)`.

    Returns:
        `(B, M)`; positive where the true class wins against that rival.

    Example:

    ```python
    logits, labels = ops.array([[3.0, 1.0, 2.5]]), ops.array([0])
    margins(logits, labels, rivals=ops.array([[2, 1]]))  # [[0.5, 2.0]]
    ```
    """
    true_logit = ops.take_along_axis(logits, ops.cast(labels, "int32")[:, None], axis=-1)
    return true_logit - ops.take_along_axis(logits, rivals, axis=-1)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit margin `(B,)` against the runner-up, `z_t - max_{i != t} z_i`.

    Example:

    ```python
    margin(ops.array([[3.0, 1.0, 2.5]]), ops.array([0]))  # [0.5]
    ```
    """
    true_class = ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return ops.sum(true_class * logits, axis=-1) - ops.max(rival_logits(logits, labels), axis=-1)


def margin_slopes(logits: Tensor, labels: Tensor, rivals: Tensor) -> list[Tensor]:
    """Gradients of the margins of the given rivals with respect to the logits, M times `(B, K)`.

    One at the true class, minus one at the rival: what a gradient with respect to the images starts
    from. Written down, it spares a training step the backward pass through `margins`.

    Args:
        logits: `(B, K)`.
        labels: true classes `(B,)`.
        rivals: rival classes `(B, M)`.

    Example:

    ```python
    logits, labels = ops.array([[3.0, 1.0, 2.5]]), ops.array([0])
    margin_slopes(logits, labels, rivals=ops.array([[2]]))  # [[[1.0, 0.0, -1.0]]]
    ```
    """
    num_classes = logits.shape[-1]
    true_class, *others = (
        ops.one_hot(classes, num_classes, dtype=logits.dtype)
        for classes in (labels, *(rivals[:, m] for m in range(rivals.shape[1])))
    )
    return [true_class - other for other in others]


def gradient_norm(gradient: Tensor) -> Tensor:
    """L1 norm over all axes but the first, the dual norm of L-infinity [9].

    Example:

    ```python
    gradient_norm(ops.array([[0.5, -1.5], [0.0, 2.0]]))  # [2.0, 2.0]
    ```
    """
    return ops.sum(ops.abs(gradient), axis=tuple(range(1, len(gradient.shape))))


def linearised_distance(margin_value: Tensor, gradient: Tensor) -> Tensor:
    """L-infinity distance to the boundary of one rival if the margin were affine [9].

    `Delta_i = |m_i| / ||grad_x m_i||_1`.

    Args:
        margin_value: `(B,)`.
        gradient: gradient of it with respect to the image, `(B, H, W, C)`.

    Example:

    ```python
    linearised_distance(ops.array([0.5]), ops.array([[2.0, -3.0]]))  # [0.1]
    ```
    """
    return ops.abs(margin_value) / (gradient_norm(gradient) + _TINY)


def linearised_margin(
    margin_values: list[Tensor], gradients: list[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Distance to the nearest linearised boundary and the gradient of that rival's margin [9, 12].

    `Delta = min_i Delta_i` over the rivals given: the runner-up alone, the m nearest logits, or
    all K - 1 of them for the exact minimum of the paper.

    Args:
        margin_values: M tensors `(B,)`, one for each rival.
        gradients: M tensors `(B, H, W, C)`.

    Returns:
        `(distance, margin, gradient)` of shapes `(B,)`, `(B,)` and `(B, H, W, C)`.

    Example:

    ```python
    margin_values = [ops.array([0.5]), ops.array([2.0])]
    gradients = [ops.array([[2.0, -3.0]]), ops.array([[20.0, -20.0]])]
    distance, nearest, gradient = linearised_margin(margin_values, gradients)
    distance  # [0.05]
    ```
    """
    distance = linearised_distance(margin_values[0], gradients[0])
    nearest_margin, gradient = margin_values[0], gradients[0]
    for other_margin, other_gradient in zip(margin_values[1:], gradients[1:], strict=True):
        other = linearised_distance(other_margin, other_gradient)
        closer = other < distance
        distance = ops.where(closer, other, distance)
        nearest_margin = ops.where(closer, other_margin, nearest_margin)
        gradient = ops.where(per_sample(closer, gradient), other_gradient, gradient)
    return distance, nearest_margin, gradient


def worst_linear_margin(
    margin_value: Tensor, gradient: Tensor, x_start: Tensor, x: Tensor, epsilon: float
) -> Tensor:
    """Smallest margin over the epsilon-ball around `x` if it were affine around the start.

    `m(x_e) - sum_p |g_p| * r_p`, where r_p is the room that pixel p of the start has left in the
    ball and in [0, 1] when it moves against the gradient. Positive means that the linear model
    finds no adversarial example: the "distance to the boundary stays >= epsilon" of section 3.2,
    with the way already gone from x to the start and the bounds of the pixels taken into account.

    Args:
        margin_value: margin at the start `(B,)`.
        gradient: its gradient there `(B, H, W, C)`.
        x_start: the start `(B, H, W, C)`.
        x: clean images, same shape.
        epsilon: radius in pixels of [0, 1].

    Returns:
        `(B,)`.

    Example:

    ```python
    x, gradient = ops.array([[0.5, 0.9]]), ops.array([[2.0, -3.0]])
    worst_linear_margin(ops.array([1.0]), gradient, x, x, epsilon=0.2)  # [0.3]
    ```
    """
    darkest, brightest = ball_bounds(x, epsilon)
    corner = ops.where(gradient > 0.0, darkest, brightest)
    axes = tuple(range(1, len(x.shape)))
    return margin_value + ops.sum(gradient * (corner - x_start), axis=axes)
