import contextlib
import csv
import dataclasses
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_efgsm.callbacks.overfitting_stop
import keras_efgsm.runs.folder
import keras_efgsm.runs.training
from keras_efgsm.callbacks import OverfittingStop, WeightAveraging
from keras_efgsm.callbacks.probe import ProbeAccuracies
from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, load_digits, training_dataset
from keras_efgsm.file_lock import folder_lock
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.checkpoint import Checkpoint, save_checkpoint
from keras_efgsm.runs.checkpoint_pair import CheckpointPair
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.interruption import Interruption
from keras_efgsm.runs.recorder import RunRecorder
from keras_efgsm.runs.training import train

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


class Listener(keras.callbacks.Callback):
    """Writes down all it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_train_begin(self, logs=None):
        self.told.append(("begin", self.params["epochs"], self.params["steps"]))

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(("epoch", epoch))

    def on_train_batch_begin(self, batch, logs=None):
        self.told.append(("batch", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.told.append(("batch end", batch, rounded(logs)))

    def on_epoch_end(self, epoch, logs=None):
        self.told.append(("epoch end", epoch, rounded(logs)))

    def on_train_end(self, logs=None):
        self.told.append(("end", rounded(logs)))


def rounded(logs):
    return {name: round(value, 3) for name, value in logs.items()}


@pytest.fixture(scope="module")
def data():
    return {
        "train_data": part(load_digits("train"), 300),
        "test_data": part(load_digits("test"), 100),
        "verbose": 0,
    }


@pytest.fixture(scope="module")
def listener():
    return Listener()


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data, listener):
    out = tmp_path_factory.mktemp("runs") / "finished"
    return train(CONFIG, out, callbacks=[listener], **data)


@pytest.fixture
def run(finished, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(finished.folder.path, tmp_path / "run")


def pair_of(folder):
    return CheckpointPair(folder / "checkpoint.npz", folder / "checkpoint.previous.npz")


def as_schema(path, schema, meta=None):
    """Makes a checkpoint one of another version of keras_efgsm."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files if name != "sha256"}
    header = json.loads(arrays["header"].tobytes())
    header["schema"] = schema
    header["meta"] = meta or header["meta"]
    if schema == 1:
        arrays = {n: a for n, a in arrays.items() if not n.startswith("metric_")}
        del header["callbacks"]["averaging"]["in_place"]
        del header["meta"]["step"], header["meta"]["seconds"]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype="uint8")
    np.savez(path, **arrays)


