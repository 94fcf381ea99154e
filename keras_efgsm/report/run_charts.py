"""The charts of a report: training curves, and accuracy against epsilon and iterations."""

from collections.abc import Callable, Sequence
from typing import Any

from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.records.wording import data_name, norm_name, number, radius, selected
from keras_efgsm.report.drawing import Chart, Line, line_chart
from keras_efgsm.report.measurements import EPSILON_STEPS, ITERATIONS, LOSSES
from keras_efgsm.report.run_files import ReportedRun, norm_of

ATTACKS = {f"pgd-{loss}": f"PGD-{loss.upper()}" for loss in LOSSES}
STEP = "step 2.5 epsilon / iterations, one random start"
# More lines than styles could not be told apart.
_MOST_LINES = 6
_CURVES = {
    "accuracy": "under the training attack",
    "margin_robust_accuracy": "margin-robust",
    "probe_accuracy": "PGD probe",
    "val_accuracy": "natural, validation",
}
_BY_STEPS: dict[str, Any] = {
    "x_label": "PGD iterations",
    "y_label": "accuracy (%)",
    "is_share": True,
    "log_x": True,
    "x_ticks": ITERATIONS,
}


def training_charts(run: ReportedRun, target: str) -> list[Chart]:
    """Losses and accuracies by epoch.

    Args:
        run: the run.
        target: id of its section.
    """
    names = dict.fromkeys(name for row in run.history for name in row)

    def lines(ending: str) -> list[Line]:
        return [
            Line(
                _CURVES.get(name, name.replace("_", " ")),
                [(r["epoch"], r[name]) for r in run.history if "epoch" in r and name in r],
            )
            for name in names
            if name.endswith(ending)
        ]

    on = (
        f"Training by epoch: {run.method}, epsilon "
        f"{radius(run.config.get('epsilon'), norm_of(run.config))}, "
        f"{number(run.metrics.train_images)} images, seed {run.config.get('seed', 0)}. "
    )
    return _drawn(
        line_chart(
            f"{target}-loss",
            lines("loss"),
            caption=f"{on}Losses on the training's adversarial images.",
            x_label="epoch",
            y_label="loss",
            log_y=True,
        ),
        line_chart(
            f"{target}-accuracy",
            lines("accuracy"),
            caption=f"{on}Accuracies on the training's own attack, and by what the overfitting "
            "stop watches: the linearised margin, and PGD on held-out training images (its probe).",
            x_label="epoch",
            y_label="accuracy (%)",
            is_share=True,
        ),
    )


def attack_charts(measured: MeasuredPart, target: str) -> list[Chart]:
    """Figures 2 and 3 of the paper for one run.

    Args:
        measured: what the report measured on it.
        target: id of its section.
    """
    attacks = " and ".join(ATTACKS.values())
    epsilon = radius(measured.epsilon, measured.norm)
    whole = number(max(p.epsilon or 0.0 for p in measured.epsilon_curve))
    by_radius = [
        Line(label, [(p.epsilon or 0.0, p.accuracy(key)) for p in measured.epsilon_curve])
        for key, label in ATTACKS.items()
    ]
    by_steps = [
        Line(label, [(p.steps or 0, p.accuracy(key)) for p in measured.steps_curve])
        for key, label in ATTACKS.items()
    ]
    return _drawn(
        line_chart(
            f"{target}-epsilon",
            by_radius,
            caption=f"Accuracy against epsilon under {attacks}, {EPSILON_STEPS} iterations, "
            f"{STEP}; {measured_on(measured)}. At 0 without an attack. At {whole} any image "
            "can be reached, so that anything far above 0 is masking.",
            mark=(measured.epsilon, f"evaluated epsilon, {epsilon}"),
            **_by_radius(measured.norm),
        ),
        line_chart(
            f"{target}-iterations",
            by_steps,
            caption=f"Accuracy against iterations under {attacks}, epsilon {epsilon}, {STEP}; "
            f"{measured_on(measured)}.",
            **_BY_STEPS,
        ),
    )


def comparison_charts(runs: Sequence[ReportedRun]) -> list[Chart]:
    """Figures 2 and 3 of the paper, a line for each run; none for one, too many or two norms."""
    measured = [(run.name, run.measured) for run in runs if run.measured]
    # Radii of two norms have no axis in common.
    norms = {found.norm or "linf" for _, found in measured}
    if len(norms) > 1 or not 2 <= len(measured) <= _MOST_LINES:
        return []

    def each(text: Callable[[MeasuredPart], str]) -> str:
        return " / ".join(dict.fromkeys(text(found) for _, found in measured))

    on = (
        f"{STEP}; {each(lambda m: selected(m.num_images, m.selection, first=True))} of "
        f"{each(lambda m: data_name(m.dataset, m.split))}, seed {each(lambda m: str(m.seed))}."
    )
    by_radius = [
        Line(name, [(p.epsilon or 0.0, p.accuracy("pgd-cw")) for p in found.epsilon_curve])
        for name, found in measured
    ]
    by_steps = [
        Line(name, [(p.steps or 0, p.accuracy("pgd-cw")) for p in found.steps_curve])
        for name, found in measured
    ]
    return _drawn(
        line_chart(
            "comparison-epsilon",
            by_radius,
            caption=f"Accuracy against epsilon under PGD-CW, {EPSILON_STEPS} iterations, {on}",
            **_by_radius(measured[0][1].norm),
        ),
        line_chart(
            "comparison-iterations",
            by_steps,
            caption="Accuracy against iterations under PGD-CW, epsilon "
            f"{each(lambda m: radius(m.epsilon, m.norm))}, {on}",
            **_BY_STEPS,
        ),
    )


def _by_radius(norm: str | None) -> dict[str, Any]:
    of = "" if norm in (None, "linf") else f"{norm_name(norm)}, "
    return {
        "x_label": f"epsilon ({of}pixels of [0, 1])",
        "y_label": "accuracy (%)",
        "is_share": True,
    }


def measured_on(measured: MeasuredPart) -> str:
    """The images that the report attacked."""
    data = data_name(measured.dataset, measured.split)
    images = selected(measured.num_images, measured.selection, first=True)
    return f"{images} of {data}, seed {measured.seed}"


def _drawn(*charts: Chart | None) -> list[Chart]:
    return [chart for chart in charts if chart is not None]
