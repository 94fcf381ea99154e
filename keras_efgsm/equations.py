"""The equations of Chen & Lee as pure functions of tensors.

The paper is "Towards Fast and Robust Adversarial Training for Image Classification".
Notation: x clean images `(B, H, W, C)` with pixels in [0, 1]; t true classes `(B,)`; z logits
`(B, K)`; epsilon the L-infinity radius in pixels of [0, 1]. A number in square brackets is the
equation of the paper. Nothing here takes a gradient, so every Keras backend runs it; where an
equation needs one, it comes in as an argument.
"""

from keras import ops

from keras_efgsm.typing import Tensor

_TINY = 1e-12


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshapes `(B,)` to `(B, 1, 1, ...)` so that it broadcasts against `like`.

    Example:

    ```python
    per_sample(ops.zeros(8), ops.zeros((8, 28, 28, 1))).shape  # (8, 1, 1, 1)
    ```
    """
    return ops.reshape(values, (-1,) + (1,) * (len(like.shape) - 1))


def ball_bounds(x: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Darkest and brightest images of the L-infinity ball of radius `epsilon` around `x` in [0, 1].

    Args:
        x: clean images `(B, H, W, C)` in [0, 1].
        epsilon: radius in pixels of [0, 1].

    Example:

    ```python
    darkest, brightest = ball_bounds(ops.array([0.1, 0.5]), epsilon=0.3)
    darkest, brightest  # [[0.0, 0.2], [0.4, 0.8]]
    ```
    """
    return ops.maximum(x - epsilon, 0.0), ops.minimum(x + epsilon, 1.0)


def project(x_adv: Tensor, x: Tensor, epsilon: float) -> Tensor:
    """Projects onto the L-infinity ball of radius `epsilon` around `x` and onto [0, 1].

    Args:
        x_adv: candidate images `(B, H, W, C)`.
        x: clean images of the same shape, in [0, 1].
        epsilon: radius in pixels of [0, 1].

    Example:

    ```python
    project(ops.array([0.9, 0.2]), ops.array([0.8, 0.9]), epsilon=0.3)  # [0.9, 0.6]
    ```
    """
    return ops.clip(x_adv, *ball_bounds(x, epsilon))


def momentum_start(
    x: Tensor, momentum: Tensor, noise: Tensor, epsilon: float, sigma: float
) -> Tensor:
    """Start of eFGSM: a Gaussian around the corner that the momentum points at [11, 14].

    `kappa ~ Normal(sign(Gamma) * epsilon, sigma^2)`, `x_e = clip01(x + clip(kappa, +-epsilon))`.
    Equation 11 multiplies kappa by sign(I) once more; with I = Gamma that would cancel the sign,
    so it is applied once. While Gamma is zero this is a Gaussian random start.

    Args:
        x: clean images `(B, H, W, C)` in [0, 1].
        momentum: Gamma of these samples, same shape; only its sign matters.
        noise: standard normal noise, same shape.
        epsilon: radius in pixels of [0, 1].
        sigma: standard deviation of kappa in pixels of [0, 1].

    Example:

    ```python
    noise = keras.random.normal(x.shape)
    start = momentum_start(x, ops.zeros_like(x), noise, epsilon=0.3, sigma=0.1)
    ```
    """
    kappa = ops.sign(momentum) * epsilon + sigma * noise
    # The same as clipping kappa first, in fewer passes over the pixels.
    return project(x + kappa, x, epsilon)


def random_corner(momentum: Tensor, coin: Tensor) -> Tensor:
    """The momentum, and the sign of a coin where it is zero: a start in a corner of the ball.

    What Jia et al., "Prior-guided adversarial initialization for fast adversarial training", 2022,
    start from on the first visit of a sample, `epsilon * sign(uniform)`.

    Args:
        momentum: Gamma of these samples `(B, H, W, C)`.
        coin: random numbers of either sign, `(B, H, W, C)`.

    Example:

    ```python
    random_corner(ops.array([0.0, 1.5]), coin=ops.array([-0.2, -0.7]))  # [-1.0, 1.5]
    ```
    """
    return ops.where(momentum == 0.0, ops.sign(coin), momentum)


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


