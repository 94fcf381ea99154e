"""The tables on overfitting and on the stop that ends it."""

from typing import Any

from experiments.overfitting.outcome import restored, verdict, when
from keras_efgsm.callbacks.margin_signal import MarginSignal
from reporting.result_table import ResultTable
from reporting.written.figures import DATA_SETS, RESULTS, load
from reporting.written.table import percent, table

# Of the most robust training on the same data, under the same attacks.
_HEALTHY = 0.9


@table
def provoked_overfitting() -> ResultTable:
    """Trainings that collapse, overfit or do neither, and what each stop makes of them."""
    rows = []
    for dataset, said in DATA_SETS.items():
        path = f"overfitting/{dataset}/overfitting.json"
        if not (RESULTS / path).exists():
            continue
        for run in load(path)["runs"].values():
            last = run["rows"][-1]["referee"]
            rows.append(
                [
                    said,
                    run["why"],
                    percent(run["best_before"], 1),
                    percent(last, 1),
                    f"epoch {run['collapse_epoch']}" if run["collapse_epoch"] else "none",
                    _said(run, "margins"),
                    _said(run, "probe"),
                ]
            )
            said = ""
    headings = ("data", "run", "best", "last", "collapse", "stop by margins", "stop with probe")
    return ResultTable(headings, rows, words=2)


def _said(run: dict[str, Any], stop: str) -> str:
    judged = verdict(run, stop)
    if judged == "missed":
        return "**missed**"
    acted = when(run, stop)
    if acted == "no":
        return "silent"
    said = f"{acted}, {restored(run, stop).replace('%', ' %')} restored"
    return said if judged == "ok" else f"**{said}**"


@table
def false_alarms() -> ResultTable:
    """What the stop saw in trainings that nothing was wrong with, of all ablations that kept it."""
    rows = []
    for dataset, said in DATA_SETS.items():
        runs = [run for found in _ablations(dataset) for run in _healthy(found)]
        if not runs:
            continue
        falls = [_largest_fall([row["probe_accuracy"] for row in run["watched"]]) for run in runs]
        rows.append(
            [
                said,
                str(len(runs)),
                str(sum(len(run["watched"]) for run in runs)),
                str(sum(_turned(run["watched"]) for run in runs)),
                str(sum(run["stop"]["fired"] for run in runs)),
                f"{100 * max(falls):.1f} points",
            ]
        )
    headings = (
        "data",
        "healthy runs",
        "their epochs",
        "margins turned",
        "training ended",
        "largest fall of a probe",
    )
    return ResultTable(headings, rows)


def _ablations(dataset: str) -> list[dict[str, Any]]:
    found = [load(str(path.relative_to(RESULTS))) for path in RESULTS.glob("**/ablation.json")]
    return [one for one in found if one["base"]["dataset"] == dataset]


def _healthy(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of an ablation that had the stop and ended nearly as robust as the best of them."""
    best = max(run["robust_accuracy"] for run in found["runs"].values())
    return [
        run
        for run in found["runs"].values()
        if "watched" in run and run["stop"] and run["robust_accuracy"] >= _HEALTHY * best
    ]


def _turned(watched: list[dict[str, float]]) -> bool:
    """Whether the margins of a training turned, by what was kept of each epoch."""
    signal = MarginSignal()
    return any(signal.close_epoch(row) for row in watched)


def _largest_fall(scores: list[float]) -> float:
    best = 0.0
    falls = [0.0]
    for score in scores:
        best = max(best, score)
        falls.append(best - score)
    return max(falls)
