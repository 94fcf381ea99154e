"""Several runs side by side."""

from collections.abc import Callable, Sequence
from typing import Any

from keras_efgsm.report.charts import Line, line_chart
from keras_efgsm.report.markup import Html, data_name, element, number, percent, radius, table
from keras_efgsm.report.measurements import EPSILON_STEPS, ITERATIONS
from keras_efgsm.report.run_files import ReportedRun
from keras_efgsm.report.wording import attack_names, evaluated_data, method, seeds

# More lines than styles could not be told apart.
_MOST_LINES = 6


def comparison_section(runs: Sequence[ReportedRun]) -> Html:
    """Table of all runs, and their accuracy against epsilon in one chart.

    Args:
        runs: two or more.
    """
    columns = {
        "run": False,
        "robust accuracy": True,
        "natural accuracy": True,
        "method": False,
        "under": False,
        "epsilon": True,
        "images": True,
        "seed": True,
        "data": False,
        "training": True,
        "classifier parameters": True,
    }
    rows = [_row(run, f"run-{index}") for index, run in enumerate(runs, 1)]
    differing = _differences(runs)
    warning = None
    if differing:
        warning = element(
            "p",
            f"These runs were not evaluated alike: they differ in {', '.join(differing)}. Their "
            "robust accuracies cannot be compared directly.",
            class_="warning",
        )
    caption = "All runs. Robust accuracy is the lowest figure found, under the attacks named."
    return element(
        "section",
        element("h2", "Comparison"),
        warning,
        table(caption, list(columns), rows, numeric=list(columns.values())),
        _charts(runs),
        id="comparison",
    )


def _row(run: ReportedRun, target: str) -> list[Any]:
    figures = run.evaluation
    images = run.strongest if run.worst_is_one_attack else figures
    return [
        element("a", run.name, href=f"#{target}"),
        element("strong", percent(run.robust_accuracy)),
        percent(figures["natural_accuracy"]),
        method(run),
        element("div", attack_names(run.headline_attacks), class_="text"),
        radius(run.epsilon),
        number(images.get("num_images")),
        seeds(run.headline_attacks),
        evaluated_data(run),
        number(run.metrics.get("training_seconds"), "s"),
        number((run.metrics.get("parameters") or {}).get("classifier")),
    ]


def _differences(runs: Sequence[ReportedRun]) -> list[str]:
    """In which respects the evaluations differ that the comparison depends on."""

    def differ(value: Any) -> bool:
        return len({value(run) for run in runs}) > 1

    respects = {
        "data": lambda run: (run.evaluation.get("dataset"), run.evaluation.get("split")),
        "epsilon": lambda run: run.epsilon,
        "number of images": lambda run: (
            run.strongest.get("num_images") if run.worst_is_one_attack else None,
            run.evaluation["num_images"],
        ),
        "attacks": lambda run: attack_names(run.headline_attacks),
    }
    return [name for name, value in respects.items() if differ(value)]


def _charts(runs: Sequence[ReportedRun]) -> Html | None:
    """Figures 2 and 3 of the paper with a line for each run."""
    measured = [run for run in runs if run.measured]
    if not 2 <= len(measured) <= _MOST_LINES:
        return None

    def lines(curve: str, x: str) -> list[Line]:
        return [Line(r.name, [(p[x], p["pgd-cw"]) for p in r.measured[curve]]) for r in measured]

    def each(text: Callable[[dict[str, Any]], str]) -> str:
        return " / ".join(dict.fromkeys(text(run.measured) for run in measured))

    on = (
        f"step 2.5 epsilon / iterations, one random start; the first "
        f"{each(lambda m: number(m['num_images']))} images of "
        f"{each(lambda m: data_name(m['dataset'], m['split']))}, "
        f"seed {each(lambda m: str(m['seed']))}."
    )
    by_radius = line_chart(
        lines("epsilon_curve", "epsilon"),
        caption=f"Accuracy against epsilon under PGD-CW, {EPSILON_STEPS} iterations, {on}",
        x_label="epsilon (pixels of [0, 1])",
        y_label="accuracy (%)",
        is_share=True,
    )
    by_steps = line_chart(
        lines("steps_curve", "steps"),
        caption="Accuracy against iterations under PGD-CW, epsilon "
        f"{each(lambda m: radius(m['epsilon']))}, {on}",
        x_label="PGD iterations",
        y_label="accuracy (%)",
        is_share=True,
        log_x=True,
        x_ticks=ITERATIONS,
    )
    return element("div", by_radius, by_steps, class_="charts")
