"""Imports run one way, by the order that `scripts/import_graph.py` declares."""

import pytest

import import_graph
from import_graph import ImportGraph, problems

FLOORS = {"ground": "", "first": "", "roof": ""}


@pytest.fixture
def house(tmp_path):
    """Makes a package of three floors from the sources of its modules."""

    def make(**sources):
        folder = tmp_path / "house"
        for floor in FLOORS:
            (folder / floor).mkdir(parents=True)
            (folder / floor / "__init__.py").touch()
        (folder / "__init__.py").write_text("from house.roof import tiles\n")
        (folder / "roof" / "tiles.py").write_text("from house.first import rooms\n")
        for name in ("ground/stone", "first/rooms"):
            (folder / f"{name}.py").write_text(sources.get(name.split("/")[1], ""))
        return ImportGraph("house", tmp_path, FLOORS)

    return make


def test_no_import_of_the_package_runs_upward_or_in_a_circle():
    graph = ImportGraph()
    assert problems(graph) == []
    assert {"equations", "attacks", "serving", "cli"} <= set(graph.rooms())


def test_imports_of_what_is_below_are_free(house):
    graph = house(rooms="from house.ground.stone import heavy\n")
    assert problems(graph, {}) == []
    assert graph.rooms() == {"ground": set(), "first": {"ground"}, "roof": {"first"}}


@pytest.mark.parametrize(
    "source",
    [
        "\nfrom house.first.rooms import bed\n",
        "\nimport house.first.rooms\n",
        "def lift():\n    from house.first.rooms import bed\n",
        "import typing\nif typing.TYPE_CHECKING: from house.first.rooms import Bed\n",
    ],
)
def test_an_import_that_runs_upward_is_told_with_its_line(house, source):
    graph = house(stone=source)
    assert problems(graph, {}) == ["upward: ground.stone imports first.rooms (line 2)"]
    assert problems(graph, {("ground.stone", "first.rooms"): "a reason"}) == []


def test_an_import_of_the_package_itself_runs_upward(house):
    (wrong,) = (line for line in problems(house(stone="import house\n"), {}) if "upward" in line)
    assert wrong.startswith("upward: ground.stone imports house")


def test_a_circle_is_told_though_each_import_is_excepted(house):
    graph = house(stone="import house.first.rooms\n", rooms="import house.ground.stone\n")
    (line,) = problems(graph, {("ground.stone", "first.rooms"): "a reason"})
    assert line.startswith("circle: ")
    assert {"house.ground.stone", "house.first.rooms"} <= set(line.split())


def test_an_exception_that_nothing_needs_any_more_is_told(house):
    wrong = problems(house(), {("ground.stone", "first.rooms"): "a reason"})
    assert wrong == ["exception without an import: ground.stone imports first.rooms"]


def test_a_package_that_the_table_does_not_name_is_refused(house):
    graph = house()
    graph.floors.remove("first")
    with pytest.raises(ValueError, match=r"`FLOORS` must say.*Received: 'house\.first"):
        problems(graph, {})


def test_the_command_lists_the_floors_from_the_roof_down(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["import_graph", "--arrows"])
    assert import_graph.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[1] == "__main__"
    assert lines[-1] == "no circle, none upward but those excepted"
    assert any("imports" in line and "equations" in line for line in lines)
