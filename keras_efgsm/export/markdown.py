"""Markdown of a model card: tables, code, and cells that cannot break either."""

import re
from collections.abc import Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines)


def cell(value: Any) -> str:
    """Returns `value` as the text of one table cell, `-` for `None`."""
    text = "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def code(text: Any) -> str:
    """Returns `text` as inline code."""
    return f"`{str(text).replace('`', chr(39))}`"


def fence(text: str, language: str = "") -> str:
    """Returns `text` as a code block."""
    return f"```{language}\n{text}\n```"
