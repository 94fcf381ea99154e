"""eFGSM, the attack of the paper."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Attack, Budget, Perturbed
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.backend import rival_margins_and_gradients
from keras_efgsm.checks import check_choice, check_count, check_number
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor

# Whose momentum there may be, and what `Attack.momentum_of` calls it.
MEMORIES = {"sample": "sample", "universal": "dataset", "none": "sample"}


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class EFGSM(Attack):
    """Enhanced FGSM: a start from the sample's own momentum, then one step to the boundary.

    Equations 11 to 14 of Chen & Lee, "Towards Fast and Robust Adversarial Training for Image
    Classification": the start is drawn around the corner of the ball that the majority of this
    sample's past perturbations points at, the step goes to the nearest boundary of the linearised
    classifier, and its sign joins the momentum. One forward and one backward pass.

    Args:
        epsilon: L-infinity radius in pixels of [0, 1].
        sigma: standard deviation of the start in pixels of [0, 1]. Defaults to `epsilon / 3`.
        decay: weight of the past in the momentum, in [0, 1). Defaults to `0.95`.
        rivals: how many rival classes compete for the nearest boundary: a whole number m for the
            m largest logits, or `"all"` for the exact minimum of equation 12. Each costs a
            backward pass. Defaults to `1`, the runner-up alone, which trained the more robust
            models here.
        overshoot: factor on the step to the boundary; a step of `step_size` has none. Defaults to
            `1.0`.
        use_projection: whether the step to the boundary ends in the ball; a step of `step_size`
            always does. Defaults to `True`.
        momentum_from: what joins the momentum: `"gradient"`, the sign of the step to the boundary,
            as the paper's text has it, or `"perturbation"`, the sign of `x_adv - x`, as its
            equation 13 is printed. Defaults to `"gradient"`, which trained much more robust
            models here.
        first_visit: where a pixel without momentum starts: `"gaussian"`, around the clean image,
            as the paper has it, or `"corner"`, around a random corner of the ball. Defaults to
            `"gaussian"`.
        step_size: length of the step in pixels of [0, 1] in place of the way to the boundary, for
            comparison: epsilon makes it FGSM's. Defaults to `None`, the boundary.
        memory: whose momentum it is: `"sample"`, one for each training sample, or `"universal"`,
            a single one that all samples start from and vote on, or `"none"`, every visit as the
            first; these for comparison. Defaults to `"sample"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    attack = EFGSM(epsilon=0.3)
    x_adv = attack(classifier, x, y)
    ```
    """

    kind = "efgsm"
    tells_start_logits = True
    loss = "cw"

    def __init__(
        self,
        *,
        epsilon: float,
        sigma: float | None = None,
        decay: float = 0.95,
        rivals: int | str = 1,
        overshoot: float = 1.0,
        use_projection: bool = True,
        momentum_from: str = "gradient",
        first_visit: str = "gaussian",
        step_size: float | None = None,
        memory: str = "sample",
    ):
        super().__init__(epsilon=epsilon)
        self.sigma = (
            self.epsilon / 3 if sigma is None else check_number(sigma, "sigma", minimum=0.0)
        )
        self.decay = check_number(decay, "decay", minimum=0.0, maximum=0.999)
        is_text = isinstance(rivals, str)
        self.rivals = (
            check_choice(rivals, "rivals", ("all",)) if is_text else check_count(rivals, "rivals")
        )
        self.overshoot = check_number(overshoot, "overshoot", minimum=0.0, strict=True)
        self.use_projection = bool(use_projection)
        self.momentum_from = check_choice(
            momentum_from, "momentum_from", ("gradient", "perturbation")
        )
        self.first_visit = check_choice(first_visit, "first_visit", ("gaussian", "corner"))
        self.step_size = (
            None
            if step_size is None
            else check_number(step_size, "step_size", minimum=0.0, strict=True)
        )
        self.memory = check_choice(memory, "memory", tuple(MEMORIES))

    @property
    def uses_momentum(self) -> bool:  # type: ignore[override]
        """Whether it remembers at all."""
        return self.memory != "none"

    @property
    def momentum_of(self) -> str:
        """Whether each sample has a momentum or all of them one."""
        return MEMORIES[self.memory]

    def momentum_rows(self, num_samples: int) -> int:
        return num_samples if self.memory == "sample" else 1

    @property
    def momentum_limit(self) -> float:
        """Bound on |Gamma|, the sum of the geometric series of the decay."""
        return 1.0 / (1.0 - self.decay)

    @property
    def budget(self) -> Budget:
        return super().budget._replace(step_size=self.step_size)

    @property
    def starts_at_random(self) -> bool:
        return self.sigma > 0.0

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
        if momentum is None:
            momentum = self.initial_momentum(x)
        towards = momentum
        if self.first_visit == "corner":
            # The normal noise is of the stream before.
            coin = noise.uniform(shape, -1.0, 1.0, stream=1)
            towards = equations.random_corner(momentum, coin)
        start = equations.momentum_start(x, towards, noise.normal(shape), self.epsilon, self.sigma)
        logits, margin_values, gradients = rival_margins_and_gradients(
            logits_fn,
            start,
            labels,
            None if isinstance(self.rivals, str) else self.rivals,
            gradient_scale,
        )
        distance, nearest_margin, gradient = equations.linearised_margin(margin_values, gradients)
        if self.step_size is None:
            x_adv = equations.boundary_step(
                start,
                x,
                gradient,
                distance,
                self.epsilon,
                overshoot=self.overshoot,
                use_projection=self.use_projection,
            )
        else:
            x_adv = equations.signed_step(start, x, gradient, self.step_size, self.epsilon)
        worst = equations.worst_linear_margin(nearest_margin, gradient, start, x, self.epsilon)
        direction = -gradient if self.momentum_from == "gradient" else x_adv - x
        updated: Tensor | None = None
        if self.memory == "universal":
            # Each sample has a vote, however large its gradient, and a narrow one counts for less.
            vote = ops.mean(ops.sign(direction), axis=0, keepdims=True)
            updated = self.decay * momentum + vote
        elif self.memory == "sample":
            updated = equations.update_momentum(momentum, direction, self.decay)
        return Perturbed(
            images=x_adv,
            robust=worst > 0.0,
            momentum=updated,
            start_logits=logits,
        )
