"""PGD as one function for every radius, length and start."""

import copy
from collections.abc import Callable
from typing import Any

from keras import ops

from keras_efgsm.attacks import PGD
from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor


class _OpenPGD(PGD):
    """PGD whose options may be tensors, and whose start lies in a ball of its own radius."""

    start_radius: Tensor

    def start(self, x: Tensor, noise: Noise) -> Tensor:
        shift = self.start_radius * self.ball.uniform(noise, x)
        return self.restrict(x + shift, x)


def open_pgd(logits_fn: LogitsFn, loss: str, seed: int, norm: str = "linf") -> Callable[..., Any]:
    """PGD whose radius, steps and start are arguments: a curve needs no graph for each point.

    Args:
        logits_fn: maps images `(B, H, W, C)` to logits `(B, K)`.
        loss: `"ce"` or `"cw"`.
        seed: of the random starts.
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.

    Returns:
        A function of images, labels `(B,)`, sample ids `(B,)` and what `pgd_options` makes; it
        returns the adversarial images and which of them `(B,)` are classified correctly.
    """

    def run(
        x: Tensor,
        labels: Tensor,
        ids: Tensor,
        restart: Tensor,
        epsilon: Tensor,
        steps: Tensor,
        step_size: Tensor,
        start_radius: Tensor,
    ) -> tuple[Tensor, Tensor]:
        attack = copy.copy(_OpenPGD(epsilon=1.0, loss=loss, norm=norm))
        attack.epsilon, attack.steps = epsilon, steps
        attack.step_size, attack.start_radius = step_size, start_radius
        images = attack.perturb(logits_fn, x, labels, Noise(seed, restart, ids)).images
        return images, still_correct(logits_fn(images), labels)

    return run


def pgd_options(
    epsilon: float,
    steps: int,
    *,
    step_size: float | None = None,
    restart: int = 0,
    random_start: bool = True,
) -> tuple[Tensor, ...]:
    """What a function of `open_pgd` takes beside a batch.

    Args:
        epsilon: radius of the ball in pixels of [0, 1].
        steps: number of steps.
        step_size: in pixels of [0, 1]. Defaults to `2.5 * epsilon / steps`, as of `PGD`.
        restart: number of the random start. Defaults to `0`.
        random_start: whether it starts at random in the ball. Defaults to `True`.
    """
    return (
        ops.convert_to_tensor(restart, "int32"),
        ops.convert_to_tensor(epsilon, "float32"),
        ops.convert_to_tensor(steps, "int32"),
        ops.convert_to_tensor(step_size or 2.5 * epsilon / steps, "float32"),
        ops.convert_to_tensor(epsilon if random_start else 0.0, "float32"),
    )
