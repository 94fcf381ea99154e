"""Auto-PGD: projected gradient descent that chooses its own step sizes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import NORMS, check_count
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor

# Constants of the paper, section 3.
_MOMENTUM = 0.75
_FIRST_WINDOW, _SHRINKAGE, _LEAST_WINDOW = 0.22, 0.03, 0.06
_RISING_SHARE = 0.75


class _State(NamedTuple):
    """What the loop carries; all but `evaluated` are per sample."""

    evaluated: Tensor  # how many iterates were evaluated
    images: Tensor
    previous: Tensor
    direction: Tensor  # steepest at `images`: in an L-infinity ball the sign of the gradient
    best: Tensor  # the iterate of highest loss or, once there is one, the first misclassified
    best_direction: Tensor
    best_loss: Tensor
    last_loss: Tensor
    step_size: Tensor
    rises: Tensor  # how often the loss rose within this window
    halved: Tensor  # whether the last window ended with a halving
    checked_loss: Tensor  # the best loss at the end of the last window
    held: Tensor  # whether no iterate was misclassified


def window_lengths(steps: int) -> list[int]:
    """Numbers of steps between the checks of the step size; they sum to `steps`.

    The first window is 22 % of the steps, each next one 3 % of them shorter, none below 6 %. The
    last one is what remains.

    Args:
        steps: number of steps.

    Example:

    ```python
    window_lengths(100)  # [22, 19, 16, 13, 10, 7, 6, 6, 1]
    ```
    """
    length, shrinkage, least = (
        max(int(share * steps), 1) for share in (_FIRST_WINDOW, _SHRINKAGE, _LEAST_WINDOW)
    )
    lengths = []
    while steps > 0:
        lengths.append(min(length, steps))
        steps -= lengths[-1]
        length = max(length - shrinkage, least)
    return lengths


class AutoPGD(Attack):
    """Base of the two attacks: everything but the loss.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        steps: number of steps.
        random_start: whether to start at a random point of the ball.
        norm: of the ball, `"linf"` or `"l2"`.

    Raises:
        ValueError: if an option is out of range.
    """

    norms = NORMS

    def __init__(self, *, epsilon: float, steps: int, random_start: bool, norm: str):
        self.norm = norm
        super().__init__(epsilon=epsilon)
        self.steps = check_count(steps, "steps")
        self.random_start = bool(random_start)

    @property
    def budget(self) -> Budget:
        return super().budget._replace(steps=self.steps)

    @property
    def starts_at_random(self) -> bool:
        return self.random_start

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        """The clean images, or a random change of length epsilon."""
        if not self.random_start:
            return x
        shift = self.ball.surface(noise, x, self.epsilon)
        return self.ball.project(x + shift, x, self.epsilon)

    def ascend(
        self,
        logits_fn: LogitsFn,
        loss_fn: Callable[[Tensor], Tensor],
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        gradient_scale: float,
    ) -> Tensor:
        """Algorithm 1 of the paper, with one forward and one backward pass for each iterate.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            loss_fn: what is raised: maps logits to losses `(B,)`.
            x: clean images `(B, H, W, C)`.
            labels: true classes `(B,)`.
            noise: noise of these samples, for the start.
            gradient_scale: as in `Attack.perturb`.

        Returns:
            For each image its first iterate that was misclassified, else that of highest loss.
        """
        restrict = self.ball.projection(x, self.epsilon)
        lengths = window_lengths(self.steps)
        ends = ops.convert_to_tensor(np.cumsum(lengths).astype("int32"))
        # A loss that rose in as large a share of the steps, or a smaller one, halves the step.
        few_rises = ops.convert_to_tensor([_RISING_SHARE * length for length in lengths], x.dtype)

        def loss_at(images: Tensor) -> tuple[Tensor, Tensor]:
            logits = logits_fn(images)
            return loss_fn(logits), logits

        def step(state: _State) -> _State:
            # The first pass evaluates the start, as its direction is zero; the first step follows
            # the gradient alone, as there was none before.
            weight = ops.cast(ops.where(state.evaluated < 2, 1.0, _MOMENTUM), x.dtype)
            size = equations.per_sample(state.step_size, x)
            stepped = restrict(state.images + size * state.direction)
            inertial = 2.0 * state.images - state.previous
            images = restrict(weight * stepped + (1.0 - weight) * inertial)

            loss, logits, gradient = input_gradient(loss_at, images, gradient_scale)
            direction = self.ball.direction(gradient)
            held = ops.logical_and(state.held, still_correct(logits, labels))
            # The result of an image stays as it is once it is misclassified, so that it does not
            # depend on how long others of the batch go on.
            turned = ops.logical_and(state.held, ops.logical_not(held))
            rose = ops.logical_and(held, loss > state.best_loss)
            better = ops.logical_or(turned, rose)
            chosen = equations.per_sample(better, x)
            return _State(
                evaluated=state.evaluated + 1,
                images=images,
                previous=state.images,
                direction=direction,
                best=ops.where(chosen, images, state.best),
                best_direction=ops.where(chosen, direction, state.best_direction),
                best_loss=ops.where(better, loss, state.best_loss),
                last_loss=loss,
                step_size=state.step_size,
                rises=state.rises + ops.cast(loss > state.last_loss, x.dtype),
                halved=state.halved,
                checked_loss=state.checked_loss,
                held=held,
            )

        def check_step_size(state: _State, few: Tensor) -> _State:
            stuck = ops.logical_and(
                ops.logical_not(state.halved), state.checked_loss >= state.best_loss
            )
            halved = ops.logical_or(state.rises <= few, stuck)
            chosen = equations.per_sample(halved, x)
            return state._replace(
                images=ops.where(chosen, state.best, state.images),
                direction=ops.where(chosen, state.best_direction, state.direction),
                step_size=ops.where(halved, 0.5 * state.step_size, state.step_size),
                rises=ops.zeros_like(state.rises),
                halved=halved,
                checked_loss=state.best_loss,
            )

        def window(number: Tensor, state: _State) -> tuple[Tensor, _State]:
            end = ops.take(ends, number)

            def goes_on(state: _State) -> Tensor:
                return ops.logical_and(state.evaluated <= end, ops.any(state.held))

            (state,) = ops.while_loop(goes_on, lambda state: (step(state),), (state,))
            return number + 1, check_step_size(state, ops.take(few_rises, number))

        def windows_left(number: Tensor, state: _State) -> Tensor:
            return ops.logical_and(number < len(lengths), ops.any(state.held))

        start = self.start(x, noise)
        per_image = ops.zeros_like(x[:, 0, 0, 0])
        state = _State(
            evaluated=ops.convert_to_tensor(0, "int32"),
            images=start,
            previous=start,
            direction=ops.zeros_like(x),
            best=start,
            best_direction=ops.zeros_like(x),
            best_loss=per_image - np.inf,
            last_loss=per_image + np.inf,  # the start itself is no rise
            step_size=per_image + 2.0 * self.epsilon,
            rises=per_image,
            halved=per_image < 1.0,  # the first window has none before it to be compared with
            checked_loss=per_image - np.inf,
            held=per_image < 1.0,
        )
        number = ops.convert_to_tensor(0, "int32")
        last: _State = ops.while_loop(windows_left, window, (number, state))[1]
        return last.best
