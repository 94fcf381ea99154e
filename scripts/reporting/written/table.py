"""How a table is registered, and how its cells word their figures."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from reporting.result_table import ResultTable, difference

TABLES: dict[str, Callable[[], ResultTable]] = {}
"""What is between the marks of a page, by name."""


def table(make: Callable[[], ResultTable]) -> Callable[[], ResultTable]:
    """Registers a table under the name of its function, with hyphens for underscores."""
    TABLES[make.__name__.replace("_", "-")] = make
    return make


def percent(share: float, digits: int = 2) -> str:
    """A share in [0, 1] in percent."""
    return f"{100 * share:.{digits}f} %"


def means(shares: Sequence[float], *, digits: int = 2, bold: bool = False) -> str:
    """The mean of several seeds, with the lowest and the highest where there are several.

    Args:
        shares: in [0, 1].
        digits: of lowest and highest, after the point. Defaults to `2`.
        bold: whether the mean stands out. Defaults to `False`.
    """
    said = percent(fmean(shares))
    if len(shares) == 1:
        return f"**{said}**" if bold else said
    low, high = (f"{100 * share:.{digits}f}" for share in (min(shares), max(shares)))
    return f"{f'**{said}**' if bold else said} ({low} to {high})"


def pieces(rows: Sequence[dict[str, Any]], *, with_margins: bool = False) -> ResultTable:
    """What `ablate.py` found: a row for each variant, ± half the range over its seeds.

    The difference to the base has its 95 % interval where there are several.

    Args:
        rows: its `summary`.
        with_margins: whether the share that the training's own margins call robust stands beside.
            Defaults to `False`.
    """

    def share(row: dict[str, Any], name: str) -> str:
        spread = row.get(f"{name}_spread")
        digits = 1 if spread is None else 2
        beside = "" if spread is None else f" ±{50 * spread:.2f}"
        return percent(row[f"{name}_accuracy"], digits) + beside

    def cells(row: dict[str, Any]) -> list[str]:
        margins = [percent(row["margin_robust_accuracy"], 1)] if with_margins else []
        to_base = "" if row["variant"] == "base" else difference(row["differences"])
        words = [row["variant"], row["changes"].replace("_", " ")]
        shares = [share(row, "natural"), share(row, "robust"), *margins]
        return [*words, *shares, to_base, f"{row['training_seconds']:.0f}"]

    margins = ["by its margins"] if with_margins else []
    headings = ["variant", "change", "natural", "robust", *margins, "to base", "seconds"]
    return ResultTable(headings, [cells(row) for row in rows])


def cascade(attacks: Sequence[Any], natural: float) -> list[list[str]]:
    """The attacks of an evaluation, each with what is left after it.

    Args:
        attacks: records of attacks, in order.
        natural: accuracy before them.
    """
    words = {
        "apgd-ce": "APGD-CE, {0.steps} steps",
        "apgd-t": "then targeted APGD, {0.steps} steps for each of {0.rounds} classes",
        "fab-t": "then targeted FAB, {0.steps} steps for each of {0.rounds} classes",
        "square": "then Square, {0.queries:,} queries",
    }
    rows = [["none", percent(natural, 1)]]
    rows += [[words[a.name].format(a), percent(a.robust_accuracy, 1)] for a in attacks]
    return rows
