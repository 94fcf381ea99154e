"""Several runs side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_efgsm.report.drawing import Chart
from keras_efgsm.report.run_charts import comparison_charts
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.tables import Table, comparison_table


@dataclass(frozen=True)
class Comparison:
    """Several runs as the template shows them.

    Args:
        warning: why they cannot be compared; empty if they can.
        table: a row for each.
        charts: a line for each.
    """

    warning: str
    table: Table
    charts: list[Chart]


def compare(runs: Sequence[ReportedRun]) -> Comparison:
    """Table of all runs, and their accuracy against epsilon in one chart.

    Args:
        runs: two or more.
    """
    differing = differences(runs)
    warning = ""
    if differing:
        warning = (
            f"These runs were not evaluated alike: they differ in {', '.join(differing)}. Their "
            "robust accuracies cannot be compared directly."
        )
    return Comparison(warning, comparison_table(runs), comparison_charts(runs))


def differences(runs: Sequence[ReportedRun]) -> list[str]:
    """In which respects the evaluations differ that the comparison depends on.

    Args:
        runs: two or more.
    """

    def differ(value: Callable[[ReportedRun], Any]) -> bool:
        return len({value(run) for run in runs}) > 1

    def images(run: ReportedRun) -> Any:
        figures = run.evaluation
        of_one = figures.strongest.num_images if figures.worst_is_one_attack else None
        return of_one, figures.num_images

    respects: dict[str, Callable[[ReportedRun], Any]] = {
        "data": lambda run: (run.evaluation.dataset, run.evaluation.split),
        "norm": lambda run: run.norm,
        "epsilon": lambda run: run.epsilon,
        "number of images": images,
        "choice of images": lambda run: run.evaluation.selection or "first",
        "attacks": lambda run: run.evaluation.attacks_in_words(),
    }
    return [name for name, value in respects.items() if differ(value)]
