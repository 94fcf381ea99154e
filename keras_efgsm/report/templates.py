"""The templates of pages: how they are filled in, and where a page may be written."""

import importlib.resources
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from keras_efgsm.atomic_file import try_to_write
from keras_efgsm.pictures.palette import style_variables
from keras_efgsm.records.wording import interval, number, percent, unbroken
from keras_efgsm.version import __version__

# What the first lines of a page name as their maker, and a command behind it.
_GENERATOR = "keras_efgsm"


def fill_in(template: str, command: str, **values: Any) -> str:
    """The HTML of a page.

    Args:
        template: its file, such as `"report/page.html"`, in the folder of this package.
        command: that makes the page, which it names.
        **values: what the template shows; text in them is escaped.

    Example:

    ```python
    page = fill_in("report/page.html", "report", comparison=None, balls="no ball", sections=[])
    page[:15]  # "<!DOCTYPE html>"
    ```
    """
    # Whatever a file says is escaped; only the drawings and the style sheet are markup.
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        loader=jinja2.FunctionLoader(_read),
    )
    environment.filters |= {"percent": percent, "number": number, "interval": interval}
    environment.filters["prose"] = _prose
    return environment.get_template(template).render(
        generator=f"{_GENERATOR} {command} {__version__}",
        version=__version__,
        style=Markup(style_variables() + _read("report/style.css")),
        **values,
    )


def check_page(out: Path, overwrite: bool, name: str = "out") -> None:
    """Checks that a page can be written, and that it replaces nothing but a page of this library.

    Args:
        out: the page.
        overwrite: whether it may replace anything.
        name: what the caller calls it, for the error. Defaults to `"out"`.

    Raises:
        ValueError: if it is a folder, lies in none, or would replace something else.
        PermissionError: if it cannot be written.

    Example:

    ```python
    check_page(Path("report.html"), overwrite=False)
    ```
    """
    received = f"Received: {name}={str(out)!r}"
    if out.is_dir():
        raise ValueError(f"`{name}` must be the path of an HTML file, but is a folder. {received}")
    if not out.parent.is_dir():
        raise ValueError(f"The folder of `{name}` must exist. {received}")
    try_to_write(out, name)
    if out.exists() and not overwrite and not _is_page(out):
        raise ValueError(
            f"`{name}` exists and is no report of keras_efgsm; give another path, or "
            f"`--overwrite` to replace it. {received}"
        )


def _read(name: str) -> str:
    return importlib.resources.files("keras_efgsm").joinpath(name).read_text("utf-8")


def _finalize(value: Any) -> Any:
    """Keeps a number and its unit on one line."""
    return unbroken(value) if type(value) is str else "" if value is None else value


def _prose(text: str) -> Markup:
    """Text in which what stands between backticks is set as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(unbroken(text)))))


def _is_page(path: Path) -> bool:
    with open(path, "rb") as file:
        return f'<meta name="generator" content="{_GENERATOR} '.encode() in file.read(500)
