"""Random points of the ball: the attack that no gradient can mislead."""

import keras
import numpy as np
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import NORMS, check_count
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class RandomSampling(Attack):
    """Draws independent points of the ball and keeps the first that is misclassified.

    Of an image that none of them turns it returns the point of the smallest margin. An attack by
    gradients that finds less than this does not see the model's true loss: one of the signs of
    masked gradients in Athalye et al., "Obfuscated gradients give a false sense of security"
    (2018). The loop ends when every image of the batch is misclassified.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        samples: number of points for each image. Defaults to `1000`.
        corners: whether to draw corners of the ball, the points that change every pixel by
            epsilon, in place of points uniform in it; an L2 ball has none. Defaults to `False`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.

    Raises:
        ValueError: if an option is out of range, or corners are asked for of an L2 ball.

    Example:

    ```python
    x_adv = RandomSampling(epsilon=0.3, samples=1000)(classifier, x, y)
    ```
    """

    kind = "random-sampling"
    evaluation_options = ()
    needs_gradient = False
    norms = NORMS
    loss = "cw"

    def __init__(
        self,
        *,
        epsilon: float,
        samples: int = 1000,
        corners: bool = False,
        norm: str = "linf",
    ):
        self.norm = norm
        super().__init__(epsilon=epsilon)
        self.samples = check_count(samples, "samples")
        self.corners = bool(corners)
        if self.corners and not self.ball.has_corners:
            raise ValueError(
                "`corners` is for the L-infinity ball; that of this norm has none. "
                f"Received: corners={corners!r}, norm={norm!r}"
            )

    @property
    def budget(self) -> Budget:
        return Budget(steps=None, queries=self.samples)

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
        restrict = self.ball.projection(x, self.epsilon)

        def goes_on(number: Tensor, images: Tensor, margin: Tensor, held: Tensor) -> Tensor:
            return ops.logical_and(number < self.samples, ops.any(held))

        def draw(
            number: Tensor, images: Tensor, margin: Tensor, held: Tensor
        ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            shift = self.ball.uniform(noise, x, self.epsilon, stream=number)
            if self.corners:
                shift = ops.where(shift < 0.0, -self.epsilon, self.epsilon)
            points = restrict(x + ops.cast(shift, x.dtype))
            logits = logits_fn(points)
            new_margin = equations.margin(logits, labels)
            still = ops.logical_and(held, still_correct(logits, labels))
            # An image that was turned keeps its point, however long others of the batch go on.
            turned = ops.logical_and(held, ops.logical_not(still))
            better = ops.logical_or(turned, ops.logical_and(still, new_margin < margin))
            return (
                number + 1,
                ops.where(equations.per_sample(better, x), points, images),
                ops.where(better, new_margin, margin),
                still,
            )

        per_image = ops.zeros_like(x[:, 0, 0, 0])
        number = ops.convert_to_tensor(0, "int32")
        state = (number, x, per_image + np.inf, per_image < 1.0)
        return Perturbed(images=ops.while_loop(goes_on, draw, state)[1])
