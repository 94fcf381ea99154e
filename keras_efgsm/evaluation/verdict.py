"""How a classifier answers adversarial images, batch after batch and round after round."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops
from rich.progress import Progress

from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.ball import BALLS, change_of
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
from keras_efgsm.records.classes import NO_CLASS
from keras_efgsm.records.wording import norm_name, percent
from keras_efgsm.typing import Tensor


def compile_judge(model: EvaluatedModel, epsilon: float, norm: str = "linf") -> Callable[..., Any]:
    """Compiles a function that returns the logits of a batch and whether it lies in the ball.

    One graph for all attacks, and no image leaves the device for it.

    Args:
        model: the evaluated classifier.
        epsilon: radius of the ball in pixels of [0, 1].
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.

    Returns:
        A function of adversarial and clean images `(B, H, W, C)`.
    """
    ball = BALLS[norm]

    def judge(x_adv: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return model.logits_fn(x_adv), ball.contains(x_adv, x, epsilon)

    return compiled_once(judge, model.variables)


def classify_clean(judge: Callable[..., Any], images: ImageSet, batch_size: int) -> np.ndarray:
    """What `(n,)` the clean images are classified as, integers.

    Args:
        judge: as `compile_judge` makes it.
        images: the images and labels.
        batch_size: most images in a batch.

    Raises:
        ValueError: if none is to be attacked, or logits are not finite.
    """
    count = len(images.labels)
    classes = np.zeros(count, "int32")
    for chosen, padded in batches(np.arange(count), even_batch_size(count, batch_size)):
        x = ops.convert_to_tensor(images.pixels(padded))
        logits = np.asarray(judge(x, x)[0])[: len(chosen)]
        if not np.isfinite(logits).all():
            raise ValueError(
                "The classifier must return finite logits; are its weights NaN? "
                f"Received: logits of a clean image={logits[~np.isfinite(logits).all(axis=1)][0]}"
            )
        classes[chosen] = logits.argmax(axis=1)
    if not images.holds(classes).any():
        raise ValueError(_nothing_to_attack(images))
    return classes


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
            task = bar.add_task(title, total=total, unit="images", said=_so_far(robust))
        else:
            bar.update(task, total=total, description=title, said=_so_far(robust))
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
            # An image that drives the logits to NaN is of no class.
            finite = np.isfinite(logits).all(axis=1)
            classes = np.where(finite, logits.argmax(axis=1), NO_CLASS)
            tally.attack_seconds[tally.attack] = before + time.perf_counter() - began
            tally.take(chosen, images.holds(classes, chosen), classes, x_adv)
            known = chosen[-1] + 1 if is_first and tally.step == 0 else len(robust)
            done += len(chosen)
            bar.update(task, completed=done, said=_so_far(robust[:known]))
        tally.step, tally.waiting = tally.step + 1, None
    if task is not None:
        bar.update(task, total=done, said=_so_far(robust))
    tally.attack, tally.step = tally.attack + 1, 0
    tally.save()


def _so_far(robust: np.ndarray) -> str:
    return f"robust so far {percent(float(robust.mean()))}"


def _refuse_outside(x_adv: np.ndarray, x: np.ndarray, attack: Attack) -> None:
    of = "" if attack.norm == "linf" else f" ({norm_name(attack.norm)})"
    raise RuntimeError(
        f"{attack.name} must stay within epsilon={attack.epsilon:g}{of} and [0, 1]; a robust "
        "accuracy under it would mean nothing. Received: largest change="
        f"{change_of(x_adv, x, attack.norm).max():g}, pixels from {x_adv.min():g} to "
        f"{x_adv.max():g}"
    )


def _nothing_to_attack(images: ImageSet) -> str:
    count = len(images.labels)
    if images.towards:
        return (
            "At least one clean image must be classified as another class than the target, else "
            f"there is nothing to attack. Received: images of another class=0 of {count}"
        )
    return (
        "At least one clean image must be classified correctly, else there is nothing to "
        "attack. Do the labels, and the pixels' range, fit the classifier? Received: correct "
        f"images=0 of {count}"
    )
