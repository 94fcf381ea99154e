"""The section of one run: headline, warnings, tables, charts, examples, confusion."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from keras_efgsm.attacks.ball import BALLS
from keras_efgsm.records.report_curves import ExamplePart, MeasuredPart
from keras_efgsm.records.wording import count, norm_name, number, percent, radius, selected
from keras_efgsm.report.classes import (
    ClassBars,
    Confusion,
    class_bars,
    confusion,
    confusion_source,
    most_frequent,
)
from keras_efgsm.report.drawing import Chart
from keras_efgsm.report.measurements import EPSILON_STEPS, LOSSES, SHOWN_STEPS
from keras_efgsm.report.run_charts import STEP, attack_charts, measured_on, training_charts
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.tables import (
    Table,
    attacks_table,
    configuration_table,
    environment_table,
    findings_table,
    training_table,
)
from keras_efgsm.report.universal_figure import UniversalFigure, universal_figure


class Tile(NamedTuple):
    """A picture of an example.

    Attributes:
        label: what it is.
        png: in base64.
        alt: what it shows, for who cannot see it.
        lines: what is said below it.
    """

    label: str
    png: str
    alt: str
    lines: list[str]


class Example(NamedTuple):
    """An image and what was made of it.

    Attributes:
        height: in pixels.
        width: in pixels.
        tiles: clean, attacked, change, and rebuilt where there is a re-constructor.
        caption: how it went.
    """

    height: int
    width: int
    tiles: list[Tile]
    caption: str


@dataclass(frozen=True)
class RunSection:
    """A run as the template shows it; what a run does not have is empty.

    Args:
        target: id of the section.
        run: the run.
        headline: what its robust accuracy was measured with.
        warnings: why it may not hold.
        attacks: the evaluation.
        findings: signs of masking; None without a diagnosis or without signs.
        training_charts: by epoch.
        attack_charts: by epsilon and iterations.
        examples_text: how the examples were made.
        examples: some images.
        classes: accuracy of each class; None where the evaluation did not tell them apart.
        confusion: under attack; None where it was not measured or has too many classes.
        confusions: its most frequent entries where it has too many classes.
        universal: one perturbation for all images; None where none was made.
        training: what training took.
        stop: what the overfitting stop did.
        configuration: options.
        environment: versions and hardware.
    """

    target: str
    run: ReportedRun
    headline: str
    warnings: list[str]
    attacks: Table
    findings: Table | None
    training_charts: list[Chart]
    attack_charts: list[Chart]
    examples_text: str
    examples: list[Example]
    classes: ClassBars | None
    confusion: Confusion | None
    confusions: Table | None
    universal: UniversalFigure | None
    training: Table
    stop: str
    configuration: Table
    environment: Table


def run_section(run: ReportedRun, target: str) -> RunSection:
    """Builds the section of a run.

    Args:
        run: the run.
        target: id of the section, for links.
    """
    measured, diagnosis, stop = run.measured, run.diagnosis, run.metrics.stop
    source = confusion_source(run)
    return RunSection(
        target=target,
        run=run,
        headline=_headline(run),
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
        attacks=attacks_table(run),
        findings=findings_table(diagnosis) if diagnosis and diagnosis.findings else None,
        training_charts=training_charts(run, target),
        attack_charts=attack_charts(measured, target) if measured else [],
        examples_text=_examples_text(measured) if measured else "",
        examples=[_example(example, measured) for example in measured.examples] if measured else [],
        classes=class_bars(run),
        confusion=confusion(source) if source and not source.is_wide else None,
        confusions=most_frequent(source) if source and source.is_wide else None,
        universal=universal_figure(run.universal) if run.universal else None,
        training=training_table(run),
        stop=stop.in_words if stop else "Trained without the overfitting stop.",
        configuration=configuration_table(run),
        environment=environment_table(run),
    )


def _headline(run: ReportedRun) -> str:
    figures, total = run.evaluation, number(run.evaluation.num_images)
    attacks = figures.attacks_in_words()
    if figures.worst_is_one_attack:
        how = (
            f"Under {attacks} on the first {number(figures.strongest.num_images)} images of "
            f"{run.data}. The worst case over the attacks on all {total} images is "
            f"{percent(figures.worst_case_accuracy)}."
        )
    else:
        several = len(figures.headline_attacks) > 1
        worst = "the worst case, image by image, over " if several else ""
        images = selected(figures.num_images, figures.selection)
        how = f"Under {worst}{attacks} on {images} of {run.data}."
    return f"{how} Epsilon {radius(run.epsilon, run.norm)}, seed {run.seeds}."


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


def _examples_text(measured: MeasuredPart) -> str:
    full = BALLS[measured.norm or "linf"].strength
    text = (
        f"The first images that PGD-CW ({SHOWN_STEPS} iterations, epsilon "
        f"{radius(measured.epsilon, measured.norm)}, {STEP}) turned, and the first that withstood "
        f"it; {measured_on(measured)}. Percentages are the probability of the predicted class. The "
        f"perturbation is scaled to {full} and has its sign: red is brighter, blue "
        "darker, white unchanged; in colour images grey is unchanged and each channel lighter "
        "where it was raised."
    )
    if any(example.reconstruction for example in measured.examples):
        text += (
            " The reconstruction is what the re-constructor makes of the probabilities of the "
            "adversarial image."
        )
    return text


def _example(example: ExamplePart, measured: MeasuredPart) -> Example:
    names = measured.class_names
    truth = names[example.label]
    tiles = []
    # Short labels: four tiles share the width of a phone.
    seen = (("clean", "clean", example.clean), ("attacked", "adversarial", example.adversarial))
    for label, kind, picture in seen:
        predicted = names[picture.predicted or 0]
        alt = f"{kind} image of class {truth}, predicted {predicted}"
        tiles.append(Tile(label, picture.png, alt, [predicted, percent(picture.probability)]))
    change = number(example.largest_change)
    alt = f"perturbation of an image of class {truth}, at most {change} a pixel"
    tiles.append(Tile("change", example.perturbation.png, alt, [f"≤ {change}"]))
    if example.reconstruction:
        alt = f"reconstruction from the adversarial image of class {truth}"
        tiles.append(Tile("rebuilt", example.reconstruction.png, alt, []))
    ended = example.adversarial.predicted or 0
    outcome = "withstood" if ended == example.label else f"turned to {names[ended]}"
    height, width = example.size
    return Example(height, width, tiles, f"True class {truth}: {outcome}.")
