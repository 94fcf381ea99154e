"""Carlini & Wagner's attack in L-infinity."""

import math
from typing import ClassVar, NamedTuple

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.distances.minimum_attack import MinimumAttack
from keras_efgsm.distances.norms import norm_of
from keras_efgsm.distances.tanh_space import Adam, adam_step, from_tanh_space, to_tanh_space
from keras_efgsm.typing import LogitsFn, Tensor

# As in the authors' code: below this tau the attack ends, and a descent has done its work once the
# loss is such a part of c.
_LEAST_TAU, _SMALL_LOSS = 1.0 / 256.0, 1e-4


class _Descent(NamedTuple):
    """What the descent for one constant and one tau carries; all but `step` are per sample."""

    step: Tensor
    w: Tensor
    adam: Adam
    done: Tensor  # whether it is turned and within tau, or not searched for any more


class _Search(NamedTuple):
    """What the rounds carry, per sample."""

    number: Tensor
    w: Tensor
    constant: Tensor
    tau: Tensor
    best: Tensor
    finished: Tensor


@keras.saving.register_keras_serializable(package="keras_efgsm")
class CarliniWagnerLinf(MinimumAttack):
    """Carlini & Wagner's L-infinity attack: pixels that go beyond tau are penalised, and tau falls.

    Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks", section VI-C,
    reference [10] of Chen & Lee, in the untargeted form. Over w, with `x' = (tanh(w) + 1) / 2`,
    Adam minimises

        c max(z_t(x') - max_{i != t} z_i(x'), 0) + sum_p max(|x'_p - x_p| - tau, 0)

    until it is next to nothing and the image turned. Then tau becomes `shrinkage` times the
    largest change, or tau where that is smaller, and the descent goes on from this image; where it
    does not come so far, c grows, up to `largest_constant`, beyond which the image found last is
    the result. Every image has a c and a tau of its own.

    Args:
        steps: of Adam for each c and tau, at most. Defaults to `200`.
        learning_rate: of Adam. Defaults to `0.01`.
        initial_constant: the first c. Defaults to `0.01`.
        largest_constant: where an image is given up. Defaults to `20.0`.
        growth: of c, above 1. Defaults to `2.0`.
        shrinkage: of tau, in (0, 1); nearer to 1 is more exact. Defaults to `0.9`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = CarliniWagnerLinf(steps=20, growth=10.0, learning_rate=0.1)(classifier, x, y)
    ```
    """

    kind = "cw"
    norms = ("linf",)
    norm = "linf"
    engines: ClassVar[tuple[str, ...]] = ("native", "art")

    def __init__(
        self,
        *,
        steps: int = 200,
        learning_rate: float = 0.01,
        initial_constant: float = 0.01,
        largest_constant: float = 20.0,
        growth: float = 2.0,
        shrinkage: float = 0.9,
    ):
        self.steps = check_count(steps, "steps")
        self.learning_rate = check_number(learning_rate, "learning_rate", minimum=0.0, strict=True)
        self.initial_constant = check_number(
            initial_constant, "initial_constant", minimum=0.0, strict=True
        )
        self.largest_constant = check_number(
            largest_constant, "largest_constant", minimum=self.initial_constant, strict=True
        )
        self.growth = check_number(growth, "growth", minimum=1.0, strict=True)
        self.shrinkage = check_number(shrinkage, "shrinkage", minimum=0.0, strict=True)
        if self.shrinkage >= 1.0:
            raise ValueError(f"`shrinkage` must be below 1. Received: shrinkage={shrinkage!r}")

    @property
    def rounds(self) -> int:
        """How many pairs of c and tau there can be."""
        failures = math.log(self.largest_constant / self.initial_constant, self.growth)
        successes = math.log(_LEAST_TAU, self.shrinkage)
        return math.ceil(failures) + math.ceil(successes) + 2

    @property
    def passes(self) -> int:
        return self.steps * self.rounds

    @property
    def budget(self) -> str:
        return f"{self.rounds} x up to {self.steps:,} steps"

    def find(self, logits_fn: LogitsFn, x: Tensor, labels: Tensor) -> Tensor:
        per_image = ops.zeros_like(x[:, 0, 0, 0])

        def search(state: _Search) -> _Search:
            w, succeeded = self.descend(
                logits_fn, x, labels, state.w, state.constant, state.tau, state.finished
            )
            succeeded = ops.logical_and(succeeded, ops.logical_not(state.finished))
            images = from_tanh_space(w)
            reached = ops.minimum(norm_of(images - x, "linf"), state.tau)
            tau = ops.where(succeeded, self.shrinkage * reached, state.tau)
            constant = ops.where(succeeded, state.constant, self.growth * state.constant)
            given_up = ops.logical_or(tau <= _LEAST_TAU, constant >= self.largest_constant)
            return _Search(
                number=state.number + 1,
                w=w,
                constant=constant,
                tau=tau,
                best=ops.where(equations.per_sample(succeeded, x), images, state.best),
                finished=ops.logical_or(state.finished, given_up),
            )

        begin = _Search(
            number=ops.convert_to_tensor(0, "int32"),
            w=to_tanh_space(x),
            constant=per_image + self.initial_constant,
            tau=per_image + 1.0,
            best=x,
            finished=ops.logical_not(still_correct(logits_fn(x), labels)),
        )
        (last,) = ops.while_loop(
            lambda state: ops.logical_not(ops.all(state.finished)),
            lambda state: (search(state),),
            (begin,),
            maximum_iterations=self.rounds,
        )
        images: Tensor = last.best
        return images

    def descend(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        start: Tensor,
        constant: Tensor,
        tau: Tensor,
        finished: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Adam's descent with one constant and one tau for each image.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            x: clean images `(B, H, W, C)`.
            labels: true classes `(B,)`.
            start: the variable to begin at, same shape as `x`.
            constant: c of each image, `(B,)`.
            tau: change that is not penalised, `(B,)`.
            finished: which `(B,)` images are left alone.

        Returns:
            The variable at the end, and for which `(B,)` images it did its work.
        """
        axes = tuple(range(1, len(x.shape)))

        def loss_at(w: Tensor) -> tuple[Tensor, Tensor]:
            images = from_tanh_space(w)
            logits = logits_fn(images)
            excess = ops.relu(ops.abs(images - x) - equations.per_sample(tau, x))
            margin = ops.relu(equations.margin(logits, labels))
            return constant * margin + ops.sum(excess, axis=axes), logits

        def step(state: _Descent) -> _Descent:
            loss, logits, gradient = input_gradient(loss_at, state.w)
            works = loss < _SMALL_LOSS * constant
            works = ops.logical_and(works, ops.logical_not(still_correct(logits, labels)))
            done = ops.logical_or(state.done, works)
            goes_on = ops.logical_not(done)
            w, adam = adam_step(
                state.w, gradient, state.adam, state.step, self.learning_rate, goes_on
            )
            return _Descent(state.step + 1, w, adam, done)

        begin = _Descent(
            step=ops.convert_to_tensor(0, "int32"),
            w=start,
            adam=Adam(ops.zeros_like(x), ops.zeros_like(x)),
            done=finished,
        )
        (last,) = ops.while_loop(
            lambda state: ops.logical_and(
                state.step < self.steps, ops.logical_not(ops.all(state.done))
            ),
            lambda state: (step(state),),
            (begin,),
        )
        return last.w, last.done
