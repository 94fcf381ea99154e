"""The sections of one run, from its headline to the versions it was made with."""

import math
from typing import Any

from keras_efgsm.report.attack_sections import (
    confusion_section,
    curves_section,
    examples_section,
)
from keras_efgsm.report.markup import (
    Html,
    element,
    joined,
    number,
    percent,
    radius,
    table,
)
from keras_efgsm.report.measurements import EPSILON_STEPS, LOSSES
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.training_sections import (
    configuration_section,
    environment_section,
    training_curves_section,
    training_section,
)
from keras_efgsm.report.wording import attack_names, budget, evaluated_data, seeds, told

_SAID_OR_LONG = ("name", "flagged", "evidence", "figures")


def run_section(run: ReportedRun, target: str) -> Html:
    """All there is to say of a run; sections of what it does not have are left out.

    Args:
        run: the run.
        target: id of the section, for links.
    """
    sections = {
        "Attacks": _results(run),
        "Gradient masking": _diagnosis(run),
        "Training curves": training_curves_section(run),
        "Accuracy against epsilon and iterations": curves_section(run),
        "Examples": examples_section(run),
        "Confusion under attack": confusion_section(run),
        "Training": training_section(run),
        "Configuration": configuration_section(run),
        "Versions and hardware": environment_section(run),
    }
    parts = [joined(element("h3", name), part) for name, part in sections.items() if part]
    return element("section", element("h2", run.name), _headline(run), *parts, id=target)


def _headline(run: ReportedRun) -> Html:
    figures, attacks = run.evaluation, run.headline_attacks
    data = evaluated_data(run)
    total = number(figures["num_images"])
    if run.worst_is_one_attack:
        count = number(run.strongest.get("num_images"))
        how = (
            f"Under {attack_names(attacks)} on the first {count} images of {data}. The worst case "
            f"over the attacks on all {total} images is {percent(figures['worst_case_accuracy'])}."
        )
    else:
        worst = "the worst case, image by image, over " if len(attacks) > 1 else ""
        how = f"Under {worst}{attack_names(attacks)} on {total} images of {data}."
    setting = f"Epsilon {radius(run.epsilon)}, seed {seeds(attacks)}."
    verdict = (run.diagnosis or {}).get("verdict")
    doubt = None
    if verdict is not None and _is_bad(run.diagnosis):
        doubt = element(
            "p",
            f"The masking diagnosis says: {verdict}. "
            f"{told(run.diagnosis.get('advice', 'The robust accuracy may be far too high.'))}",
            class_="warning",
        )
    return element(
        "div",
        element(
            "div",
            element(
                "div",
                element("p", percent(run.robust_accuracy), class_="figure robust"),
                element("p", "robust accuracy"),
            ),
            element(
                "div",
                element("p", percent(figures["natural_accuracy"]), class_="figure natural"),
                element("p", f"natural accuracy, {total} images"),
            ),
            class_="figures",
        ),
        element("p", f"{how} {setting}"),
        _refuted(run),
        doubt,
        class_="headline",
    )


def _refuted(run: ReportedRun) -> Html | None:
    """A warning if the report's own PGD clearly finds more than the evaluation did."""
    if not run.measured:
        return None
    points = [p for p in run.measured["epsilon_curve"] if p["epsilon"] == run.epsilon]
    found = {
        (p[f"pgd-{loss}"], f"PGD-{loss.upper()}, {steps} iteration{'s' * (steps > 1)}")
        for loss in LOSSES
        for p, steps in [
            *((p, EPSILON_STEPS) for p in points),
            *((p, p["steps"]) for p in run.measured["steps_curve"]),
        ]
    }
    lowest, attack = min(found)
    share, count = run.robust_accuracy, run.measured["num_images"]
    # Other images, so chance alone makes some difference: two standard errors.
    margin = 2 * math.sqrt(max(share * (1 - share), 1 / count) / count)
    if lowest >= share - margin:
        return None
    text = (
        f"This report's own attacks find more: {percent(lowest)} withstand {attack}, on the first "
        f"{number(count)} images, epsilon {radius(run.epsilon)}, seed {run.measured['seed']}. "
        "Evaluate again with stronger attacks."
    )
    return element("p", text, class_="warning")


