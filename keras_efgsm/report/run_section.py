"""The section of one run: the claim first, then the evidence, then how it came about."""

import math
from dataclasses import dataclass

from keras_efgsm.records.wording import count, norm_name, number, percent, radius
from keras_efgsm.report.baseline import Beside, beside
from keras_efgsm.report.classes import (
    ClassBars,
    Confusion,
    class_bars,
    confusion,
    confusion_source,
    most_frequent,
)
from keras_efgsm.report.drawing import Chart
from keras_efgsm.report.examples import Examples, examples_of, films_of
from keras_efgsm.report.measurements import EPSILON_STEPS, LOSSES
from keras_efgsm.report.run_charts import attack_charts, radius_chart, training_charts
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.tables import (
    Table,
    attacks_table,
    configuration_table,
    cost_table,
    environment_table,
    findings_table,
)
from keras_efgsm.report.universal_figure import UniversalFigure, universal_figure
from keras_efgsm.report.verdict import Verdict, verdict


@dataclass(frozen=True)
class RunSection:
    """A run as the template shows it; what a run does not have is empty.

    Args:
        target: id of the section.
        run: the run.
        verdict: what is claimed, and how sure it is.
        warnings: why it may not hold.
        beside: an ordinary model beside it; None without one.
        attacks: the evaluation.
        findings: signs of masking; None without a diagnosis or without signs.
        num_found: how many of these were found.
        training_charts: by epoch.
        attack_charts: by epsilon and iterations.
        examples: some images before and after the attack; None without any.
        films: some images under a growing epsilon; None without any.
        classes: accuracy of each class; None where the evaluation did not tell them apart.
        confusion: under attack; None where it was not measured or has too many classes.
        confusions: its most frequent entries where it has too many classes.
        universal: one perturbation for all images; None where none was made.
        cost: what training took, and the network's size and speed.
        stop: what the overfitting stop did.
        configuration: options.
        environment: versions and hardware.
    """

    target: str
    run: ReportedRun
    verdict: Verdict
    warnings: list[str]
    beside: Beside | None
    attacks: Table
    findings: Table | None
    num_found: int
    training_charts: list[Chart]
    attack_charts: list[Chart]
    examples: Examples | None
    films: Examples | None
    classes: ClassBars | None
    confusion: Confusion | None
    confusions: Table | None
    universal: UniversalFigure | None
    cost: Table
    stop: str
    configuration: Table
    environment: Table


def run_section(run: ReportedRun, target: str, baseline: ReportedRun | None = None) -> RunSection:
    """Builds the section of a run.

    Args:
        run: the run.
        target: id of the section, for links.
        baseline: an ordinary model under the same attacks. Defaults to none.
    """
    measured, diagnosis, stop = run.measured, run.diagnosis, run.metrics.stop
    source = confusion_source(run)
    by_radius = radius_chart(run.curve, run.epsilon, target) if run.curve else None
    measured_charts = attack_charts(measured, target) if measured else []
    return RunSection(
        target=target,
        run=run,
        verdict=verdict(run, target, baseline),
        warnings=[
            text
            for text in (
                *(run.evaluation.doubts or ()),
                _refuted(run),
                _doubt(run),
                *_of_training(run),
            )
            if text
        ],
        beside=beside(run, baseline) if baseline else None,
        attacks=attacks_table(run),
        findings=findings_table(diagnosis) if diagnosis and diagnosis.findings else None,
        num_found=sum(f.flagged for f in diagnosis.findings) if diagnosis else 0,
        training_charts=training_charts(run, target),
        attack_charts=[chart for chart in (by_radius, *measured_charts) if chart],
        examples=examples_of(measured) if measured and measured.examples else None,
        films=films_of(measured) if measured else None,
        classes=class_bars(run),
        confusion=confusion(source) if source and not source.is_wide else None,
        confusions=most_frequent(source) if source and source.is_wide else None,
        universal=universal_figure(run.universal) if run.universal else None,
        cost=cost_table(run),
        stop=stop.in_words if stop else "Trained without the overfitting stop.",
        configuration=configuration_table(run),
        environment=environment_table(run),
    )


def _doubt(run: ReportedRun) -> str:
    """A warning if the diagnosis does not find the gradients sound."""
    found = run.diagnosis
    if found is None or not found.is_doubtful:
        return ""
    of = "" if (found.norm or "linf") == run.norm else f" (in {norm_name(found.norm)})"
    return f"The masking diagnosis{of} says: {found.verdict}. {found.advice}"


def _of_training(run: ReportedRun) -> list[str]:
    """What the training said of itself when it ended, as sentences."""
    return [f"{text[0].upper()}{text[1:]}." for text in run.metrics.warnings or () if text]


def _refuted(run: ReportedRun) -> str:
    """A warning if the report's own PGD clearly finds more than the evaluation did."""
    measured = run.measured
    if measured is None:
        return ""
    points = [(p, EPSILON_STEPS) for p in measured.epsilon_curve if p.epsilon == run.epsilon]
    points += [(p, p.steps or 0) for p in measured.steps_curve]
    lowest, attack = min(
        (point.accuracy(f"pgd-{loss}"), f"PGD-{loss.upper()}, {count(steps, 'iteration')}")
        for loss in LOSSES
        for point, steps in points
    )
    share, images = run.evaluation.robust_accuracy, measured.num_images
    # Other images, so chance alone makes some difference: two standard errors.
    if lowest >= share - 2 * math.sqrt(max(share * (1 - share), 1 / images) / images):
        return ""
    return (
        f"This report's own attacks find more: {percent(lowest)} withstand {attack}, on the first "
        f"{number(images)} images, epsilon {radius(run.epsilon, run.norm)}, seed "
        f"{measured.seed}. "
        "Evaluate again with stronger attacks."
    )
