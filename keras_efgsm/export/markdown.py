"""Markdown of a model card: sections, tables, code, and cells that cannot break either."""

import re
from collections.abc import Sequence
from typing import Any

# Headings of sections that are looked for.
MEASURED = "Measured on each file"
LIMITS = "Limits"


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


def replace_section(card: str, heading: str, body: str) -> str:
    """Returns a card with the section `heading` replaced, or inserted before the limits.

    For a card that was edited by hand, or comes from a version that kept no record of the export.

    Args:
        card: the text of a card.
        heading: the heading without `## `, such as `"Measured on each file"`.
        body: what comes below it, without the heading.

    Raises:
        ValueError: if `heading` is empty or of several lines.

    Example:

    ```python
    from pathlib import Path

    card = Path("exported_models/mnist/mnist-1.md").read_text()
    card = replace_section(card, "Measured on each file", "| file | accuracy |")
    ```
    """
    if not heading or heading.strip() != heading or len(heading.splitlines()) != 1:
        raise ValueError(f"`heading` must be one line. Received: heading={heading!r}")
    parts = _split_at_headings(card)
    new = f"## {heading}\n\n{body.strip()}"
    titles = [part.split("\n", 1)[0].rstrip() for part in parts]
    if f"## {heading}" in titles:
        parts[titles.index(f"## {heading}")] = new
    elif f"## {LIMITS}" in titles:
        parts.insert(titles.index(f"## {LIMITS}"), new)
    else:
        parts.append(new)
    return "\n\n".join(part.strip("\n") for part in parts if part.strip("\n")) + "\n"


def _split_at_headings(card: str) -> list[str]:
    """What comes before the first `## `, and one part from each on; code blocks have none."""
    parts: list[list[str]] = [[]]
    in_code = False
    for line in card.split("\n"):
        if line.startswith("```"):
            in_code = not in_code
        if not in_code and re.match(r"## ", line):
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part) for part in parts]
