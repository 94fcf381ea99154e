"""Tables of the documentation are what the figures say, and README has no other figure."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from reporting import tables
from reporting.written import TABLES
from reporting.written.figures import ROOT

FIGURES = (
    "results/**/*.json",
    "exported_models/*/*.json",
    "keras_efgsm/pretrained/models/*/*.json",
)


def marked():
    return {
        page: re.findall(r"<!-- table: ([a-z0-9-]+) -->", page.read_text("utf-8"))
        for page in tables.PAGES
    }


def test_every_page_says_what_the_figures_say():
    stale = [
        page.name
        for page in tables.PAGES
        if tables.rewritten(page.read_text("utf-8")) != page.read_text("utf-8")
    ]
    assert not stale, "`make tables` writes them again"


def test_every_table_stands_on_a_page_once():
    names = [name for page in marked().values() for name in page]
    assert sorted(names) == sorted(TABLES)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A copy of README as the only page."""
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "PAGES", [tmp_path / "README.md"])
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text("utf-8"), "utf-8")
    return tmp_path / "README.md"


def test_a_figure_that_was_changed_by_hand_is_found_and_put_right(page, capsys):
    right = page.read_text("utf-8")
    wrong = right.replace("| 99.11 % |", "| 99.91 % |")
    assert tables.main(["--check"]) == 0 and wrong != right
    page.write_text(wrong, "utf-8")
    assert tables.main(["--check"]) == 1
    assert capsys.readouterr().out == "not what its figures say: README.md\n"
    assert page.read_text("utf-8") == wrong
    assert tables.main([]) == 0
    assert page.read_text("utf-8") == right


def shares(value: Any, name: str = "") -> Iterator[float]:
    """The accuracies in a file."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from shares(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from shares(item, name)
    elif isinstance(value, float) and "accuracy" in name:
        yield value


def unfounded(text: str) -> list[str]:
    """The percentages of a page, but for its code, that no file of figures holds."""
    files = [path for pattern in FIGURES for path in ROOT.glob(pattern)]
    held = {100 * share for path in files for share in shares(json.loads(path.read_text("utf-8")))}
    # Means over seeds and images stand in the tables, which have a test of their own.
    text = re.sub(
        r"<!-- table: .*?<!-- end of [^>]*-->|^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE
    )
    said = re.findall(r"(?<![\d.])(\d{1,3}(?:\.(\d+))?) ?%", text)
    return [
        figure
        for figure, decimals in said
        if not any(f"{share:.{len(decimals)}f}" == figure for share in held)
    ]


def test_every_figure_of_the_readme_is_in_a_file():
    assert unfounded((ROOT / "README.md").read_text("utf-8")) == []


def test_a_figure_that_no_file_holds_is_found():
    text = (ROOT / "README.md").read_text("utf-8").replace("82.93 %", "82.94 %")
    assert unfounded(text) == ["82.94"]
