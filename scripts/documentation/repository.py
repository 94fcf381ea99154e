"""Links that leave `docs/`: pages name files of the repository, and these become part of the site.

A page reads the same in a checkout and in the site. A Markdown file that is linked becomes a page,
any other file is copied, and of a folder there is a page that lists its files.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

from documentation import examples

ROOT = Path(__file__).parents[2]
DOCS = "docs"
_LINK = re.compile(
    r"(?P<before>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(?P<path>[^)\s#]*)(?P<rest>[^)]*\))"
)
_PICTURE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<path>[^)\s#]+)\.png\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def add_linked_files(files: Files, config: MkDocsConfig) -> None:
    """Adds every file of the repository that a page of the site links, and what those link.

    Args:
        files: the pages so far.
        config: of the site.
    """
    waiting = [file for file in files.documentation_pages() if file.generated_by is None]
    while waiting:
        page = waiting.pop()
        text = Path(page.abs_src_path or "").read_text("utf-8")
        for path in _linked(text, _place(page)):
            for found in _files_of(path, config):
                if files.get_file_from_path(found.src_uri) is None:
                    files.append(found)
                    if found.is_documentation_page() and found.generated_by is None:
                        waiting.append(found)


def with_links_of_the_site(markdown: str, page: File) -> str:
    """Rewrites links to files of the repository, and shows pictures that have a dark twin as both.

    Args:
        markdown: of a page, with links as in a checkout.
        page: its file.
    """
    if page.generated_by is not None:
        return markdown
    place = _place(page)

    def link(found: re.Match[str]) -> str:
        path = _resolve(found["path"], place)
        if path is None or not (ROOT / path).exists():
            return found[0]  # MkDocs says what is wrong with it
        uri = _uri(path)
        here = posixpath.relpath(uri, posixpath.dirname(page.src_uri) or ".")
        return f"{found['before']}{here}{found['rest']}"

    def both(found: re.Match[str]) -> str:
        path = _resolve(f"{found['path']}-dark.png", place)
        if path is None or not (ROOT / path).exists():
            return found[0]
        alt, name = found["alt"], found["path"]
        return f"![{alt}]({name}.png#only-light)![{alt}]({name}-dark.png#only-dark)"

    def mend(text: str) -> str:
        return _LINK.sub(link, _PICTURE.sub(both, text))

    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else mend(part) for part in parts)


def _place(page: File) -> str:
    """Where a page's text lies in the repository."""
    return Path(page.abs_src_path or "").relative_to(ROOT).as_posix()


def _linked(text: str, place: str) -> Iterator[str]:
    for part in _FENCE.split(text):
        if not part.startswith("```"):
            for found in _LINK.finditer(part):
                path = _resolve(found["path"], place)
                if path is not None:
                    yield path
                    if path.endswith(".png"):
                        yield f"{path.removesuffix('.png')}-dark.png"


def _resolve(link: str, place: str) -> str | None:
    """The path in the repository that a link of a file stands for; None if it is an address."""
    if not link or "://" in link or link.startswith(("mailto:", "/")):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link))


def _uri(path: str) -> str:
    """The place in the site of a path in the repository."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    if (ROOT / path).is_dir():
        has_readme = (ROOT / path / "README.md").exists()
        return f"{path}/{'README.md' if has_readme else 'index.md'}"
    script = ROOT / path
    return examples.page_of(script) if script in examples.scripts() else path


def _files_of(path: str, config: MkDocsConfig) -> Iterator[File]:
    """What a linked path adds to the site."""
    found = ROOT / path
    uri = _uri(path)
    is_within = path == DOCS or path.startswith(f"{DOCS}/") or path.startswith("../")
    if is_within or not found.exists() or found in examples.scripts():
        return
    if not found.is_dir():
        yield _file(path, config)
    elif uri.endswith("README.md"):
        yield _file(uri, config)
    else:
        inside = sorted(one for one in found.iterdir() if one.is_file())
        page = File.generated(config, uri, content=_listing(path, inside))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        yield page
        for one in inside:
            yield _file(one.relative_to(ROOT).as_posix(), config)


def _file(path: str, config: MkDocsConfig) -> File:
    made = File(path, str(ROOT), config.site_dir, config.use_directory_urls)
    if made.is_documentation_page() and path not in _in_navigation(config.nav):
        made.inclusion = InclusionLevel.NOT_IN_NAV
    return made


def _in_navigation(entries: object) -> set[str]:
    """The pages that the navigation names."""
    if isinstance(entries, str):
        return {entries}
    inside = entries.values() if isinstance(entries, dict) else entries or ()
    return {page for entry in inside for page in _in_navigation(entry)}  # type: ignore[union-attr]


def _listing(path: str, inside: list[Path]) -> str:
    """A page that lists the files of a folder, and shows its tables and pictures."""
    lines = [f"# {path}", ""]
    lines += [f"- [`{one.name}`]({one.name})" for one in inside]
    pictures = [one for one in inside if one.suffix == ".png" and not one.stem.endswith("-dark")]
    lines += ["", *(f"![{PurePosixPath(one.name).stem}]({one.name})\n" for one in pictures)]
    return "\n".join(lines)
