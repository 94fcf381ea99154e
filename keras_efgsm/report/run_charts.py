"""The charts of a report: training curves, and accuracy against epsilon and iterations."""

from collections.abc import Callable, Sequence
from typing import Any

from keras_efgsm.records import RobustnessCurveRecord
from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.records.wording import (
    INTERVAL,
    data_name,
    norm_name,
    number,
    percent,
    radius,
    selected,
)
from keras_efgsm.report.drawing import Chart, Line, line_chart
from keras_efgsm.report.measurements import EPSILON_STEPS, ITERATIONS, LOSSES
from keras_efgsm.report.run_files import ReportedRun, norm_of
from keras_efgsm.runs.drawing import ACCURACIES
from keras_efgsm.runs.drawing import LOSSES as LOSS_NAMES

ATTACKS = {f"pgd-{loss}": f"PGD-{loss.upper()}" for loss in LOSSES}
STEP = "step 2.5 epsilon / iterations, one random start"
# More lines than styles could not be told apart.
_MOST_LINES = 6
_CURVES = {**LOSS_NAMES, **ACCURACIES}
_BY_STEPS: dict[str, Any] = {
    "x_label": "PGD iterations",
    "y_label": "accuracy",
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
            if name.endswith(ending) and not _repeats_loss(run, name)
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
            y_label="loss, and its parts before they are weighted",
            log_y=True,
        ),
        line_chart(
            f"{target}-accuracy",
            lines("accuracy"),
            caption=f"{on}Accuracy under the training's own attack, on clean and attacked held-out "
            "training images, and by the linearised margin, which the overfitting stop watches.",
            x_label="epoch",
            y_label="accuracy",
            is_share=True,
        ),
    )


def _repeats_loss(run: ReportedRun, name: str) -> bool:
    """Whether it is a part of the loss that is all of it, and would be drawn upon it."""
    values = [(row.get(name), row.get("loss")) for row in run.history]
    return name.endswith("_loss") and all(part == loss for part, loss in values)


def attack_charts(measured: MeasuredPart, target: str) -> list[Chart]:
    """Figures 2 and 3 of the paper for one run.

    Args:
        measured: what the report measured on it.
        target: id of its section.
    """
    attacks = " and ".join(ATTACKS.values())
    epsilon = radius(measured.epsilon, measured.norm)
    whole = number(max(p.epsilon or 0.0 for p in measured.epsilon_curve))
    # The radius that reaches any image would leave no room for the others.
    near = [p for p in measured.epsilon_curve if (p.epsilon or 0.0) <= 4 * measured.epsilon]
    far = measured.epsilon_curve[-1]
    by_radius = [
        Line(label, [(p.epsilon or 0.0, p.accuracy(key)) for p in near])
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
            f"can be reached, and {percent(far.accuracy('pgd-cw'))} stay right: anything far "
            "above 0 would be masking.",
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


def radius_chart(curve: RobustnessCurveRecord, epsilon: float, target: str) -> Chart | None:
    """The worst case over the attacks of an evaluation at several radii, with its interval.

    Args:
        curve: what was evaluated.
        epsilon: the radius of the claim, which is marked.
        target: id of its section.
    """
    attacks = ", ".join(attack.in_words for attack in curve.points[-1].attacks)
    worst = Line(
        "worst case",
        [(point.epsilon, point.robust_accuracy) for point in curve.points],
        [(point.robust_interval[0], point.robust_interval[1]) for point in curve.points],
    )
    return line_chart(
        f"{target}-radii",
        [worst],
        caption=f"The evaluation at several epsilons: the worst case over {attacks}, band: "
        f"{INTERVAL} interval; {selected(curve.num_images, curve.selection)} of "
        f"{data_name(curve.dataset, curve.split)}. At 0 without an attack.",
        mark=(epsilon, f"epsilon of the claim, {radius(epsilon, curve.norm)}"),
        **_by_radius(curve.norm),
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
        Line(
            name,
            [
                (p.epsilon or 0.0, p.accuracy("pgd-cw"))
                for p in found.epsilon_curve
                if (p.epsilon or 0.0) <= 4 * max(m.epsilon for _, m in measured)
            ],
        )
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
        "y_label": "accuracy",
        "is_share": True,
    }


def measured_on(measured: MeasuredPart) -> str:
    """The images that the report attacked."""
    data = data_name(measured.dataset, measured.split)
    images = selected(measured.num_images, measured.selection, first=True)
    return f"{images} of {data}, seed {measured.seed}"


def _drawn(*charts: Chart | None) -> list[Chart]:
    return [chart for chart in charts if chart is not None]
