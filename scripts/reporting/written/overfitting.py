"""The table on provoked overfitting."""

from typing import Any

from reporting.result_table import ResultTable
from reporting.written.figures import load
from reporting.written.table import percent, table


@table
def provoked_overfitting() -> ResultTable:
    """Trainings that collapse and trainings that do not, and when each stop ends them."""
    return ResultTable(
        ("run", "epsilon", "referee before", "collapse", "stop by margins alone", "with probe"),
        [
            [
                "FGSM with a " + run["why"] if name == "fgsm-rs" else run["why"],
                f"{run['attack']['epsilon']:g}",
                percent(run["best_before"], 1),
                f"epoch {run['collapse_epoch']}" if run["collapse_epoch"] else "none",
                _said(run, "margins"),
                _said(run, "probe"),
            ]
            for name, run in load("overfitting/overfitting.json")["runs"].items()
        ],
    )


def _said(run: dict[str, Any], stop: str) -> str:
    if stop in run["fired"]:
        fired = run["fired"][stop]
        return f"epoch {fired['epoch']}, {percent(fired['restored'], 1)} restored"
    return "**missed**" if run["collapse_epoch"] else "silent"
