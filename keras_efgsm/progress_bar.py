"""The one bar of everything that takes long: in a terminal or a notebook, nowhere else."""

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

# Each drawing in a notebook is a message to its page.
_SECONDS_BETWEEN = 0.5
# A batch may take a minute, and the usual window of 30 s would see none.
_SECONDS_OF_SPEED = 600.0

_titles: ContextVar[tuple[str, ...]] = ContextVar("_titles", default=())


def progress_bar(
    wanted: bool = True, *, console: Console | None = None, between_lines: bool = False
) -> Progress:
    """A bar with what is done, how much of it, what came out so far, and the time left.

    A task takes the fields `unit`, such as `"images"`, and `said`, what came out so far. The bar is
    gone when it ends: what a command prints afterwards says the same. Nothing is shown where stderr
    is no terminal.

    Args:
        wanted: whether to show it in a terminal or a notebook. Defaults to `True`.
        console: where. Defaults to the terminal behind stderr.
        between_lines: whether others print while it stands, and see to that themselves. Defaults to
            `False`: what is printed then comes above it.

    Example:

    ```python
    with progress_bar() as bar:
        task = bar.add_task("counting", total=3, unit="sheep")
        for number in range(3):
            bar.update(task, advance=1, said=f"{number} asleep")
    ```
    """
    console = console or Console(stderr=True)
    # What goes into a file stays out of the terminal.
    above = not between_lines and sys.stdout is not None and sys.stdout.isatty()
    kind = _NotebookBar if console.is_jupyter else Progress
    return kind(
        _Title(", ".join(_titles.get())),
        BarColumn(),
        _Done(),
        _Said(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=above,
        redirect_stderr=not between_lines,
        disable=not (wanted and (console.is_terminal or console.is_jupyter)),
        speed_estimate_period=_SECONDS_OF_SPEED,
    )


@contextmanager
def titled(title: str) -> Iterator[None]:
    """Within the block every bar begins with these words, such as `"trial 3/20"`.

    Args:
        title: of what the bars are a part.

    Example:

    ```python
    with titled("model 2/3"), progress_bar() as bar:
        bar.add_task("apgd-ce", total=100, unit="images")
    ```
    """
    token = _titles.set((*_titles.get(), title))
    try:
        yield
    finally:
        _titles.reset(token)


class _Words(ProgressColumn):
    """A column of one line: a narrow terminal cuts it off."""

    def get_table_column(self) -> Column:
        return Column(no_wrap=True)


class _Title(_Words):
    """What runs, and before it what that is a part of."""

    def __init__(self, part_of: str):
        super().__init__()
        self._part_of = part_of

    def render(self, task: Task) -> Text:
        return Text(", ".join(filter(None, (self._part_of, task.description))))


class _Done(_Words):
    def render(self, task: Task) -> Text:
        total = "?" if task.total is None else f"{task.total:,.0f}"
        return Text(f"{task.completed:,.0f}/{total} {task.fields.get('unit', '')}".rstrip())


class _Said(_Words):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("said", "")))


class _NotebookBar(Progress):
    """The same bar as HTML, which needs no widgets: that of `rich` shows nothing without them."""

    def __init__(self, *columns: ProgressColumn, **options: Any):
        super().__init__(*columns, **options)
        self._handle: Any = None
        self._drawn = 0.0

    def start(self) -> None:
        if not self.disable:
            from IPython.display import HTML, display

            self._handle = display(HTML(""), display_id=True)

    def stop(self) -> None:
        if self._handle is not None:
            self._show("")
            self._handle = None

    def add_task(self, description: str, *args: Any, **fields: Any) -> TaskID:
        task = super().add_task(description, *args, **fields)
        self._draw()
        return task

    def update(self, task_id: TaskID, *args: Any, **fields: Any) -> None:
        super().update(task_id, *args, **fields)
        self._draw()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._draw()

    def refresh(self) -> None:
        """Draws at once."""
        self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._handle is not None and (at_once or now - self._drawn >= _SECONDS_BETWEEN):
            self._drawn = now
            self._show("".join(map(self._line, self.tasks)))

    def _line(self, task: Task) -> str:
        cells = [
            f'<progress value="{task.percentage:.1f}" max="100"></progress>'
            if isinstance(column, BarColumn)
            else html.escape(str(column(task)))
            for column in self.columns
            if not isinstance(column, str)
        ]
        return f'<div style="font-family:monospace">{" ".join(cells)}</div>'

    def _show(self, content: str) -> None:
        from IPython.display import HTML

        self._handle.update(HTML(content))
