"""The targeted fast adaptive boundary attack (FAB-T)."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.hyperplane import inner
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import NORMS, check_count, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class TargetedFAB(Attack):
    """Targeted fast adaptive boundary attack: looks for the nearest image of another class.

    Croce & Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary
    attack", for L-infinity and L2, in the targeted form of AutoAttack: one run for each of the
    classes that the model ranks highest on the clean image. It does not climb a loss within the
    ball but projects onto the linearised boundary between the true class and the target, so it does
    not depend on the scale of the logits. One forward and one backward pass for each step.

    Round r of `targets` rounds, `noise.step % targets`, goes for the rival with the r-th largest
    clean logit; no more rounds are run than there are rivals, see `for_classes`. Restart 0, that is
    `noise.step < targets`, starts at the clean image, a later one at a random point of the ball.

    An evaluation asks only whether there is an adversarial image within epsilon. So an image is no
    longer worked on once it has one, and the loop ends when all of the batch have one; a clean
    image that is misclassified already comes back as it is. So does one for which none was found
    within epsilon, although the attack may know one further away.

    The published code evaluates an image once more after the step back from the boundary; here the
    boundary is linearised at the image before that step, which has been evaluated anyway.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        steps: steps of each round. Defaults to `100`.
        targets: number of rounds, one for each target class. Defaults to `9`.
        alpha_max: largest weight of the way back to the clean image, in [0, 1]. Defaults to `0.1`.
        eta: how far the steps overshoot the linearised boundary, at least 1. Defaults to `1.05`.
        beta: share of the way from the clean image that is kept after a success, in (0, 1].
            Defaults to `0.9`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = TargetedFAB(epsilon=0.3, steps=100, targets=9)(classifier, x, y)
    ```
    """

    kind = "fab-t"
    evaluation_options = ("steps", "targets")
    norms = NORMS
    loss = "cw"

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        targets: int = 9,
        alpha_max: float = 0.1,
        eta: float = 1.05,
        beta: float = 0.9,
        norm: str = "linf",
    ):
        self.norm = norm
        super().__init__(epsilon=epsilon)
        self.steps = check_count(steps, "steps")
        self.targets = check_count(targets, "targets")
        self.alpha_max = check_number(alpha_max, "alpha_max", minimum=0.0, maximum=1.0)
        self.eta = check_number(eta, "eta", minimum=1.0)
        self.beta = check_number(beta, "beta", minimum=0.0, maximum=1.0, strict=True)

    @property
    def rounds(self) -> int:
        """One for each target class."""
        return self.targets

    @property
    def budget(self) -> Budget:
        return super().budget._replace(steps=self.steps)

    @property
    def gains_by_restarts(self) -> bool:
        """It starts at the clean image first, and at random points after that."""
        return True

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        clean_logits = logits_fn(x)
        target = self.target_class(clean_logits, labels, noise)

        def evaluate(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """Margin against the target, its gradient, and whether the images are turned."""

            def target_margin(images: Tensor) -> tuple[Tensor, Tensor]:
                logits = logits_fn(images)
                return equations.margins(logits, labels, target[:, None])[:, 0], logits

            values, logits, gradient = input_gradient(target_margin, images, gradient_scale)
            return values, gradient, equations.margin(logits, labels) < 0.0

        def unfinished(step: Tensor, distance: Tensor, *_: Tensor) -> Tensor:
            return ops.any(distance > self.epsilon)

        def iterate(
            step: Tensor,
            distance: Tensor,
            best: Tensor,
            point: Tensor,
            evaluated_at: Tensor,
            values: Tensor,
            gradient: Tensor,
        ) -> tuple[Tensor, ...]:
            # The margin of the linear model at the point, which may have stepped back.
            here = values + inner(gradient, point - evaluated_at)
            moved = self.step_to_boundary(point, x, here, gradient)
            values, gradient, turned = evaluate(moved)
            reached = self.ball.length(moved - x)
            # An image that has one within epsilon is left alone, so that its result does not
            # depend on how long the rest of the batch takes.
            better = ops.logical_and(turned, reached < distance)
            better = ops.logical_and(better, distance > self.epsilon)
            best = ops.where(equations.per_sample(better, x), moved, best)
            distance = ops.where(better, reached, distance)
            kept = equations.per_sample(ops.where(turned, self.beta, 1.0), x)
            return step + 1, distance, best, x + kept * (moved - x), moved, values, gradient

        start = self.start(x, noise)
        values, gradient, _ = evaluate(start)
        misclassified = equations.margin(clean_logits, labels) < 0.0
        distance = ops.where(misclassified, 0.0, float("inf"))
        _, distance, best, *_ = ops.while_loop(
            unfinished,
            iterate,
            (0, distance, x, start, start, values, gradient),
            maximum_iterations=self.steps,
        )
        found = equations.per_sample(distance <= self.epsilon, x)
        return Perturbed(images=ops.where(found, best, x))

    def target_class(self, clean_logits: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """The class `(B,)` that this round goes for."""
        num_rivals = clean_logits.shape[-1] - 1
        rank = ops.cast(noise.step, "int32") % self.targets % num_rivals
        return ops.take(equations.nearest_rivals(clean_logits, labels, num_rivals), rank, axis=1)

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        """The clean images, in a later restart random points half-way out of their balls."""
        shift = self.ball.surface(noise, x, 0.5 * self.epsilon)
        is_restart = ops.cast(noise.step, "int32") >= self.targets
        return ops.where(is_restart, ops.clip(x + shift, 0.0, 1.0), x)

    def step_to_boundary(
        self, point: Tensor, x: Tensor, values: Tensor, gradient: Tensor
    ) -> Tensor:
        """One step of the attack: between the projections of the point and of the clean image.

        Args:
            point: where the search is `(B, H, W, C)`.
            x: clean images, same shape.
            values: margin `(B,)` of the linear model at `point`.
            gradient: its gradient, same shape as `point`.
        """
        from_x = values + inner(gradient, x - point)
        moves = self.ball.move_to_hyperplane(
            ops.concatenate([point, x]),
            ops.concatenate([gradient, gradient]),
            ops.concatenate([values, from_x]),
        )
        length = ops.maximum(self.ball.length(moves, keepdims=True), 1e-8)
        (move, move_x), (length, length_x) = ops.split(moves, 2), ops.split(length, 2)
        alpha = ops.minimum(length / (length + length_x), self.alpha_max)
        moved = (1.0 - alpha) * (point + self.eta * move) + alpha * (x + self.eta * move_x)
        return ops.clip(moved, 0.0, 1.0)
