import json
from pathlib import Path

import numpy as np
import pytest

import benchmark
from benchmarks import storage
from experiments.robustness_curves import summary
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES

SCRIPTS = Path(__file__).parents[2] / "scripts"
ABLATE = SCRIPTS / "experiments" / "ablate.py"
PROFILE_STEP = SCRIPTS / "benchmarks" / "profile_step.py"
TIME_TO_ROBUSTNESS = SCRIPTS / "experiments" / "time_to_robustness.py"


@pytest.fixture(scope="module")
def succeeds(fresh):
    """Runs a script, which must end well."""

    def run(*words):
        done = fresh.run(*words, env={"COLUMNS": "200"})
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    return run


@pytest.mark.slow(reason="times steps of each method")
def test_the_benchmark_prints_ratios_and_compares_signs_of_each_storage(
    tmp_path, fresh, monkeypatch, capsys
):
    # Without MNIST the images are random, and there is no PGD on a thousand of its test images.
    nothing = {"COLUMNS": "200", "TFDS_DATA_DIR": str(tmp_path)}
    for name, value in nothing.items():
        monkeypatch.setenv(name, value)
    started = []

    def run(words, **options):
        started.append(words)
        return fresh.run(*words[1:])

    monkeypatch.setattr(storage.subprocess, "run", run)
    words = ["--images", "256", "--rounds", "1", "--storage-epochs", "1", "--storage-seeds", "1"]
    assert benchmark.main([*words, "--json", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    assert "over ordinary" in printed
    assert "signs unlike float32" in printed
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found["storage"]) == list(STORAGE_DTYPES)
    assert len(started) == len(STORAGE_DTYPES)
    for dtype, measured in found["storage"].items():
        assert measured["differing_signs"] < (0.1 if dtype != "float32" else 1e-9)
        (run,) = measured["runs"]
        assert run["momentum_bytes"] == 256 * 28 * 28 * np.dtype(dtype).itemsize
        assert run["peak_bytes"] > 1e8


def test_the_sign_comparison_sees_a_storage_that_turns_signs():
    comparison = storage.StorageComparison(4, decay=0.95)
    ids = np.arange(4)
    directions = np.sign(np.random.default_rng(0).normal(size=(4, 28, 28, 1))).astype("float32")
    comparison.write(ids, comparison.gather(ids) * 0.95 + directions)
    assert set(comparison.differing_signs().values()) == {0.0}
    store = comparison.stores["int8"]
    store.assign(-store.numpy())
    assert comparison.differing_signs() == {"int8": 1.0, "float16": 0.0, "float32": 0.0}


@pytest.mark.slow(reason="trains six methods")
def test_time_to_robustness_measures_each_method_once(tmp_path, fresh, succeeds):
    words = [
        TIME_TO_ROBUSTNESS,
        "--dataset",
        "digits",
    ]
    words += ["--seconds", "1", "--marks", "0.5", "1", "--num-images", "30", "--steps", "3"]
    words += ["--methods", "standard,free", "--runs", tmp_path / "runs", "--out", tmp_path]
    succeeds(*words, "--train-only")
    assert not (tmp_path / "time_to_robustness.json").exists()
    weights = (tmp_path / "runs" / "free-seed0.npz").stat().st_mtime_ns
    succeeds(*words)
    assert (tmp_path / "runs" / "free-seed0.npz").stat().st_mtime_ns == weights
    stored = json.loads((tmp_path / "time_to_robustness.json").read_text())
    assert set(stored["runs"]) == {"standard-seed0", "free-seed0"}
    for result in stored["runs"].values():
        first, last = result["points"]
        assert 0 < first["seconds"] < last["seconds"]
        assert first["steps"] < last["steps"]
        assert last["robust_accuracy"] <= last["natural_accuracy"]
    assert "| free |" in (tmp_path / "time_to_robustness.md").read_text()
    before = (tmp_path / "time_to_robustness.json").read_bytes()
    other = [*words[:-2], "--epsilon-warmup", "0.1", "--out", tmp_path]
    refused = fresh.run(*other)
    assert refused.returncode != 0
    assert "other options" in refused.stderr
    assert (tmp_path / "time_to_robustness.json").read_bytes() == before
    # What has its figures is not trained again, though its weights are gone.
    succeeds(*words[:-3], tmp_path / "gone", "--out", tmp_path)
    assert not (tmp_path / "gone").exists()
    # Another set of attacks on the same trainings; only of the last mark.
    succeeds(*words[:-1], tmp_path / "last", "--attack-marks", "1")
    last = json.loads((tmp_path / "last" / "time_to_robustness.json").read_text())
    for name, run in last["runs"].items():
        assert run["points"] == stored["runs"][name]["points"][-1:]
    refused = fresh.run(*words[:-1], tmp_path / "again", "--rise", "0.2")
    assert refused.returncode == 2
    assert "other options" in refused.stderr and "runs=" in refused.stderr


@pytest.fixture(scope="module")
def profiled(tmp_path_factory, succeeds):
    out = tmp_path_factory.mktemp("profile") / "out.json"
    words = [
        PROFILE_STEP,
        "--preset",
        "digits",
        "--steps",
        "2",
    ]
    words += ["--rounds", "1", "--methods", "standard,efgsm", "--peak-tflops", "0.5"]
    succeeds(*words, "--json", out)
    return json.loads(out.read_text())


def test_the_profile_counts_the_arithmetic_of_a_step(profiled):
    rows = profiled["methods"]
    # 32 filters 3x3 on 8x8, 32 of 32 channels on 4x4, dense 512 to 128 to 10, by hand.
    forward = 64 * 9 * 32 + 16 * 9 * 32 * 32 + 512 * 128 + 128 * 10
    assert rows["standard"]["operations"] == 3 * 2 * forward * 64
    assert rows["efgsm"]["operations"] == pytest.approx(5 * 2 * forward * 64)
    for row in rows.values():
        share = row["operations"] / (row["step_ms"] / 1e3) / 0.5e12
        assert row["share_of_peak"] == pytest.approx(share)


def test_the_profile_times_the_parts_of_a_step(profiled):
    assert profiled["parts_of"] == "efgsm"
    assert {"forward pass", "reading Gamma"} < set(profiled["parts_ms"])


def test_an_ablation_goes_on_after_a_training_that_diverged(tmp_path, succeeds):
    words = [
        ABLATE,
        "--preset",
        "digits",
        "--epochs",
        "1",
    ]
    words += ["--train-images", "200", "--images", "8", "--attacks", "quick", "--verbose", "0"]
    # So high a rate that the base has no finite loss.
    words += ["--optimizer", "sgd", "--learning-rate", "1e30", "--variants", "averaging"]
    words += ["--runs", tmp_path / "runs", "--out", tmp_path / "out"]
    succeeds(*words)
    found = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert set(found["runs"]) == {"base-seed0", "averaging-seed0"}
    for run in found["runs"].values():
        assert run["robust_accuracy"] == 0.0
        assert "diverged" in run["changes"] and "not a number" in run["failed"]


def course(*marks):
    names = ("seconds", "robust_accuracy")
    return [dict(zip(names, mark, strict=True), natural_accuracy=1.0, epochs=1.0) for mark in marks]


def test_the_time_to_a_robust_accuracy_lies_between_two_marks():
    points = course((10.0, 0.4), (20.0, 0.8), (30.0, 0.9))
    assert summary.time_to(points, 0.4) == pytest.approx(10.0)
    assert summary.time_to(points, 0.2) == pytest.approx(5.0)
    assert summary.time_to(points, 0.85) == pytest.approx(25.0)
    assert summary.time_to(points, 0.91) is None
    # The first time that it is there counts, though it is lost again.
    assert summary.time_to(course((10.0, 0.9), (20.0, 0.1)), 0.45) == pytest.approx(5.0)


def test_a_method_that_never_arrives_took_at_least_the_time_it_was_given():
    runs = {
        "quick-seed0": {"points": course((10.0, 0.9))},
        "quick-seed1": {"points": course((20.0, 0.9))},
        "slow-seed0": {"points": course((40.0, 0.45), (80.0, 0.9))},
        "slow-seed1": {"points": course((40.0, 0.1), (100.0, 0.2))},
    }
    rows = {row["method"]: row for row in summary.summarise(runs, 0.9)}
    assert rows["quick"]["seconds_to_target"] == [10.0, 20.0]
    assert rows["slow"]["seconds_to_target"] == [80.0, None]
    # Seed by seed: 80 s against 10 s, and more than 100 s against 20 s.
    assert rows["slow"]["ratios"] == [
        {"ratio": 8.0, "at_least": False},
        {"ratio": 5.0, "at_least": True},
    ]
    assert rows["slow"]["marks"][-1]["robust_accuracy"] == pytest.approx(0.55)
    text = summary.table_of(list(rows.values()), "title", 0.9).markdown()
    assert "1 of 2 never, in 100 s | over 5.0 |" in text
    runs["slow-seed1"] = {"points": course((40.0, 0.1), (80.0, 0.9))}
    text = summary.table_of(summary.summarise(runs, 0.9), "title", 0.9).markdown()
    assert "80.0 to 80.0 s | 6.0 (4.0 to 8.0) |" in text


def test_multiples_are_checked_before_anything_is_trained(tmp_path, fresh):
    words = [
        TIME_TO_ROBUSTNESS,
        "--dataset",
        "digits",
    ]
    for given in ("nosuch=2", "pgd=0", "pgd", "pgd=x"):
        refused = fresh.run(*words, "--multiples", given, "--out", tmp_path / "out")
        assert refused.returncode == 2
        assert "multiples" in refused.stderr and "Received" in refused.stderr
    assert not (tmp_path / "out").exists()
