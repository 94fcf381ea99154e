"""The figures of `keras-efgsm evaluate`: checked, and written as part of a model card."""

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from keras_efgsm.checks import check_count, check_number
from keras_efgsm.export.markdown import cell, code, table

_ATTACK_COLUMNS = ("step_size", "restarts", "epsilon", "num_images", "seed")
_SCHEMAS = (1, 2)  # 2 adds cascades, targeted attacks and queries


def check_figures(figures: Mapping[str, Any] | None) -> None:
    """Checks that what `keras-efgsm evaluate` measured can be put on a card.

    Args:
        figures: its JSON, or `None`.

    Raises:
        ValueError: if the schema is neither 1 nor 2, an accuracy is no fraction in
            [0, 1], or the worst case is above an attack on the same images.
    """
    if figures is None:
        return
    if not isinstance(figures, Mapping) or figures.get("schema") not in _SCHEMAS:
        raise ValueError(
            "`figures` must be the JSON of `keras-efgsm evaluate`, schema 1 or 2. "
            f"Received: figures={figures!r}"
        )
    check_count(figures.get("num_images"), "figures['num_images']")
    check_number(
        figures.get("natural_accuracy"), "figures['natural_accuracy']", minimum=0, maximum=1
    )
    attacks = figures.get("attacks") or []
    for attack in attacks:
        where = f"robust_accuracy of {attack.get('name')}"
        check_number(attack.get("robust_accuracy"), where, minimum=0, maximum=1)
    if not attacks:
        return
    worst = figures.get("worst_case_accuracy")
    check_number(worst, "figures['worst_case_accuracy']", minimum=0, maximum=1)
    same = [a for a in attacks if a.get("num_images") == figures["num_images"]]
    lowest = min((a["robust_accuracy"] for a in same), default=1.0)
    if worst > lowest + 1e-6:
        raise ValueError(
            "`figures['worst_case_accuracy']` counts an image as robust if no attack turns it, so "
            f"it cannot be above the strongest attack's {lowest:g}. "
            f"Received: worst_case_accuracy={worst:g}"
        )


def headline_accuracy(figures: Mapping[str, Any] | None) -> float | None:
    """Returns the robust accuracy in [0, 1] that the headline names; None if there is none.

    Args:
        figures: the JSON of `keras-efgsm evaluate`, checked, or `None`.
    """
    if not figures or not figures.get("attacks"):
        return None
    strongest = min(attack["robust_accuracy"] for attack in figures["attacks"])
    return float(min(strongest, figures["worst_case_accuracy"]))


def headline(figures: Mapping[str, Any] | None) -> str:
    """Returns the one sentence that comes first: the lowest figure that was found.

    Args:
        figures: the JSON of `keras-efgsm evaluate`, checked, or `None`.
    """
    if not figures:
        return "**Robust accuracy: not evaluated.**"
    natural = f"natural accuracy {_percent(figures['natural_accuracy'])}"
    data = f"{figures.get('dataset', '?')} ({figures.get('split', '?')})"
    on = f"{data}, {figures['num_images']} images"
    if not figures.get("attacks"):
        return f"**Robust accuracy: not evaluated**; {natural} on {on}."
    epsilons = sorted({_epsilon(a.get("epsilon")) for a in figures["attacks"]})
    ball = f"within an L-infinity ball of radius {' / '.join(epsilons)}"
    worst = figures["worst_case_accuracy"]
    strongest = min(figures["attacks"], key=lambda attack: attack["robust_accuracy"])
    if strongest["robust_accuracy"] < worst:
        # An attack on fewer images found more than the worst case over all of them.
        return (
            f"**Robust accuracy {_percent(strongest['robust_accuracy'])}** {ball}, under "
            f"{strongest['name']} on the first {strongest['num_images']} images; the worst case "
            f"over the attacks on all {figures['num_images']} images is {_percent(worst)}; "
            f"{natural}. Measured on {data}."
        )
    return (
        f"**Robust accuracy {_percent(worst)}** {ball} (the worst case over "
        f"{len(figures['attacks'])} attack(s), image by image); {natural}. Measured on {on}."
    )


def results(figures: Mapping[str, Any] | None) -> str:
    """Returns the section with one row per attack, its settings, and the worst case.

    Args:
        figures: the JSON of `keras-efgsm evaluate`, checked, or `None`.
    """
    if not figures:
        return "## Figures\n\nNot evaluated."
    lines = ["## Figures", ""]
    rows = [
        ("natural", *("",) * 4, figures["num_images"], "", _percent(figures["natural_accuracy"]))
    ]
    for attack in figures.get("attacks") or []:
        cells = [
            _epsilon(attack.get(c)) if c == "epsilon" else attack.get(c) for c in _ATTACK_COLUMNS
        ]
        label = " ".join(str(attack[p]) for p in ("name", "engine") if attack.get(p))
        if attack.get("loss"):
            label += f", loss {attack['loss']}"
        rows.append((label, _budget(attack), *cells, _percent(attack["robust_accuracy"])))
    if len(rows) > 1:
        worst = _percent(figures["worst_case_accuracy"])
        label = "**worst case of the attacks on all images, per image**"
        rows.append((label, *("",) * 4, figures["num_images"], "", f"**{worst}**"))
    header = ("attack", "steps", "step size", "restarts", "epsilon", "images", "seed", "accuracy")
    lines.append(table(header, rows))
    if len(rows) == 1:
        lines += ["", "Robust accuracy: not evaluated."]
    elif figures.get("cascade"):
        lines += [
            "",
            "A cascade: each attack of the evaluation saw only the images that withstood those "
            "above it, and its accuracy is that of all so far.",
        ]
    # The card travels: of a path only the name means something elsewhere.
    about = [f"model {code(PurePath(figures['model']).name)}"] if figures.get("model") else []
    about += [f"hardware {figures['hardware']}"] if figures.get("hardware") else []
    about += [f"{k} {v}" for k, v in (figures.get("versions") or {}).items()]
    if figures.get("seconds") is not None:
        about.append(f"{figures['seconds']:.0f} s")
    return "\n".join([*lines, "", f"Evaluated with: {', '.join(about)}."] if about else lines)


def _budget(attack: Mapping[str, Any]) -> str:
    """Steps or queries for an image, and how many target classes they are spent on."""
    if attack.get("queries"):
        return f"{attack['queries']} queries"
    rounds = attack.get("rounds") or 1
    return cell(attack.get("steps")) + (f" x {rounds} targets" if rounds > 1 else "")


def _epsilon(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return cell(value)
    levels = value * 255
    is_whole = math.isclose(levels, round(levels), abs_tol=1e-3) and 0 < round(levels) < 255
    return f"{value:.6g} ({round(levels)}/255)" if is_whole else f"{value:.6g}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
