"""Any attack as a targeted one: its success is that an image is taken for a given class."""

from keras import ops

from keras_efgsm.attacks import Attack, Budget
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.checks import NORMS
from keras_efgsm.evaluation.transfer import Transfer
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Config, ImageShape, LogitsFn, Tensor


class Towards(Attack):
    """An attack that takes images to the classes that it is given as labels.

    It shows its attack two logits, the largest of the other classes and that of the target, of
    which the first is the true one: `max_{i != t} z_i` and `z_t`. Whatever moves this pair to its
    second class has the image classified as the target, so every attack can be targeted, those
    without gradients as well. Losses become functions of the margin `max_{i != t} z_i - z_t`.

    Args:
        attack: what makes the images. Of several rounds, one for each rival, one is left.

    Raises:
        ValueError: if it is none, or its loss needs three logits ("dlr").

    Example:

    ```python
    targets = np.full(len(x), 3)
    x_adv = Towards(PGD(epsilon=0.3, loss="cw"))(classifier, x, targets)
    ```
    """

    norms = NORMS

    def __init__(self, attack: Attack):
        if not isinstance(attack, Attack):
            raise ValueError(
                "`attack` must be an attack such as `PGD(epsilon=0.3)`. "
                f"Received: attack={attack!r}"
            )
        if attack.chosen_loss == "dlr":
            raise ValueError(
                "A targeted attack compares two logits, and the loss dlr needs three; take apgd-t "
                f'(`TargetedAPGD`) or the loss "cw". Received: attack={attack.name}'
            )
        self.norm = attack.norm
        super().__init__(epsilon=attack.epsilon)
        self.attack = attack.for_classes(2)
        self.loss = attack.loss
        self.needs_gradient = attack.needs_gradient
        self.uses_momentum = attack.uses_momentum
        self.stays_in_ball = attack.stays_in_ball

    @property
    def name(self) -> str:
        return self.attack.name

    @property
    def chosen_loss(self) -> str | None:
        return self.attack.chosen_loss

    @property
    def rounds(self) -> int:
        return self.attack.rounds

    @property
    def budget(self) -> Budget:
        return self.attack.budget

    @property
    def starts_at_random(self) -> bool:
        return self.attack.starts_at_random

    @property
    def gains_by_restarts(self) -> bool:
        return self.attack.gains_by_restarts

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        def other_and_target(images: Tensor) -> Tensor:
            logits = logits_fn(images)
            is_target = ops.one_hot(labels, logits.shape[-1], dtype="bool")
            other = ops.max(ops.where(is_target, -float("inf"), logits), axis=-1)
            target = ops.sum(ops.where(is_target, logits, 0.0), axis=-1)
            return ops.stack([other, target], axis=-1)

        other = ops.zeros_like(labels)
        return self.attack.perturb(other_and_target, x, other, noise, momentum, gradient_scale)

    def initial_momentum(self, x: Tensor) -> Tensor:
        return self.attack.initial_momentum(x)

    def momentum_shape(self, image_shape: ImageShape) -> ImageShape:
        return self.attack.momentum_shape(image_shape)

    def get_config(self) -> Config:
        return {"attack": {"name": self.attack.name, **self.attack.get_config()}}

    @classmethod
    def from_config(cls, config: Config) -> "Towards":
        raise NotImplementedError(
            "A `Towards` is not rebuilt from its configuration, which only describes its attack; "
            f"make it from the attack. Received: config={config!r}"
        )


def targeted(attack: Attack) -> Attack:
    """An attack as a targeted one; of a transfer the one that makes the images.

    Args:
        attack: any.

    Example:

    ```python
    targeted(PGD(epsilon=0.3)).name  # 'pgd-ce'
    ```
    """
    if isinstance(attack, Transfer):
        return Transfer(targeted(attack.attack), attack.source)
    return attack if isinstance(attack, Towards) else Towards(attack)
