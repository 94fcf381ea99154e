"""The reference: a page for each namespace, made of the docstrings of its public names."""

import functools
import html
import posixpath
import re
from collections import Counter
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from documentation.public_names import (
    NAMESPACES,
    PACKAGE,
    documented_at,
    names_of,
    names_of_the_top,
    package,
)

HEADING = "Reference"
TOP = "reference/index.md"
# Left as they are: links, headings, code blocks. What remains of code is looked up.
_CODE = re.compile(
    r"<a\b.*?</a>|<h[1-6]\b.*?</h[1-6]>|<pre\b.*?</pre>|<code>([A-Za-z_][\w.]*)</code>", re.DOTALL
)


def page_of(namespace: str) -> str:
    """Where the page of a namespace lies, `""` being the top."""
    return f"reference/{namespace}.md" if namespace else TOP


def add_to_navigation(config: MkDocsConfig) -> None:
    """Fills the empty entry of the navigation for the reference."""
    pages = [{f"{PACKAGE}": TOP}, *({name: page_of(name)} for name in NAMESPACES)]
    config.nav = [{HEADING: pages} if entry == {HEADING: []} else entry for entry in config.nav]


def add_pages(files: Files, config: MkDocsConfig) -> None:
    """Adds a page for each namespace, and one of the names of the top."""
    files.append(File.generated(config, TOP, content=_top()))
    for namespace in NAMESPACES:
        files.append(File.generated(config, page_of(namespace), content=_namespace(namespace)))


def with_links(page: str, of: Page) -> str:
    """Links code that is a public name to its place in the reference.

    Args:
        page: its HTML.
        of: the page.
    """

    def link(found: re.Match[str]) -> str:
        place = _place_of(found[1]) if found[1] else None
        if place is None:
            return found[0]
        namespace, dotted = place
        target = posixpath.splitext(page_of(namespace))[0] + ".html"
        target = posixpath.relpath(target, posixpath.dirname(of.file.dest_uri) or ".")
        return f'<a class="name" href="{target}#{dotted}">{found[0]}</a>'

    return _CODE.sub(link, page)


def documented(site: Path) -> tuple[set[str], list[str]]:
    """What of the public names a built site has.

    Args:
        site: its folder.

    Returns:
        The definitions of all public names, each once; and the dotted names that are missing.
    """
    pages = {
        namespace: (site / page_of(namespace)).with_suffix(".html").read_text("utf-8")
        for namespace in ("", *NAMESPACES)
    }
    places = documented_at()
    missing = [
        name
        for name, (namespace, dotted) in places.items()
        if f'id="{html.escape(dotted)}"' not in pages[namespace]
    ]
    return {dotted for _, dotted in places.values()}, missing


@functools.cache
def _by_last_name() -> dict[str, tuple[str, str]]:
    """Places of names that are of one thing alone, by their last part."""
    places = {(name.rpartition(".")[2], place) for name, place in documented_at().items()}
    count = Counter(name for name, _ in places)
    return {name: place for name, place in places if count[name] == 1}


def _place_of(code: str) -> tuple[str, str] | None:
    if "." in code:
        return documented_at().get(code)
    # A word such as `data` or `train` is as often an argument or a command.
    return _by_last_name().get(code) if "_" in code or code != code.lower() else None


def _namespace(namespace: str) -> str:
    """The page of a namespace: its own docstring, then each name."""
    home = [n for n in names_of(namespace) if documented_at()[f"{PACKAGE}.{namespace}.{n}"][1]
            == f"{PACKAGE}.{namespace}.{n}"]  # fmt: skip
    elsewhere = [name for name in names_of(namespace) if name not in home]
    lines = [f"# {PACKAGE}.{namespace}", "", f"::: {PACKAGE}.{namespace}", *_OF_A_MODULE, ""]
    if elsewhere:
        lines += ["Also offered here:", "", *_table(elsewhere, f"{PACKAGE}.{namespace}"), ""]
    for name in home:
        lines += [f"::: {PACKAGE}.{namespace}.{name}", ""]
    return "\n".join(lines)


def _top() -> str:
    """The page of the top: what it offers, where each namespace is, what stands nowhere else."""
    places = documented_at()
    own = sorted({places[f"{PACKAGE}.{name}"][1] for name in names_of_the_top()
                  if not places[f"{PACKAGE}.{name}"][0]})  # fmt: skip
    lines = [f"# {PACKAGE}", "", f"::: {PACKAGE}", *_OF_A_MODULE, "", "## Namespaces", ""]
    lines += ["| namespace | |", "|---|---|"]
    lines += [f"| [`{PACKAGE}.{n}`]({n}.md) | {summary(package()[n])} |" for n in NAMESPACES]
    lines += ["", "## Names of the top", "", *_table(names_of_the_top(), PACKAGE), ""]
    for dotted in own:
        lines += [f"::: {dotted}", ""]
    return "\n".join(lines)


_OF_A_MODULE = [
    "    options:",
    "      members: false",
    "      show_root_heading: false",
    "      show_root_toc_entry: false",
]


def _table(names: list[str], within: str) -> list[str]:
    rows = ["| name | |", "|---|---|"]
    for name in names:
        namespace, dotted = documented_at()[f"{within}.{name}"]
        target = posixpath.relpath(page_of(namespace), "reference")
        found = package()[dotted.removeprefix(f"{PACKAGE}.")]
        rows.append(f"| [`{name}`]({target}#{dotted}) | {summary(found)} |")
    return rows


def summary(found: object) -> str:
    """The first sentence of a docstring, for a cell of a table."""
    docstring = getattr(getattr(found, "final_target", found), "docstring", None)
    first = docstring.value.strip().split("\n\n")[0] if docstring else ""
    return " ".join(first.split()).replace("|", "\\|")
