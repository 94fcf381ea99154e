"""The verdict on each stop, as a table."""

from typing import Any

from rich.console import Console
from rich.table import Table

# What a stop may lose of the best that there was, and what a network that overfits has lost.
_RESTORED, _LOST = 0.03, 0.05


def verdict(result: dict[str, Any], stop: str) -> str:
    """`ok`, or what is wrong.

    Args:
        result: of a training, as `overfitting.json` holds it.
        stop: `"margins"` or `"probe"`.
    """
    acted = result["fired"].get(stop) or result["put_back"].get(stop)
    if result["expected"] == "healthy":
        if result["collapse_epoch"] is not None:
            return "collapsed"
        return "ok" if acted is None else "false alarm"
    if result["expected"] == "slow":
        if result["best_before"] - result["rows"][-1]["referee"] < _LOST:
            return "did not overfit"
    elif result["collapse_epoch"] is None:
        return "did not collapse"
    elif stop in result["fired"] and abs(acted["epoch"] - result["collapse_epoch"]) > 1:
        return "not within an epoch"
    if acted is None:
        return "missed"
    lost = result["best_before"] - acted["restored"]
    return "ok" if lost <= _RESTORED else f"restored {100 * lost:.1f} points below"


def when(result: dict[str, Any], stop: str) -> str:
    """When a stop acted, in words."""
    if stop in result["fired"]:
        return f"epoch {result['fired'][stop]['epoch']}"
    return "at the end" if stop in result["put_back"] else "no"


def restored(result: dict[str, Any], stop: str) -> str:
    """The referee's accuracy of the weights that a stop put back."""
    acted = result["fired"].get(stop) or result["put_back"].get(stop)
    return f"{acted['restored']:.1%}" if acted else "-"


def show(results: dict[str, dict[str, Any]], console: Console) -> bool:
    """Prints the table; returns whether every verdict on the stop with a probe is ok."""
    table = Table(title="referee: PGD-20 on the margin, 500 held-out images")
    headings = ("run", "collapse", "best", "last", "stop", "acted", "restored", "verdict")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("run", "stop") else "right")
    for name, result in results.items():
        for stop in ("margins", "probe"):
            collapse = result["collapse_epoch"]
            table.add_row(
                name if stop == "margins" else "",
                f"epoch {collapse}" if collapse else "none",
                f"{result['best_before']:.1%}",
                f"{result['rows'][-1]['referee']:.1%}",
                stop,
                when(result, stop),
                restored(result, stop),
                verdict(result, stop),
            )
    console.print(table)
    return all(verdict(result, "probe") == "ok" for result in results.values())
