"""The results of an evaluation as tables for a terminal, made of their records."""

from rich.table import Table

from keras_efgsm.printing import ResultTable
from keras_efgsm.records import (
    AttackRecord,
    ClassesPart,
    EvaluationRecord,
    RobustnessCurveRecord,
    TargetedRecord,
    wording,
)
from keras_efgsm.records.intervals import interval_of
from keras_efgsm.records.wording import INTERVAL, percent

AnyFigures = EvaluationRecord | RobustnessCurveRecord | TargetedRecord

# A terminal shows no more pairs of classes in a row.
_MOST_CONFUSIONS = 3


def robustness_table(figures: EvaluationRecord, missing: str = "") -> Table:
    """The figures of an evaluation, headed by the worst case over all attacks.

    Args:
        figures: of one attack or more, of the same radius.
        missing: a warning of the classes that are not among the images. Defaults to none.

    Example:

    ```python
    robustness_table(EvaluationRecord.read("runs/mnist/evaluation.json")).row_count  # 3
    ```
    """
    count = len(figures.attacks)
    order = (
        "Each attack saw only the images that withstood those above it; its accuracy is that "
        "of all so far. "
        if figures.cascade and count > 1
        else ""
    )
    table = ResultTable(
        title=(
            f"Robust accuracy "
            f"{wording.with_interval(figures.worst_case_accuracy, figures.interval)}: the worst "
            f"case over {wording.count(count, 'attack')}, epsilon "
            f"{wording.radius(figures.attacks[0].epsilon, figures.norm)}"
        ),
        caption=(
            f"{about_images(figures)} {order}{how_made(figures)}"
            f"{bound(figures)}{wording.warnings(missing, figures.doubts or ())}"
        ),
    )
    table.add_column("attack")
    table.add_column("budget")
    for name in ("attacked", "turned", "accuracy", INTERVAL, "time"):
        table.add_column(name, justify="right", no_wrap=True)
    natural = wording.interval(figures.interval_of_natural)
    table.add_row("none (clean images)", *("",) * 3, percent(figures.natural_accuracy), natural, "")
    for attack in figures.attacks:
        table.add_row(*attack_row(attack))
    table.add_section()
    table.add_row(
        "worst case",
        *("",) * 3,
        percent(figures.worst_case_accuracy),
        wording.interval(figures.interval),
        wording.seconds(figures.seconds),
        style="bold",
    )
    return table


def curve_table(figures: RobustnessCurveRecord, missing: str = "") -> Table:
    """The figures of an evaluation at several radii, a row for each.

    Args:
        figures: rising radii.
        missing: a warning of the classes that are not among the images. Defaults to none.
    """
    attacks = ", ".join(attack.in_words for attack in figures.points[-1].attacks)
    table = ResultTable(
        title=f"Robust accuracy by epsilon: the worst case over {attacks}",
        caption=(
            f"{about_images(figures)} An image that was turned at a smaller epsilon counts as "
            f"turned at a larger one and is not attacked again. {how_made(figures)}"
            f"{bound(figures)}{wording.warnings(missing, figures.doubts or ())}"
        ),
    )
    for name in ("epsilon", "attacked", "turned", "accuracy", INTERVAL, "time"):
        table.add_column(name, justify="right", no_wrap=True)
    clean, *others = figures.points
    natural = percent(clean.robust_accuracy), wording.interval(clean.robust_interval)
    table.add_row("0 (clean images)", "", "", *natural, "")
    before = round(clean.robust_accuracy * figures.num_images)
    for point in others:
        left = round(point.robust_accuracy * figures.num_images)
        table.add_row(
            wording.radius(point.epsilon, figures.norm),
            wording.number(before),
            wording.number(before - left),
            percent(point.robust_accuracy),
            wording.interval(point.robust_interval),
            wording.seconds(sum(attack.seconds or 0.0 for attack in point.attacks)),
        )
        before = left
    return table


