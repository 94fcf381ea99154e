"""The table on windows whose gradient points the wrong way."""

from pathlib import Path
from statistics import fmean
from typing import Any

from reporting.result_table import ResultTable


def windows_table(rows: list[dict[str, Any]]) -> ResultTable:
    """What `misleading_windows.py` found, for terminals and pages.

    Args:
        rows: one for each model and group of images.
    """
    cells = []
    for row in rows:
        counts = row["misleading_windows"]
        mean = f"{fmean(counts):.1f}" if counts else "-"
        followed = f"{row['turned_by_following']} of {row['looked_at']}"
        cells.append([Path(row["model"]).name, str(row["images"]), row["group"], mean, followed])
    headings = ("model", "images", "", "misleading windows an image", "turned by following them")
    return ResultTable(headings, cells)
