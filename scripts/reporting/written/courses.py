"""The tables on robust accuracy against training time that compare methods on one network."""

from typing import Any

from experiments.robustness_curves.summary import summarise
from reporting.result_table import ResultTable
from reporting.written.figures import load
from reporting.written.table import table


@table
def mnist_time_to_88() -> ResultTable:
    """When eFGSM and its rivals first have 88 %, on the network of `mnist-threshold`."""
    words = {
        "efgsm": "eFGSM",
        "pgd": "PGD-40",
        "trades": "TRADES-40, beta 1",
        "free": "AdvFree, 15 replays",
    }
    found = load("mnist-threshold/time_to_88/time_to_robustness.json")["summary"]
    rows = {row["method"]: row for row in found}
    return ResultTable(
        ("method", "`adp` in % after s", "", "", "", "s to 88 %, by seed", "times ours"),
        [
            [said, *map(_mark, rows[name]["marks"]), *_to_target(rows[name])]
            for name, said in words.items()
        ],
    )


@table
def mnist_joint_in_equal_time() -> ResultTable:
    """All methods on the network of `mnist-joint`, in the same time."""
    stored = load("time_to_robustness/time_to_robustness.json")
    rows = summarise({f"{name}-seed0": run for name, run in stored["methods"].items()}, None)
    return _in_time(rows)


@table
def mnist_time_all() -> ResultTable:
    """All methods on the network of `mnist-threshold`, in the time that each had."""
    return _in_time(load("mnist-threshold/time_to_robustness/time_to_robustness.json")["summary"])


@table
def mnist_time_short() -> ResultTable:
    """A short schedule, of eFGSM and PGD."""
    rows = load("mnist-threshold/time_to_88_short/time_to_robustness.json")["summary"]
    return ResultTable(
        ("method", "`adp` in % after s", "", "", "88 % reached by"),
        [
            [
                f"`{row['method']}`",
                *map(_mark, row["marks"]),
                f"{sum(s is not None for s in row['seconds_to_target'])} of {row['seeds']} seeds",
            ]
            for row in rows
        ],
    )


def _in_time(rows: list[dict[str, Any]]) -> ResultTable:
    return ResultTable(
        ("method", "natural", "`adp` in % after s", "", ""),
        [
            [
                f"`{row['method']}`",
                f"{100 * row['marks'][-1]['natural_accuracy']:.1f}",
                *map(_mark, row["marks"]),
            ]
            for row in rows
        ],
    )


def _mark(mark: dict[str, Any]) -> str:
    spread = f" ±{50 * mark['spread']:.1f}" if mark["spread"] else ""
    seconds = mark["seconds"]
    return f"{100 * mark['robust_accuracy']:.1f}{spread} ({seconds:.{1 if seconds < 10 else 0}f})"


def _to_target(row: dict[str, Any]) -> list[str]:
    """The times to the target and their ratios to ours, or what they are above."""
    ratios = [found["ratio"] for found in row["ratios"]]
    if None in row["seconds_to_target"]:
        trained = row["seconds_trained"]
        return [f"not in {min(trained):.0f} to {max(trained):.0f}", f"over {min(ratios):.1f}"]
    times = ", ".join(f"{seconds:.1f}" for seconds in row["seconds_to_target"])
    if row["method"] == "efgsm":
        return [times, ""]
    each = ", ".join(f"{ratio:.1f}" for ratio in ratios)
    return [times, f"{each}: **{sum(ratios) / len(ratios):.1f}**"]