def targeted_table(figures: TargetedRecord, missing: str = "") -> Table:
    """The figures of a targeted evaluation, headed by what all attacks reach together.

    Args:
        figures: of one attack or more, of the same radius.
        missing: a warning of the classes that are not among the images. Defaults to none.
    """
    rate = wording.with_interval(figures.success_rate, figures.success_interval)
    attacks = wording.count(len(figures.attacks), "attack")
    epsilon = wording.radius(figures.attacks[0].epsilon, figures.norm)
    table = ResultTable(
        title=f"Taken for {figures.target}: {rate} under {attacks}, epsilon {epsilon}",
        caption=(
            f"{about_images(figures)} Images of the target class itself are left out. "
            f"{how_made(figures)}A lower bound: a stronger attack can only raise it. {INTERVAL}: "
            f"Wilson intervals, what chance in {wording.count(figures.num_images, 'image')} leaves "
            f"open.{wording.warnings(missing, figures.doubts or ())}"
        ),
    )
    table.add_column("attack")
    table.add_column("budget")
    for name in ("attacked", "reached", "success", INTERVAL, "time"):
        table.add_column(name, justify="right", no_wrap=True)

    def shares(rate: float) -> tuple[str, str]:
        return percent(rate), wording.interval(interval_of(rate, figures.num_images))

    table.add_row("none (clean images)", *("",) * 3, *shares(figures.clean_rate), "")
    for attack in figures.attacks:
        name, budget, attacked, reached, *_, seconds = attack_row(attack)
        rates = shares(1.0 - attack.robust_accuracy)
        table.add_row(name, budget, attacked, reached, *rates, seconds)
    table.add_section()
    seconds = wording.seconds(figures.seconds)
    table.add_row("all", *("",) * 3, *shares(figures.success_rate), seconds, style="bold")
    return table


def attack_row(attack: AttackRecord) -> tuple[str, ...]:
    """Name, budget, images attacked and turned, accuracy, interval and time of an attack.

    Args:
        attack: its figures.
    """
    return (
        attack.name if attack.engine == "native" else f"{attack.name} ({attack.engine})",
        attack.budget,
        wording.number(attack.num_attacked),
        wording.number(attack.num_turned),
        percent(attack.robust_accuracy),
        wording.interval(attack.interval),
        wording.seconds(attack.seconds),
    )


def about_images(figures: AnyFigures) -> str:
    """The sentence that says which model was evaluated on which images.

    Args:
        figures: of the evaluation.
    """
    images = wording.selected(figures.num_images, figures.selection)
    return f"{figures.model} on {figures.dataset} ({figures.split}), {images}."


def how_made(figures: AnyFigures) -> str:
    """The sentences on gradients and draws that were not plainly the model's; empty for most.

    Args:
        figures: of the evaluation.
    """
    twin = (
        f"Straight-through gradients are those of {figures.twin}, which gives "
        f"{percent(figures.twin_agreement)} of the clean images the same class. "
        if figures.twin
        else ""
    )
    draws = f"Each answer is the mean over {figures.eot} draws. " if figures.eot else ""
    if isinstance(figures, EvaluationRecord) and figures.single_draws is not None:
        draws += f"{figures.single_draws.in_words} "
    return twin + draws


def bound(figures: AnyFigures) -> str:
    """What an accuracy and its interval do not tell.

    Args:
        figures: of the evaluation.
    """
    return (
        f"An upper bound: a stronger attack can only lower it. {INTERVAL}: Wilson intervals, what "
        f"chance in {wording.count(figures.num_images, 'image')} leaves open."
    )


def class_table(classes: ClassesPart) -> Table:
    """Accuracy of each class, natural and in the worst case, and what its images turned to.

    Args:
        classes: the part of an evaluation that tells them apart; classes without an image are left
            out.

    Example:

    ```python
    class_table(ClassesPart.of(np.array([0, 1]), np.array([0, 1]), np.array([0, 0]), 2)).row_count
    ```
    """
    table = ResultTable(
        title="Accuracy per class",
        caption=(
            "Turned to: in the worst case, by the first attack that turned it; images that are "
            "misclassified clean count as well."
        ),
    )
    table.add_column("class")
    for name in ("images", "natural", "robust", INTERVAL):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("turned to")
    rows = classes.per_class()
    for number in classes.classes_with_images:
        row = rows[number]
        table.add_row(
            row.name,
            wording.number(row.num_images),
            percent(row.natural_accuracy),
            percent(row.robust_accuracy),
            wording.interval(row.interval),
            ", ".join(
                f"{classes.name(other)} {wording.number(count)}"
                for other, count in classes.turned_to(number)[:_MOST_CONFUSIONS]
            ),
        )
    return table
