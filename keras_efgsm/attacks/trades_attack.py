"""The inner maximisation of TRADES."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.pgd import PGD
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class TradesAttack(PGD):
    """PGD that drives the prediction away from that of the clean image, whatever the label.

    Maximises `KL(softmax(C(x)) || softmax(C(x_adv)))` from `x` plus a little Gaussian noise (Zhang
    et al., "Theoretically principled trade-off between robustness and accuracy", 2019).

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        steps: number of steps. Defaults to `40`, as for MNIST (10 for CIFAR-10).
        step_size: in pixels of [0, 1]. Defaults to `2.5 * epsilon / steps`.
        start_deviation: standard deviation of the start in pixels of [0, 1]. Defaults to `0.001`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, TradesAttack(epsilon=0.3, steps=40, step_size=0.01), objective=Trades(1.0)
    )
    ```
    """

    kind = "trades"
    evaluation_options = None
    norms = ("linf",)

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 40,
        step_size: float | None = None,
        start_deviation: float = 0.001,
    ):
        super().__init__(epsilon=epsilon, steps=steps, step_size=step_size)
        # Without noise the divergence and its gradient are zero at the start.
        self.start_deviation = check_number(
            start_deviation, "start_deviation", minimum=0.0, strict=True
        )

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        natural = logits_fn(x)

        def divergence(images: Tensor) -> tuple[Tensor, None]:
            return equations.kl_divergence(natural, logits_fn(images)), None

        def step(_: Tensor, images: Tensor) -> Tensor:
            _, _, gradient = input_gradient(divergence, images, gradient_scale)
            return self.restrict(images + self.step_size * ops.sign(gradient), x)

        start = x + self.start_deviation * noise.normal(tuple(x.shape[1:]))
        return Perturbed(images=ops.fori_loop(0, self.steps, step, self.restrict(start, x)))
