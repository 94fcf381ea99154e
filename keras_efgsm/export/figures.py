"""The figures of `keras-efgsm evaluate`: checked, and written as part of a model card."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from keras_efgsm.export.markdown import cell, code, table
from keras_efgsm.records import AttackRecord, EvaluationRecord, RecordError
from keras_efgsm.records.wording import percent, radius, seconds

_ATTACK_COLUMNS = ("step_size", "restarts", "epsilon", "num_images", "seed")


def check_figures(figures: Mapping[str, Any] | None) -> None:
    """Checks that what `keras-efgsm evaluate` measured can be put on a card.

    Args:
        figures: its JSON, or `None`.

    Raises:
        ValueError: if the schema is neither 1 nor 2, an accuracy is not a fraction in
            [0, 1], or the worst case is above an attack on the same images.

    Example:

    ```python
    import json
    from pathlib import Path

    check_figures(json.loads(Path("runs/mnist/evaluation.json").read_text()))
    ```
    """
    if figures is None:
        return
    try:
        EvaluationRecord.from_dict(figures)
    except RecordError as error:
        raise ValueError(
            "`figures` must be the JSON of `keras-efgsm evaluate`, schema 1 or 2 "
            f"({error.reason}). Received: figures={figures!r}"
        ) from error


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
    natural = f"natural accuracy {percent(figures['natural_accuracy'])}"
    data = f"{figures.get('dataset', '?')} ({figures.get('split', '?')})"
    on = f"{data}, {figures['num_images']} images"
    if not figures.get("attacks"):
        return f"**Robust accuracy: not evaluated**; {natural} on {on}."
    epsilons = sorted({radius(a.get("epsilon")) for a in figures["attacks"]})
    ball = f"within an L-infinity ball of radius {' / '.join(epsilons)}"
    worst = figures["worst_case_accuracy"]
    strongest = min(figures["attacks"], key=lambda attack: attack["robust_accuracy"])
    if strongest["robust_accuracy"] < worst:
        # An attack on fewer images found more than the worst case over all of them.
        return (
            f"**Robust accuracy {percent(strongest['robust_accuracy'])}** {ball}, under "
            f"{strongest['name']} on the first {strongest['num_images']} images; the worst case "
            f"over the attacks on all {figures['num_images']} images is {percent(worst)}; "
            f"{natural}. Measured on {data}."
        )
    return (
        f"**Robust accuracy {percent(worst)}** {ball} (the worst case over "
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
    rows: list[tuple[Any, ...]] = [
        ("natural", *("",) * 4, figures["num_images"], "", percent(figures["natural_accuracy"]))
    ]
    for attack in figures.get("attacks") or []:
        cells = [
            radius(attack.get(c)) if c == "epsilon" else attack.get(c) for c in _ATTACK_COLUMNS
        ]
        label = " ".join(str(attack[p]) for p in ("name", "engine") if attack.get(p))
        if attack.get("loss"):
            label += f", loss {attack['loss']}"
        rows.append((label, _budget(attack), *cells, percent(attack["robust_accuracy"])))
    if len(rows) > 1:
        worst = percent(figures["worst_case_accuracy"])
        label = "**worst case of the attacks on all images, per image**"
        rows.append((label, *("",) * 4, figures["num_images"], "", f"**{worst}**"))
    header = ("attack", "budget", "step size", "restarts", "epsilon", "images", "seed", "accuracy")
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
        about.append(seconds(figures["seconds"]))
    return "\n".join([*lines, "", f"Evaluated with: {', '.join(about)}."] if about else lines)


def _budget(attack: Mapping[str, Any]) -> str:
    """Steps or queries for an image and target classes; step size and restarts have columns."""
    record = AttackRecord.from_dict(attack)
    return replace(record, step_size=None, restarts=None).budget or cell(None)
