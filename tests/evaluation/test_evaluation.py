import json
import os
import stat
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from rich.console import Console
from rich.progress import Progress

from keras_efgsm.attacks import EFGSM, FGSM, PGD, Identity
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import (
    ENGINES,
    EvaluatedModel,
    attacking,
    evaluate_robustness,
    load_classifier,
    make_attacks,
)
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

# A 2 x 2 image is of class 1 if its four pixels sum to more than 2. With epsilon 0.2 the worst
# image of class 1 is max(x - 0.2, 0), that of class 0 is min(x + 0.2, 1).
BRIGHT = [
    # pixels                label  correct  robust
    ([0.9, 0.9, 0.9, 0.9], 1, True, True),  # 2.8 > 2
    ([0.8, 0.8, 0.8, 0.8], 1, True, True),  # 2.4 > 2
    ([0.6, 0.6, 0.6, 0.6], 1, True, False),  # 1.6 < 2
    ([0.1, 0.1, 0.1, 0.1], 0, True, True),  # 1.2 < 2
    ([0.4, 0.4, 0.4, 0.4], 0, True, False),  # 2.4 > 2
    ([0.6, 0.6, 0.5, 0.5], 0, False, False),  # 2.2 > 2 already
    ([1.0, 1.0, 0.65, 0.0], 1, True, True),  # 2.05 > 2, as no pixel goes below 0
    ([1.0, 1.0, 0.55, 0.0], 1, True, False),  # 1.95 < 2
]
X = np.array([row[0] for row in BRIGHT], "float32").reshape(-1, 2, 2, 1)
Y = np.array([row[1] for row in BRIGHT])
CORRECT = np.array([row[2] for row in BRIGHT])
ROBUST = np.array([row[3] for row in BRIGHT])
EPSILON = 0.2
EXPORTED = Path(__file__).parents[2] / "exported_models" / "mnist" / "1"


def brightness_classifier(activation=None, dtype=None):
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Flatten(dtype=dtype),
            keras.layers.Dense(2, activation=activation, dtype=dtype),
        ]
    )
    model.set_weights([np.array([[-1.0, 1.0]] * 4), np.array([2.0, -2.0])])
    return model


