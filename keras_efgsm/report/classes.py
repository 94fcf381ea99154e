"""The classes of a run: accuracy of each, and what its images were taken for under attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.records.wording import (
    INTERVAL,
    INTERVAL_MEANS,
    interval,
    number,
    percent,
    radius,
)
from keras_efgsm.report.measurements import SHOWN_STEPS
from keras_efgsm.report.run_charts import STEP, measured_on
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.tables import Table

# A wider matrix is no longer read cell by cell, a longer table not row by row.
_MOST_CLASSES = 20
_MOST_TURNED_TO = 3


class ClassBar(NamedTuple):
    """The row of a class.

    Attributes:
        name: of the class.
        num_images: how many it has.
        natural: accuracy without attack.
        robust: accuracy in the worst case.
        interval: of that.
        natural_width: the same as a whole number of per cent, for the bar.
        robust_width: likewise.
        turned_to: the classes that its images were turned to most often.
    """

    name: str
    num_images: str
    natural: str
    robust: str
    interval: str
    natural_width: int
    robust_width: int
    turned_to: str


class ClassBars(NamedTuple):
    """Accuracy of each class.

    Attributes:
        caption: how it was measured.
        rows: of the classes, in their order.
    """

    caption: str
    rows: list[ClassBar]


class Confusion(NamedTuple):
    """The matrix of true and predicted classes.

    Attributes:
        caption: how it was measured.
        names: of the classes.
        rows: `(text, style)` of each cell, by true class.
    """

    caption: str
    names: list[str]
    rows: list[list[tuple[str, str]]]


@dataclass(frozen=True)
class ConfusionSource:
    """Counts by true and predicted class, and how they came about.

    Args:
        names: of the classes.
        pairs: true class, predicted class and how many images, without empty ones.
        caption: how it was measured.
    """

    names: Sequence[str]
    pairs: Sequence[tuple[int, int, int]]
    caption: str

    @property
    def is_wide(self) -> bool:
        """Whether there are too many classes for a matrix."""
        return len(self.names) > _MOST_CLASSES


def class_bars(run: ReportedRun) -> ClassBars | None:
    """Accuracy of each class, or of the weakest where there are many.

    Args:
        run: the run.

    Returns:
        None where the evaluation did not tell the classes apart.
    """
    classes = run.evaluation.classes
    if classes is None:
        return None
    accuracies, numbers = classes.per_class(), classes.classes_with_images
    caption = (
        "Wide: natural accuracy; narrow: robust accuracy, the worst case over all attacks. "
        f"{INTERVAL}: of the robust accuracy {INTERVAL_MEANS}."
    )
    if len(numbers) > _MOST_CLASSES:
        caption = f"The {_MOST_CLASSES} weakest of {number(len(numbers))} classes. {caption}"
        weakest = sorted(numbers, key=lambda index: accuracies[index].robust_accuracy or 0.0)
        numbers = weakest[:_MOST_CLASSES]
    rows = []
    for index in numbers:
        row = accuracies[index]
        others = classes.turned_to(index)[:_MOST_TURNED_TO]
        rows.append(
            ClassBar(
                row.name,
                number(row.num_images),
                percent(row.natural_accuracy),
                percent(row.robust_accuracy),
                interval(row.interval),
                round(100 * (row.natural_accuracy or 0.0)),
                round(100 * (row.robust_accuracy or 0.0)),
                ", ".join(f"{classes.name(other)} ({number(count)})" for other, count in others),
            )
        )
    return ClassBars(caption, rows)


def confusion_source(run: ReportedRun) -> ConfusionSource | None:
    """The confusion of the evaluation, else that of the report's own attack; None without either.

    Args:
        run: the run.
    """
    classes, measured = run.evaluation.classes, run.measured
    if classes is not None:
        pairs = [
            (int(truth), int(found), count)
            for truth, row in classes.attacked.items()
            for found, count in row.items()
        ]
        kept = sum(count for truth, found, count in pairs if truth == found)
        caption = (
            "True class (rows) and predicted class (columns) in the worst case over all attacks: "
            "an image counts for the class that the first attack which turned it turned it to. "
            "Images misclassified clean are not attacked. On the diagonal: "
            f"{percent(kept / run.evaluation.num_images)}."
        )
        names = [classes.name(index) for index in range(classes.num_classes)]
        return ConfusionSource(names, sorted(pairs), caption)
    if measured is None:
        return None
    pairs = [
        (truth, found, count)
        for truth, row in enumerate(measured.confusion)
        for found, count in enumerate(row)
        if count
    ]
    return ConfusionSource(measured.class_names, pairs, _measured_caption(measured))


def confusion(source: ConfusionSource) -> Confusion:
    """The matrix.

    Args:
        source: of few classes.
    """
    matrix = np.zeros((len(source.names), len(source.names)), int)
    for truth, found, count in source.pairs:
        matrix[truth, found] = count
    rows = [
        [
            (str(cell or "\u00b7"), _shade(cell, sum(row), truth == found))
            for found, cell in enumerate(row)
        ]
        for truth, row in enumerate(matrix.tolist())
    ]
    return Confusion(source.caption, list(source.names), rows)


def most_frequent(source: ConfusionSource) -> Table:
    """The pairs of classes that are confused most often.

    Args:
        source: of many classes.
    """
    names = source.names
    pairs = [(n, truth, found) for truth, found, n in source.pairs if truth != found]
    pairs.sort(key=lambda pair: (-pair[0], *pair[1:]))
    rows = [[names[truth], names[found], number(n)] for n, truth, found in pairs[:20]]
    caption = f"The most frequent confusions of {len(names)} classes. {source.caption}"
    return Table(caption, ["true", "predicted", "images"], rows, numeric=frozenset({2}))


def _measured_caption(measured: MeasuredPart) -> str:
    kept = sum(row[index] for index, row in enumerate(measured.confusion))
    return (
        f"True class (rows) and predicted class (columns) under PGD-CW, {SHOWN_STEPS} iterations, "
        f"epsilon {radius(measured.epsilon, measured.norm)}, {STEP}; {measured_on(measured)}. "
        f"Images misclassified clean are not attacked. On the diagonal: "
        f"{percent(kept / measured.num_images)}."
    )


def _shade(cell: int, total: int, is_kept: bool) -> str:
    if not cell:
        return ""
    level = 1 + sum(cell / total >= limit for limit in (0.15, 0.5))
    return f"{'kept' if is_kept else 'lost'}{level}"