def boundary_step(
    x_start: Tensor,
    x: Tensor,
    gradient: Tensor,
    distance: Tensor,
    epsilon: float,
    *,
    overshoot: float = 1.0,
    use_projection: bool = True,
) -> Tensor:
    """Steps from the start to the nearest linearised boundary, against the margin's gradient [12].

    `x_adv = clip01(x_e - Delta * sign(grad_x m))`. The paper prints no projection back to the
    ball; measured on MNIST it is clearly better with one, so it is a switch that is on.

    Args:
        x_start: start `(B, H, W, C)`.
        x: clean images, same shape.
        gradient: gradient of the margin at the start, same shape.
        distance: linearised distance `(B,)`.
        epsilon: radius in pixels of [0, 1].
        overshoot: factor on the distance. Defaults to 1.
        use_projection: whether to project `x_adv - x` to the ball. Defaults to `True`.

    Example:

    ```python
    x, gradient = ops.array([[0.5, 0.9]]), ops.array([[2.0, -3.0]])
    boundary_step(x, x, gradient, distance=ops.array([0.2]), epsilon=0.3)  # [[0.3, 1.0]]
    ```
    """
    x_adv = x_start - per_sample(overshoot * distance, x) * ops.sign(gradient)
    return project(x_adv, x, epsilon) if use_projection else ops.clip(x_adv, 0.0, 1.0)


def signed_step(
    x_start: Tensor, x: Tensor, gradient: Tensor, step_size: float, epsilon: float
) -> Tensor:
    """A step of fixed length from the start against the margin's gradient, within the ball [7].

    Args:
        x_start: start `(B, H, W, C)`.
        x: clean images, same shape.
        gradient: gradient of the margin at the start, same shape.
        step_size: in pixels of [0, 1].
        epsilon: radius in pixels of [0, 1].

    Example:

    ```python
    x, gradient = ops.array([[0.5, 0.9]]), ops.array([[2.0, -3.0]])
    signed_step(x, x, gradient, step_size=0.2, epsilon=0.3)  # [[0.3, 1.0]]
    ```
    """
    return project(x_start - step_size * ops.sign(gradient), x, epsilon)


def update_momentum(momentum: Tensor, direction: Tensor, decay: float) -> Tensor:
    """Majority vote of the signs of past attack directions, `decay * Gamma + sign(direction)` [13].

    Equation 13 prints the direction as `x_adv - x`; the text calls Gamma "a weighted accumulated
    sum of gradients". The two differ: a start in the corner of the ball and a short step back
    leave the sign of `x_adv - x` as it was, so Gamma confirms itself and never turns.

    Args:
        momentum: Gamma of these samples `(B, H, W, C)`; `|Gamma| < 1 / (1 - decay)` always.
        direction: `x_adv - x`, or minus the gradient of the margin at the start; same shape.
        decay: weight of the past in [0, 1), 0.95 in the paper.

    Example:

    ```python
    update_momentum(ops.array([1.0, -1.0]), ops.array([0.2, 0.4]), decay=0.95)  # [1.95, 0.05]
    ```
    """
    return decay * momentum + ops.sign(direction)


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


def kl_divergence(logits_p: Tensor, logits_q: Tensor) -> Tensor:
    """`KL(softmax(p) || softmax(q))` `(B,)` of logits `(B, K)`: the divergence of TRADES.

    Example:

    ```python
    kl_divergence(ops.array([[1.0, 2.0]]), ops.array([[1.0, 2.0]]))  # [0.0]
    ```
    """
    log_p, log_q = ops.log_softmax(logits_p), ops.log_softmax(logits_q)
    return ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1)


def joint_loss(
    reconstruction_loss: Tensor, classification_loss: Tensor, classification_weight: float
) -> Tensor:
    """Joint loss `L_R + lambda * L_C` [16].

    Example:

    ```python
    joint_loss(0.5, 2.0, classification_weight=0.1)  # 0.7
    ```
    """
    return reconstruction_loss + classification_weight * classification_loss
