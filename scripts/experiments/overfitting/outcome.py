"""The verdict on each stop, as a table."""

from rich.console import Console
from rich.table import Table


def verdict(result: dict, stop: str) -> str:
    """`ok`, or what is wrong."""
    fired, collapse = result["fired"].get(stop), result["collapse_epoch"]
    if (collapse is not None) != result["expected_collapse"]:
        return "collapsed" if collapse is not None else "did not collapse"
    if collapse is None:
        return "ok" if fired is None else "false alarm"
    if fired is None or abs(fired["epoch"] - collapse) > 1:
        return "missed" if fired is None else "not within an epoch"
    lost = result["best_before"] - fired["restored"]
    return "ok" if lost <= 0.03 else f"restored {100 * lost:.1f} points below"


def show(results: dict[str, dict], console: Console) -> bool:
    """Prints the table; returns whether every verdict on the stop with a probe is ok."""
    table = Table(title="referee: PGD-20 on the margin, 500 held-out images")
    for heading in ("run", "collapse", "best before", "stop", "fired", "restored", "verdict"):
        table.add_column(heading, justify="left" if heading in ("run", "stop") else "right")
    good = True
    for name, result in results.items():
        for stop in ("margins", "probe"):
            fired = result["fired"].get(stop)
            outcome = verdict(result, stop)
            good = good and (outcome == "ok" or stop == "margins")
            collapse = result["collapse_epoch"]
            table.add_row(
                name if stop == "margins" else "",
                f"epoch {collapse}" if collapse else "none",
                f"{result['best_before']:.1%}",
                stop,
                f"epoch {fired['epoch']}" if fired else "no",
                f"{fired['restored']:.1%}" if fired else "-",
                outcome,
            )
    console.print(table)
    return good
