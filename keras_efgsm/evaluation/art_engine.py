"""Attacks within a ball run by the Adversarial Robustness Toolbox (ART)."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks import APGD, PGD, Attack, Square
from keras_efgsm.evaluation.art_estimator import (
    art_attacks,
    art_estimator,
    one_hot,
    seeded_numpy,
)
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.native_engine import BatchAttack
from keras_efgsm.typing import LogitsFn, Tensor

# What ART calls the losses of its APGD; it has no other ones of ours.
_APGD_LOSSES = {"ce": "cross_entropy", "dlr": "difference_logits_ratio"}
# Its APGD halves its step by itself and begins, whatever this is, with twice the radius.
_FIRST_STEP = 1.0 / 3.0


def compile_art(
    attack: Attack,
    logits_fn: LogitsFn,
    seed: int,
    reads: Sequence[keras.Variable] = (),
) -> BatchAttack:
    """ART's attack with the options of one of this library.

    Random numbers are drawn for a whole batch, so that they depend on the batches, unlike those of
    the native engine; with the same seed and batch size they are the same ones.

    Args:
        attack: a `PGD` on the cross-entropy, an `APGD` on `"ce"` or `"dlr"`, or a `Square`.
        logits_fn: maps images `(B, H, W, C)` to logits `(B, K)`.
        seed: seed of the random numbers.
        reads: as in `compile_native`.

    Returns:
        As `compile_native`.

    Raises:
        ImportError: if ART is not installed.
        ValueError: if ART has no such attack, or Keras runs on another backend than TensorFlow.

    Example:

    ```python
    run = compile_art(Square(epsilon=0.3, queries=20), classifier, seed=0)
    x_adv = run(x, y, ops.arange(len(x)), ops.convert_to_tensor(0))
    ```
    """
    if type(attack) not in _MAKERS:
        names = ", ".join(kind.__name__ for kind in _MAKERS)
        raise ValueError(
            f'The engine "art" runs {names}; use engine="native" for other attacks. '
            f"Received: attack={type(attack).__name__}"
        )
    losses = _LOSSES.get(type(attack), ())
    if losses and attack.loss not in losses:
        raise ValueError(
            f'The engine "art" has {type(attack).__name__} on {" and ".join(losses)} alone; use '
            f'engine="native". Received: loss={attack.loss!r}'
        )
    attacks = art_attacks()
    estimators: dict[tuple[int, ...], Any] = {}

    def run(x: Tensor, labels: Tensor, ids: Tensor, restart: Tensor) -> Tensor:
        images = np.asarray(x)
        shape = images.shape[1:]
        if shape not in estimators:
            num_classes = int(logits_fn(x[:1]).shape[-1])
            model = EvaluatedModel(logits_fn, shape, num_classes, "a classifier of ART")
            estimators[shape] = num_classes, art_estimator(model)
        num_classes, estimator = estimators[shape]
        theirs = _MAKERS[type(attack)](attacks, estimator, attack, len(images))
        # Each batch and restart has numbers of its own.
        first = int(np.asarray(ids)[0])
        with seeded_numpy((seed * 1_000_003 + int(np.asarray(restart))) * 1_000_003 + first):
            made = np.asarray(theirs.generate(images, one_hot(labels, num_classes)), "float32")
        return ops.convert_to_tensor(made.clip(0.0, 1.0))

    return run


def _norm(attack: Attack) -> Any:
    return 2 if getattr(attack, "norm", "linf") == "l2" else np.inf


def _pgd(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.ProjectedGradientDescent(
        estimator,
        norm=_norm(attack),
        eps=attack.epsilon,
        eps_step=attack.step_size,
        max_iter=attack.steps,
        num_random_init=int(attack.random_start),
        batch_size=batch_size,
        verbose=False,
    )


def _apgd(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.AutoProjectedGradientDescent(
        estimator,
        norm=_norm(attack),
        eps=attack.epsilon,
        eps_step=attack.epsilon * _FIRST_STEP,
        max_iter=attack.steps,
        nb_random_init=1,
        batch_size=batch_size,
        loss_type=_APGD_LOSSES[attack.loss],
        verbose=False,
    )


def _square(attacks: Any, estimator: Any, attack: Any, batch_size: int) -> Any:
    return attacks.SquareAttack(
        estimator,
        norm=_norm(attack),
        eps=attack.epsilon,
        max_iter=attack.queries,
        p_init=attack.p_init,
        nb_restarts=1,
        batch_size=batch_size,
        verbose=False,
    )


_MAKERS: dict[type[Attack], Callable[[Any, Any, Any, int], Any]] = {
    PGD: _pgd,
    APGD: _apgd,
    Square: _square,
}
_LOSSES: dict[type[Attack], tuple[str, ...]] = {
    PGD: ("ce",),
    APGD: tuple(_APGD_LOSSES),
}
