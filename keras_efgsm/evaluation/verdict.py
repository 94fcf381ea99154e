"""How a classifier answers adversarial images, batch after batch and round after round."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from rich.progress import Progress

from keras_efgsm.attacks import Attack
from keras_efgsm.backend import compiled_once
from keras_efgsm.evaluation.image_set import (
    ImageSet,
    batches,
    even_batch_size,
    shrunk_batch_size,
)
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.native_engine import BatchAttack
from keras_efgsm.evaluation.spread import Spread
from keras_efgsm.evaluation.tally import Tally
from keras_efgsm.typing import Tensor

# Room for the rounding of x - epsilon and x + epsilon in float32.
_BALL_TOLERANCE = 1e-6


def compile_judge(model: EvaluatedModel, epsilon: float) -> Callable[..., Any]:
    """Compiles a function that returns the logits of a batch and whether it lies in the ball.

    One graph for all attacks, and no image leaves the device for it.

    Args:
        model: the evaluated classifier.
        epsilon: L-infinity radius in pixels of [0, 1].

    Returns:
        A function of adversarial and clean images `(B, H, W, C)`.
    """

    def judge(x_adv: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        low = ops.maximum(x - epsilon, 0.0) - _BALL_TOLERANCE
        high = ops.minimum(x + epsilon, 1.0) + _BALL_TOLERANCE
        # NaN is in no ball.
        return model.logits_fn(x_adv), ops.all((x_adv >= low) & (x_adv <= high))

    return compiled_once(judge, model.variables)


def classify_clean(judge: Callable[..., Any], images: ImageSet, batch_size: int) -> np.ndarray:
    """Which `(n,)` clean images are classified correctly.

    Args:
        judge: as `compile_judge` makes it.
        images: the images and labels.
        batch_size: most images in a batch.

    Raises:
        ValueError: if none is, or logits are not finite.
    """
    count = len(images.labels)
    correct = np.zeros(count, bool)
    for chosen, padded in batches(np.arange(count), even_batch_size(count, batch_size)):
        x = ops.convert_to_tensor(images.pixels(padded))
        logits = np.asarray(judge(x, x)[0])[: len(chosen)]
        if not np.isfinite(logits).all():
            raise ValueError(
                "The classifier must return finite logits; are its weights NaN? "
                f"Received: logits of a clean image={logits[~np.isfinite(logits).all(axis=1)][0]}"
            )
        correct[chosen] = logits.argmax(axis=1) == images.labels[chosen]
    if not correct.any():
        raise ValueError(
            "At least one clean image must be classified correctly, else there is nothing to "
            "attack. Do the labels, and the pixels' range, fit the classifier? Received: correct "
            f"images=0 of {count}"
        )
    return correct


def withstand(
    run: BatchAttack,
    attack: Attack,
    judge: Callable[..., Any],
    images: ImageSet,
    tally: Tally,
    start: np.ndarray,
    batch_size: int,
    restarts: int,
    bar: Progress,
    spread: Spread | None = None,
) -> None:
    """Runs every round of every restart of one attack and takes down which images withstood.

    Args:
        run: the compiled attack.
        attack: what was compiled.
        judge: as `compile_judge` makes it.
        images: the images and labels.
        tally: continues after the last batch in it, and is saved after every batch.
        start: which `(n,)` images the attack is to see.
        batch_size: most images in a batch.
        restarts: how often all rounds are run.
        bar: shows how far it is.
        spread: asks single draws about what the attack finds. Defaults to none.

    Raises:
        RuntimeError: if the attack leaves the ball or [0, 1].
    """
    assert tally.robust is not None and tally.correct is not None  # since `tally.begin`
    robust = tally.robust[tally.attack]
    name, steps = attack.name, attack.rounds * restarts
    size = even_batch_size(max(1, int(start.sum())), batch_size)
    # Of the first attack the images behind a batch are not known yet.
    is_first = np.array_equal(start, tally.correct)
    before, began = tally.attack_seconds[tally.attack], time.perf_counter()
    task, done = None, 0
    while tally.step < steps and (robust.any() or tally.waiting is not None):
        if tally.waiting is None:
            tally.waiting = robust.copy()
            tally.batch_size = shrunk_batch_size(size, int(robust.sum()))
        waiting = np.flatnonzero(tally.waiting)
        # The rounds to come attack survivors only: as many as there are now, if no more fall.
        total = done + len(waiting) + (steps - tally.step - 1) * int(robust.sum())
        title = f"{name} {tally.step + 1}/{steps}"
        if task is None:
            task = bar.add_task(title, total=total, robust=robust.mean())
        else:
            bar.update(task, total=total, description=title, robust=robust.mean())
        for chosen, padded in batches(waiting, tally.batch_size):
            x, labels, ids, step = map(
                ops.convert_to_tensor,
                (
                    images.pixels(padded),
                    images.labels[padded],
                    padded.astype("int32"),
                    np.int32(tally.step),
                ),
            )
            x_adv = run(x, labels, ids, step)
            logits, is_inside = judge(x_adv, x)
            if not is_inside:
                _refuse_outside(np.asarray(x_adv), np.asarray(x), attack)
            logits = np.asarray(logits)[: len(chosen)]
            if spread is not None:
                spread.take(chosen, x_adv, logits)
            # An image that drives the logits to NaN is not classified correctly.
            held = np.isfinite(logits).all(axis=1)
            held &= logits.argmax(axis=1) == images.labels[chosen]
            robust[chosen], tally.waiting[chosen] = held, False
            tally.attack_seconds[tally.attack] = before + time.perf_counter() - began
            tally.save()
            known = chosen[-1] + 1 if is_first and tally.step == 0 else len(robust)
            done += len(chosen)
            bar.update(task, completed=done, robust=robust[:known].mean())
        tally.step, tally.waiting = tally.step + 1, None
    if task is not None:
        bar.update(task, total=done, robust=robust.mean())
    tally.attack, tally.step = tally.attack + 1, 0
    tally.save()


def _refuse_outside(x_adv: np.ndarray, x: np.ndarray, attack: Attack) -> None:
    raise RuntimeError(
        f"{attack.name} must stay within epsilon={attack.epsilon:g} and [0, 1]; a robust "
        "accuracy under it would mean nothing. Received: largest change="
        f"{np.abs(x_adv - x).max():g}, pixels from {x_adv.min():g} to {x_adv.max():g}"
    )
