"""The table on the defences that the paper cites."""

from reporting.result_table import ResultTable
from reporting.written.figures import load
from reporting.written.table import percent, table


@table
def bart_under_draws() -> ResultTable:
    """BaRT, attacked with gradients and decisions averaged over ever more draws."""
    lines = []
    for row in load("defences/bart.json")["rows"]:
        found = row["evaluation"]
        spread = found["single_draws"]
        lines.append(
            [
                str(row["draws"]),
                percent(found["natural_accuracy"], 1),
                percent(found["worst_case_accuracy"], 1),
                f"{percent(spread['mean'], 1)} ±{100 * spread['deviation']:.1f}",
                f"{sum(attack['seconds'] for attack in found['attacks']):.0f} s",
            ]
        )
    return ResultTable(("draws", "natural", "robust, the verdict", "single draw", "time"), lines)
