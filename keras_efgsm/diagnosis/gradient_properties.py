"""Signs that show in the logits and gradients themselves, without an attack.

Zero and vanishing gradients, gradients of something else ("shattered") and random outputs are the
three kinds of obfuscated gradients of Athalye, Carlini & Wagner, "Obfuscated gradients give a
false sense of security" (2018). Each function looks for one sign and returns a `Finding`.
"""

import numpy as np

from keras_efgsm.diagnosis import thresholds
from keras_efgsm.diagnosis.findings import Finding
from keras_efgsm.diagnosis.probing import Probing
from keras_efgsm.networks.answers import RANDOM
from keras_efgsm.records.wording import percent

STEP_PARTS = (1 / 64, 1 / 16, 1 / 4, 1.0)
"""Lengths of the steps by which gradients are checked, as parts of epsilon."""

# About what PGD of 40 steps takes at a time: a gradient that holds for less is of no use to it.
_DECISIVE_PART = 1 / 16
# A model that flips one coin for all images shows the same side in one of 512 diagnoses.
_CALLS = 10


def zero_margin_gradients(probing: Probing) -> Finding:
    """The margin has no gradient: neither its cross-entropy nor any other loss has one."""
    margins, gradients = probing.gradients(probing.x)
    at_start = probing.gradients(probing.random_points())[1]
    total = probing.count
    order = probing.ball.dual_order
    norm, norm_at_start = _length(gradients, order), _length(at_start, order)
    zero, zero_at_start = int((norm == 0.0).sum()), int((norm_at_start == 0.0).sum())
    distance = np.abs(margins) / np.maximum(norm, np.finfo("float32").tiny)
    vanishing = int(((norm > 0.0) & (distance > thresholds.UNREACHABLE * probing.whole)).sum())
    worst = max(zero, zero_at_start)
    is_zero = thresholds.is_more(worst, total, thresholds.ZERO)
    is_vanishing = thresholds.is_more(zero + vanishing, total, thresholds.ZERO)
    return Finding(
        "zero_margin_gradients",
        is_zero or is_vanishing,
        f"The gradient of the margin is exactly zero at {zero} of {total} clean images and at "
        f"{zero_at_start} random points of their balls, and vanishing at {vanishing} more clean "
        f"images.",
        {
            "zero": zero,
            "zero_at_random_points": zero_at_start,
            "vanishing": vanishing,
            "images": total,
            "median_linearised_distance": float(np.median(np.minimum(distance, 1e9))),
            "chance": thresholds.chance_of(
                worst if is_zero else zero + vanishing, total, thresholds.ZERO
            ),
        },
        # A small gradient still has a sign to follow; with none there is nothing.
        mild=not is_zero,
    )


def cross_entropy_misleads(probing: Probing) -> Finding:
    """The cross-entropy has no gradient where the margin has one, and attacks on it fail.

    A softmax so sure of itself that float32 rounds the rest to zero, from large logits for
    instance (Carlini & Wagner 2017 on defensive distillation). A confident honest model has tiny
    gradients too, but their sign still leads.
    """
    entropy, margin = probing.gradients(probing.x, "ce")[1], probing.gradients(probing.x)[1]
    zero = (_length(entropy, 1.0) == 0.0) & (_length(margin, 1.0) > 0.0)
    by_entropy, by_margin = probing.pgd("ce"), probing.pgd("cw")
    missed = int((zero & by_entropy & ~by_margin).sum())
    gap, count, total = int((by_entropy & ~by_margin).sum()), int(zero.sum()), probing.count
    flagged = thresholds.is_more(missed, total, thresholds.MISSED)
    hint = ""
    if not flagged and (count or thresholds.is_more(gap, total, thresholds.MISSED)):
        hint = " Attacks on the cross-entropy are weak here; use those on the margin or DLR."
    return Finding(
        "cross_entropy_misleads",
        flagged,
        f"The gradient of the cross-entropy is exactly zero at {count} of {total} images where "
        f"that of the margin is not; {missed} of them, {gap} images in all, hold under PGD on the "
        f"cross-entropy and fall under PGD on the margin.{hint}",
        {
            "zero": count,
            "missed": missed,
            "gap": gap,
            "images": total,
            "accuracy_pgd_ce": float(by_entropy.mean()),
            "accuracy_pgd_cw": float(by_margin.mean()),
            "chance": thresholds.chance_of(missed, total, thresholds.MISSED),
        },
    )


