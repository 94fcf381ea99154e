"""DeepFool."""

from typing import ClassVar

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.backend import rival_margins_and_gradients
from keras_efgsm.checks import check_choice, check_count, check_number
from keras_efgsm.distances.minimum_attack import MinimumAttack
from keras_efgsm.distances.norms import norm_of
from keras_efgsm.typing import LogitsFn, Tensor

# How far each step goes on beyond the linearised boundary, in the norm: on the boundary itself a
# margin of zero would make steps of no length.
_BEYOND = {"l2": 1e-4, "linf": 1e-6}
_TINY = 1e-12


@keras.saving.register_keras_serializable(package="keras_efgsm")
class DeepFool(MinimumAttack):
    """DeepFool: steps onto the nearest linearised boundary until the class changes.

    Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool: a simple and accurate method to fool deep
    neural networks", reference [25] of Chen & Lee. With m_i the margin over rival i and w_i its
    gradient, a step goes to the boundary of the rival of the smallest `|m_i| / ||w_i||_q`:

    - L2: `-m_i w_i / ||w_i||_2^2`
    - L-infinity: `-m_i sign(w_i) / ||w_i||_1`

    As in the authors' code, the image that is looked at lies `overshoot` beyond the sum of the
    steps. Other than there, it stays in [0, 1], the rivals are those of the largest logits at the
    step, not on the clean image, and two things are added. An image that is not turned is tried
    once more with steps in which a pixel that stands at 0 or 1 and would leave has no part: of
    images that are nearly black and white, clipping takes away most of each step. And `halvings`
    of the way back to the clean image take away what the last step went too far.

    Args:
        norm: `"l2"` or `"linf"`. Defaults to `"l2"`.
        steps: number of steps at most. Defaults to `50`.
        overshoot: share of the way by which the boundary is passed. Defaults to `0.02`.
        candidates: how many classes, the true one included, a step chooses from; each costs a
            backward pass. Defaults to `10`.
        halvings: of the way between the clean image and the one found; 0 is the published attack.
            Defaults to `10`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = DeepFool(norm="linf", overshoot=0.02, candidates=10)(classifier, x, y)
    ```
    """

    kind = "deepfool"
    norms = ("l2", "linf")
    engines: ClassVar[tuple[str, ...]] = ("native", "art")

    def __init__(
        self,
        *,
        norm: str = "l2",
        steps: int = 50,
        overshoot: float = 0.02,
        candidates: int = 10,
        halvings: int = 10,
    ):
        self.norm = check_choice(norm, "norm", self.norms)
        self.steps = check_count(steps, "steps")
        self.overshoot = check_number(overshoot, "overshoot", minimum=0.0)
        self.candidates = check_count(candidates, "candidates", minimum=2)
        self.halvings = check_count(halvings, "halvings", minimum=0)

    @property
    def passes(self) -> int:
        return self.steps

    def find(self, logits_fn: LogitsFn, x: Tensor, labels: Tensor) -> Tensor:
        held = ops.ones_like(x[:, 0, 0, 0]) > 0.0
        images = self.walk(logits_fn, x, labels, held, within=False)
        held = still_correct(logits_fn(images), labels)
        again = self.walk(logits_fn, x, labels, held, within=True)
        images = ops.where(equations.per_sample(held, x), again, images)
        return self.step_back(logits_fn, x, labels, images)

    def walk(
        self, logits_fn: LogitsFn, x: Tensor, labels: Tensor, held: Tensor, *, within: bool
    ) -> Tensor:
        """The steps of the attack.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            x: clean images `(B, H, W, C)`.
            labels: true classes `(B,)`.
            held: which `(B,)` images are to be turned; others come back as they are.
            within: whether pixels that would leave [0, 1] have no part in a step.
        """

        def goes_on(images: Tensor, shift: Tensor, held: Tensor) -> Tensor:
            return ops.any(held)

        def step(images: Tensor, shift: Tensor, held: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            logits, margins, gradients = rival_margins_and_gradients(
                logits_fn, images, labels, self.candidates - 1
            )
            held = ops.logical_and(held, still_correct(logits, labels))
            if within:
                gradients = [leaving_out(gradient, images) for gradient in gradients]
            move = nearest_boundary(margins, gradients, self.norm)
            # An image that is turned is left alone.
            move = ops.where(equations.per_sample(held, x), move, 0.0)
            shift = ops.clip(x + shift + move, 0.0, 1.0) - x
            return ops.clip(x + (1.0 + self.overshoot) * shift, 0.0, 1.0), shift, held

        state = (x, ops.zeros_like(x), held)
        images: Tensor = ops.while_loop(goes_on, step, state, maximum_iterations=self.steps)[0]
        return images

    def step_back(self, logits_fn: LogitsFn, x: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        """The turned image nearest to the clean one on the straight way to it, by halving.

        Args:
            logits_fn: maps images to logits `(B, K)`.
            x: clean images `(B, H, W, C)`.
            labels: true classes `(B,)`.
            images: what was found, same shape as `x`.
        """
        if not self.halvings:
            return images
        way = images - x

        def at(share: Tensor) -> Tensor:
            return ops.clip(x + equations.per_sample(share, x) * way, 0.0, 1.0)

        def halve(_: Tensor, ends: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            near, far = ends
            middle = 0.5 * (near + far)
            held = still_correct(logits_fn(at(middle)), labels)
            return ops.where(held, middle, near), ops.where(held, far, middle)

        near = ops.zeros_like(x[:, 0, 0, 0])
        _, far = ops.fori_loop(0, self.halvings, halve, (near, near + 1.0))
        # One that was not turned stays at the end, where it was found to be held.
        return ops.where(equations.per_sample(far < 1.0, x), at(far), images)


def leaving_out(gradient: Tensor, images: Tensor) -> Tensor:
    """A margin's gradient, zero for the pixels that going against it would take out of [0, 1].

    Args:
        gradient: of a margin, `(B, H, W, C)`.
        images: where it was taken, same shape.

    Example:

    ```python
    gradient, images = ops.array([2.0, 2.0, -1.0]), ops.array([0.0, 0.5, 1.0])
    leaving_out(gradient, images)  # [0.0, 2.0, 0.0]
    ```
    """
    falls = ops.logical_and(gradient > 0.0, images <= 0.0)
    rises = ops.logical_and(gradient < 0.0, images >= 1.0)
    return ops.where(ops.logical_or(falls, rises), 0.0, gradient)


def nearest_boundary(margins: list[Tensor], gradients: list[Tensor], norm: str) -> Tensor:
    """The shortest move onto one of several linearised boundaries, in the middle of no box.

    Args:
        margins: over each rival, `(B,)`.
        gradients: of these margins, `(B, H, W, C)`.
        norm: `"l2"` or `"linf"`, in which the move is the shortest.

    Returns:
        The moves `(B, H, W, C)`; zero where the gradient is.

    Example:

    ```python
    margins, gradients = [ops.array([1.0])], [ops.array([[[[3.0], [-4.0]]]])]
    nearest_boundary(margins, gradients, "l2")  # [[[[-0.12], [0.16]]]]
    ```
    """
    dual = "l2" if norm == "l2" else "l1"
    # Farther than any: the first one takes its place.
    nearest, length = ops.zeros_like(gradients[0]), ops.zeros_like(margins[0]) + np.inf
    for margin, gradient in zip(margins, gradients, strict=True):
        steepness = norm_of(gradient, dual)
        distance = ops.abs(margin) / (steepness + _TINY)
        way = (
            gradient / equations.per_sample(steepness + _TINY, gradient)
            if norm == "l2"
            else ops.sign(gradient)
        )
        closer = distance < length
        nearest = ops.where(equations.per_sample(closer, way), way, nearest)
        length = ops.where(closer, distance, length)
    return -equations.per_sample(length + _BEYOND[norm], nearest) * nearest
