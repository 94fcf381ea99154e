"""The README and the site: short, whole, and complete."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_efgsm
from documentation import examples, reference, repository
from documentation.public_names import (
    NAMESPACES,
    definition_of,
    documented_at,
    names_of,
    names_of_the_top,
    package,
)
from keras_efgsm import public_names

ROOT = Path(__file__).parents[2]
# What a browser would fetch from elsewhere as it opens a page.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?https?:|"
    r"<link\b[^>]*rel=[\"']?(?:stylesheet|preconnect|icon)[^>]*href=[\"']?https?:|"
    r"url\([\"']?https?:|@import"
)


def test_the_readme_has_at_most_150_lines():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_every_file_that_the_readme_links_is_there():
    text = (ROOT / "README.md").read_text("utf-8")
    linked = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    assert len(linked) > 20
    assert [path for path in linked if "://" not in path and not (ROOT / path).exists()] == []


def test_the_names_of_the_reference_are_those_that_can_be_imported():
    top = {*keras_efgsm.__all__, *public_names.__all__} - {*NAMESPACES, "__version__"}
    assert set(names_of_the_top()) == top
    for namespace in NAMESPACES:
        module = importlib.import_module(f"keras_efgsm.{namespace}")
        offered = getattr(module, "__all__", names_of(namespace))
        assert names_of(namespace) == sorted(offered)
        assert all(hasattr(module, name) for name in names_of(namespace))


def test_every_folder_that_the_top_offers_is_a_page_of_the_reference():
    folders = {
        name for name in keras_efgsm.__all__ if hasattr(getattr(keras_efgsm, name), "__path__")
    }
    assert folders <= set(NAMESPACES)


def test_every_public_name_has_a_docstring():
    definitions = {dotted for _, dotted in documented_at().values()}
    found = {dotted: package()[dotted.removeprefix("keras_efgsm.")] for dotted in definitions}
    assert sorted(n for n, one in found.items() if not reference.summary(one)) == []


def test_a_name_that_two_places_offer_is_documented_once():
    assert documented_at()["keras_efgsm.EFGSM"] == documented_at()["keras_efgsm.attacks.EFGSM"]
    places = documented_at().values()
    assert len(set(places)) == len({definition_of(dotted) for _, dotted in places})


@pytest.mark.parametrize(
    ("link", "place"),
    [
        ("own_images.md#in-python", "own_images.md#in-python"),
        ("../CONTRIBUTING.md#the-map", "CONTRIBUTING.md#the-map"),
        ("../results/mnist-small/README.md", "results/mnist-small/README.md"),
        ("../results/mnist-threshold/standard", "results/mnist-threshold/standard/index.md"),
        ("https://keras.io", "https://keras.io"),
        ("not_there.md", "not_there.md"),
    ],
)
def test_a_link_of_a_page_leads_to_the_same_file_in_the_site(link, place, page_file):
    page = page_file("docs/mnist.md")
    markdown = f"see [`it`]({link})\n\n```sh\necho [it](../README.md)\n```\n"
    rewritten = markdown.replace(link, place)
    assert repository.with_links_of_the_site(markdown, page) == rewritten


@pytest.fixture
def page_file():
    """Makes the file of a page of the site."""
    from mkdocs.structure.files import File

    return lambda path: File(Path(path).name, str((ROOT / path).parent), "site", False)


def test_a_picture_with_a_dark_twin_is_shown_as_both(page_file, tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("both.png", "both-dark.png", "one.png"):
        (tmp_path / "docs" / name).touch()
    page = page_file("docs/mnist.md")
    page.abs_src_path = str(tmp_path / "docs" / "page.md")
    shown = repository.with_links_of_the_site("![a](both.png) ![b](one.png)", page)
    assert shown == "![a](both.png#only-light)![a](both-dark.png#only-dark) ![b](one.png)"


def test_an_example_is_a_page_of_its_text_and_its_code(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text("# %% [markdown]\n# # Mine\n# It adds. Well.\n\n# %%\nassert 1 + 1 == 2\n")
    page = examples.as_markdown(script)
    assert page.startswith("# Mine\n\n[`examples/mine.py`](mine.py)\n")
    assert "It adds. Well." in page
    assert "```python\nassert 1 + 1 == 2\n```" in page


@pytest.mark.slow(reason="builds the whole site")
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path):
    site = tmp_path / "site"
    build = ("-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", site)
    done = subprocess.run(
        [sys.executable, *build],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # as `make docs` has it
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "WARNING" not in printed
    number = len({dotted for _, dotted in documented_at().values()})
    assert re.search(rf"\d+ pages, {number} public names, all in the reference", printed)
    pages = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    assert [path.name for path, text in pages.items() if _FETCHED.search(text)] == []
    assert all((site / "examples" / f"{one.stem}.html").exists() for one in examples.scripts())
    assert "<math" in pages[site / "method.html"]


def test_a_public_name_that_a_site_lacks_is_found(tmp_path):
    (tmp_path / "reference").mkdir()
    for namespace in ("", *NAMESPACES):
        (tmp_path / reference.page_of(namespace)).with_suffix(".html").touch()
    names, missing = reference.documented(tmp_path)
    assert "keras_efgsm.attacks.PGD" in missing
    assert len(names) < len(missing)
