"""A table of results, for the terminal and as Markdown."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from rich.table import Table
from scipy import stats


@dataclasses.dataclass(frozen=True)
class ResultTable:
    """Headings and rows of text.

    Args:
        headings: of the columns.
        rows: each with a text for every heading.
        title: what the table is about. Defaults to none.
        words: how many columns hold words, which the terminal shows on the left; figures stand on
            the right. Defaults to `1`.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""
    words: int = 1

    def rich(self) -> Table:
        """For the terminal."""
        table = Table(title=self.title or None)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="left" if number < self.words else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """As Markdown, the title a line of its own."""
        lines = [_line(self.headings), "|---" * len(self.headings) + "|", *map(_line, self.rows)]
        return "\n".join([self.title, "", *lines] if self.title else lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def spread(values: Sequence[float]) -> float:
    """Highest less lowest."""
    return max(values) - min(values)


def half_width(values: Sequence[float], confidence: float = 0.95) -> float:
    """Half the width of Student's interval around the mean, as of several seeds.

    Args:
        values: at least two.
        confidence: in (0, 1). Defaults to `0.95`: of three values 2.48 standard deviations.
    """
    quantile = stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return float(quantile * stdev(values) / math.sqrt(len(values)))


def seeds_to_tell(values: Sequence[float], most: int = 100) -> int | None:
    """How many seeds would tell a mean from nothing, if they scatter around it as these do.

    Args:
        values: of the seeds there are, at least two.
        most: to think of. Defaults to `100`.

    Returns:
        The least number whose 95 % interval would not reach nothing; None if that is above `most`.
    """
    mean, deviation = abs(fmean(values)), stdev(values)
    for number in range(2, most + 1):
        if mean > stats.t.ppf(0.975, number - 1) * deviation / math.sqrt(number):
            return number
    return None


def difference(values: Sequence[float]) -> str:
    """A mean difference of shares in points, with its 95 % interval where there are several.

    Args:
        values: differences in [-1, 1] of the same seeds, at least one.
    """
    points = [100 * value for value in values]
    mean = f"{fmean(points):+.1f}"
    if len(points) == 1:
        return mean
    half = half_width(points)
    # Student's interval does not know where shares end.
    low, high = max(-100.0, fmean(points) - half), min(100.0, fmean(points) + half)
    return f"{mean} ({low:+.1f} to {high:+.1f})"
