"""The ball, the steps within it, and the momentum that they leave."""

from keras import ops

from keras_efgsm.typing import Tensor


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