def _results(run: ReportedRun) -> Html:
    figures = run.evaluation
    # Columns of schema 2, shown where an attack has them.
    extra = {"num_attacked": "attacked", "num_turned": "turned"}
    extra = {key: n for key, n in extra.items() if any(key in a for a in figures["attacks"])}
    cascade = figures.get("cascade") is True
    # The accuracy first: a phone shows the first columns.
    header = ["attack", "accuracy so far" if cascade else "accuracy", "by", "budget for an image"]
    header += ["epsilon", "seed", "images", *extra.values(), "time"]
    blank = [""] * 4
    total = number(figures["num_images"])
    fill = [""] * len(extra)
    rows = [["none (clean)", percent(figures["natural_accuracy"]), *blank, total, *fill, ""]]
    for attack in figures["attacks"]:
        rows.append(
            [
                attack["name"],
                percent(attack["robust_accuracy"]),
                attack.get("engine", ""),
                budget(attack),
                radius(attack["epsilon"]),
                number(attack.get("seed")),
                number(attack.get("num_images", figures["num_images"])),
                *(number(attack.get(key)) for key in extra),
                number(_rounded(attack.get("seconds")), "s"),
            ]
        )
    worst = percent(figures["worst_case_accuracy"])
    seconds = number(_rounded(figures.get("seconds")), "s")
    label = "worst case, image by image"
    rows.append([label, worst, *blank, total, *fill, seconds])
    strongest = figures["attacks"].index(run.strongest) + 1
    numeric = [False, True, False, False] + [True] * (len(header) - 4)
    caption = f"Accuracy on {evaluated_data(run)} under each attack."
    if cascade:
        caption += " Each attack saw only the images that withstood those above it."
    return table(
        caption,
        header,
        rows,
        numeric=numeric,
        strong=strongest if run.worst_is_one_attack else len(rows) - 1,
    )


def _diagnosis(run: ReportedRun) -> Html | None:
    found = run.diagnosis
    if not found:
        return None
    verdict = element(
        "p",
        "Verdict: ",
        element("strong", str(found.get("verdict", "none given"))),
        class_="verdict bad" if _is_bad(found) else "verdict",
    )
    if "advice" in found:
        verdict = joined(verdict, element("p", told(found["advice"])))
    findings = found.get("findings")
    about = {
        key: value
        for key, value in found.items()
        if key in ("dataset", "epsilon", "num_images", "num_correct", "seed")
    }
    caption = "Signs of gradient masking that were looked for. " + told(about)
    rows = []
    for finding in findings if isinstance(findings, list) else []:
        if isinstance(finding, dict):
            # How strong a sign would have been is of no interest where there is none.
            said = _SAID_OR_LONG if finding.get("flagged") is True else (*_SAID_OR_LONG, "severity")
            rest = {k: v for k, v in finding.items() if k not in said}
            evidence = [told(finding.get("evidence")), told(rest)]
            rows.append(
                [
                    str(finding.get("name", "?")).replace("_", " "),
                    {True: "found", False: "not found"}.get(finding.get("flagged"), "not tested"),
                    element("div", " ".join(filter(None, evidence)), class_="text"),
                ]
            )
    if not rows:
        return joined(verdict, element("p", told(about)) if about else None)
    return joined(
        verdict, table(caption, ["sign", "outcome", "evidence"], rows, numeric=[False] * 3)
    )


def _is_bad(diagnosis: dict[str, Any]) -> bool:
    findings = diagnosis.get("findings")
    flagged = any(
        isinstance(f, dict) and f.get("flagged") is True
        for f in (findings if isinstance(findings, list) else [])
    )
    # A verdict that is not known to be good is not shown as if it were.
    return flagged or not str(diagnosis.get("verdict", "")).startswith("no sign")


def _rounded(seconds: Any) -> Any:
    return round(seconds, 1) if isinstance(seconds, float) else seconds
