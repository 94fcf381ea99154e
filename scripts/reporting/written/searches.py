"""The table on a search of hyperparameters."""

from keras_efgsm.records import FinalistsRecord
from reporting.result_table import ResultTable
from reporting.written.figures import RESULTS
from reporting.written.table import percent, table


@table
def search_finalists() -> ResultTable:
    """The best trials again with other seeds, and the preset among them."""
    found = FinalistsRecord.read(RESULTS / "mnist-search" / "finalists.json")
    rows = []
    for row in found.finalists:
        named = "the preset `mnist-joint`" if row.is_preset else f"trial {row.trial}"
        values = [f"{row.values[name]:g}" for name in ("lambda", "sigma")]
        deviation = f"{100 * (row.robust_accuracy_deviation or 0.0):.2f}"
        robust = f"{percent(row.robust_accuracy)} ({deviation})"
        rows.append([named, *values, robust, percent(row.natural_accuracy)])
    seeds = f"{min(found.seeds)} to {max(found.seeds)}"
    robust = f"robust, seeds {seeds} (deviation)"
    return ResultTable((f"{found.epochs} epochs", "lambda", "sigma", robust, "natural"), rows)
