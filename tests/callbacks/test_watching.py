import dataclasses
import glob
import importlib.util
import json
from collections import defaultdict

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import EFGSM, FGSM, PGD
from keras_efgsm.callbacks import AdversarialTensorBoard, MarginWarning, TimeLeft
from keras_efgsm.callbacks.margin_signal import MarginSignal
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.callbacks.remaining_time import describe_duration, seconds_left
from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, load_digits
from keras_efgsm.networks import CLASSIFIERS
from keras_efgsm.pictures.png import signed_colours
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs import saving, training
from keras_efgsm.runs.log import RunLog

EPSILON = 0.2
ATTACK = PGD(epsilon=EPSILON, steps=3)


def events(folder):
    """The summaries of a log folder: tag to a list of (step, tensor)."""
    found = defaultdict(list)
    for path in sorted(glob.glob(f"{folder}/train/*")):
        for event in tf.compat.v1.train.summary_iterator(path):
            for value in event.summary.value:
                found[value.tag].append((event.step, tf.make_ndarray(value.tensor)))
    return found


def pictures(entry):
    """The images `(n, H, W, C)` in [0, 1] of an image summary."""
    return np.stack([tf.io.decode_png(png).numpy() for png in entry[1][2:]]) / 255.0


def grey(images):
    """Grey images `(n, H, W, 1)` in colour."""
    return np.repeat(images, 3, axis=-1)


# TensorBoard.


@pytest.fixture(scope="module")
def board(tmp_path_factory, new_trainer, small):
    """Logs of four epochs, the last two of them after a resume; and the trainer."""
    x, y = small
    folder = tmp_path_factory.mktemp("board")
    trainer = new_trainer(EFGSM(epsilon=EPSILON), reconstructor=True)
    for initial, epochs in ((0, 2), (2, 4)):
        callback = AdversarialTensorBoard(folder, (x[:40], y[:40]), num_images=5, attack=ATTACK)
        options = {"initial_epoch": initial, "epochs": epochs, "verbose": 0}
        trainer.fit(x, y, batch_size=25, callbacks=[callback], **options)
    return events(folder), trainer


def test_each_epoch_is_logged_once_also_after_a_resume(board):
    logged, _ = board
    assert set(logged) == {
        "images/clean, attacked, perturbation, reconstruction",
        *(f"margins/{n}" for n in ("clean", "attacked", "linearised")),
        *(f"robustness/{n}" for n in ("accuracy_clean", "accuracy_attacked")),
        "robustness/margin_robust_accuracy",
        *(f"epoch_{n}" for n in ("loss", "classification_loss", "reconstruction_loss")),
        *(f"epoch_{n}" for n in ("accuracy", "margin_robust_accuracy", "learning_rate")),
    }
    for tag, entries in logged.items():
        assert [step for step, _ in entries] == [0, 1, 2, 3], tag


def test_the_pictures_show_clean_and_attacked_images_and_what_lies_between(board, small):
    logged, trainer = board
    x, y = small[0][:40], small[1][:40]
    x_adv = ATTACK(trainer.classifier, x, y).numpy()
    shown = [0, 9, 19, 29, 39]
    rows = pictures(logged["images/clean, attacked, perturbation, reconstruction"][-1])
    assert rows.shape == (5, 8, 4 * 8 + 3, 3)
    clean, attacked, perturbation, again = (rows[:, :, 9 * i : 9 * i + 8] for i in range(4))
    np.testing.assert_allclose(rows[:, :, 8::9], 0.5, atol=1 / 255)
    np.testing.assert_allclose(clean, grey(x[shown]), atol=1 / 255)
    np.testing.assert_allclose(attacked, grey(x_adv[shown]), atol=1 / 255)
    coloured = [signed_colours(change, EPSILON) for change in (x_adv - x)[shown]]
    np.testing.assert_allclose(perturbation, coloured, atol=1 / 255)
    # The whole range is used, so that it can be seen.
    assert perturbation.min() < 0.06
    assert perturbation.max() > 0.99
    expected = trainer.reconstructor(tf.nn.softmax(trainer.classifier(x_adv[shown])))
    np.testing.assert_allclose(again, grey(expected), atol=1 / 255)


