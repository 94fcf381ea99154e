"""Signs that show in what attacks find: the five properties of Athalye et al., and two curves.

Athalye, Carlini & Wagner, "Obfuscated gradients give a false sense of security" (2018), repeated
in section 2.4 of Chen & Lee; Carlini et al., "On evaluating adversarial robustness" (2019). Each
function looks for one sign and returns a `Finding`.
"""

from typing import Any

import numpy as np

from keras_efgsm.diagnosis import thresholds
from keras_efgsm.diagnosis.findings import Finding
from keras_efgsm.diagnosis.probing import Probing
from keras_efgsm.records.wording import percent

RADIUS_FACTORS = (0.5, 1.0, 1.5, 2.0, 4.0)
STEP_PARTS = (0.125, 0.25, 0.5, 0.75, 1.0)
ITERATIONS = (1, 2, 5, 10, 20, 50, 100)
# The step is a share of the whole range.
_UNBOUNDED_STEPS, _UNBOUNDED_STEP = 100, 0.05
_UNBOUNDED_TRIES = 3


def random_sampling_beats_gradients(probing: Probing) -> Finding:
    """Random points of the ball turn images that no attack by gradients turns (property 1)."""
    return _found_without_gradients(
        probing,
        "random_sampling_beats_gradients",
        probing.random_sampling(),
        f"{probing.samples} random points each",
    )


def one_step_beats_many(probing: Probing) -> Finding:
    """FGSM turns images that PGD of many steps does not (property 2)."""
    one, many = probing.fgsm(), probing.many_steps()
    only, total = int((~one & many).sum()), probing.count
    return Finding(
        "one_step_beats_many",
        thresholds.is_more(only, total, thresholds.MISSED),
        f"One step (FGSM) turned {only} of {total} images that {probing.steps} steps of PGD did "
        f"not; accuracy under one step {percent(one.mean(), 1)}, under many "
        f"{percent(many.mean(), 1)}.",
        {
            "turned_by_one_step_alone": only,
            "images": total,
            "accuracy_one_step": float(one.mean()),
            "accuracy_many_steps": float(many.mean()),
            "chance": thresholds.chance_of(only, total, thresholds.MISSED),
        },
    )


def one_step_shows_nothing(probing: Probing) -> Finding:
    """Nearly all images hold under FGSM and fall to PGD.

    The other mark of catastrophic overfitting: many steps see through the model and one step, from
    which it learnt, does not (Wong et al., "Fast is better than free", 2020).
    """
    one, many = probing.fgsm(), probing.many_steps()
    hidden, total = int((one & ~many).sum()), probing.count
    return Finding(
        "one_step_shows_nothing",
        thresholds.is_more(hidden, total, thresholds.OVERFITTED),
        f"{hidden} of {total} images hold under one step (FGSM) and fall to PGD of "
        f"{probing.steps} steps.",
        {
            "hidden_from_one_step": hidden,
            "images": total,
            "chance": thresholds.chance_of(hidden, total, thresholds.OVERFITTED),
        },
    )


def longer_steps_do_worse(probing: Probing) -> Finding:
    """FGSM at epsilon turns fewer images than a part of the same step does (property 3, one step).

    The mark of catastrophic overfitting: the model knows the corner that one full step reaches and
    nothing on the way there, so that one-step attacks say nothing about it (Wong et al., "Fast is
    better than free", 2020; Kim et al. 2021).
    """
    curve = {part: probing.fgsm(part) for part in STEP_PARTS}
    shortest, rise, flagged = _largest_rise(curve, last_only=True)
    total = probing.count
    before, after = curve[shortest], curve[1.0]
    return Finding(
        "longer_steps_do_worse",
        flagged,
        f"One step along the gradient leaves {percent(after.mean(), 1)} of {total} images at the "
        f"full epsilon; of the shorter steps one of {shortest:g} epsilon leaves fewest, "
        f"{percent(before.mean(), 1)}.",
        {"rise": rise, "images": total, "accuracies": _accuracies(curve)},
    )


def larger_epsilon_does_not_help(probing: Probing) -> Finding:
    """The accuracy under PGD does not fall as epsilon grows (property 3)."""
    points = radii(probing.epsilon, probing.whole)
    curve = {radius: probing.pgd("cw", epsilon=radius) for radius in points}
    _, rise, rose = _largest_rise(curve)
    total, left = probing.count, int(curve[probing.whole].sum())
    flat = thresholds.is_more(left, total, 0.5)
    listed = ", ".join(f"{percent(held.mean(), 1)} at {radius:g}" for radius, held in curve.items())
    return Finding(
        "larger_epsilon_does_not_help",
        rose or flat,
        f"PGD on the margin leaves {listed}.",
        {"largest_rise": rise, "images": total, "accuracies": _accuracies(curve)},
    )


def unbounded_attack_fails(probing: Probing) -> Finding:
    """PGD that may make any image of any image does not turn all of them (property 4)."""
    options: dict[str, Any] = {
        "epsilon": probing.whole,
        "steps": _UNBOUNDED_STEPS,
        "step_size": _UNBOUNDED_STEP * probing.whole,
    }
    held = probing.pgd("cw", **options) & probing.pgd("ce", **options)
    for restart in range(1, _UNBOUNDED_TRIES):
        if held.any():
            held = held & probing.pgd("cw", restart=restart, **options)
    left, total = int(held.sum()), probing.count
    return Finding(
        "unbounded_attack_fails",
        thresholds.is_more(left, total, thresholds.MISSED),
        f"PGD of {_UNBOUNDED_STEPS} steps at epsilon {probing.whole:g}, where every image can be "
        f"reached, left {left} of {total} images standing.",
        {
            "left": left,
            "images": total,
            "chance": thresholds.chance_of(left, total, thresholds.MISSED),
        },
    )


