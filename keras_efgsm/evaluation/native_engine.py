"""The library's own attacks, one compiled graph for each."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.attack import LogitsFn
from keras_efgsm.noise import Noise

Tensor = Any
BatchAttack = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Adversarial images of a batch, from its images, labels, sample ids and the restart's number."""


def compile_native(attack: Attack, logits_fn: LogitsFn, seed: int) -> BatchAttack:
    """Compiles any attack of this library; its noise depends on seed, restart and sample alone.

    Args:
        attack: the attack.
        logits_fn: maps images `(B, H, W, C)` to logits `(B, K)`.
        seed: seed of the noise.

    Returns:
        A function of images `(B, H, W, C)`, labels `(B,)`, sample ids `(B,)` and the restart's
        number, which returns adversarial images. It is traced once for each batch size.

    Example:

    ```python
    run = compile_native(PGD(epsilon=0.3), logits_fn, seed=0)
    x_adv = run(x, labels, tf.range(len(x)), tf.constant(0))
    ```
    """

    def run(x: Tensor, labels: Tensor, ids: Tensor, restart: Tensor) -> Tensor:
        momentum = attack.initial_momentum(x) if attack.uses_momentum else None
        noise = Noise(seed, restart, ids)
        return attack.perturb(logits_fn, x, labels, noise, momentum).images

    return compile_once(tf.function(run, autograph=False))


def compile_once(function: Any) -> Callable[..., Tensor]:
    """A `tf.function` of tensors that is traced once for each shape of its first argument.

    Calling the graph itself also keeps TensorFlow's warning about retracing quiet: a model that is
    evaluated every epoch looks to it like one function that is traced again and again.

    Args:
        function: the `tf.function`; all arguments are tensors.

    Example:

    ```python
    double = compile_once(tf.function(lambda x: 2.0 * x))
    double(tf.ones(3))
    ```
    """
    graphs = {}

    def run(*arguments: Tensor) -> Tensor:
        shape = tuple(arguments[0].shape)
        if shape not in graphs:
            graphs[shape] = function.get_concrete_function(*arguments)
        return graphs[shape](*arguments)

    return run
