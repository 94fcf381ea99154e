import csv
import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import keras_efgsm.callbacks.overfitting_stop
import keras_efgsm.training
from keras_efgsm.callbacks import RunRecorder
from keras_efgsm.checkpoint import Checkpoint, save_checkpoint
from keras_efgsm.config import TrainingConfig
from keras_efgsm.data import ImageData, load_digits
from keras_efgsm.runs import RunFolder
from keras_efgsm.training import train

CONFIG = TrainingConfig(
    dataset="digits",
    classifier="digits",
    reconstructor="digits",
    epsilon=0.2,
    epochs=2,
    batch_size=100,
    weight_averaging=0.9,
    probe_images=0,
)


def part(data, count):
    return ImageData(data.images[:count], data.labels[:count], data.class_names, data.name)


@pytest.fixture(scope="module")
def data():
    return {
        "train_data": part(load_digits("train"), 300),
        "test_data": part(load_digits("test"), 100),
        "verbose": 0,
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("runs") / "finished"
    return train(CONFIG, out, **data)


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(finished.folder.path, tmp_path / "run")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def refused(data, capsys):
    """Calls `train` and checks that it is refused and that nothing in the folder changes."""

    def check(error, message, config, out, *, resume=True, **changes):
        folder = out if out.is_dir() else out.parent
        before = contents(folder)
        with pytest.raises(error, match=message) as caught:
            train(config, out, resume=resume, **{**data, **changes})
        assert "Received: " in str(caught.value)
        assert contents(folder) == before
        assert "resuming" not in capsys.readouterr().out

    return check


def rows_of(folder):
    rows = list(csv.DictReader((folder / "history.csv").read_text().splitlines()))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


# The exact continuation. Determinism is switched on for a whole process.

SCRIPT = """
    import os, signal, sys
    import tensorflow as tf
    tf.config.experimental.enable_op_determinism()
    from keras_efgsm import training
    from keras_efgsm.config import TrainingConfig
    from keras_efgsm.data import ImageData, load_digits

    config = TrainingConfig(
        dataset="digits", classifier="digits", reconstructor="digits", epsilon=0.2, epochs=4,
        batch_size=100, weight_averaging=0.9, momentum_dtype="float16",
    )
    digits = load_digits("train")
    data = ImageData(digits.images[:450], digits.labels[:450], digits.class_names)
    options = {"train_data": data, "test_data": data, "verbose": 0}

    class Killed(training.RunRecorder):
        def on_train_batch_end(self, batch, logs=None):
            if len(self.rows) == 2 and batch == 3:
                os.kill(os.getpid(), signal.SIGKILL)

    whole, parts = sys.argv[2:]
    if sys.argv[1] == "start":
        training.train(config, whole, **options)
        training.RunRecorder = Killed
        training.train(config, parts, **options)
    else:
        training.train(config, parts, resume=True, **options)
"""


def test_a_killed_run_continues_bit_for_bit_in_a_fresh_process(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def process(command):
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), command, str(whole), str(parts)],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )

    started = process("start")
    assert started.returncode == -signal.SIGKILL, started.stderr
    assert len(rows_of(parts)) == 2
    assert not (parts / "classifier.keras").exists()
    resumed = process("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming after epoch 2 of 4" in resumed.stdout
    assert rows_of(parts) == rows_of(whole)
    assert len(rows_of(whole)) == 4
    with np.load(whole / "checkpoint.npz") as one, np.load(parts / "checkpoint.npz") as other:
        assert set(one.files) == set(other.files)
        assert "momentum" in one.files
        assert np.any(one["momentum"])
        for name in set(one.files) - {"header"}:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    first, second = (keras.models.load_model(p / "classifier.keras") for p in (whole, parts))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    metrics = [json.loads((p / "metrics.json").read_text()) for p in (whole, parts)]
    for name in ("natural_accuracy", "epochs", "stop"):
        assert metrics[0][name] == metrics[1][name]


# Runs that ended in some way.


def test_a_run_folder_holds_all_that_a_run_gives(finished):
    folder = finished.folder
    names = {p.name for p in folder.path.iterdir()}
    assert names == {
        "config.json",
        "history.csv",
        "metrics.json",
        "classifier.keras",
        "reconstructor.keras",
        "checkpoint.npz",
        "curves.png",
    }
    assert folder.read_config() == CONFIG
    assert [row["epoch"] for row in rows_of(folder.path)] == ["1", "2"]
    assert json.loads(folder.metrics.read_text()) == finished.metrics
    assert folder.curves.read_bytes().startswith(b"\x89PNG")


def test_resuming_a_finished_run_changes_nothing(finished, run, data, capsys):
    before = RunFolder(run)
    history = before.history.read_bytes()
    result = train(CONFIG, run, resume=True, **data)
    assert "resuming after epoch 2 of 2" in capsys.readouterr().out
    for a, b in zip(finished.trainer.get_weights(), result.trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        finished.trainer.momentum.numpy(), result.trainer.momentum.numpy()
    )
    assert before.history.read_bytes() == history
    assert {p.name for p in run.iterdir()} == {p.name for p in finished.folder.path.iterdir()}
    assert result.metrics == finished.metrics


def test_a_run_interrupted_before_its_first_checkpoint_starts_anew(data, tmp_path, monkeypatch):
    class Interrupted(RunRecorder):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras_efgsm.training, "RunRecorder", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, tmp_path / "run", **data)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"config.json"}
    result = train(CONFIG, tmp_path / "run", resume=True, **data)
    assert result.metrics["epochs"] == 2


