"""The figures of `keras-efgsm evaluate`: checked, and written as part of a model card."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from keras_efgsm.evaluation.report import RobustnessReport
from keras_efgsm.export.markdown import cell, code, table
from keras_efgsm.records import EvaluationRecord, RecordError
from keras_efgsm.records.wording import (
    INTERVAL,
    INTERVAL_MEANS,
    drawn,
    interval,
    norm_name,
    percent,
    radius,
    seconds,
    with_interval,
)
from keras_efgsm.runs.folder import RunFolder

Figures = (
    Mapping[str, Any] | EvaluationRecord | RobustnessReport | RunFolder | str | os.PathLike[str]
)
"""What tells the figures of an evaluation: itself, its JSON, its file, or a run that has one."""


def read_figures(figures: Figures | None) -> dict[str, Any] | None:
    """Returns what `keras-efgsm evaluate` measured as its JSON, checked; None for None.

    Args:
        figures: the report of `evaluate_robustness`, the record or the JSON of one, its file
            `evaluation.json`, or a run (or its folder) that was evaluated.

    Raises:
        ValueError: as of `check_figures`, or if the file is damaged.
        FileNotFoundError: if there is no such file, or the run was not evaluated.

    Example:

    ```python
    read_figures("runs/mnist")["worst_case_accuracy"]
    ```
    """
    if isinstance(figures, RunFolder):
        figures = figures.path
    if isinstance(figures, (str, os.PathLike)):
        path = Path(figures)
        file = RunFolder(path).evaluation if path.is_dir() else path
        if not file.is_file():
            raise FileNotFoundError(
                "`figures` must be what `keras-efgsm evaluate` wrote, or a run that was evaluated. "
                f"Received: figures={str(figures)!r}"
            )
        figures = EvaluationRecord.read(file)
    if isinstance(figures, RobustnessReport):
        figures = figures.record
    if isinstance(figures, EvaluationRecord):
        figures = figures.to_dict()
    if figures is not None and not isinstance(figures, Mapping):
        raise ValueError(
            "`figures` must be the report of `evaluate_robustness`, its JSON or a path. "
            f"Received: figures={figures!r}"
        )
    check_figures(figures)
    return None if figures is None else dict(figures)


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


def headline_accuracy(figures: Mapping[str, Any] | None, norm: str | None = None) -> float | None:
    """Returns the robust accuracy in [0, 1] that the headline names; None if there is none.

    Args:
        figures: the JSON of `keras-efgsm evaluate`, checked, or `None`.
        norm: of the ball that it is to be of, see `checks.NORMS`. Defaults to any.
    """
    record = EvaluationRecord.from_dict(figures) if figures else None
    if record is None or not record.attacks or norm not in (None, record.norm):
        return None
    return record.robust_accuracy


def headline(figures: Mapping[str, Any] | None) -> str:
    """Returns the one sentence that comes first: the lowest figure that was found.

    Args:
        figures: the JSON of `keras-efgsm evaluate`, checked, or `None`.
    """
    if not figures:
        return "**Robust accuracy: not evaluated.**"
    record = EvaluationRecord.from_dict(figures)
    share = with_interval(record.natural_accuracy, record.interval_of_natural)
    natural = f"natural accuracy {share}"
    data = f"{record.dataset or '?'} ({record.split or '?'})"
    on = f"{data}, {record.num_images} images{drawn(record.selection)}"
    if not record.attacks:
        return f"**Robust accuracy: not evaluated**; {natural} on {on}."
    epsilons = sorted({radius(attack.epsilon) for attack in record.attacks})
    robust = percent(record.robust_accuracy)
    bounds = record.interval_of_robust
    claim = f"**Robust accuracy {robust}**{f' ({INTERVAL}: {interval(bounds)})' if bounds else ''}"
    claim = f"{claim} within an {norm_name(record.norm)} ball of radius"
    claim = f"{claim} {' / '.join(epsilons)}"
    if record.worst_is_one_attack:
        return (
            f"{claim}, under {record.strongest.name} on the first {record.strongest.num_images} "
            f"images; the worst case over the attacks on all {record.num_images} images is "
            f"{percent(record.worst_case_accuracy)}; {natural}. Measured on {data}."
        )
    return (
        f"{claim} (the worst case over {len(record.attacks)} attack(s), image by image); "
        f"{natural}. Measured on {on}."
    )


def results(figures: Mapping[str, Any] | None) -> str:
    """Returns the section with one row per attack, its settings, and the worst case.

    Args:
        figures: the JSON of `keras-efgsm evaluate`, checked, or `None`.
    """
    if not figures:
        return "## Figures\n\nNot evaluated."
    lines = ["## Figures", ""]
    record = EvaluationRecord.from_dict(figures)
    images = record.num_images
    natural = (percent(record.natural_accuracy), interval(record.interval_of_natural))
    rows: list[tuple[Any, ...]] = [("natural", *("",) * 4, images, "", *natural)]
    for attack in record.attacks:
        label = " ".join(filter(None, (attack.name, attack.engine)))
        if attack.loss:
            label += f", loss {attack.loss}"
        step_size, restarts = attack.step_size, attack.restarts
        epsilon = radius(attack.epsilon, attack.norm)
        settings = (step_size, restarts, epsilon, attack.num_images, attack.seed)
        # Step size and restarts have columns of their own.
        budget = replace(attack, step_size=None, restarts=None).budget or cell(None)
        found = (percent(attack.robust_accuracy), interval(attack.interval) or cell(None))
        rows.append((label, budget, *settings, *found))
    if len(rows) > 1:
        worst = percent(record.worst_case_accuracy)
        label = "**worst case of the attacks on all images, per image**"
        bounds = interval(record.interval)
        rows.append((label, *("",) * 4, images, "", f"**{worst}**", f"**{bounds}**"))
    settings_of = ("step size", "restarts", "epsilon", "images", "seed")
    header = ("attack", "budget", *settings_of, "accuracy", INTERVAL)
    lines += [table(header, rows), "", f"{INTERVAL}: {INTERVAL_MEANS}."]
    if len(rows) == 1:
        lines += ["", "Robust accuracy: not evaluated."]
    elif record.cascade:
        lines += [
            "",
            "A cascade: each attack of the evaluation saw only the images that withstood those "
            "above it, and its accuracy is that of all so far.",
        ]
    # The card travels: of a path only the name means something elsewhere.
    about = [f"model {code(PurePath(record.model).name)}"] if record.model else []
    about += [f"hardware {record.hardware}"] if record.hardware else []
    about += [f"{k} {v}" for k, v in (record.versions or {}).items()]
    if record.seconds is not None:
        about.append(seconds(record.seconds))
    return "\n".join([*lines, "", f"Evaluated with: {', '.join(about)}."] if about else lines)