def test_the_margins_are_those_of_the_classifier_under_the_attack(board, small):
    logged, trainer = board
    x, y = small[0][:40], small[1][:40]
    attacked = float(logged["robustness/accuracy_attacked"][-1][1])
    assert attacked == pytest.approx(Probe(trainer.classifier, ATTACK, x, y).accuracy())
    clean = float(logged["robustness/accuracy_clean"][-1][1])
    assert clean == pytest.approx(np.mean(np.argmax(trainer.classifier(x), axis=1) == y))
    assert attacked < clean
    counts = {n: logged[f"margins/{n}"][-1][1] for n in ("clean", "attacked")}
    for histogram in counts.values():
        assert histogram[:, 2].sum() == 40
    # Buckets of (left, right, count): attacked margins lie lower.
    mean = {n: np.average(h[:, :2].mean(axis=1), weights=h[:, 2]) for n, h in counts.items()}
    assert mean["attacked"] < mean["clean"]


def test_the_perturbation_says_its_epsilon(tmp_path, new_trainer, small):
    x, y = small
    callback = AdversarialTensorBoard(tmp_path, (x[:5], y[:5]), every=2)
    trainer = new_trainer(FGSM(epsilon=0.125))
    trainer.fit(x, y, epochs=3, batch_size=50, verbose=0, callbacks=[callback])
    logged = events(tmp_path)
    name = "images/clean, attacked, perturbation"
    assert [step for step, _ in logged[name]] == [0, 2]
    assert [step for step, _ in logged["epoch_loss"]] == [0, 1, 2]
    path = glob.glob(f"{tmp_path}/train/*")[0]
    described = {
        value.metadata.summary_description
        for event in tf.compat.v1.train.summary_iterator(path)
        for value in event.summary.value
        if value.tag == name
    }
    assert any("epsilon = 0.125" in text for text in described)


def test_watching_changes_no_bit_of_the_training(fresh):
    script = """
        import hashlib, json, tempfile
        import keras, numpy as np, tensorflow as tf
        tf.config.experimental.enable_op_determinism()
        from keras_efgsm.attacks import EFGSM
        from keras_efgsm.callbacks import AdversarialTensorBoard, MarginWarning, TimeLeft
        from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
        random = np.random.default_rng(0)
        x, y = random.random((64, 8, 8, 1), dtype="float32"), random.integers(0, 10, 64)
        def digest(*callbacks, epochs=3):
            keras.utils.set_random_seed(0)
            layers = [keras.Input((8, 8, 1)), keras.layers.BatchNormalization(),
                      keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten(),
                      keras.layers.Dropout(0.3), keras.layers.Dense(10)]
            trainer = AdversarialTrainer(keras.Sequential(layers), EFGSM(epsilon=0.2))
            trainer.compile(keras.optimizers.Adam(1e-2))
            trainer.fit(x, y, batch_size=16, epochs=epochs, callbacks=list(callbacks), verbose=2)
            arrays = [*trainer.get_weights(), trainer.momentum.numpy()]
            arrays += [np.asarray(v) for v in trainer.optimizer.variables]
            return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()
        board = AdversarialTensorBoard(tempfile.mkdtemp(), (x[:8], y[:8]))
        print(json.dumps([digest(), digest(board, MarginWarning(every=1), TimeLeft()),
                          digest(epochs=2)]))
    """
    done = fresh.run(code=script)
    assert done.returncode == 0, done.stderr
    plain, watched, other = json.loads(done.stdout.splitlines()[-1])
    assert plain == watched
    assert plain != other


def test_without_its_package_tensorboard_is_refused_before_any_data_is_read(
    monkeypatch, capsys, tmp_path
):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorboard" else found(name)
    )
    monkeypatch.setattr(training, "load_training_data", lambda *_: pytest.fail("data were read"))
    with pytest.raises(ImportError, match=r"keras-efgsm\[tensorboard\]"):
        AdversarialTensorBoard(tmp_path)
    assert main(["train", "digits", "--out", str(tmp_path / "run"), "--tensorboard"]) == 2
    assert "pip install" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_images": 0}, "`num_images` must be"),
        ({"every": 0}, "`every` must be"),
        ({"attack": EFGSM(epsilon=0.1)}, "`attack` must be an attack object without momentum"),
        ({"attack": "pgd"}, "`attack` must be an attack object"),
        ({"images": (np.zeros((2, 8, 8, 1), "uint8"), [0, 1])}, "`images` must be floating"),
        ({"images": (np.zeros((2, 8, 8, 5)), [0, 1])}, "1 to 4 channels"),
    ],
)
def test_bad_options_of_the_board_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        AdversarialTensorBoard(tmp_path, **options)


