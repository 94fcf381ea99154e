"""The table on export forms."""

from reporting.result_table import ResultTable
from reporting.written.figures import load
from reporting.written.table import percent, table


@table
def every_network_in_every_form() -> ResultTable:
    """Of each form the network whose logits differ most from those of Keras."""
    rows = load("export_matrix.json")["rows"]
    lines = []
    for form in rows[0]["forms"]:
        found = [(row["forms"][form], row) for row in rows]
        written = [(cell, row) for cell, row in found if "difference" in cell]
        cell, row = max(written, key=lambda pair: pair[0]["difference"])
        same = min(cell["same_class"] for cell, _ in written)
        lines.append(
            [
                f"`{form}`",
                f"{len(written)} of {len(found)}",
                f"{cell['difference']:.1e}",
                f"`{row['network']}`",
                percent(same, 0),
            ]
        )
    headings = ("form", "networks", "largest difference", "of", "same class at least")
    return ResultTable(headings, lines)
