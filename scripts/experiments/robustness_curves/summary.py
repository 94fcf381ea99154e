"""Courses of robust accuracy over training time: summed up over seeds, as tables."""

import statistics
from collections.abc import Sequence
from typing import Any

from reporting.result_table import ResultTable, spread

Points = list[dict[str, float]]


def time_to(points: Points, target: float) -> float | None:
    """Seconds until a robust accuracy, by a straight line from the mark before; None if never.

    Args:
        points: `seconds` and `robust_accuracy` of each mark, in the order of time.
        target: robust accuracy in [0, 1]. At the start it is 0.
    """
    before = {"seconds": 0.0, "robust_accuracy": 0.0}
    for point in points:
        if point["robust_accuracy"] >= target:
            rise = point["robust_accuracy"] - before["robust_accuracy"]
            share = (target - before["robust_accuracy"]) / rise if rise > 0 else 1.0
            return before["seconds"] + share * (point["seconds"] - before["seconds"])
        before = point
    return None


def summarise(runs: dict[str, Any], target: float | None) -> list[dict[str, Any]]:
    """One row for each method, the most robust at its end first.

    Args:
        runs: by `METHOD-seedN`, each with its `points`.
        target: robust accuracy whose time is asked for; None for none.
    """
    by_method: dict[str, list[Points]] = {}
    for name in sorted(runs, key=lambda name: int(name.rpartition("-seed")[2])):
        by_method.setdefault(name.rpartition("-seed")[0], []).append(runs[name]["points"])
    rows = []
    for method, courses in by_method.items():
        marks = [
            {
                key: statistics.mean(point[key] for point in points)
                for key in ("seconds", "epochs", "natural_accuracy", "robust_accuracy")
            }
            | _range_of([point["robust_accuracy"] for point in points])
            for points in zip(*courses, strict=False)
        ]
        row = {"method": method, "seeds": len(courses), "marks": marks}
        if target is not None:
            row["seconds_to_target"] = [time_to(points, target) for points in courses]
            row["seconds_trained"] = [points[-1]["seconds"] for points in courses]
        rows.append(row)
    if target is not None:
        _add_ratios(rows)
    return sorted(rows, key=lambda row: -row["marks"][-1]["robust_accuracy"])


def _add_ratios(rows: list[dict[str, Any]]) -> None:
    """How many times as long as the quickest method each took, seed by seed, or at least took."""
    reached = [row for row in rows if None not in row["seconds_to_target"]]
    if not reached:
        return
    quickest = min(reached, key=lambda row: statistics.mean(row["seconds_to_target"]))
    for row in rows:
        row["ratios"] = [
            {
                "ratio": (seconds if seconds is not None else trained) / best,
                "at_least": seconds is None,
            }
            for seconds, trained, best in zip(
                row["seconds_to_target"],
                row["seconds_trained"],
                quickest["seconds_to_target"],
                strict=False,
            )
        ]


def _mark(mark: dict[str, float], seeds: int) -> str:
    spread = f" ±{50 * mark['spread']:.1f}" if seeds > 1 else ""
    digits = 1 if mark["seconds"] < 100 else 0
    return f"{100 * mark['robust_accuracy']:.1f}{spread} ({mark['seconds']:.{digits}f} s)"


def _to_target(row: dict[str, Any]) -> list[str]:
    """The time to the target and its ratio to the quickest, over the seeds."""
    times = row["seconds_to_target"]
    words = (
        f"{min(times):.1f} to {max(times):.1f} s"
        if None not in times
        else f"{times.count(None)} of {len(times)} never, in {max(row['seconds_trained']):.0f} s"
    )
    ratios = row.get("ratios", [])
    if not ratios:
        return [words, ""]
    values = [ratio["ratio"] for ratio in ratios]
    if any(ratio["at_least"] for ratio in ratios):
        return [words, f"over {min(values):.1f}"]
    several = f" ({min(values):.1f} to {max(values):.1f})" if max(values) > min(values) else ""
    return [words, f"{statistics.mean(values):.1f}{several}"]


def headings(rows: list[dict[str, Any]], target: float | None) -> list[str]:
    """Of the columns of `cells`."""
    count = max(len(row["marks"]) for row in rows)
    marks = [f"mark {number}" for number in range(1, count + 1)]
    times = [] if target is None else [f"to {target:.0%}", "times the quickest"]
    return ["method", "natural", "epochs", *marks, *times]


def cells(row: dict[str, Any], columns: int, target: float | None) -> list[str]:
    """A row of the summary as text, of so many columns."""
    last = row["marks"][-1]
    seeds = f" ({row['seeds']} seeds)" if row["seeds"] > 1 else ""
    texts = [
        row["method"] + seeds,
        f"{100 * last['natural_accuracy']:.1f}",
        f"{last['epochs']:.2f}",
    ]
    texts += [_mark(mark, row["seeds"]) for mark in row["marks"]]
    times = [] if target is None else _to_target(row)
    return texts + [""] * (columns - len(texts) - len(times)) + times


def table_of(rows: list[dict[str, Any]], title: str, target: float | None) -> ResultTable:
    """The summary as a table."""
    heads = headings(rows, target)
    return ResultTable(heads, [cells(row, len(heads), target) for row in rows], title)


def _range_of(shares: list[float]) -> dict[str, float]:
    return {"lowest": min(shares), "highest": max(shares), "spread": spread(shares)}


def measured_on(options: dict[str, Any], seeds: Sequence[int]) -> str:
    """The data, attacks, images and seeds of a folder of runs, in words.

    Args:
        options: as `time_to_robustness.json` holds them.
        seeds: of the trainings.
    """
    named = ", ".join(map(str, seeds))
    attacks = options.get("attacks") or "adp"
    losses = "APGD-CE, targeted APGD; " if attacks == "adp" else ""
    return (
        f"{options['dataset']}, {attacks} ({losses}{options['steps']} steps), "
        f"{options['num_images']} images, seed{'s' if len(seeds) > 1 else ''} {named}"
    )