def disk_full(file, array, **options):
    file.write(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


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
    import keras
    from keras_efgsm.runs import training
    from keras_efgsm.recipes.config import TrainingConfig
    from keras_efgsm.data import ImageData, load_digits

    config = TrainingConfig(
        dataset="digits", classifier="digits", reconstructor="digits", epsilon=0.2, epochs=4,
        batch_size=100, weight_averaging=0.9, momentum_dtype="float16",
    )
    digits = load_digits("train")
    data = ImageData(digits.images[:450], digits.labels[:450], digits.class_names)
    options = {"train_data": data, "test_data": data, "deterministic": True, "verbose": 0}

    class Killed(keras.callbacks.Callback):
        def __init__(self, epoch, batch):
            super().__init__()
            self.epoch, self.batch = epoch, batch

        def on_epoch_begin(self, epoch, logs=None):
            self.here = epoch == self.epoch

        def on_train_batch_end(self, batch, logs=None):
            if self.here and batch == self.batch:
                os.kill(os.getpid(), signal.SIGKILL)

    whole, parts = sys.argv[2:]
    if sys.argv[1] == "start":
        training.train(config, whole, **options)
        training.train(config, parts, callbacks=[Killed(1, 2)], **options)
    elif sys.argv[1] == "again":
        options |= {"checkpoint_minutes": 0, "callbacks": [Killed(2, 3)]}
        training.train(config, parts, resume=True, **options)
    else:
        training.train(config, parts, resume=True, **options)
"""


@pytest.mark.slow(reason="trains in three processes, two of which are killed")
def test_a_killed_run_continues_bit_for_bit_in_a_fresh_process(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def process(command):
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT), command, str(whole), str(parts)],
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"},
            check=False,
        )

    started = process("start")
    assert started.returncode == -signal.SIGKILL, started.stderr
    assert len(rows_of(parts)) == 1
    again = process("again")
    assert again.returncode == -signal.SIGKILL, again.stderr
    assert "resuming after epoch 1 of 4\n" in again.stdout
    assert len(rows_of(parts)) == 2
    assert not (parts / "classifier.keras").exists()
    resumed = process("resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming after epoch 2 of 4, step 3 of 5 of the next\n" in resumed.stdout
    assert rows_of(parts) == rows_of(whole)
    assert len(rows_of(whole)) == 4
    with np.load(whole / "checkpoint.npz") as one, np.load(parts / "checkpoint.npz") as other:
        assert set(one.files) == set(other.files)
        assert "momentum" in one.files
        assert np.any(one["momentum"])
        for name in set(one.files) - {"header", "sha256"}:  # these tell of seconds
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
        "checkpoint.previous.npz",
        "log.jsonl",
        "curves.png",
    }
    assert folder.read_config() == CONFIG
    assert [row["epoch"] for row in rows_of(folder.path)] == ["1", "2"]
    assert json.loads(folder.metrics.read_text()) == finished.metrics
    assert folder.curves.read_bytes().startswith(b"\x89PNG")


def test_resuming_a_finished_run_changes_nothing(finished, run, data, capsys):
    before = contents(run)
    for name in (".checkpoint.npz.partial", ".partial.keras"):
        (run / name).write_text("what a kill leaves")
    result = train(CONFIG, run, resume=True, **data)
    assert "resuming after epoch 2 of 2" in capsys.readouterr().out
    for a, b in zip(finished.trainer.get_weights(), result.trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        finished.trainer.momentum.numpy(), result.trainer.momentum.numpy()
    )
    assert contents(run) == before
    assert result.metrics == finished.metrics


def test_a_run_killed_before_its_first_checkpoint_starts_anew_and_says_so(
    data, tmp_path, monkeypatch, capsys
):
    class Interrupted(RunRecorder):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras_efgsm.runs.training, "RunRecorder", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, tmp_path / "run", **data)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"config.json"}
    result = train(CONFIG, tmp_path / "run", resume=True, **data)
    assert "no checkpoint was written yet; starting from the beginning" in capsys.readouterr().out
    assert result.metrics["epochs"] == 2


def test_a_stopped_run_stays_stopped_and_gets_its_good_weights_back(data, tmp_path, monkeypatch):
    class Falls:
        chance = 0.1

        def __init__(self, *args):
            self.left = [0.1, 0.6, 0.1]

        def accuracies(self):
            return ProbeAccuracies(natural=1.0, robust=self.left.pop(0))

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
        patch.setattr(keras_efgsm.runs.training, "RunRecorder", Crashes)
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
    refused(ValueError, "differ: epochs: 2 there, 3 now, epsilon: 0.2 there, 0.25 now", other, run)


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


def test_a_folder_that_cannot_be_written_is_refused_before_an_image_is_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    name = "load_training_data"
    monkeypatch.setattr(keras_efgsm.runs.training, name, lambda *_: pytest.fail("was read"))
    for out, error in ((tmp_path / "file" / "run", PermissionError), (tmp_path, ValueError)):
        with pytest.raises(error, match="`out` must be .*Received: out="):
            train(CONFIG, out)


def test_a_second_training_in_a_folder_is_refused_and_told_who_is_at_work(refused, run, data):
    (run / "metrics.json").unlink()  # as of one that goes on
    with folder_lock(run, "the folder of this run", "out='x'"):
        said = f"at work in the folder of this run: process {os.getpid()} on "
        refused(ValueError, said, CONFIG, run)
        refused(ValueError, "holds a run already", CONFIG, run, resume=False)
    assert not (run / ".lock").exists()
    # That of a process that was killed is none.
    (run / ".lock").write_text("process 1 on elsewhere")
    train(CONFIG, run, resume=True, **data)
    assert not (run / ".lock").exists()


def test_a_run_that_another_begins_meanwhile_is_not_overwritten(tmp_path, monkeypatch):
    out, lock = tmp_path / "run", keras_efgsm.runs.folder.folder_lock

    def later(folder, *words):
        (folder / "config.json").write_text("of another, which is through")
        return lock(folder, *words)

    monkeypatch.setattr(keras_efgsm.runs.folder, "folder_lock", later)
    with contextlib.ExitStack() as held, pytest.raises(ValueError, match="holds a run already"):
        RunFolder(out).prepare(CONFIG, False, held)
    assert contents(out) == {Path("config.json"): b"of another, which is through"}


def test_a_folder_with_the_lock_of_a_killed_process_alone_is_an_empty_one(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on elsewhere")
    RunFolder(tmp_path).check(CONFIG, resume=False)


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
def test_a_damaged_checkpoint_is_known_and_the_one_before_it_is_read(run, damage, capsys):
    pair = pair_of(run)
    newest = pair.newest.read_bytes()
    pair.newest.write_bytes(damage(newest))
    with pytest.raises(ValueError, match="damaged or no checkpoint.*checkpoint.npz$"):
        Checkpoint(pair.newest)
    assert pair.read().meta["epoch"] == 1
    line = r"checkpoint\.npz is damaged \(\w+: .*\); falling back to checkpoint\.previous\.npz\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_two_damaged_checkpoints_are_refused_with_both_reasons(refused, run):
    for path in run.glob("checkpoint*.npz"):
        path.write_bytes(truncated(path.read_bytes()))
    message = "No checkpoint .* used: checkpoint.npz is damaged .*; checkpoint.previous.npz is dam"
    refused(ValueError, message, CONFIG, run)


def test_a_checkpoint_whose_array_was_exchanged_is_damaged(run):
    path = run / "checkpoint.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["weight_0"] = arrays["weight_0"] + 1
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="checksum is wrong"):
        Checkpoint(path)


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


@pytest.mark.tensorflow("a checkpoint that names no backend is of it")
def test_a_checkpoint_of_another_network_is_refused(refused, run, new_trainer):
    other = new_trainer(reconstructor=True, num_samples=300)
    other.make_momentum(verbose=False)
    save_checkpoint(run / "checkpoint.npz", other, meta={"epoch": 1}, callbacks={})
    refused(ValueError, "same network, optimizer and data set; .*npz$", CONFIG, run)


def test_a_checkpoint_of_a_newer_version_is_refused(refused, run):
    for path in run.glob("checkpoint*.npz"):
        as_schema(path, 3)
    refused(ValueError, r"schema 2 or 1; .* newer version .*Received: schema=3", CONFIG, run)


def test_a_checkpoint_of_the_first_version_is_read(finished, run):
    as_schema(run / "checkpoint.npz", 1)
    checkpoint = Checkpoint(run / "checkpoint.npz")
    assert checkpoint.meta["step"] == 0
    averaging = WeightAveraging(0.9)
    averaging.set_model(finished.trainer)
    checkpoint.restore(finished.trainer, {"averaging": averaging, "stop": OverfittingStop()})
    averaging.on_train_begin()
    assert averaging.get_state()["in_place"]


def test_a_checkpoint_of_other_callbacks_is_refused(finished):
    checkpoint = Checkpoint(finished.folder.checkpoint)
    before = finished.trainer.get_weights()
    with pytest.raises(ValueError, match=r"\['averaging', 'stop'\]. Received: checkpoint="):
        checkpoint.restore(finished.trainer, {})
    for a, b in zip(before, finished.trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_more_data_is_refused(refused, run, data):
    fewer = part(data["train_data"], 290)
    message = r"training images \(number of images: 300 then, 290 now\). Put them back"
    refused(ValueError, message, CONFIG, run, train_data=fewer)


def test_changed_images_or_labels_are_refused_and_said(refused, run, data):
    train, test = data["train_data"], data["test_data"]
    pixels, labels = train.images.copy(), train.labels.copy()
    pixels[7, 3, 3] ^= 1
    labels[:2] = labels[:2][::-1]
    names = (*train.class_names[:-1], "nought")
    cases = [
        (r"Changed: training images \(images\). Put", {"images": pixels}),
        (r"Changed: training images \(labels\). Put", {"labels": labels}),
        (r"\(class names: without '9' and with 'nought'\); test images \(class", None),
        (
            r"training images \(order of the images, labels\). Put",
            {"images": train.images[::-1], "labels": train.labels[::-1]},
        ),
    ]
    for message, changes in cases:
        if changes is None:
            others = [dataclasses.replace(one, class_names=names) for one in (train, test)]
            refused(ValueError, message, CONFIG, run, train_data=others[0], test_data=others[1])
            continue
        changed = dataclasses.replace(train, **changes)
        refused(ValueError, message, CONFIG, run, train_data=changed)
    fewer = test.take(90)
    message = r"Changed: test images \(number of images: 100 then, 90 now\). Put"
    refused(ValueError, message, CONFIG, run, test_data=fewer)


def test_a_checkpoint_that_does_not_say_its_images_is_resumed_with_a_word(
    refused, run, data, capsys
):
    path = run / "checkpoint.npz"
    with np.load(path) as file:
        header = json.loads(file["header"].tobytes())
    assert set(header["meta"].pop("data")) == {"train", "test"}
    as_schema(path, 1, header["meta"])
    fewer = part(data["train_data"], 290)
    refused(ValueError, r"differ: \['momentum'\]", CONFIG, run, train_data=fewer)
    fewer = part(data["train_data"], 200)
    refused(ValueError, "has 3 steps an epoch, these data have 2", CONFIG, run, train_data=fewer)
    train(CONFIG, run, resume=True, **data)
    assert "does not say which images it is of" in capsys.readouterr().out


def test_a_save_that_fails_midway_keeps_the_old_checkpoint(finished, run, monkeypatch):
    path = run / "checkpoint.npz"
    before = contents(run)
    assert path.exists()

    monkeypatch.setattr(np.lib.format, "write_array", disk_full)
    with pytest.raises(OSError, match="No space left"):
        pair_of(run).write(finished.trainer, meta={}, callbacks={})
    assert contents(run) == before


def test_a_full_disk_ends_a_run_with_a_way_on_and_leaves_the_older_checkpoint(
    data, tmp_path, monkeypatch
):
    class FillsTheDisk(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                monkeypatch.setattr(np.lib.format, "write_array", disk_full)

    out = tmp_path / "run"
    with pytest.raises(OSError, match="make room .*continue with `--resume`") as caught:
        train(CONFIG, out, callbacks=[FillsTheDisk()], **data)
    assert caught.value.errno == errno.ENOSPC
    written = {"config.json", "history.csv", "log.jsonl", "checkpoint.npz"}
    assert {p.name for p in out.iterdir()} == written
    monkeypatch.undo()
    assert train(CONFIG, out, resume=True, **data).metrics["epochs"] == 2


def test_a_kill_between_the_two_renames_leaves_a_whole_checkpoint(
    finished, run, monkeypatch, capsys
):
    replace, calls = os.replace, []

    def killed(old, new):
        calls.append(new)
        if len(calls) == 2:
            raise SystemExit
        replace(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(SystemExit):
            pair_of(run).write(finished.trainer, meta={"epoch": 7}, callbacks={})
    assert pair_of(run).read().meta["epoch"] == 2
    assert capsys.readouterr().out == (
        "checkpoint.npz is missing; falling back to checkpoint.previous.npz\n"
    )
    # The one fallen back to stays until there are two again.
    for epoch, previous in ((8, 2), (9, 8)):
        pair_of(run).write(finished.trainer, meta={"epoch": epoch}, callbacks={})
        assert Checkpoint(run / "checkpoint.npz").meta["epoch"] == epoch
        assert Checkpoint(run / "checkpoint.previous.npz").meta["epoch"] == previous


def test_a_damaged_checkpoint_never_takes_the_place_of_a_good_one(finished, run, capsys):
    (run / "checkpoint.npz").write_text("damaged")
    for pair, was_read in ((pair_of(run), False), (pair_of(run), True)):
        if was_read:
            pair.newest.write_text("damaged again")
            pair.read()
        pair.write(finished.trainer, meta={"epoch": 7}, callbacks={})
        assert Checkpoint(pair.previous).meta["epoch"] == 1
        assert Checkpoint(pair.newest).meta["epoch"] == 7


def test_a_history_that_the_checkpoint_does_not_know_is_put_right(run, data):
    history = run / "history.csv"
    right = history.read_bytes()
    for wrong in (right + b"3,0.1\n", right.splitlines()[0], None):
        history.unlink()
        if wrong is not None:
            history.write_bytes(wrong)
        train(CONFIG, run, resume=True, **data)
        assert history.read_bytes() == right


def test_a_log_that_a_kill_left_behind_is_put_right(run, data):
    (run / "metrics.json").unlink()
    log = (run / "log.jsonl").read_text().splitlines(keepends=True)
    for wrong in ("", log[0], "".join([*log, log[1]])):
        (run / "log.jsonl").write_text(wrong)
        RunRecorder(RunFolder(run), {}, rows=[json.loads(line) for line in log]).update_files(2)
        lines = (run / "log.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_a_finished_run_without_checkpoints_is_not_begun_again(refused, run):
    for path in run.glob("checkpoint*.npz"):
        path.unlink()
    refused(ValueError, "finished, but its checkpoints are gone", CONFIG, run)


# Within an epoch.


@pytest.mark.parametrize("step", [1, 3])
def test_callbacks_are_told_the_same_as_without_a_break(finished, listener, data, tmp_path, step):
    """Step 3 is the last of an epoch."""

    class GoesDown(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_begin(self, batch, logs=None):
            if self.epoch == 1 and batch == step:
                raise RuntimeError("the machine goes down")

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("the machine goes down")

    rest, out = Listener(), tmp_path / "run"
    with pytest.raises(RuntimeError):
        train(CONFIG, out, callbacks=[GoesDown()], checkpoint_minutes=0, **data)
    result = train(CONFIG, out, resume=True, callbacks=[rest], **data)
    left = listener.told[listener.told.index(("epoch", 1)) + 1 + 2 * step :]
    assert rest.told == [("begin", 2, 3), ("epoch", 1), *left]
    for a, b in zip(result.trainer.get_weights(), finished.trainer.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert result.trainer.history.epoch == [1]


@pytest.mark.tensorflow("of `tf.data`; `test_array_batches.py` has the other")
def test_the_data_begin_at_any_step(data):
    batches = lambda **start: [  # noqa: E731
        batch["id"].numpy().tolist()
        for batch, _ in training_dataset(data["train_data"], 80, seed=3, **start).take(9)
    ]
    whole = batches()
    for step in range(5):
        skipped = 4 + step
        assert batches(initial_epoch=1, initial_step=step)[: 9 - skipped] == whole[skipped:]
    with pytest.raises(ValueError, match="at most 4, .*Received: initial_step=5"):
        training_dataset(data["train_data"], 80, seed=3, initial_step=5)


@pytest.mark.tensorflow("it wraps the step, which has another signature")
def test_what_a_dropout_draws_and_a_metric_counts_goes_on_within_an_epoch(
    small, new_trainer, tmp_path
):
    def new():
        network = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Flatten(),
                keras.layers.Dropout(0.5, seed=1),
                keras.layers.Dense(10),
            ]
        )
        trainer = new_trainer(classifier=network, num_samples=100)
        for variable in network.trainable_variables:
            variable.assign(keras.ops.ones(variable.shape))
        trainer.make_momentum(verbose=False)
        return trainer

    x, y = small
    batch = {"image": x[:50], "id": np.arange(50, dtype="int32")}, y[:50]

    def steps(trainer, count):
        trainer.make_train_function()
        for _ in range(count):
            logs = trainer.train_function(iter([batch]))
        return {name: float(value) for name, value in logs.items()}

    whole, first, second = new(), new(), new()
    whole_logs = steps(whole, 4)
    steps(first, 2)
    save_checkpoint(tmp_path / "c.npz", first, meta={"step": 2}, callbacks={})
    checkpoint = Checkpoint(tmp_path / "c.npz")
    checkpoint.restore(second, {})
    assert steps(second, 2) == pytest.approx(whole_logs)
    for a, b in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("minutes", [-1, float("nan"), "ten", None])
def test_minutes_that_are_none_are_refused_before_a_folder_is_made(data, tmp_path, minutes):
    with pytest.raises(ValueError, match="checkpoint_minutes"):
        train(CONFIG, tmp_path / "run", checkpoint_minutes=minutes, **data)
    assert not (tmp_path / "run").exists()


# Asked to stop.


class Signals(keras.callbacks.Callback):
    """Sends this process a signal within step 2 of epoch 1."""

    def __init__(self, *numbers):
        super().__init__()
        self.numbers = numbers

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 1:
            for number in self.numbers:
                os.kill(os.getpid(), number)


@pytest.fixture
def heeds_interrupts():
    """A process started in the background of a shell ignores SIGINT, and so would `train`."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_writes_a_checkpoint_after_the_running_step(data, tmp_path, number):
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    message = "saved after step 2 of 3 of epoch 1; continue with `--resume`"
    with pytest.raises(KeyboardInterrupt, match=message):
        train(CONFIG, tmp_path / "run", callbacks=[Signals(number)], **data)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    meta = Checkpoint(tmp_path / "run" / "checkpoint.npz").meta
    assert (meta["epoch"], meta["step"]) == (0, 2)


@pytest.mark.usefixtures("heeds_interrupts")
def test_a_second_signal_acts_at_once(data, tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        train(CONFIG, tmp_path / "run", callbacks=[Signals(signal.SIGINT, signal.SIGINT)], **data)
    assert str(caught.value) == ""
    assert not (tmp_path / "run" / "checkpoint.npz").exists()


def test_signals_are_left_alone_where_they_cannot_be_handled():
    def handlers():
        return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    before, inside = handlers(), []

    def run_block():
        with Interruption():
            inside.append(handlers())

    thread = threading.Thread(target=run_block)
    thread.start()
    thread.join()
    assert inside == [before]
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_block()
        assert inside[1][0] == signal.SIG_IGN
        assert inside[1][1] != before[1]
    finally:
        signal.signal(signal.SIGINT, previous)
    assert handlers() == before


def test_the_command_says_where_it_was_saved(monkeypatch, tmp_path, capsys):
    def interrupted(config, out, **options):
        assert options["checkpoint_minutes"] == 2.5
        assert options["deterministic"]
        raise KeyboardInterrupt("saved after epoch 1 of 60; continue with `--resume`")

    monkeypatch.setattr(keras_efgsm.runs.training, "train", interrupted)
    words = ["train", "digits", "--checkpoint-minutes", "2.5", "--deterministic"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == (
        "\nkeras-efgsm train: interrupted; saved after epoch 1 of 60; continue with `--resume`\n"
    )


def test_files_of_a_run_are_whole_or_not_there(run, new_classifier, monkeypatch):
    folder = RunFolder(run)
    before = contents(run)

    def fails(*args):
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, "replace", fails)
    for write in (
        lambda: folder.write_history([{"epoch": 1}]),
        lambda: folder.write_metrics({"natural_accuracy": 0.9, "epochs": 1}),
        lambda: folder.save_model(new_classifier(), folder.classifier),
    ):
        with pytest.raises(OSError, match="disk is gone"):
            write()
    assert contents(run) == before
