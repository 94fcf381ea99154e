"""What MkDocs calls while it builds the site, see `hooks` of `mkdocs.yml`.

    make docs                          # or: python -m mkdocs build --strict

Each event is handled in a module beside this one: `repository` for links that leave `docs/`,
`examples` for the pages of `examples/`, `reference` for those of the public names, `equations` for
what stands between dollars.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority, get_plugin_logger
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from documentation import equations, examples, reference, repository

_log = get_plugin_logger("keras_efgsm")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts the pages that are made here into the navigation."""
    examples.add_to_navigation(config)
    reference.add_to_navigation(config)
    return config


@event_priority(100)  # before the plugins, which then know these files
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made here, and every file of the repository that a page links."""
    examples.add_pages(files, config)
    reference.add_pages(files, config)
    repository.add_linked_files(files, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links to files of the repository into links to their place in the site."""
    if page.file.src_uri == examples.OVERVIEW:
        markdown = examples.with_table(markdown)
    return repository.with_links_of_the_site(markdown, page.file)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Typesets equations, and links public names to the reference."""
    return reference.with_links(equations.typeset(html), page)


def on_post_build(config: MkDocsConfig) -> None:
    """Counts, and warns of public names that the reference lacks."""
    site = Path(config.site_dir)
    names, missing = reference.documented(site)
    for name in missing:
        _log.warning("%s is public and not in the reference", name)
    number = len(list(site.rglob("*.html"))) - 1  # without 404.html
    where = f"{len(missing)} not in the reference" if missing else "all in the reference"
    print(f"{number} pages, {len(names)} public names, {where}")