def test_a_stopped_run_stays_stopped_and_gets_its_good_weights_back(data, tmp_path, monkeypatch):
    class Falls:
        def __init__(self, *args):
            self.left = [0.1, 0.6, 0.1]

        def accuracy(self):
            return self.left.pop(0)

    good = []

    class Crashes(RunRecorder):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            good.append(self.model.classifier.get_weights())
            if epoch == 1:
                raise RuntimeError("the machine goes down")

    monkeypatch.setattr(keras_efgsm.callbacks.overfitting_stop, "Probe", Falls)
    config = dataclasses.replace(CONFIG, epochs=4, probe_images=30)
    with monkeypatch.context() as patch:
        patch.setattr(keras_efgsm.training, "RunRecorder", Crashes)
        with pytest.raises(RuntimeError):
            train(config, tmp_path / "run", **data)
    result = train(config, tmp_path / "run", resume=True, **data)
    assert result.metrics["epochs"] == 2
    assert result.metrics["stop"]["epoch"] == 2
    assert result.metrics["stop"]["restored_epoch"] == 1
    for a, b in zip(good[0], result.trainer.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# Folders that are refused.


def test_another_option_is_refused_with_both_values(refused, run):
    other = dataclasses.replace(CONFIG, epsilon=0.25, epochs=3)
    refused(ValueError, "differ: epsilon: 0.2 there, 0.25 now, epochs: 2 there, 3 now", other, run)


def test_the_place_of_the_data_may_differ(run, data):
    moved = dataclasses.replace(CONFIG, data_dir="/somewhere/else")
    RunFolder(run).prepare(moved, resume=True)


def test_a_run_is_not_overwritten(refused, run):
    refused(ValueError, "holds a run already", CONFIG, run, resume=False)


def test_nothing_to_resume_is_refused(refused, tmp_path):
    refused(ValueError, "there is none in the folder", CONFIG, tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
    (tmp_path / "empty").mkdir()
    refused(ValueError, "there is none in the folder", CONFIG, tmp_path / "empty")


def test_a_folder_with_other_files_is_refused(refused, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refused(ValueError, "new or empty folder, but holds files", CONFIG, tmp_path, resume=False)


def test_a_file_in_place_of_the_folder_is_refused(refused, tmp_path):
    file = tmp_path / "run"
    file.write_text("a file")
    for resume in (False, True):
        refused(ValueError, "but a file is there", CONFIG, file, resume=resume)


def test_a_folder_that_cannot_be_written_is_refused(refused, run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    below = tmp_path / "file" / "run"
    with pytest.raises(PermissionError, match="`out` must be writable .*Received: out="):
        RunFolder(below).prepare(CONFIG, resume=False)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    refused(PermissionError, "`out` must be writable", CONFIG, run)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "5", '{"dataset": "digits"}', '{"a": 1}'])
def test_a_config_of_something_else_is_refused(refused, run, text):
    (run / "config.json").write_text(text)
    refused(ValueError, "config", CONFIG, run)


# Checkpoints that are refused.


def truncated(content):
    return content[: len(content) // 2]


def bit_flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def unknown_compression(content):
    field = content.index(b"PK\x01\x02") + 10
    return content[:field] + b"\x63\x00" + content[field + 2 :]


def an_array(_):
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def half_precision(content):
    return content.replace(b"'<f4'", b"'<f2'", 1)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(truncated, id="truncated"),
        pytest.param(bit_flipped, id="bit flipped"),
        pytest.param(half_precision, id="half precision"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"no checkpoint at all", id="text"),
        pytest.param(unknown_compression, id="unknown compression"),
        pytest.param(an_array, id="an array"),
    ],
)
def test_a_damaged_checkpoint_is_refused(refused, run, damage):
    checkpoint = run / "checkpoint.npz"
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    refused(ValueError, "damaged or no checkpoint.*checkpoint.npz$", CONFIG, run)


def test_whatever_byte_is_damaged_it_is_refused_or_does_not_matter(run):
    path = run / "checkpoint.npz"
    content = path.read_bytes()
    # Most of the file is arrays; names, headers and the zip's directory need luck to be hit.
    spots = [*np.random.default_rng(0).integers(0, len(content), 20), *range(60)]
    spots += [-n for n in range(1, 60)]
    for spot in spots:
        damaged = bytearray(content)
        damaged[spot] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            read = Checkpoint(path)
        except ValueError as error:
            assert "Received: " in str(error)
        else:
            assert read.meta["epoch"] == 2


def test_a_checkpoint_of_another_network_is_refused(refused, run, new_trainer):
    other = new_trainer(reconstructor=True, num_samples=300)
    other.make_momentum(verbose=False)
    save_checkpoint(run / "checkpoint.npz", other, meta={"epoch": 1}, callbacks={})
    refused(ValueError, "same network, optimizer and data set; .*npz$", CONFIG, run)


def test_a_checkpoint_of_other_callbacks_is_refused(finished):
    checkpoint = Checkpoint(finished.folder.checkpoint)
    before = finished.trainer.get_weights()
    with pytest.raises(ValueError, match=r"\['averaging', 'stop'\]. Received: checkpoint="):
        checkpoint.restore(finished.trainer, {})
    for a, b in zip(before, finished.trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_more_data_is_refused(refused, run, data):
    fewer = part(data["train_data"], 200)
    refused(ValueError, r"differ: \['momentum'\]", CONFIG, run, train_data=fewer)


def test_a_save_that_fails_midway_keeps_the_old_checkpoint(finished, run, monkeypatch):
    path = run / "checkpoint.npz"
    before = contents(run)
    assert path.exists()

    def disk_full(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(path, finished.trainer, meta={}, callbacks={})
    assert contents(run) == before


def test_files_of_a_run_are_whole_or_not_there(run, new_classifier, monkeypatch):
    folder = RunFolder(run)
    before = contents(run)

    def fails(*args):
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "replace", fails)
    for write in (
        lambda: folder.write_history([{"epoch": 1}]),
        lambda: folder.write_metrics({}),
        lambda: folder.save_model(new_classifier(), folder.classifier),
    ):
        with pytest.raises(OSError, match="disk is gone"):
            write()
    assert contents(run) == before