def test_labels_beyond_the_classes_are_refused_before_training(tmp_path, new_trainer, small):
    x, _ = small
    board = AdversarialTensorBoard(tmp_path, (x[:2], [0, 10]))
    with pytest.raises(ValueError, match="`labels` must lie in"):
        new_trainer().fit(*small, callbacks=[board], verbose=0)


# The margin signal.


def logs(robust, shortfall=None):
    values = {"margin_robust_accuracy": robust}
    return values if shortfall is None else {**values, "attack_shortfall": shortfall}


def play(callback, *epochs, verbose=1, steps=3, first=0):
    """Hands a callback the logs of whole epochs; a list is those of each step, then the end."""
    callback.set_params({"verbose": verbose, "epochs": len(epochs), "steps": steps})
    callback.on_train_begin()
    for epoch, values in enumerate(epochs, start=first):
        steps_of = values if isinstance(values, list) else [values] * steps
        callback.on_epoch_begin(epoch)
        for batch, step in enumerate(steps_of):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, step)
        callback.on_epoch_end(epoch, steps_of[-1])


def test_reading_the_signal_moves_no_level_and_closing_an_epoch_does():
    signal = MarginSignal()
    for _ in range(3):
        assert signal.read(logs(0.9, 0.0)) is None
    assert signal.get_state() == MarginSignal().get_state()
    signal.close_epoch(logs(0.6, 0.1))
    signal.close_epoch(logs(0.6, 0.1))
    assert "fell to 0.390 from 0.600" in signal.read(logs(0.39, 0.1))
    assert "falls short" in signal.read(logs(0.6, 0.2))
    assert signal.read(logs(0.41, 0.19)) is None
    assert signal.read({}) is None


def test_a_line_is_printed_at_the_step_in_which_the_signal_turns(capsys):
    turning = [logs(0.6), logs(0.3), logs(0.2)]
    play(MarginWarning(every=1), logs(0.6), logs(0.6), turning)
    lines = capsys.readouterr().out.split("\n")
    assert [line for line in lines if line] == [
        "warning: epoch 3, step 2 of 3: the margin-robust accuracy fell to 0.300 from 0.600; "
        "training may be overfitting to its own attack"
    ]


def test_between_the_readings_of_an_epoch_no_value_is_asked_for(capsys):
    class Unread:
        def __float__(self):
            pytest.fail("read")

    unread, bad = logs(Unread()), logs(0.3)
    play(MarginWarning(every=2), logs(0.6), logs(0.6), [unread, bad, unread, bad, logs(0.3)])
    assert "epoch 3, step 2 of 3" in capsys.readouterr().out


def test_a_signal_that_turns_at_the_end_of_an_epoch_is_said_there(capsys):
    play(MarginWarning(), logs(0.6), logs(0.6), logs(0.3))
    assert "warning: epoch 3: the margin-robust accuracy" in capsys.readouterr().out


