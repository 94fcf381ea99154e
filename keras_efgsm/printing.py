"""How results print themselves: as a table in a terminal, and as HTML in a notebook."""

import base64
import html
import io
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# Where there is no terminal: no table of this package needs more for its figures.
_COLUMNS = 100


class ResultTable(Table):
    """A `rich` table that `print` and a notebook show as well, and whose texts are no markup.

    Names of classes and models may have brackets, which `rich` would take for its styles.

    Args:
        *headers: as of `rich.table.Table`.
        **options: likewise.

    Example:

    ```python
    table = ResultTable("class", title="accuracy")
    table.add_row("[b]")
    print(table)
    ```
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        plain = copy(self)
        plain.title = _styled(self.title, self.title_style or "table.title")
        plain.caption = _styled(self.caption, self.caption_style or "table.caption")
        yield from Table.__rich_console__(plain, console, options.update(markup=False))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return super().__rich_measure__(console, options.update(markup=False))

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        title = f"{_plain(self.title)!r}, " if self.title else ""
        return f"{type(self).__name__}({title}{self.row_count} rows)"

    def _repr_html_(self) -> str:
        return as_html(self)

    def _repr_mimebundle_(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), **options: Any
    ) -> dict[str, str]:
        """What a notebook shows, in place of what `rich` would make: a picture of a terminal."""
        shown = {"text/plain": str(self), "text/html": self._repr_html_()}
        return {
            k: v for k, v in shown.items() if (not include or k in include) and k not in exclude
        }


class Printed(ABC):
    """A result that prints itself: `print` shows its table, `repr` a line, a notebook HTML.

    A subclass that is a dataclass is made with `repr=False`, as dataclasses write their own.
    """

    @abstractmethod
    def table(self) -> Table:
        """The figures as a `rich` table."""

    @abstractmethod
    def _told(self) -> Mapping[str, Any]:
        """What `repr` says: attributes and values."""

    def _picture(self) -> bytes | None:
        """A PNG that a notebook shows below the table; None for none."""
        return None

    def __repr__(self) -> str:
        return brief(self, **self._told())

    def __str__(self) -> str:
        return as_text(self.table())

    def __rich__(self) -> Table:
        return self.table()

    def _repr_html_(self) -> str:
        picture = self._picture()
        drawn = ""
        if picture is not None:
            content = base64.b64encode(picture).decode()
            drawn = f'<img alt="" style="max-width:100%" src="data:image/png;base64,{content}">'
        return as_html(self.table()) + drawn


def brief(thing: Any, **told: Any) -> str:
    """The `repr` of an object in one line: its type, and attributes with their values.

    Args:
        thing: the object.
        **told: what is said of it; numbers are rounded to four digits.

    Example:

    ```python
    brief(object(), accuracy=2 / 3, model="m")  # "object(accuracy=0.6667, model='m')"
    ```
    """
    values = ", ".join(f"{name}={_rounded(value)!r}" for name, value in told.items())
    return f"{type(thing).__name__}({values})"


def drawn(draw: Callable[[Path], object]) -> bytes:
    """What a function draws, as the bytes of its file.

    Args:
        draw: writes the picture to the path that it is given.

    Example:

    ```python
    drawn(lambda path: path.write_bytes(b"a picture"))  # b'a picture'
    ```
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        draw(path)
        return path.read_bytes()


def as_text(table: Table) -> str:
    """A `rich` table as text without styles, as wide as the terminal.

    Args:
        table: the table.

    Example:

    ```python
    as_text(ResultTable("class")).splitlines()[1]
    ```
    """
    width = shutil.get_terminal_size((_COLUMNS, 24)).columns
    text = io.StringIO()
    # A notebook would be asked to display it, and a dumb terminal might have fewer columns.
    console = Console(file=text, width=width, color_system=None, force_jupyter=False)
    console.print(table)
    # What fills the lines up to their end is of no use in a text.
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip("\n").split("\n"))


def as_html(table: Table) -> str:
    """A `rich` table as a small HTML table, everything in it escaped.

    Args:
        table: the table, with cells that are text.

    Example:

    ```python
    as_html(ResultTable("<class>"))  # ...<th>&lt;class&gt;</th>...
    ```
    """
    aligned = [f' style="text-align:{column.justify}"' for column in table.columns]
    lines = ["<table>"]
    if table.title:
        lines.append(
            '<caption style="caption-side:top;text-align:left"><b>'
            f"{_escaped(table.title)}</b></caption>"
        )
    if table.show_header:
        heads = zip(aligned, table.columns, strict=True)
        cells = "".join(f"<th{style}>{_escaped(c.header)}</th>" for style, c in heads)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row, cells_of_row in zip(
        table.rows, zip(*(column.cells for column in table.columns), strict=True), strict=True
    ):
        tag = "th" if "bold" in str(row.style or "") else "td"
        pairs = zip(aligned, cells_of_row, strict=True)
        cells = "".join(f"<{tag}{style}>{_escaped(cell)}</{tag}>" for style, cell in pairs)
        lines.append(f"<tr>{cells}</tr>")
    lines.append("</tbody></table>")
    if table.caption:
        lines.append(f'<p style="max-width:60em">{_escaped(table.caption)}</p>')
    return "\n".join(lines)


def _styled(text: Any, style: Any) -> Any:
    return Text(text, style=style) if isinstance(text, str) else text


def _plain(text: Any) -> str:
    return text.plain if isinstance(text, Text) else str(text)


def _escaped(text: Any) -> str:
    return html.escape(_plain(text)).replace("\n", "<br>")


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
