"""Signed gradient steps on gradients that are guessed from logits alone (ZO-signSGD)."""

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class ZOSignSGD(Attack):
    """Zeroth-order sign descent: signed steps on finite differences along random directions.

    Liu, Chen, Chen & Hong 2019, "signSGD via zeroth-order oracle", algorithm 1 in its variant with
    central differences, reference [23] of Chen & Lee:

        g = (1 / q) sum_i (m(x + mu u_i) - m(x - mu u_i)) / (2 mu) u_i,   x <- P(x - alpha sign(g))

    with u_i standard normal directions, m the margin over the runner-up, and P the projection onto
    the ball and [0, 1]; the paper attacks without a ball, by weighing the distance. It starts at
    the clean image. Logits are asked for at images in [0, 1] alone. An image is left alone once it
    is turned, and the search ends when all of the batch are; that of one that was not is the image
    of the smallest margin.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        steps: number of steps. Defaults to `100`.
        directions: q, how many directions a step asks along, each with two queries. Defaults to
            `20`.
        step_size: alpha, in pixels of [0, 1]. Defaults to `2.5 * epsilon / steps`.
        delta: mu, size of the differences in pixels of [0, 1]. Defaults to `0.01`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = ZOSignSGD(epsilon=0.3, steps=20, directions=10)(classifier, x, y)
    ```
    """

    kind = "zo-sign"
    evaluation_options = ("steps", "step_size")
    needs_gradient = False
    loss = "cw"

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        directions: int = 20,
        step_size: float | None = None,
        delta: float = 0.01,
    ):
        super().__init__(epsilon=epsilon)
        self.steps = check_count(steps, "steps")
        self.directions = check_count(directions, "directions")
        if step_size is None:
            step_size = 2.5 * self.epsilon / self.steps
        self.step_size = check_number(step_size, "step_size", minimum=0.0, strict=True)
        self.delta = check_number(delta, "delta", minimum=0.0, strict=True)

    @property
    def budget(self) -> Budget:
        queries = self.steps * (2 * self.directions + 1)
        return Budget(steps=self.steps, step_size=self.step_size, queries=queries)

    @property
    def starts_at_random(self) -> bool:
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
        shape = tuple(x.shape[1:])
        low, high = equations.ball_bounds(x, self.epsilon)

        def margin_at(images: Tensor) -> Tensor:
            margin = equations.margin(logits_fn(ops.clip(images, 0.0, 1.0)), labels)
            # A black box may not say how many logits it returns; a loop has to know.
            return ops.reshape(margin, ops.shape(labels))

        def guess(images: Tensor, step: Tensor) -> Tensor:
            """The gradient of the margin, up to a factor: only its sign counts."""

            def along(number: Tensor, total: Tensor) -> Tensor:
                stream = step * self.directions + number
                direction = ops.cast(noise.normal(shape, stream=stream), x.dtype)
                shift = self.delta * direction
                rise = margin_at(images + shift) - margin_at(images - shift)
                return total + equations.per_sample(rise, x) * direction

            guessed: Tensor = ops.fori_loop(0, self.directions, along, ops.zeros_like(x))
            return guessed

        def goes_on(
            step: Tensor, images: Tensor, best: Tensor, margin: Tensor, held: Tensor
        ) -> Tensor:
            return ops.logical_and(step < self.steps, ops.any(held))

        def move(
            step: Tensor, images: Tensor, best: Tensor, margin: Tensor, held: Tensor
        ) -> tuple[Tensor, ...]:
            moved = images - self.step_size * ops.sign(guess(images, step))
            images = ops.clip(moved, low, high)
            logits = logits_fn(images)
            asked = ops.reshape(equations.margin(logits, labels), ops.shape(labels))
            still = ops.logical_and(held, ops.reshape(still_correct(logits, labels), held.shape))
            turned = ops.logical_and(held, ops.logical_not(still))
            better = ops.logical_or(turned, ops.logical_and(still, asked < margin))
            chosen = equations.per_sample(better, x)
            return (
                step + 1,
                images,
                ops.where(chosen, images, best),
                ops.where(better, asked, margin),
                still,
            )

        per_image = ops.zeros_like(x[:, 0, 0, 0])
        held = ops.reshape(still_correct(logits_fn(x), labels), per_image.shape)
        begin = (ops.convert_to_tensor(0, "int32"), x, x, per_image + np.inf, held)
        return Perturbed(images=ops.while_loop(goes_on, move, begin)[2])
