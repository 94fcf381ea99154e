import dataclasses
import json
from pathlib import Path

import pytest
from rich.console import Console

from experiments.reproduction import paper
from experiments.reproduction.measuring import COMPARED, SOURCES, Measurements
from experiments.reproduction.rows import LAMBDAS, SCALES, lambda_row, make_rows
from experiments.reproduction.training import plan_rows

REPRODUCE = Path(__file__).parents[2] / "scripts" / "experiments" / "reproduce.py"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_every_row_of_the_papers_tables_is_trained_once(dataset, scale):
    rows = make_rows(dataset, SCALES[scale])
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    wanted = {*paper.TABLE_1[dataset], *paper.TABLE_4[dataset], *COMPARED, *SOURCES}
    wanted |= {"trades-efgsm"}
    chosen = rows[0].config.method_options["lambda"]
    wanted |= {lambda_row(value, False) for value in LAMBDAS[dataset]}
    wanted |= {lambda_row(value, True) for value in LAMBDAS[dataset] if value != chosen}
    assert wanted <= set(names)
    for table in (paper.TABLE_2, paper.TABLE_3):
        assert set(table[dataset]) == set(LAMBDAS[dataset])


def test_the_rows_differ_in_what_their_tables_say():
    rows = {row.name: row.config for row in make_rows("mnist", SCALES["small"])}
    assert rows["ours"].label_smoothing == 0.1
    assert rows["lambda-0.01-no-smoothing"].label_smoothing == 0.0
    assert rows["lambda-0.01-no-smoothing"].method_options["lambda"] == 0.01
    assert rows["madry"].method_options == {"steps": 40, "step_size": 0.01, "norm": "linf"}
    assert rows["free"].method_options["replays"] == 15
    assert rows["advtrain"].method == "efgsm"
    tested = ("ours", "madry", "trades", "free", "advtrain", "rec", "trades-efgsm")
    assert {rows[name].classifier for name in tested} == {"mnist"}


def test_only_the_papers_method_with_and_without_reconstructor_has_several_seeds():
    scale = SCALES["small"]
    seeds = {row.name: row.seeds(scale) for row in make_rows("mnist", scale)}
    assert seeds.pop("ours") == seeds.pop("advtrain") == (0, 1, 2)
    assert set(seeds.values()) == {(0,)}


def test_a_measurement_is_made_once_and_another_configuration_is_refused(tmp_path):
    measurements = Measurements(tmp_path, Console(quiet=True))
    assert measurements.get("row", {"epochs": 1}, lambda: {"adp": 0.5}) == {"adp": 0.5}
    stored = (tmp_path / "row.json").read_bytes()
    again = measurements.get("row", {"epochs": 1}, lambda: pytest.fail("made twice"))
    assert again == {"adp": 0.5}
    with pytest.raises(ValueError, match=r"another configuration.*Received: .*row\.json"):
        measurements.get("row", {"epochs": 2}, lambda: pytest.fail("made"))
    assert (tmp_path / "row.json").read_bytes() == stored


@pytest.fixture(scope="module")
def needs_mnist():
    from keras_efgsm.data import load_data

    try:
        load_data("mnist", "test")
    except (ValueError, OSError) as error:
        pytest.skip(f"MNIST is not prepared here: {str(error).splitlines()[0]}")


@pytest.mark.exhaustive(reason="trains every row of the paper's tables, three minutes of two cores")
@pytest.mark.usefixtures("needs_mnist")
def test_the_smoke_scale_runs_every_row_and_a_second_call_makes_nothing_anew(tmp_path, fresh):
    words = [REPRODUCE, "--scale", "smoke"]
    words += ["--out", tmp_path / "out", "--runs", tmp_path / "runs"]
    wide = {"COLUMNS": "200"}
    refused = fresh.run(*words, "--rows", "rec,other", env=wide)
    assert refused.returncode == 2 and "Received: rows='other'" in refused.stderr
    # Rows that another process makes are there when the whole is asked for.
    assert fresh.run(*words, "--rows", "rec,conv4", env=wide).returncode == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["rec-seed0.json"]
    one = (tmp_path / "out" / "rec-seed0.json").read_bytes()
    assert fresh.run(*words, env=wide).returncode == 0
    assert (tmp_path / "out" / "rec-seed0.json").read_bytes() == one
    page = (tmp_path / "out" / "README.md").read_text()
    for heading in ("Table 1", "Table 2", "Table 3", "Table 4", "Table 5", "Figures 2 and 3"):
        assert f"## {heading}" in page
    for name in ("ours-seed0", "trades-seed0", "lambda-0.001-no-smoothing-seed0", "transfer"):
        facts = json.loads((tmp_path / "out" / f"{name}.json").read_text())
        assert facts["versions"]["tensorflow"]
        assert facts["result"]
    assert (tmp_path / "out" / "figure2.png").stat().st_size > 5000
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.json")}
    done = fresh.run(*words, env=wide)
    assert done.returncode == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.json")} == before
    assert "training" not in done.stdout.split("The paper's tables")[0]


def test_folders_of_another_configuration_are_refused_before_any_training(tmp_path):
    scale = SCALES["smoke"]
    (row,) = (row for row in make_rows("mnist", scale) if row.name == "rec")
    (planned,) = plan_rows([row], scale, tmp_path)
    other = dataclasses.replace(planned.config, epochs=7)
    planned.folder.prepare(other, resume=False)
    with pytest.raises(ValueError, match=r"another configuration.*Received: .*rec-seed0"):
        plan_rows([row], scale, tmp_path)
    assert planned.folder.read_config() == other


@pytest.mark.usefixtures("needs_mnist")
def test_the_script_tells_of_a_results_folder_of_another_configuration_in_one_line(tmp_path, fresh):
    (tmp_path / "ours-seed0.json").write_text(json.dumps({"key": {"epochs": 3}, "result": {}}))
    words = [
        REPRODUCE,
        "--scale",
        "smoke",
        "--out",
        tmp_path,
    ]
    words += ["--runs", tmp_path / "runs"]
    done = fresh.run(*words)
    assert done.returncode == 2
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("reproduce: "))
    assert "results of another configuration" in line
    assert [p.name for p in tmp_path.iterdir()] == ["ours-seed0.json"]
