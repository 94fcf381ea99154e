"""Auto-PGD on one loss, and towards one rival class after the other."""

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.attacks.auto_pgd import AutoPGD
from keras_efgsm.attacks.losses import LOSSES, targeted_dlr_loss
from keras_efgsm.attacks.registry import register_attack
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class APGD(AutoPGD):
    """Auto-PGD: gradient steps with momentum and a step size that halves itself per image.

    Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks" (2020), algorithm 1. The step starts at 2 epsilon; at fixed checkpoints
    it is halved for the images whose loss rose in at most three quarters of the steps since the
    last one or whose best loss did not rise at all, and these go on from their best point. The loop
    ends when every image of the batch is misclassified.

    A step goes along the sign of the gradient, in an L2 ball along the gradient itself.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        steps: number of steps. Defaults to `100`.
        loss: `"ce"` (cross-entropy), `"cw"` (Carlini & Wagner's margin) or `"dlr"` (difference of
            logits ratio, which needs 3 classes). Defaults to `"ce"`.
        random_start: whether to start from uniform noise of which the largest component is
            epsilon, in an L2 ball from Gaussian noise of that length. Defaults to `True`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.

    Raises:
        ValueError: if an option is out of range; at a call with `"dlr"`, if the classifier has
            fewer than 3 classes.

    Example:

    ```python
    x_adv = APGD(epsilon=0.3, steps=100, loss="dlr")(classifier, x, y)
    ```
    """

    kind = "apgd"
    losses = tuple(LOSSES)
    evaluation_options = ("steps",)

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        loss: str = "ce",
        random_start: bool = True,
        norm: str = "linf",
    ):
        super().__init__(epsilon=epsilon, steps=steps, random_start=random_start, norm=norm)
        self.loss = check_choice(loss, "loss", tuple(LOSSES))

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        def loss_fn(logits: Tensor) -> Tensor:
            return self.loss_of(logits, labels)

        return Perturbed(images=self.ascend(logits_fn, loss_fn, x, labels, noise, gradient_scale))


@register_attack
@keras.saving.register_keras_serializable(package="keras_efgsm")
class TargetedAPGD(AutoPGD):
    """Auto-PGD towards one rival class after the other, on the targeted difference of logits ratio.

    "APGD-T" of Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of
    diverse parameter-free attacks" (2020). It has `targets` rounds, see `Attack`: round r attacks
    the class whose logit on the clean image ranks r-th among the rivals, the runner-up first. Any
    misclassification counts, not only as the target.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        steps: number of steps of each round. Defaults to `100`.
        targets: number of rounds. A classifier of K classes has K - 1 rivals, and no more
            rounds are run than that, see `for_classes`. Defaults to `9`.
        random_start: whether to start from uniform noise of which the largest component is
            epsilon, in an L2 ball from Gaussian noise of that length. Defaults to `True`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    x_adv = TargetedAPGD(epsilon=0.3, steps=100, targets=9)(classifier, x, y)
    ```
    """

    kind = "apgd-t"
    evaluation_options = ("steps", "targets")
    loss = "dlr"

    def __init__(
        self,
        *,
        epsilon: float,
        steps: int = 100,
        targets: int = 9,
        random_start: bool = True,
        norm: str = "linf",
    ):
        super().__init__(epsilon=epsilon, steps=steps, random_start=random_start, norm=norm)
        self.targets = check_count(targets, "targets")

    @property
    def rounds(self) -> int:
        return self.targets

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        clean = logits_fn(x)
        num_rivals = clean.shape[-1] - 1
        rank = noise.step % self.targets % num_rivals
        target = ops.take(equations.nearest_rivals(clean, labels, num_rivals), rank, axis=1)

        def loss_fn(logits: Tensor) -> Tensor:
            return targeted_dlr_loss(logits, labels, target)

        return Perturbed(images=self.ascend(logits_fn, loss_fn, x, labels, noise, gradient_scale))