def outputs_are_random(probing: Probing) -> Finding:
    """The logits of the same image differ from call to call, or with the images beside it."""
    calls = np.stack([probing.logits(probing.x) for _ in range(_CALLS)])
    # The same images in the same places, every other one replaced: an image must not care.
    company = probing.x.copy()
    company[1::2] = 1.0 - company[1::2]
    beside = probing.logits(company)[::2]
    spread = np.ptp(calls[0], axis=1).clip(np.finfo("float32").tiny)
    between = np.ptp(calls, axis=0).max(axis=1) / spread
    with_others = np.abs(beside - calls[0][::2]).max(axis=1) / spread[::2]
    largest, total = float(between.max()), probing.count
    random = int((between > RANDOM).sum())
    of_company = int((with_others > RANDOM).sum())
    classes = calls.argmax(axis=2)
    undecided = int((classes != classes[0]).any(axis=0).sum())
    beside_text = "" if random else f"; {of_company} of {len(beside)} with other images beside them"
    return Finding(
        "outputs_are_random",
        random > 0 or of_company > 0,
        f"Between {_CALLS} calls the logits of {random} of {total} images differ, by at most "
        f"{largest:.2g} of their spread, and {undecided} change their class{beside_text}.",
        {
            "random": random,
            "change_class": undecided,
            "depend_on_other_images": of_company,
            "images": total,
            "largest_difference": largest,
        },
    )


def gradients_mislead(probing: Probing) -> Finding:
    """A short step along the gradient does not change the margin as the gradient promises.

    Finite differences from a random point of the ball, at several lengths. Custom gradients that
    are wrong, gradients replaced by noise, and true ones of a surface too rugged for any attack to
    use all break the promise; a straight-through gradient that serves an attack keeps it.
    """
    points = probing.random_points()
    negative, gradient = probing.gradients(points)
    total, kept, followed = probing.count, {}, {}
    for part in STEP_PARTS:
        # The gradient is that of the negative margin: along it the margin falls.
        moved = points + (part * probing.epsilon) * probing.direction(gradient)
        moved = np.clip(moved, 0.0, 1.0).astype("float32")
        promised = (gradient * (moved - points)).sum(axis=(1, 2, 3), dtype="float64")
        gained = -probing.margins(moved).astype("float64") - negative
        able = promised > 0.0
        ratio = gained[able] / promised[able]
        kept[part] = (int((ratio < thresholds.FOLLOWED).sum()), int(able.sum()))
        followed[part] = float(np.median(ratio)) if able.any() else 0.0
    broken, able = kept[_DECISIVE_PART]
    flagged = able > 0 and thresholds.is_more(broken, able, thresholds.UNFAITHFUL)
    listed = ", ".join(f"{followed[part]:.2f} at {part:g}" for part in STEP_PARTS)
    text = (
        f"A step of epsilon/{1 / _DECISIVE_PART:g} along the gradient misses "
        f"{percent(1 - thresholds.FOLLOWED, 0)} of the promised change on {broken} of {able} "
        "images. "
        f"Median part of the promise kept, by parts of epsilon: {listed}."
    )
    return Finding(
        "gradients_mislead",
        flagged,
        text if able else f"None of {total} images has a gradient whose promise could be checked.",
        {
            "broken": broken,
            "images": able,
            "median_kept": {f"{part:g}": followed[part] for part in STEP_PARTS},
            "broken_by_step": {f"{part:g}": kept[part][0] for part in STEP_PARTS},
            "chance": thresholds.chance_of(broken, able, thresholds.UNFAITHFUL),
        },
    )


def _length(gradients: np.ndarray, order: float) -> np.ndarray:
    """The norm `(n,)` of this order, of all pixels."""
    flat = gradients.astype("float64").reshape(len(gradients), -1)
    norms: np.ndarray = np.linalg.norm(flat, ord=order, axis=1)
    return norms
