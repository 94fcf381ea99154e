"""The library's own attacks, one compiled graph for each."""

from collections.abc import Callable, Sequence

import keras

from keras_efgsm.attacks import Attack
from keras_efgsm.backend import compiled_once
from keras_efgsm.noise import Noise
from keras_efgsm.typing import LogitsFn, Tensor

BatchAttack = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Adversarial images of a batch, from its images, labels, sample ids and the restart's number."""


def compile_native(
    attack: Attack,
    logits_fn: LogitsFn,
    seed: int,
    reads: Sequence[keras.Variable] = (),
) -> BatchAttack:
    """Compiles any attack of this library; its noise depends on seed, restart and sample alone.

    Args:
        attack: the attack.
        logits_fn: maps images `(B, H, W, C)` to logits `(B, K)`.
        seed: seed of the noise.
        reads: the variables that `logits_fn` reads, see `EvaluatedModel.variables`; on JAX those
            left out keep the values of the first call. Defaults to none.

    Returns:
        A function of images `(B, H, W, C)`, labels `(B,)`, sample ids `(B,)` and the restart's
        number, which returns adversarial images. It is traced once for each batch size.

    Example:

    ```python
    run = compile_native(PGD(epsilon=0.3), classifier, seed=0)
    x_adv = run(x, y, ops.arange(len(x)), ops.convert_to_tensor(0))
    ```
    """

    def run(x: Tensor, labels: Tensor, ids: Tensor, restart: Tensor) -> Tensor:
        momentum = attack.initial_momentum(x) if attack.uses_momentum else None
        noise = Noise(seed, restart, ids)
        return attack.perturb(logits_fn, x, labels, noise, momentum).images

    return compiled_once(run, reads)