def small_network(seed=0, size=6, num_classes=4):
    """A network, images, and its own answers as labels: natural accuracy 1."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((size, size, 1)),
            keras.layers.Conv2D(8, 3, activation="relu", bias_initializer="normal"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(num_classes),
        ]
    )
    x = np.random.default_rng(seed).random((60, size, size, 1), dtype="float32")
    return model, x, np.argmax(model(x), axis=1)


def evaluate(model, data, attacks, **options):
    return evaluate_robustness(model, data, attacks, **{"progress": False, **options})


def save_model_with(path, function, shape=(None, 2, 2, 1), dtype="float32", weights=()):
    import tensorflow as tf

    module = tf.Module()
    module.weights = [w.value for w in weights]
    signature = tf.function(function, input_signature=[tf.TensorSpec(shape, dtype, name="image")])
    tf.saved_model.save(module, str(path), signatures={"serving_default": signature})
    return path


@pytest.fixture
def scripted(monkeypatch):
    """An engine that plays what a test tells it, and what it was asked: (attack, restart, ids)."""
    calls = []

    def install(play):
        def compile_scripted(attack, logits_fn, seed, reads):
            def run(x, labels, ids, restart):
                x, ids = np.asarray(x), np.asarray(ids)
                calls.append((attack.loss, int(restart), ids.tolist()))
                return ops.convert_to_tensor(play(attack, x, ids, int(restart)))

            return run

        monkeypatch.setitem(ENGINES, "scripted", compile_scripted)
        return calls

    return install


@pytest.mark.parametrize(
    "attack",
    [
        PGD(epsilon=EPSILON, steps=5, step_size=0.1, random_start=True, loss="ce"),
        PGD(epsilon=EPSILON, steps=5, step_size=0.1, random_start=True, loss="cw"),
        PGD(epsilon=EPSILON, steps=1, step_size=0.2, random_start=False),
        FGSM(epsilon=EPSILON),
    ],
    ids=["pgd-ce", "pgd-cw", "one-step", "fgsm"],
)
def test_a_linear_classifier_has_exactly_the_robust_images_that_the_closed_form_gives(attack):
    report = evaluate(brightness_classifier(), (X, Y), attack)
    assert report.correct.tolist() == CORRECT.tolist()
    assert report.attacks[0].robust.tolist() == ROBUST.tolist()
    assert report.natural_accuracy == 7 / 8
    assert report.attacks[0].robust_accuracy == report.worst_case_accuracy == 4 / 8


def test_no_attack_leaves_the_natural_accuracy_and_efgsm_runs_without_a_past():
    attacks = [Identity(epsilon=EPSILON), EFGSM(epsilon=EPSILON, overshoot=1.01)]
    identity, efgsm = evaluate(brightness_classifier(), (X, Y), attacks).attacks
    assert identity.robust_accuracy == 7 / 8
    assert efgsm.random_start and 4 / 8 <= efgsm.robust_accuracy < 7 / 8


def test_labels_may_be_one_hot_or_a_column_and_data_an_image_data():
    attack = FGSM(epsilon=EPSILON)
    for labels in (np.eye(2)[Y], Y[:, None]):
        assert evaluate(brightness_classifier(), (X, labels), attack).worst_case_accuracy == 0.5
    data = ImageData(np.uint8(np.round(X * 255)), Y, ("dark", "bright"), name="shades")
    report = evaluate(brightness_classifier(), data, attack, split="validation")
    assert report.worst_case_accuracy == 0.5
    assert (report.dataset, report.split) == ("shades", "validation")


def test_num_images_takes_the_first_ones():
    report = evaluate(brightness_classifier(), (X, Y), FGSM(epsilon=EPSILON), num_images=3)
    assert report.robust.tolist() == ROBUST[:3].tolist()


def test_the_result_does_not_depend_on_the_batch_size():
    model, x, y = small_network()
    attack = PGD(epsilon=0.06, steps=3, step_size=0.02)
    results = [
        evaluate(model, (x, y), attack, batch_size=size, restarts=2).robust for size in (1, 7, 500)
    ]
    assert 0.1 < results[0].mean() < 0.9
    for other in results[1:]:
        assert other.tolist() == results[0].tolist()


def test_every_sample_starts_from_its_own_noise_of_seed_and_restart():
    model, _, _ = small_network()
    model = load_classifier(model)
    attack = PGD(epsilon=0.1, steps=1, step_size=1e-6)

    def starts(seed, ids, restart):
        run = ENGINES["native"](attack, model.logits_fn, seed)
        x = ops.full((len(ids), 6, 6, 1), 0.5)
        labels = ops.zeros(len(ids), "int32")
        made = run(x, labels, ops.convert_to_tensor(ids), ops.convert_to_tensor(restart))
        return np.asarray(made)

    first = starts(0, [0, 1, 2], 0)
    np.testing.assert_allclose(first[[2, 1]], starts(0, [2, 1], 0), atol=1e-5)
    assert np.abs(first[0] - first[1]).max() > 0.05
    assert np.abs(first - starts(1, [0, 1, 2], 0)).max() > 0.05
    assert np.abs(first - starts(0, [0, 1, 2], 1)).max() > 0.05


def test_the_model_is_traced_as_often_for_many_batches_as_for_one():
    model, x, y = small_network()
    logits_fn = load_classifier(model).logits_fn
    traces = []

    def counting(images):
        traces.append(images.shape)
        return logits_fn(images)

    def count(batch_size, restarts):
        counted = EvaluatedModel(counting, (6, 6, 1), 4, "counted")
        # It is asked once about random images.
        assert counted.answers.num_classes == 4 and len(traces) >= 2
        traces.clear()
        attack = PGD(epsilon=0.05, steps=3)
        evaluate(counted, (x, y), attack, batch_size=batch_size, restarts=restarts)
        assert all(shape[0] == min(batch_size, len(x)) for shape in traces)
        return len(traces)

    assert count(7, 3) == count(60, 1) > 0


def test_more_restarts_only_lower_the_robust_accuracy():
    model, x, y = small_network(seed=1)
    attack = PGD(epsilon=0.06, steps=2, step_size=0.03)
    once = evaluate(model, (x, y), attack, restarts=1)
    often = evaluate(model, (x, y), attack, restarts=8)
    assert np.all(often.robust <= once.robust)
    assert often.worst_case_accuracy < once.worst_case_accuracy
    assert often.attacks[0].restarts == 8


def test_an_attack_without_a_random_start_runs_once_whatever_the_restarts():
    attack = PGD(epsilon=EPSILON, steps=2, random_start=False)
    report = evaluate(brightness_classifier(), (X, Y), attack, restarts=5)
    assert report.attacks[0].restarts == 1 and not report.attacks[0].random_start


def test_only_correct_images_are_attacked_and_only_survivors_are_attacked_again(scripted):
    # Restart r turns image r by painting it all dark or all bright.
    def play(attack, x, ids, restart):
        return np.where((ids == restart)[:, None, None, None], 1.0 - np.round(x), x)

    calls = scripted(play)
    attack = PGD(epsilon=1.0)
    report = evaluate(
        brightness_classifier(), (X, Y), attack, engine="scripted", batch_size=10, restarts=3
    )
    assert [restart for _, restart, _ in calls] == [0, 1, 2]
    attacked = [sorted(set(ids)) for _, _, ids in calls]
    assert attacked == [[0, 1, 2, 3, 4, 6, 7], [1, 2, 3, 4, 6, 7], [2, 3, 4, 6, 7]]
    assert np.flatnonzero(report.robust).tolist() == [3, 4, 6, 7]


def test_each_attack_has_its_own_accuracy_and_the_worst_case_joins_them(scripted):
    # The first attack turns image 0, the second image 1.
    def play(attack, x, ids, restart):
        turned = ids == (0 if attack.loss == "ce" else 1)
        return np.where(turned[:, None, None, None], 1.0 - np.round(x), x)

    calls = scripted(play)
    attacks = [PGD(epsilon=1.0, loss="ce"), PGD(epsilon=1.0, loss="cw")]
    report = evaluate(brightness_classifier(), (X, Y), attacks, engine="scripted")
    assert [a.robust_accuracy for a in report.attacks] == [6 / 8, 6 / 8]
    assert report.worst_case_accuracy == 5 / 8
    assert [sorted(set(ids)) for _, _, ids in calls] == [np.flatnonzero(CORRECT).tolist()] * 2


@pytest.mark.parametrize(
    "leave",
    [lambda x: x + 0.21, lambda x: x - 0.201, lambda x: x * np.nan, lambda x: x + 2e-6 + EPSILON],
    ids=["too far up", "too far down", "nan", "just outside"],
)
def test_an_attack_that_leaves_the_ball_is_an_error(scripted, leave):
    scripted(lambda attack, x, ids, restart: np.float32(leave(x)))
    inside = np.full_like(X, 0.5) + 0.1 * (2 * Y[:, None, None, None] - 1)
    with pytest.raises(RuntimeError, match=r"within epsilon=0\.2 .*Received: largest change"):
        evaluate(brightness_classifier(), (inside, Y), PGD(epsilon=EPSILON), engine="scripted")


def test_an_attack_that_leaves_the_pixel_range_is_an_error(scripted):
    scripted(lambda attack, x, ids, restart: x + np.float32(0.15))
    with pytest.raises(RuntimeError, match=r"\[0, 1\].*Received: .*pixels from"):
        evaluate(brightness_classifier(), (X, Y), PGD(epsilon=EPSILON), engine="scripted")


def test_logits_that_an_attack_drives_to_nan_do_not_count_as_robust():
    def logits_fn(x):
        bright = ops.sum(x, axis=(1, 2, 3)) - 2.0
        logits = ops.stack([-bright, bright], axis=1)
        return ops.where(ops.abs(bright)[:, None] < 0.7, float("nan"), logits)

    model = EvaluatedModel(logits_fn, (2, 2, 1), 2, "brittle")
    # Class 0, which is what argmax makes of NaN.
    x = np.full((1, 2, 2, 1), 0.1, "float32")
    attack = PGD(epsilon=0.3, steps=1, step_size=0.3, random_start=False)
    report = evaluate(model, (x, [0]), attack)
    assert report.natural_accuracy == 1.0 and report.worst_case_accuracy == 0.0


def test_a_model_with_nothing_right_is_refused_and_not_attacked(scripted):
    calls = scripted(lambda attack, x, ids, restart: x)
    with pytest.raises(ValueError, match=r"nothing to attack.*Received: correct images=0 of 3"):
        evaluate(brightness_classifier(), (X[:3], 1 - Y[:3]), PGD(epsilon=0.1), engine="scripted")
    assert calls == []


def test_the_json_has_exactly_the_fields_of_schema_2(tmp_path):
    attacks = [PGD(epsilon=EPSILON, steps=3, step_size=0.1), EFGSM(epsilon=EPSILON)]
    report = evaluate(brightness_classifier(), (X, Y), attacks, restarts=2, seed=7)
    path = tmp_path / "robustness.json"
    report.write_json(path)
    figures = json.loads(path.read_text())
    assert figures == report.to_dict()
    assert set(figures) == {
        "schema",
        "model",
        "dataset",
        "split",
        "num_images",
        "selection",
        "images",
        "natural_accuracy",
        "natural_interval",
        "cascade",
        "attacks",
        "worst_case_accuracy",
        "worst_case_interval",
        "classes",
        "versions",
        "hardware",
        "seconds",
    }
    assert figures["schema"] == 2 and figures["num_images"] == 8
    assert figures["cascade"] is False
    assert (figures["dataset"], figures["split"]) == ("custom", "test")
    pgd, efgsm = figures["attacks"]
    assert pgd.pop("seconds") > 0.0
    assert pgd.pop("robust_interval") == pytest.approx([0.2152, 0.7848], abs=1e-4)
    assert pgd == {
        "name": "pgd-ce",
        "engine": "native",
        "loss": "ce",
        "epsilon": 0.2,
        "steps": 3,
        "step_size": 0.1,
        "rounds": 1,
        "queries": None,
        "restarts": 2,
        "random_start": True,
        "num_images": 8,
        "num_attacked": 7,
        "num_turned": 3,
        "seed": 7,
        "robust_accuracy": 0.5,
    }
    assert efgsm["name"] == "efgsm" and efgsm["loss"] is None and efgsm["step_size"] is None
    assert set(figures["versions"]) == {
        "python",
        keras.backend.backend(),
        "keras",
        "keras_efgsm",
        "numpy",
    }
    assert "core" in figures["hardware"] and os.uname().nodename not in figures["hardware"]


def test_a_report_that_cannot_be_written_leaves_the_old_one_whole(tmp_path, monkeypatch):
    report = evaluate(brightness_classifier(), (X, Y), FGSM(epsilon=EPSILON))
    path = tmp_path / "robustness.json"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write_json(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["robustness.json"]
    monkeypatch.undo()
    report.write_json(path)
    assert json.loads(path.read_text())["schema"] == 2
    assert os.listdir(tmp_path) == ["robustness.json"]
    other = tmp_path / "other"
    other.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)


def test_the_headline_of_the_table_is_the_worst_case(scripted):
    # Neither attack alone reaches the worst case.
    def play(attack, x, ids, restart):
        turned = ids == (0 if attack.loss == "ce" else 1)
        return np.where(turned[:, None, None, None], 1.0 - np.round(x), x)

    scripted(play)
    attacks = [PGD(epsilon=1.0, loss="ce"), PGD(epsilon=1.0, loss="cw")]
    table = evaluate(brightness_classifier(), (X, Y), attacks, engine="scripted").table()
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(table)
    lines = [line for line in console.export_text().splitlines() if line.strip()]
    assert "62.50 % (95 %: 30.6\u201386.3 %): the worst case over 2 attacks" in lines[0]
    assert sum("75.00 %" in line for line in lines) == 2


def test_there_is_no_progress_bar_outside_a_terminal(capfd):
    evaluate(brightness_classifier(), (X, Y), FGSM(epsilon=EPSILON), progress=True)
    out, err = capfd.readouterr()
    assert "fgsm" not in out + err


def test_a_progress_bar_on_a_terminal_shows_images_and_robust_share(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    attack = PGD(epsilon=EPSILON, steps=2, step_size=0.2)
    evaluate(brightness_classifier(), (X, Y), attack, restarts=2, progress=True)
    shown = capfd.readouterr().err
    assert "pgd-ce 2/2" in shown and "11/11" in shown and "50.00 %" in shown
    evaluate(brightness_classifier(), (X, Y), attack, progress=False)
    assert capfd.readouterr().err == ""


def test_the_bar_shows_the_robust_share_of_the_images_known_so_far(monkeypatch):
    shown = []

    class Recorder(Progress):
        def update(self, task_id, **changes):
            shown.append(changes.get("said"))
            super().update(task_id, **changes)

    monkeypatch.setattr(attacking, "progress_bar", lambda wanted: Recorder(disable=True))
    attack = PGD(epsilon=EPSILON, steps=2, step_size=0.2, random_start=False)
    evaluate(brightness_classifier(), (X[:6], Y[:6]), attack, batch_size=2)
    # Image 5 is misclassified and in no batch, but it counts in the end.
    shares = ("100.00", "75.00", "60.00", "50.00")
    assert shown == [f"robust so far {share} %" for share in shares]


@pytest.mark.tensorflow("SavedModel")
def test_a_model_is_loaded_from_each_place_it_can_lie_in(tmp_path):
    model = brightness_classifier()
    run = tmp_path / "run-1"
    run.mkdir()
    (run / "config.json").write_text("{}")
    model.save(run / "classifier.keras")
    exported = save_model_with(
        tmp_path / "bright" / "3",
        lambda image: {"logits": model(image), "probabilities": ops.softmax(model(image))},
        weights=model.weights,
    )
    sole = save_model_with(
        tmp_path / "sole" / "1", lambda image: {"out": model(image)}, weights=model.weights
    )
    places = {
        model: model.name,
        run: "run-1",
        str(run / "classifier.keras"): "classifier.keras",
        exported: "bright/3",
        sole: "sole/1",
    }
    for place, description in places.items():
        loaded = load_classifier(place)
        assert (loaded.image_shape, loaded.num_classes) == ((2, 2, 1), 2)
        assert description in loaded.description and str(tmp_path) not in loaded.description
        np.testing.assert_allclose(loaded.logits_fn(ops.convert_to_tensor(X)), model(X), atol=1e-6)
        assert evaluate(place, (X, Y), FGSM(epsilon=EPSILON)).robust.tolist() == ROBUST.tolist()
    assert load_classifier(loaded) is loaded


@pytest.mark.tensorflow("SavedModel")
def test_an_exported_classifier_is_attacked_through_the_graph_it_serves(tmp_path):
    from keras_efgsm.export import write_saved_model

    model, x, y = small_network()
    write_saved_model(model, tmp_path / "1", ["a", "b", "c", "d"])
    attack = PGD(epsilon=0.06, steps=3, step_size=0.02)
    served = evaluate(tmp_path / "1", (x, y), attack)
    assert 0.1 < served.worst_case_accuracy < 0.9
    assert served.robust.tolist() == evaluate(model, (x, y), attack).robust.tolist()


@pytest.mark.tensorflow("SavedModel")
@pytest.mark.parametrize(
    "batch_size", [1, pytest.param(7, marks=pytest.mark.slow(reason="it traces four attacks"))]
)
def test_an_exported_classifier_goes_through_loops_over_steps(tmp_path, batch_size):
    from keras_efgsm.export import write_saved_model

    model, x, y = small_network()
    write_saved_model(model, tmp_path / "1", ["a", "b", "c", "d"])
    attacks = make_attacks("apgd-ce,apgd-t,fab-t,square", 0.06, steps=3, targets=2, queries=9)
    data = x[:7], y[:7]
    served, kept = (
        evaluate(place, data, attacks, batch_size=batch_size) for place in (tmp_path / "1", model)
    )
    for mine, other in zip(served.attacks, kept.attacks, strict=True):
        assert mine.robust.tolist() == other.robust.tolist()
    assert 0.0 < served.worst_case_accuracy < 1.0


@pytest.mark.tensorflow("SavedModel")
def test_the_committed_export_keeps_the_shape_of_its_gradients_in_a_loop():
    # Its graph hands back a gradient of no known batch size, at which a loop stops being built.
    served = load_classifier(EXPORTED)
    x = np.random.default_rng(0).random((3, 28, 28, 1), dtype="float32")
    y = np.argmax(served.logits_fn(ops.convert_to_tensor(x)), axis=1)
    attacks = make_attacks("apgd-ce,fab-t", 0.01, steps=1, targets=1)
    assert evaluate(served, (x, y), attacks).natural_accuracy == 1.0


def test_of_a_training_wrapper_the_classifier_is_evaluated(tmp_path):
    model = brightness_classifier()
    trainer = AdversarialTrainer(model, PGD(epsilon=EPSILON, steps=2))
    trainer.save(tmp_path / "trainer.keras")
    for place in (trainer, tmp_path / "trainer.keras"):
        assert evaluate(place, (X, Y), FGSM(epsilon=EPSILON)).robust.tolist() == ROBUST.tolist()


def test_a_half_precision_classifier_is_attacked_in_float32():
    # In float16 the gradients, of order 1e-9, are zero, and PGD would never move.
    model = brightness_classifier(dtype="mixed_float16")
    model.set_weights([w * 3e-8 for w in model.get_weights()])
    report = evaluate(model, (X, Y), PGD(epsilon=EPSILON, steps=2, random_start=False))
    assert report.robust.tolist() == ROBUST.tolist()


def damaged(folder):
    (folder / "m.keras").write_bytes(b"not a model")
    return folder / "m.keras"


def truncated(folder):
    brightness_classifier().save(folder / "m.keras")
    (folder / "m.keras").write_bytes((folder / "m.keras").read_bytes()[:-100])
    return folder / "m.keras"


def damaged_inside(folder):
    brightness_classifier().save(folder / "whole.keras")
    with (
        zipfile.ZipFile(folder / "whole.keras") as whole,
        zipfile.ZipFile(folder / "m.keras", "w") as part,
    ):
        for name in whole.namelist():
            part.writestr(name, whole.read(name)[: -1000 if name.endswith(".h5") else None])
    return folder / "m.keras"


def without_config(folder):
    brightness_classifier().save(folder / "classifier.keras")
    return folder


def unfinished_run(folder):
    (folder / "config.json").write_text("{}")
    return folder


def folder_of_versions(folder):
    return save_model_with(folder / "name" / "2", lambda image: ops.zeros((1, 2))).parent


def broken_saved_model(folder):
    (folder / "saved_model.pb").write_bytes(b"not a graph")
    return folder


def text_file(folder):
    (folder / "notes.txt").touch()
    return folder / "notes.txt"


def saved_softmax(folder):
    model = brightness_classifier("softmax")
    return save_model_with(folder / "1", lambda image: {"out": model(image)}, weights=model.weights)


def saved_text(folder):
    import tensorflow as tf

    return save_model_with(
        folder / "1", lambda image: {"out": tf.strings.length(image)}, (None,), tf.string
    )


def saved_fixed_batch(folder):
    model = brightness_classifier()
    return save_model_with(
        folder / "1", lambda image: {"out": model(image)}, (1, 2, 2, 1), weights=model.weights
    )


def saved_two_outputs(folder):
    return save_model_with(folder / "1", lambda image: {"a": image, "b": image})


def saved_without_signature(folder):
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(folder / "1"))
    return folder / "1"


def saved_images(folder):
    return save_model_with(folder / "1", lambda image: {"out": image})


def keras_softmax_layer(folder):
    return keras.Sequential([brightness_classifier(), keras.layers.Softmax()])


def keras_hidden_softmax(folder):
    inputs = keras.Input((2, 2, 1))
    return keras.Model(inputs, keras.ops.softmax(brightness_classifier()(inputs)))


def keras_of_vectors(folder):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def saved(place, message):
    return pytest.param(place, message, marks=pytest.mark.tensorflow("SavedModel"))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (lambda folder: folder / "nothing", "There is no model here"),
        (lambda folder: folder, "must be a run folder"),
        (lambda folder: 3, "must be a keras.Model or the path"),
        (without_config, "has no config.json, give its classifier.keras"),
        (unfinished_run, "has no classifier.keras, did it finish"),
        saved(folder_of_versions, "holds the versions 2, give one of them"),
        (text_file, "must be a run folder"),
        (damaged, "damaged: it is no zip archive"),
        (truncated, "damaged: it is no zip archive"),
        (damaged_inside, "cannot be loaded: it is damaged"),
        saved(broken_saved_model, "The SavedModel cannot be loaded"),
        saved(saved_softmax, "must return logits, but its outputs"),
        saved(saved_text, "must take one batch of float32 images"),
        saved(saved_fixed_batch, "batches of any size"),
        saved(saved_two_outputs, "one output, or one named `logits`"),
        saved(saved_without_signature, "must have a signature `serving_default`"),
        saved(saved_images, r"must return logits \(batch, num_classes\)"),
        (lambda folder: brightness_classifier("softmax"), "must return logits"),
        (keras_softmax_layer, "must return logits"),
        (keras_hidden_softmax, "must return logits"),
        (keras_of_vectors, "must be built for one input of shape"),
    ],
)
def test_what_is_no_classifier_of_images_is_refused_with_the_reason(tmp_path, place, message):
    model = place(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=f"(?s){message}.*Received: "):
        load_classifier(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": (np.zeros((2, 3, 2, 1), "float32"), [0, 1])}, r"images of shape \(2, 2, 1\)"),
        ({"data": (np.uint8(X), Y)}, "floating-point pixels"),
        ({"data": (X * 255, Y)}, "divide 0..255 pixels by 255"),
        ({"data": (X, Y[:-1])}, "one label per image"),
        ({"data": (X, Y + 1)}, r"must lie in \[0, 2\)"),
        ({"data": X}, r"a pair \(x, y\)"),
        ({"data": (X[:0], Y[:0])}, "must be a non-empty array"),
        ({"attacks": []}, "one or more attacks"),
        ({"attacks": ["pgd"]}, "one or more attacks"),
        ({"attacks": [FGSM(epsilon=0.1), FGSM(epsilon=0.2)]}, "must share one epsilon"),
        ({"engine": "torch"}, "'native', 'cleverhans'"),
        ({"batch_size": 0}, "`batch_size` must be a whole number >= 1"),
        ({"restarts": 0}, "`restarts` must be a whole number >= 1"),
        ({"seed": -1}, "`seed` must be a whole number >= 0"),
        ({"num_images": 9}, "at most 8"),
        ({"num_images": 0}, "`num_images` must be a whole number >= 1"),
    ],
)
def test_a_wrong_option_is_refused_with_the_reason(change, message):
    options = {"data": (X, Y), "attacks": FGSM(epsilon=EPSILON), **change}
    data, attacks = options.pop("data"), options.pop("attacks")
    with pytest.raises(ValueError, match=f"(?s)({message}).*Received: "):
        evaluate(brightness_classifier(), data, attacks, **options)


def test_a_classifier_of_nan_weights_is_refused():
    model = EvaluatedModel(lambda x: ops.full((x.shape[0], 2), np.nan), (2, 2, 1), 2, "nan")
    with pytest.raises(ValueError, match=r"finite logits.*Received: "):
        evaluate(model, (X, Y), FGSM(epsilon=EPSILON))
