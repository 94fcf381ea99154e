"""The verdict on each stop, as a table and as a picture."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
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


def draw(results: dict[str, dict], path: Path) -> None:
    """One panel a run: the referee and the signals by epoch."""
    columns = min(3, len(results))
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(lines, columns, sharey=True)).ravel()
    curves = {
        "referee": "PGD, held out",
        "accuracy": "on the training's own examples",
        "margin_robust_accuracy": "margin-robust",
        "attack_shortfall": "shortfall",
    }
    for panel, (name, result) in zip(panels, results.items(), strict=False):
        for key, label in curves.items():
            points = [(row["epoch"], row[key]) for row in result["rows"] if key in row]
            if points:
                panel.plot(*zip(*points, strict=True), marker=".", label=label)
        for stop, fired in result["fired"].items():
            style = "--" if stop == "margins" else ":"
            panel.axvline(fired["epoch"], color="black", linestyle=style, linewidth=1)
        panel.set_title(name, fontsize="medium")
        panel.set_ylim(0, 1)
        panel.grid(alpha=0.3)
        panel.xaxis.get_major_locator().set_params(integer=True)
    for panel in panels[len(results) :]:
        panel.axis("off")
    handles = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    handles = {label: line for label, line in handles.items() if not label.startswith("_")}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)
