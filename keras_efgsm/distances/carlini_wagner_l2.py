"""Carlini & Wagner's attack in L2."""

from typing import ClassVar, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.distances.minimum_attack import MinimumAttack
from keras_efgsm.distances.tanh_space import Adam, adam_step, from_tanh_space, to_tanh_space
from keras_efgsm.typing import LogitsFn, Tensor

# As in the authors' code: ten looks at whether a search still gains, and by how much it must.
_LOOKS, _GAIN = 10, 0.9999
# Until there was a success, c grows by this factor.
_GROWTH = 10.0


class _Found(NamedTuple):
    """The nearest turned images so far, and the square of their distance; infinite for none."""

    images: Tensor
    square: Tensor


class _Descent(NamedTuple):
    """What the descent for one constant carries; all but `step` are per sample."""

    step: Tensor
    w: Tensor
    adam: Adam
    found: _Found
    turned: Tensor  # whether any iterate of this descent was turned
    last_loss: Tensor  # the loss at the last look
    goes_on: Tensor


class _Search(NamedTuple):
    """What the binary search carries, per sample."""

    number: Tensor
    constant: Tensor
    low: Tensor
    high: Tensor
    found: _Found


@keras.saving.register_keras_serializable(package="keras_efgsm")
class CarliniWagnerL2(MinimumAttack):
    """Carlini & Wagner's L2 attack: the distance and the margin, weighed by a constant.

    Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks", section VI-A,
    reference [10] of Chen & Lee, in the untargeted form. Over w, with `x' = (tanh(w) + 1) / 2`, so
    that no image leaves [0, 1], Adam minimises

        ||x' - x||_2^2 + c max(z_t(x') - max_{i != t} z_i(x') + confidence, 0)

    from the clean image; the smallest c that turns an image is found by a binary search, for each
    image its own, and the nearest turned iterate of all comes back. A descent of which the loss
    gains less than 0.01 % in a tenth of the steps ends; the authors' code asks this of the sum
    over a batch, here each image is asked.

    Args:
        steps: of Adam for each constant, at most. Defaults to `1000`.
        searches: how many constants are tried. Defaults to `9`.
        learning_rate: of Adam. Defaults to `0.01`.
        initial_constant: the first c. Defaults to `0.001`.
        confidence: by how much another logit must be the larger one. Defaults to `0.0`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = CarliniWagnerL2(steps=50, searches=4, learning_rate=0.1)(classifier, x, y)
    ```
    """

    kind = "cw"
    norms = ("l2",)
    norm = "l2"
    engines: ClassVar[tuple[str, ...]] = ("native", "art")

    def __init__(
        self,
        *,
        steps: int = 1000,
        searches: int = 9,
        learning_rate: float = 0.01,
        initial_constant: float = 0.001,
        confidence: float = 0.0,
    ):
        self.steps = check_count(steps, "steps")
        self.searches = check_count(searches, "searches")
        self.learning_rate = check_number(learning_rate, "learning_rate", minimum=0.0, strict=True)
        self.initial_constant = check_number(
            initial_constant, "initial_constant", minimum=0.0, strict=True
        )
        self.confidence = check_number(confidence, "confidence", minimum=0.0)

    @property
    def passes(self) -> int:
        return self.steps * self.searches

    @property
    def budget(self) -> str:
        return f"{self.searches} x up to {self.steps:,} steps"

    def find(self, logits_fn: LogitsFn, x: Tensor, labels: Tensor) -> Tensor:
        start = to_tanh_space(x)
        per_image = ops.zeros_like(x[:, 0, 0, 0])
        to_attack = still_correct(logits_fn(x), labels)

        def search(state: _Search) -> _Search:
            found, turned = self.descend(
                logits_fn, x, labels, start, state.constant, state.found, to_attack
            )
            high = ops.where(turned, ops.minimum(state.high, state.constant), state.high)
            low = ops.where(turned, state.low, ops.maximum(state.low, state.constant))
            is_bracketed = ops.isfinite(high)
            between = 0.5 * (low + ops.where(is_bracketed, high, 0.0))
            constant = ops.where(is_bracketed, between, state.constant * _GROWTH)
            return _Search(state.number + 1, constant, low, high, found)

        begin = _Search(
            number=ops.convert_to_tensor(0, "int32"),
            constant=per_image + self.initial_constant,
            low=per_image,
            high=per_image + np.inf,
            found=_Found(x, per_image + np.inf),
        )
        (last,) = ops.while_loop(
            lambda state: state.number < self.searches, lambda state: (search(state),), (begin,)
        )
        images: Tensor = last.found.images
        return images

    def descend(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        start: Tensor,
        constant: Tensor,
        found: _Found,
        to_attack: Tensor,
    ) -> tuple[_Found, Tensor]:
        """Adam's descent with one constant for each image.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            x: clean images `(B, H, W, C)`.
            labels: true classes `(B,)`.
            start: the variable to begin at, same shape as `x`.
            constant: c of each image, `(B,)`.
            found: the nearest turned images so far.
            to_attack: which `(B,)` images are classified correctly clean.

        Returns:
            The nearest turned images, and which `(B,)` were turned by this descent.
        """
        look = max(self.steps // _LOOKS, 1)
        axes = tuple(range(1, len(x.shape)))

        def loss_at(w: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
            images = from_tanh_space(w)
            logits = logits_fn(images)
            square = ops.sum(ops.square(images - x), axis=axes)
            excess = ops.relu(equations.margin(logits, labels) + self.confidence)
            return square + constant * excess, (images, logits, square)

        def step(state: _Descent) -> _Descent:
            loss, (images, logits, square), gradient = input_gradient(loss_at, state.w)
            is_turned = ops.logical_not(still_correct(logits, labels))
            if self.confidence:
                far = equations.margin(logits, labels) <= -self.confidence
                is_turned = ops.logical_and(is_turned, far)
            is_turned = ops.logical_and(is_turned, state.goes_on)
            nearer = ops.logical_and(is_turned, square < state.found.square)
            looks = state.step % look == 0
            stuck = ops.logical_and(looks, loss > _GAIN * state.last_loss)
            goes_on = ops.logical_and(state.goes_on, ops.logical_not(stuck))
            w, adam = adam_step(
                state.w, gradient, state.adam, state.step, self.learning_rate, goes_on
            )
            return _Descent(
                step=state.step + 1,
                w=w,
                adam=adam,
                found=_Found(
                    ops.where(equations.per_sample(nearer, x), images, state.found.images),
                    ops.where(nearer, square, state.found.square),
                ),
                turned=ops.logical_or(state.turned, is_turned),
                last_loss=ops.where(looks, loss, state.last_loss),
                goes_on=goes_on,
            )

        begin = _Descent(
            step=ops.convert_to_tensor(0, "int32"),
            w=start,
            adam=Adam(ops.zeros_like(x), ops.zeros_like(x)),
            found=found,
            turned=constant < 0.0,
            last_loss=ops.zeros_like(constant) + np.inf,
            goes_on=to_attack,
        )
        (last,) = ops.while_loop(
            lambda state: ops.logical_and(state.step < self.steps, ops.any(state.goes_on)),
            lambda state: (step(state),),
            (begin,),
        )
        return last.found, last.turned
