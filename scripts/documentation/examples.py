"""A page for each script of `examples/`, which is a notebook in the percent format at once."""

import re
from pathlib import Path

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
OVERVIEW = "examples.md"
HEADING = "Examples"
_TABLE = re.compile(r"<!-- examples: .*? -->")
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def scripts() -> list[Path]:
    """The examples, in the order of their names."""
    return sorted((ROOT / "examples").glob("*.py"))


def page_of(script: Path) -> str:
    """Where the page of an example lies in the site."""
    return f"examples/{script.stem}.md"


def add_to_navigation(config: MkDocsConfig) -> None:
    """Puts the examples below the overview of them."""
    pages = [OVERVIEW, *({_title(script): page_of(script)} for script in scripts())]
    config.nav = [
        {HEADING: pages} if entry == {HEADING: OVERVIEW} else entry for entry in config.nav
    ]


def add_pages(files: Files, config: MkDocsConfig) -> None:
    """Adds a page for each example, and the script itself, to be saved."""
    for script in scripts():
        files.append(File.generated(config, page_of(script), content=as_markdown(script)))
        uri = script.relative_to(ROOT).as_posix()
        files.append(File(uri, str(ROOT), config.site_dir, config.use_directory_urls))


def as_markdown(script: Path) -> str:
    """An example as a page: its text, its code, and a link to the script.

    Args:
        script: a Python file in the percent format.
    """
    notebook = jupytext.reads(script.read_text("utf-8"), fmt="py:percent")
    parts = []
    for cell in notebook.cells:
        fenced = cell.cell_type == "code" and cell.source.strip()
        parts.append(f"```python\n{cell.source}\n```" if fenced else cell.source)
    title, *rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n[`examples/{script.name}`]({script.name})\n{''.join(rest)}\n"


def with_table(markdown: str) -> str:
    """Puts a table of the examples where the overview has its comment for it.

    Args:
        markdown: the overview.
    """
    rows = [f"| [{_title(one)}]({page_of(one)}) | {_first_sentence(one)} |" for one in scripts()]
    table = "\n".join(["| example | |", "|---|---|", *rows]) if rows else ""
    return _TABLE.sub(lambda _: table, markdown)


def _title(script: Path) -> str:
    found = _TITLE.search(_text(script))
    return found[1] if found else script.stem


def _first_sentence(script: Path) -> str:
    text = _TITLE.sub("", _text(script), count=1).strip()
    return re.split(r"(?<=[.:])\s", " ".join(text.split("\n\n")[0].split()))[0]


def _text(script: Path) -> str:
    """The text cells of an example."""
    notebook = jupytext.reads(script.read_text("utf-8"), fmt="py:percent")
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