def test_it_is_said_once_and_again_after_it_was_well(capsys):
    falls = [logs(r) for r in (0.6, 0.6, 0.3, 0.3, 0.6, 0.3)]
    play(MarginWarning(every=1), *falls)
    printed = capsys.readouterr().out
    assert [f"epoch {n}," in printed for n in range(1, 7)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_nothing_is_printed_with_verbose_0_and_for_healthy_margins(capsys):
    play(MarginWarning(), logs(0.6), logs(0.6), logs(0.3), verbose=0)
    play(MarginWarning(), *(logs(r) for r in (0.3, 0.6, 0.5, 0.55)), verbose=2)
    assert capsys.readouterr().out == ""


def test_after_a_resume_the_warning_knows_the_epochs_before(capsys):
    play(MarginWarning(history=[logs(0.6), logs(0.6)]), logs(0.3), first=2)
    assert "warning: epoch 3" in capsys.readouterr().out
    # One that had turned before was said before.
    play(MarginWarning(history=[logs(0.6), logs(0.6), logs(0.3)]), logs(0.3), first=3)
    assert capsys.readouterr().out == ""


def test_in_fit_the_warning_comes_without_a_stop(capsys, new_trainer, small):
    class Collapse(keras.callbacks.Callback):
        """In the fourth epoch the network says 0 of every image."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                *rest, bias = self.model.get_weights()
                self.model.set_weights([*rest, bias + 1e3 * np.eye(10)[0]])

    trainer = new_trainer(FGSM(epsilon=0.02), optimizer=keras.optimizers.Adam(0.02))
    callbacks = [Collapse(), MarginWarning(every=2)]
    options = {"epochs": 4, "batch_size": 10, "verbose": 2, "callbacks": callbacks}
    history = trainer.fit(*small, **options).history
    assert len(history["loss"]) == 4
    assert min(history["margin_robust_accuracy"][1:3]) > 0.4
    assert "warning: epoch 4, step 2 of 10: " in capsys.readouterr().out


# The time left.


def test_the_time_left_is_the_median_of_the_last_epochs_for_each_that_is_left():
    assert seconds_left([], 3) is None
    assert seconds_left([30.0, 2.0], 3) == 6.0
    assert seconds_left([100.0, 100.0, 9.0, 2.0, 3.0, 2.0, 1.0], 10) == 20.0
    assert seconds_left([5.0], 0) == 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99.0, "99 s"), (100.0, "2 min"), (5400, "90 min"), (7500.0, "2 h 05 min")],
)
def test_a_duration_is_said_as_exactly_as_an_estimate_is(seconds, text):
    assert describe_duration(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """A clock for `TimeLeft` that moves on by hand."""
    now = [0.0]
    monkeypatch.setattr("keras_efgsm.callbacks.time_left.time.perf_counter", lambda: now[0])

    def walk(callback, seconds, *, first=0, batch=0, **params):
        callback.set_params({"verbose": 1, "epochs": 40, **params})
        callback.on_train_begin()
        for epoch, duration in enumerate(seconds, start=first):
            callback.on_epoch_begin(epoch)
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_begin(batch + 1)
            batch = 0
            now[0] += duration
            callback.on_epoch_end(epoch)
        callback.on_epoch_begin(first + len(seconds))

    return walk


def test_the_rest_of_the_run_is_said_before_each_epoch_but_the_first(capsys, clock):
    clock(TimeLeft(), [30.0, 11.2, 11.2])
    assert capsys.readouterr().out.splitlines() == [
        "1 of 40 epochs, 30 s an epoch, about 20 min left",
        "2 of 40 epochs, 11.2 s an epoch, about 7 min left",
        "3 of 40 epochs, 11.2 s an epoch, about 7 min left",
    ]


def test_where_a_stop_may_come_the_time_is_an_upper_bound(capsys, clock):
    clock(TimeLeft(may_end_sooner=True), [12.0], verbose=2)
    assert capsys.readouterr().out == "1 of 40 epochs, 12 s an epoch, at most about 8 min left\n"


def test_the_time_of_a_resumed_run_counts_epochs_before_and_none_that_was_cut(capsys, clock):
    # Resumed at step 7 of epoch 2, of which 1 second was left.
    clock(TimeLeft([10.0]), [1.0, 10.0], first=1, batch=7)
    assert [line.split(",")[1] for line in capsys.readouterr().out.splitlines()] == [
        " 10 s an epoch"
    ] * 3


def test_the_time_left_is_not_printed_with_verbose_0(capsys, clock):
    clock(TimeLeft([10.0]), [12.0], verbose=0)
    assert capsys.readouterr().out == ""


# The log of a run.


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_keeps_the_time_of_each_epoch_and_has_none_twice(tmp_path):
    log, rows = RunLog(tmp_path / "log.jsonl"), []
    for epoch in (1, 2, 3):
        rows.append({"epoch": epoch, "seconds": 10.0, "loss": 1.0 / epoch})
        log.write(rows, epochs=5)
    first = lines_of(log.path)
    assert [line["eta_seconds"] for line in first] == [40.0, 30.0, 20.0]
    assert all(line["time"].endswith("+00:00") for line in first)
    # A resume from the checkpoint of the first epoch.
    log.path.write_text(log.path.read_text().replace(first[0]["time"], "2001-01-01T00:00:00"))
    log.write([rows[0], {**rows[1], "loss": 0.6}], epochs=5)
    again = lines_of(log.path)
    assert [line["epoch"] for line in again] == [1, 2]
    assert again[0]["time"] == "2001-01-01T00:00:00"
    assert again[1]["loss"] == 0.6
    assert again[1]["time"] >= first[1]["time"]


@pytest.mark.parametrize("damage", ["", "no json\n", "[1]\n", '{"epoch": 1}\n', "3\n"])
def test_a_damaged_log_is_written_anew_and_nan_is_null(tmp_path, damage):
    path = tmp_path / "log.jsonl"
    path.write_text(damage)
    rows = [{"epoch": n, "seconds": 1.0, "loss": float("nan")} for n in (1, 2)]
    RunLog(path).write(rows, epochs=2)
    assert "NaN" not in path.read_text()
    assert [(n["epoch"], n["loss"], n["time"] is None) for n in lines_of(path)] == [
        (1, None, True),
        (2, None, False),
    ]


# A whole run.


@pytest.fixture
def tiny(monkeypatch):
    """Trains a tiny network on 70 digits by `train`."""

    def network(image_shape, num_classes, activation="relu"):
        layers = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
        return keras.Sequential(layers)

    monkeypatch.setitem(CLASSIFIERS, "tiny", network)
    monkeypatch.setattr(saving, "draw_curves", lambda *_, **__: None)  # slower than the training
    digits = load_digits("train")
    data = ImageData(digits.images[:70], digits.labels[:70], digits.class_names)

    def train(out, **options):
        config = TrainingConfig(
            dataset="digits",
            classifier="tiny",
            reconstructor=None,
            epsilon=0.1,
            method="efgsm",
            epochs=3,
            batch_size=35,
        )
        return training.train(config, out, train_data=data, test_data=data, **options)

    return train


def test_a_run_that_is_watched_and_resumed_has_each_epoch_once_in_all_logs(tiny, tmp_path, capsys):
    class Break(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    out, board = tmp_path / "run", tmp_path / "run" / "tensorboard"
    with pytest.raises(KeyboardInterrupt):
        tiny(out, tensorboard=board, callbacks=[Break()], verbose=2)
    before = lines_of(out / "log.jsonl")
    assert [line["epoch"] for line in before] == [1, 2]
    assert "1 of 3 epochs" in capsys.readouterr().out
    result = tiny(out, tensorboard=board, resume=True, verbose=2)
    assert "2 of 3 epochs" in capsys.readouterr().out
    after = lines_of(out / "log.jsonl")
    assert after[:2] == before
    assert [line["epoch"] for line in after] == [1, 2, 3]
    rows = result.folder.read_history()
    assert [{name: line[name] for name in rows[0]} for line in after] == rows
    for tag, entries in events(board).items():
        assert [step for step, _ in entries] == [0, 1, 2], tag


def test_the_images_shown_of_a_run_are_never_those_of_the_test(tiny, tmp_path, monkeypatch):
    shown = []

    class Board(AdversarialTensorBoard):
        def __init__(self, log_dir, images):
            super().__init__(log_dir, images)
            shown.append(images[0])

    monkeypatch.setattr(training, "AdversarialTensorBoard", Board)
    held_out = tiny(tmp_path / "run", tensorboard=tmp_path / "board", verbose=0)
    train = load_digits("train").pixels(slice(70))
    assert held_out.metrics["train_images"] + len(shown[0]) == 70
    assert all((image == train).all(axis=(1, 2, 3)).any() for image in shown[0])


def test_the_tensorboard_folder_lies_in_the_run_unless_another_is_given(monkeypatch, tmp_path):
    given = []

    def train(config, out, **options):
        given.append((config.dtype_policy, options["tensorboard"]))
        raise ValueError("enough")

    monkeypatch.setattr(training, "train", train)
    for flags in ([], ["--tensorboard"], ["--tensorboard", "logs"]):
        words = ["train", "digits", "--out", "runs/d", "--dtype-policy", "mixed_float16", *flags]
        assert main(words) == 2
    assert given == [
        ("mixed_float16", None),
        ("mixed_float16", "runs/d/tensorboard"),
        ("mixed_float16", "logs"),
    ]


def test_the_command_of_a_run_names_its_precision_if_it_is_another():
    config = dataclasses.replace(PRESETS["digits"], dtype_policy="mixed_bfloat16")
    assert command_line(config) == "keras-efgsm train digits --dtype-policy mixed_bfloat16"
    assert "dtype" not in command_line(PRESETS["digits"])
