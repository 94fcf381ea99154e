"""FGSM that starts from a per-sample prior, in the manner of FGSM-PGI."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.gradient_sign import GradientSignAttack
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_epsilon, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import ImageShape, LogitsFn, Tensor

_LARGEST_GRADIENT = 32.0
_TINY = 1e-12


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class PriorFGSM(GradientSignAttack):
    """FGSM from the sample's own perturbation of the epochs before.

    In the manner of FGSM-MEP of Jia et al., "Prior-guided adversarial initialization for fast
    adversarial training", 2022. Each sample keeps a momentum g and a prior eta:

    - `x_adv = x + clip(eta + alpha * sign(grad_x L(x + eta)))`,
    - `g <- decay * g + grad_x L / mean |grad_x L|`, `eta <- clip(eta + alpha * sign(g))`.

    The start of a sample not seen before is a random corner of the ball. Its paper trains it with
    `LogitConsistency`, a label smoothing of 4/9 and the memory zeroed every 40 epochs. The mean is
    that of the batch. Its authors smooth the labels of L as well and clip the start to the ball
    alone; here it is the cross-entropy of the labels at a start that is an image.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        step_size: alpha in pixels of [0, 1]. Defaults to epsilon.
        decay: weight of the past in g, in [0, 1). Defaults to `0.3`.
        loss: `"ce"` (cross-entropy) or `"cw"` (margin). Defaults to `"ce"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, PriorFGSM(epsilon=0.3), objective=LogitConsistency())
    ```
    """

    kind = "prior-fgsm"
    uses_momentum = True
    couples_batch = True
    has_shortfall = True
    tells_start_logits = True

    def __init__(
        self,
        *,
        epsilon: float,
        step_size: float | None = None,
        decay: float = 0.3,
        loss: str = "ce",
    ):
        super().__init__(
            epsilon=epsilon,
            step_size=check_epsilon(epsilon) if step_size is None else step_size,
            random_start=True,
            loss=loss,
        )
        self.decay = check_number(decay, "decay", minimum=0.0, maximum=0.999)

    @property
    def momentum_limit(self) -> float:
        """Bound on both halves of the momentum: eta is kept as a share of epsilon times this.

        Gradients larger than so many times their mean are cut off where g is stored as int8.
        """
        return _LARGEST_GRADIENT / (1.0 - self.decay)

    def momentum_shape(self, image_shape: ImageShape) -> ImageShape:
        return (*image_shape[:-1], 2 * image_shape[-1])

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        if momentum is None:
            momentum = self.initial_momentum(x)
        past, prior = ops.split(momentum, 2, axis=-1)
        unit = self.epsilon / self.momentum_limit
        axes = tuple(range(1, len(x.shape)))
        is_new = ops.max(ops.abs(momentum), axis=axes) == 0.0
        eta = ops.where(
            equations.per_sample(is_new, x),
            self.epsilon * ops.sign(noise.uniform(tuple(x.shape[1:]), -1.0, 1.0)),
            prior * unit,
        )
        start = self.restrict(x + eta, x)
        step = self.ascend(logits_fn, start, x, labels, gradient_scale)
        # Of a batch whose gradients all vanish nothing joins.
        mean = ops.maximum(ops.mean(ops.abs(step.gradient)), _TINY)
        past = self.decay * past + step.gradient / mean
        eta = ops.clip(eta + self.step_size * ops.sign(past), -self.epsilon, self.epsilon)
        return Perturbed(
            images=step.images,
            start_loss=step.loss,
            predicted_gain=ops.sum(step.gradient * (step.images - start), axis=axes),
            start_logits=step.logits,
            momentum=ops.concatenate([past, eta / unit], axis=-1),
        )
