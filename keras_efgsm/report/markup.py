"""HTML as values: whatever is not `Html` is escaped, so that no file can write to the page."""

import html
import math
import re
from collections.abc import Sequence
from typing import Any

_VOID = frozenset({"meta", "img", "br"})


class Html(str):
    """Text that is HTML already; any other text is escaped when it joins an element."""

    __slots__ = ()


def element(tag: str, *content: Any, **attributes: Any) -> Html:
    """An HTML or SVG element.

    Args:
        tag: its name.
        *content: `Html`, or anything else, which is written as escaped text; None is left out.
        **attributes: by name; underscores become hyphens and a last one is dropped (`class_`). An
            attribute of None is left out.

    Example:

    ```python
    element("p", "1 < 2", class_="note")  # <p class="note">1 &lt; 2</p>
    ```
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{joined(*content)}</{tag}>")


def joined(*content: Any) -> Html:
    """Contents one after the other, escaped where they are not `Html`."""
    return Html(
        "".join(c if isinstance(c, Html) else html.escape(str(c)) for c in content if c is not None)
    )


def table(
    caption: Any,
    header: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    *,
    numeric: Sequence[bool],
    strong: int | None = None,
    is_narrow: bool = False,
) -> Html:
    """A table in a box of its own that scrolls where the screen is narrower.

    Args:
        caption: what it shows.
        header: names of the columns.
        rows: cells; the first of each row is its heading.
        numeric: for each column whether it is right-aligned.
        strong: number of a row to be set in bold. Defaults to none.
        is_narrow: whether it is as wide as its content only. Defaults to `False`.
    """
    kinds = ["number" if is_numeric else None for is_numeric in numeric]
    head = [
        element("th", name, scope="col", class_=kind)
        for name, kind in zip(header, kinds, strict=True)
    ]
    body = []
    for index, row in enumerate(rows):
        cells = [
            element("td" if column else "th", cell, class_=kind, scope=None if column else "row")
            for column, (cell, kind) in enumerate(zip(row, kinds, strict=True))
        ]
        body.append(element("tr", *cells, class_="strong" if index == strong else None))
    return scrolling(
        element(
            "table",
            element("caption", element("span", caption)),
            element("thead", element("tr", *head)),
            element("tbody", *body),
            class_="compact" if is_narrow else None,
        ),
        "table",
    )


def scrolling(content: Html, label: str) -> Html:
    """A box that scrolls sideways by itself, also by the keyboard."""
    return element("div", content, class_="scroll", tabindex="0", role="group", aria_label=label)


def percent(fraction: Any) -> str:
    """A share in per cent with two digits; a dash for what is no number."""
    return f"{100 * fraction:.2f}\u00a0%" if is_number(fraction) else "\u2013"


def number(value: Any, unit: str = "") -> str:
    """A number in at most four significant digits, whole ones in full, with its unit."""
    if not is_number(value):
        return "\u2013" if value is None else str(value)
    whole = isinstance(value, int) or float(value).is_integer()
    return (f"{int(value):,}" if whole else f"{value:.4g}") + (f"\u00a0{unit}" if unit else "")


def radius(epsilon: Any) -> str:
    """An L-infinity radius in pixels of [0, 1], also in 255ths if it is meant as such."""
    if not is_number(epsilon):
        return number(epsilon)
    levels = round(epsilon * 255)
    whole = 0 < levels < 255 and math.isclose(epsilon * 255, levels, abs_tol=1e-3)
    # 0.2 is 51/255, but nobody means it so.
    short = len(f"{epsilon:g}") <= 4
    return f"{epsilon:.4g} ({levels}/255)" if whole and not short else f"{epsilon:.4g}"


def data_name(dataset: Any, split: Any = None) -> str:
    """A data set with its split; of a path only the last part, as the rest means nothing elsewhere.

    Args:
        dataset: its name, which may have the split in it, or its path.
        split: the part of it. Defaults to none.
    """
    parts = str(dataset).rstrip("/").split("/")
    # tensorflow-datasets write mnist/3.0.1:test.
    is_versioned = len(parts) == 2 and re.match(r"\d+\.\d+\.\d+", parts[1])
    name = "/".join(parts) if is_versioned else parts[-1]
    return name if split is None or name.endswith(f":{split}") else f"{name} ({split})"


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
