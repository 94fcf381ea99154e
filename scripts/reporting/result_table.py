"""A table of results, for the terminal and as Markdown."""

import dataclasses
from collections.abc import Iterable, Sequence

from rich.table import Table


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