def black_box_beats_white_box(probing: Probing) -> Finding:
    """Square, through logits alone, turns images that no attack by gradients does (property 5)."""
    return _found_without_gradients(
        probing,
        "black_box_beats_white_box",
        probing.square(),
        f"Square with {probing.queries} queries",
    )


def transfer_beats_white_box(probing: Probing) -> Finding:
    """Images made on another model turn more than the model's own gradients (property 5)."""
    held, source = probing.transfer(), probing.source
    assert source is not None  # else there are no such images
    return _found_without_gradients(
        probing,
        "transfer_beats_white_box",
        held,
        f"Images made on {source.description}",
    )


def restarts_keep_helping(probing: Probing) -> Finding:
    """PGD goes on turning images with every further random start; a mild sign."""
    held, by_restart = np.ones(probing.count, bool), []
    for restart in range(probing.restarts):
        held = held & probing.pgd("cw", restart=restart)
        by_restart.append(held)
    half, total = (probing.restarts + 1) // 2, probing.count
    late = int((by_restart[half - 1] & ~by_restart[-1]).sum())
    listed = ", ".join(f"{percent(held.mean(), 1)}" for held in by_restart)
    return Finding(
        "restarts_keep_helping",
        thresholds.is_more(late, total, thresholds.LATE),
        f"Accuracy after 1 to {probing.restarts} random starts of PGD on the margin: {listed}; "
        f"{late} of {total} images fell only after start {half}.",
        {
            "late": late,
            "images": total,
            "accuracies": {str(n): float(h.mean()) for n, h in enumerate(by_restart, 1)},
            "chance": thresholds.chance_of(late, total, thresholds.LATE),
        },
        mild=True,
    )


def more_iterations_do_worse(probing: Probing) -> Finding:
    """PGD of more iterations turns fewer images than PGD of fewer; a mild sign."""
    curve: dict[float, np.ndarray] = {steps: probing.pgd("cw", steps=steps) for steps in ITERATIONS}
    _, rise, flagged = _largest_rise(curve, last_only=True)
    entropy: dict[float, np.ndarray] = {
        steps: probing.pgd("ce", steps=steps) for steps in ITERATIONS
    }
    listed = ", ".join(f"{percent(held.mean(), 1)} ({steps})" for steps, held in curve.items())
    return Finding(
        "more_iterations_do_worse",
        flagged,
        f"PGD on the margin by iterations: {listed}.",
        {
            "largest_rise": rise,
            "images": probing.count,
            "accuracies": _accuracies(curve),
            "accuracies_cross_entropy": _accuracies(entropy),
        },
        mild=True,
    )


def radii(epsilon: float, whole: float = 1.0) -> list[float]:
    """Radii to attack at: multiples of epsilon below that of the whole range, and that itself.

    Args:
        epsilon: the radius of the diagnosis.
        whole: the radius within which every image can be reached. Defaults to that of L-infinity.
    """
    return [f * epsilon for f in RADIUS_FACTORS if f * epsilon < whole] + [whole]


def _found_without_gradients(probing: Probing, name: str, held: np.ndarray, how: str) -> Finding:
    white = probing.white_box()
    only = ~held & white
    if thresholds.is_more(int(only.sum()), probing.count, thresholds.MISSED):
        only = only & probing.white_box_again(only)
    count, total = int(only.sum()), probing.count
    entropy = probing.pgd("ce")
    hint = ""
    if thresholds.is_more(int((~white & entropy).sum()), total, thresholds.RISE):
        hint = (
            f" PGD on the cross-entropy alone leaves {percent(entropy.mean(), 1)}: a weak attack "
            "here, not to be relied on."
        )
    return Finding(
        name,
        thresholds.is_more(count, total, thresholds.MISSED),
        f"{how} turned {count} of {total} images that the strongest attack by gradients did not; "
        f"accuracy {percent(held.mean(), 1)} against {percent(white.mean(), 1)}.{hint}",
        {
            "turned_without_gradients_alone": count,
            "images": total,
            "accuracy": float(held.mean()),
            "accuracy_by_gradients": float(white.mean()),
            "accuracy_pgd_ce": float(entropy.mean()),
            "chance": thresholds.chance_of(count, total, thresholds.MISSED),
        },
    )


def _largest_rise(
    curve: dict[float, np.ndarray], last_only: bool = False
) -> tuple[float, int, bool]:
    """Where accuracy rises most along a curve: from which point, by how many images, clearly?"""
    points = list(curve)
    found = (points[0], -len(curve[points[0]]), False)
    for index, later in enumerate(points):
        if last_only and index + 1 < len(points):
            continue
        for earlier in points[:index]:
            before, after = curve[earlier], curve[later]
            gained, lost = int((~before & after).sum()), int((before & ~after).sum())
            if gained - lost > found[1]:
                found = (earlier, gained - lost, thresholds.rises(lost, gained, len(before)))
    return found


def _accuracies(curve: dict[float, np.ndarray]) -> dict[str, float]:
    return {f"{point:g}": float(held.mean()) for point, held in curve.items()}
