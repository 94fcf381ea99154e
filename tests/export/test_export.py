import functools
import json
import os
import re
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from keras_efgsm import export
from keras_efgsm.export import (
    contents,
    contract,
    exporting,
    litert_runner,
    tflite,
    versions,
    warm_up,
    writing,
)
from keras_efgsm.export.figures import check_figures, headline, results

# The other forms have files of their own.
export_classifier = functools.partial(export.export_classifier, forms=["saved-model", "tflite"])
SHAPE = (8, 8, 1)
NAMES = ["zero", "one", "zwei drei"]
FIGURES = {
    "schema": 1,
    "model": "/somewhere/else/run.keras",
    "dataset": "digits",
    "split": "test",
    "num_images": 200,
    "natural_accuracy": 0.975,
    "attacks": [
        {
            "name": "fgsm",
            "engine": "native",
            "loss": "ce",
            "epsilon": 0.3,
            "steps": 1,
            "step_size": 0.3,
            "restarts": 1,
            "num_images": 200,
            "seed": 0,
            "robust_accuracy": 0.9,
            "seconds": 0.1,
        },
        {
            "name": "pgd-margin",
            "engine": "native",
            "loss": "margin",
            "epsilon": 8 / 255,
            "steps": 100,
            "step_size": 0.01,
            "restarts": 5,
            "num_images": 200,
            "seed": 3,
            "robust_accuracy": 0.62,
            "seconds": 9.0,
        },
    ],
    "worst_case_accuracy": 0.615,
    "versions": {"tensorflow": "2.21.0"},
    "hardware": "1 CPU core",
    "seconds": 9.1,
}


def make_plain(channels=1, **last):
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8, 8, channels)),
            keras.layers.Rescaling(2.0, offset=-1.0),
            keras.layers.Conv2D(4, 3, activation="silu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, **last),
        ]
    )


def make_normalised():
    """Functional, with moved batch statistics, dropout and an optimizer that has a state."""
    keras.utils.set_random_seed(2)
    image = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3)(image)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    model = keras.Model(image, keras.layers.Dense(3)(x))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(random_images(16), np.arange(16) % 3)
    return model


def random_images(count=5, shape=SHAPE, seed=7):
    return np.random.default_rng(seed).random((count, *shape)).astype("float32")


def logits_of(model, images):
    return model(images, training=False).numpy()


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """One export of each network: (classifier, result)."""
    folder = tmp_path_factory.mktemp("exported_models")
    made = {}
    for name, make in (("plain", make_plain), ("normalised", make_normalised)):
        model = make()
        result = export_classifier(
            model,
            folder / name,
            class_names=NAMES,
            figures=FIGURES,
            config={"method": "efgsm", "epsilon": 0.3, "command": "keras-efgsm export it"},
        )
        made[name] = model, result
    return made


@pytest.fixture(scope="module")
def models(exports):
    # A signature does not keep its weights alive under a GradientTape: hold the loaded models.
    return {
        name: tf.saved_model.load(str(result.saved_model)) for name, (_, result) in exports.items()
    }


@pytest.fixture(scope="module")
def loaded(models):
    return {name: model.signatures for name, model in models.items()}


def everything_below(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("*"))


def test_exports_answer_like_keras_in_a_process_without_this_package(exports, fresh, tmp_path):
    jobs = {}
    for name, (_, result) in exports.items():
        np.save(tmp_path / f"{name}.npy", random_images(seed=11))
        jobs[name] = [str(result.saved_model), str(result.tflite)]
    script = """
import json, sys
import numpy as np, tensorflow as tf
for name, (saved_model, tflite) in json.loads(sys.argv[1]).items():
    images = np.load(f"{name}.npy")
    serve = tf.saved_model.load(saved_model).signatures["serving_default"]
    answer = serve(image=tf.constant(images))
    np.savez(f"{name}.npz", **{k: v.numpy() for k, v in answer.items()})
    entry = tf.lite.Interpreter(tflite)
    entry.resize_tensor_input(entry.get_input_details()[0]["index"], images.shape, strict=True)
    run = entry.get_signature_runner("serving_default")
    np.save(f"{name}-tflite.npy", run(image=images)["logits"])
assert "keras_efgsm" not in sys.modules
"""
    done = fresh.run(json.dumps(jobs), code=script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name, (model, _) in exports.items():
        expected = logits_of(model, random_images(seed=11))
        answer = np.load(tmp_path / f"{name}.npz")
        assert np.abs(answer["logits"] - expected).max() <= 1e-5
        probabilities = keras.ops.softmax(expected).numpy()
        assert np.abs(answer["probabilities"] - probabilities).max() <= 1e-5
        assert np.abs(np.load(tmp_path / f"{name}-tflite.npy") - expected).max() <= 1e-4
        # Constant answers would be alike too.
        assert np.ptp(expected, axis=0).max() > 1e-2


def test_tflite_answers_batches_of_any_size_through_the_input_named_image(exports):
    model, result = exports["normalised"]
    for count in (1, 2, 9):
        images = random_images(count)
        difference = export.tflite_logits(result.tflite, images) - logits_of(model, images)
        assert np.abs(difference).max() <= 1e-4
    interpreter = litert_runner.open_interpreter(result.tflite)
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["logits"]}
    }
    assert {d["dtype"] for d in interpreter.get_tensor_details()} <= {np.float32, np.int32}
    with pytest.raises(ValueError, match=r"\(n, 8, 8, 1\).*images.shape=\(2, 9, 9, 1\)"):
        export.tflite_logits(result.tflite, random_images(2, (9, 9, 1)))


@pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated")
def test_a_failed_import_of_litert_falls_back_to_the_interpreter_of_tensorflow(
    exports, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    model, result = exports["plain"]
    answers = export.tflite_logits(result.tflite, random_images())
    assert np.abs(answers - logits_of(model, random_images())).max() <= 1e-4


def test_saved_model_holds_the_weights_of_the_classifier_once_and_nothing_else(exports):
    for model, result in exports.values():
        contents = export.check_holds_only(result.saved_model, model)
        assert len(contents.variables) == len(model.weights)
        weight_bytes = sum(w.numpy().nbytes for w in model.weights)
        assert contents.variable_bytes == weight_bytes
        (data,) = (result.saved_model / "variables").glob("*.data-*")
        # The rest of the file is the object graph, which holds names only.
        assert data.stat().st_size < weight_bytes + 5000


def test_every_signature_has_exactly_one_input_and_the_promised_outputs(exports, loaded):
    for name, (_, result) in exports.items():
        contents = export.saved_model_contents(result.saved_model)
        assert contents.inputs == {
            "serving_default": ["image"],
            "serving_uint8": ["image"],
            "serving_bytes": ["image_bytes"],
        }
        assert contents.outputs == {
            "serving_default": ["logits", "probabilities"],
            "serving_uint8": ["class_id", "label", "probabilities"],
            "serving_bytes": ["class_id", "label", "probabilities"],
        }
        ((), pixels) = loaded[name]["serving_default"].structured_input_signature
        assert pixels["image"].shape.as_list() == [None, *SHAPE]
        assert pixels["image"].dtype == tf.float32
        ((), files) = loaded[name]["serving_bytes"].structured_input_signature
        assert files["image_bytes"].shape.as_list() == [None]
        assert files["image_bytes"].dtype == tf.string
        assert loaded[name]["serving_bytes"].structured_outputs["class_id"].dtype == tf.int64


@pytest.mark.parametrize("leak", ["momentum", "twice", "second input"])
def test_the_check_of_contents_refuses_a_leak(leak, tmp_path):
    model = make_plain()
    module = tf.Module()
    module.weights = [w.value for w in model.weights]
    if leak == "momentum":
        module.gamma = tf.Variable(tf.zeros((20, *SHAPE)))
    elif leak == "twice":
        module.again = tf.Variable(model.weights[0].numpy())
    image = tf.TensorSpec((None, *SHAPE), tf.float32, name="image")
    specs = [image, tf.TensorSpec((None,), tf.int64, name="id")][: 2 if "input" in leak else 1]
    serve = tf.function(lambda image, id=None: {"logits": model(image)}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "leak"), signatures={"serving_default": serve})
    received = {"momentum": "gamma", "twice": "weights/0", "second input": "'id', 'image'"}[leak]
    with pytest.raises(export.ExportError, match=f"Received: .*{received}"):
        export.check_holds_only(tmp_path / "leak", model)


def test_serving_bytes_names_the_class_of_png_and_jpeg_files(exports, loaded):
    model, _ = exports["normalised"]
    pixels = (random_images(6) * 255).astype("uint8")
    files = [tf.io.encode_png(p).numpy() for p in pixels[:4]]
    files += [tf.io.encode_jpeg(p, quality=100).numpy() for p in pixels[4:]]
    assert files[0][1:4] == b"PNG" and files[5][:2] == b"\xff\xd8"
    seen = np.stack([tf.io.decode_image(f, channels=1).numpy() for f in files]) / np.float32(255)
    assert np.array_equal(seen[:4], pixels[:4] / np.float32(255))
    answer = loaded["normalised"]["serving_bytes"](image_bytes=tf.constant(files))
    expected = logits_of(model, seen)
    probabilities = keras.ops.softmax(expected).numpy()
    assert np.abs(answer["probabilities"] - probabilities).max() <= 1e-5
    assert answer["class_id"].numpy().tolist() == expected.argmax(1).tolist()
    labels = [label.decode() for label in answer["label"].numpy()]
    assert labels == [NAMES[i] for i in expected.argmax(1)]


def test_serving_bytes_decodes_with_the_channel_count_of_the_classifier(tmp_path):
    model = make_plain(channels=3)
    export.write_saved_model(model, tmp_path / "rgb", NAMES)
    serve = tf.saved_model.load(str(tmp_path / "rgb")).signatures["serving_bytes"]
    grey = (random_images(1)[0] * 255).astype("uint8")
    answer = serve(image_bytes=tf.constant([tf.io.encode_png(grey).numpy()]))
    expected = logits_of(model, np.repeat(grey, 3, axis=2)[None] / np.float32(255))
    probabilities = keras.ops.softmax(expected).numpy()
    assert np.abs(answer["probabilities"] - probabilities).max() <= 1e-5


def test_every_label_is_looked_up_though_one_session_holds_two_exports(tmp_path):
    labels = {1: ["a", "größer", "c"], 2: ["x", "y", " z"]}
    for index, names in labels.items():
        model = make_plain()
        model.layers[-1].kernel.assign(keras.ops.zeros_like(model.layers[-1].kernel))
        model.layers[-1].bias.assign(5 * keras.ops.one_hot(index, 3))
        export.write_saved_model(model, tmp_path / str(index), names)
        asset = tmp_path / str(index) / "assets" / "labels.txt"
        assert asset.read_text("utf-8").split("\n")[:3] == names
    file = tf.io.encode_png(tf.zeros(SHAPE, tf.uint8)).numpy()
    # Tables of one name are one table in a session.
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        for index, names in labels.items():
            load = tf.compat.v1.saved_model.load
            meta = load(session, ["serve"], str(tmp_path / str(index)), import_scope=f"v{index}")
            signature = meta.signature_def["serving_bytes"]
            fetch, feed = signature.outputs["label"].name, signature.inputs["image_bytes"].name
            answer = session.run(f"v{index}/{fetch}", {f"v{index}/{feed}": [file]})
            assert answer[0].decode() == names[index]


@pytest.mark.parametrize("shape", [(2, 9, 9, 1), (2, 4, 16, 1), (2, 8, 8, 3), (2, 64), (2, 8, 8)])
def test_serving_default_refuses_another_size_inside_the_graph(shape, exports, loaded):
    expected = r"8 x 8 pixels with 1 channel.* Received: image.shape=\] \[" + " ".join(
        map(str, shape)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.compile(expected, re.DOTALL)):
        loaded["plain"]["serving_default"](image=tf.zeros(shape))


def test_a_session_that_checks_no_shapes_gets_the_refusal_too(exports):
    # What TensorFlow Serving and the C API do: feed by name, compare nothing.
    _, result = exports["plain"]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(result.saved_model))
        signature = meta.signature_def["serving_default"]
        # `Session.run` and `make_callable` compare shapes in Python first.
        options = config_pb2.CallableOptions(
            feed=[signature.inputs["image"].name], fetch=[signature.outputs["logits"].name]
        )
        call = session._make_callable_from_options(options)
        assert call(random_images(2))[0].shape == (2, 3)
        for shape in ((2, 4, 16, 1), (2, 9, 9, 1), (2, 8, 8, 3)):
            with pytest.raises(tf.errors.InvalidArgumentError, match="8 x 8 pixels"):
                call(np.zeros(shape, "float32"))


def test_serving_bytes_refuses_another_size_and_does_not_resize(exports, loaded):
    serve = loaded["plain"]["serving_bytes"]
    for shapes in ([SHAPE, (9, 9, 1)], [SHAPE, (4, 16, 1)], [(16, 16, 1)] * 3, [(4, 16, 1)] * 2):
        files = [tf.io.encode_png(tf.zeros(s, tf.uint8)).numpy() for s in shapes]
        height, width, _ = shapes[-1]
        wrong = [shape[:2] != SHAPE[:2] for shape in shapes].index(True)
        received = rf"8 x 8 pixels.*by the file header=\] \[{wrong} {height} {width}\]"
        for _ in range(5):  # which of two errors comes first must not be a matter of luck
            with pytest.raises(
                tf.errors.InvalidArgumentError, match=re.compile(received, re.DOTALL)
            ):
                serve(image_bytes=tf.constant(files))
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve(image_bytes=tf.constant([b"no image"]))


@pytest.mark.parametrize("name", ["plain", "normalised"])
def test_gradient_through_the_loaded_signature_equals_that_of_keras(name, exports, loaded):
    model, _ = exports[name]
    images, labels = tf.constant(random_images()), tf.constant([0, 1, 2, 0, 1])

    def gradient(logits_of_images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, logits_of_images(images), from_logits=True
            )
        return tape.gradient(losses, images).numpy()

    expected = gradient(lambda x: model(x, training=False))
    through = gradient(lambda x: loaded[name]["serving_default"](image=x)["logits"])
    assert np.abs(expected).max() > 1e-3
    assert np.abs(through - expected).max() <= 1e-6 * max(1, np.abs(expected).max())


def test_mixed_precision_leaves_in_float32_and_the_global_policy_stays(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_plain()
        result = export_classifier(model, tmp_path / "half", class_names=NAMES)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    reference = make_plain()
    reference.set_weights(model.get_weights())
    answers = export.tflite_logits(result.tflite, random_images())
    assert np.abs(answers - logits_of(reference, random_images())).max() <= 1e-4
    assert model.layers[1].compute_dtype == "bfloat16"


def test_the_next_integer_version_is_written_and_none_is_overwritten(tmp_path):
    to = tmp_path / "exported_models" / "digits"
    model = make_plain()
    first = export_classifier(model, to, class_names=NAMES)
    assert (first.version, first.saved_model) == (1, to / "1")
    before = {p: p.read_bytes() for p in to.rglob("*") if p.is_file()}
    (to / "7").mkdir()
    (to / "other-9.tflite").touch()
    (to / "notes").mkdir()
    # That of another export, which is at work.
    with versions.next_version(to) as (version, _):
        assert version == 10
        second = export_classifier(model, to, class_names=NAMES, name="renamed")
    assert (second.version, second.tflite.name) == (11, "renamed-11.tflite")
    assert {p: p.read_bytes() for p in before} == before
    strangers = {"7", "notes", "other-9.tflite"}
    ours = {"1", *(f"digits-1{e}" for e in (".md", ".json", ".tflite"))}
    ours |= {"11", *(f"renamed-11{e}" for e in (".md", ".json", ".tflite"))}
    assert {p.name for p in to.iterdir()} == strangers | ours


def test_claims_of_many_threads_get_versions_of_their_own(tmp_path):
    interval = sys.getswitchinterval()
    # Threads take turns so often that one looks for what was left while another tidies up.
    sys.setswitchinterval(1e-6)
    try:
        for trial in range(4):
            _claim_in_threads(tmp_path / str(trial), 32)
    finally:
        sys.setswitchinterval(interval)


def _claim_in_threads(to, number):
    taken, lock = [], threading.Lock()

    def claim():
        with versions.next_version(to) as (version, partial):
            (partial / "saved_model").mkdir()
            versions.publish({partial / "saved_model": to / str(version)})
        with lock:
            taken.append(version)

    threads = [threading.Thread(target=claim) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, number + 1))
    assert {p.name for p in to.iterdir()} == {str(v) for v in taken}


def test_a_version_published_between_look_and_claim_is_not_taken_again(tmp_path, monkeypatch):
    answers = iter([set(), {1}, {1}])
    monkeypatch.setattr(versions, "_taken", lambda to: next(answers))
    assert versions._claim(tmp_path) == (2, tmp_path / ".2.partial")
    assert everything_below(tmp_path) == [".2.partial"]


def test_a_file_that_appears_meanwhile_is_kept_and_the_export_taken_back(tmp_path):
    with (
        pytest.raises(FileExistsError, match="appeared"),
        versions.next_version(tmp_path) as (_, partial),
    ):
        for name in ("a", "b"):
            (partial / name).write_text("mine")
        (tmp_path / "b").write_text("theirs")
        versions.publish({partial / "a": tmp_path / "a", partial / "b": tmp_path / "b"})
    assert everything_below(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "theirs"


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (tflite, "write_tflite"),
        (contents, "check_holds_only"),
        (warm_up, "write_warm_up_requests"),
        (writing, "measure_agreement"),
        (exporting, "write_model_card"),
        (exporting, "publish"),
    ],
)
def test_an_export_that_fails_midway_leaves_nothing_behind(module, step, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise KeyboardInterrupt if step == "write_tflite" else OSError("disk full")

    monkeypatch.setattr(module, step, fail)
    (tmp_path / "there").mkdir()
    with pytest.raises((KeyboardInterrupt, OSError)):
        export_classifier(make_plain(), tmp_path / "there" / "a" / "b", class_names=NAMES)
    assert everything_below(tmp_path) == ["there"]


def test_a_rename_that_fails_takes_back_what_was_already_renamed(tmp_path, monkeypatch):
    rename, done = os.rename, []

    def fail_third(source, target):
        if Path(target).name == "1":
            raise OSError("disk full")
        done.append(Path(target).name)
        rename(source, target)

    # The converter and the writer of SavedModels rename in C++, so only ours is seen.
    monkeypatch.setattr(versions.os, "rename", fail_third)
    with pytest.raises(OSError, match="disk full"):
        export_classifier(make_plain(), tmp_path / "m", class_names=NAMES)
    assert done == ["m-1.tflite", "m-1.md", "m-1.json"]
    assert everything_below(tmp_path) == []


class Trainer(keras.Model):
    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def call(self, images):
        return self.classifier(images)


def sequential(*layers, shape=SHAPE, **kwargs):
    return keras.Sequential([keras.Input(shape, **kwargs), *layers])


def two_inputs():
    a, b = keras.Input(SHAPE), keras.Input(SHAPE)
    return keras.Model([a, b], keras.layers.Dense(3)(keras.layers.Flatten()(a + b)))


def softmax_operation():
    x = keras.Input(SHAPE)
    return keras.Model(x, keras.ops.softmax(keras.layers.Dense(3)(keras.layers.Flatten()(x))))


def nan_weights():
    model = make_plain()
    model.layers[-1].bias.assign([0.0, float("nan"), 0.0])
    return model


L = keras.layers
REFUSED = {
    "no model": (lambda: "model.keras", "built sequential.*classifier=str"),
    "a trainer": (lambda: Trainer(make_plain()), "the classifier it trains.*=Trainer"),
    "not built": (lambda: keras.Sequential([L.Flatten(), L.Dense(3)]), "built sequential"),
    "two inputs": (two_inputs, r"one input.*input_shape=\[.*8, 8, 1\)\]"),
    "vectors": (lambda: sequential(L.Dense(3), shape=(4,)), r"height.*shape=\(None, 4\)"),
    "any size": (
        lambda: sequential(L.GlobalAveragePooling2D(), L.Dense(3), shape=(None, None, 1)),
        r"one input of shape.*shape=\(None, None, None, 1\)",
    ),
    "fixed batch": (
        lambda: sequential(L.Flatten(), L.Dense(3), batch_size=4),
        r"any batch.*shape=\(4, 8, 8, 1\)",
    ),
    "bytes": (
        lambda: sequential(L.Rescaling(1 / 255), L.Flatten(), L.Dense(3), dtype="uint8"),
        "floating-point pixels.*'uint8'",
    ),
    "two channels": (lambda: make_plain(channels=2), "1 .grey., 3 .RGB..*8, 8, 2"),
    "one logit": (lambda: sequential(L.Flatten(), L.Dense(1)), r"num_classes >= 2.*\(None, 1\)"),
    "maps": (lambda: sequential(L.Conv2D(3, 3)), r"\(batch, num_classes\).*\(None, 6, 6, 3\)"),
    "softmax activation": (
        lambda: make_plain(activation="softmax"),
        "ends in softmax.*; say that",
    ),
    "softmax layer": (
        lambda: sequential(L.Flatten(), L.Dense(3), L.Softmax()),
        "ends in softmax.*; say that",
    ),
    "nested softmax": (
        lambda: sequential(make_plain(activation="softmax")),
        "ends in softmax.*; say that",
    ),
    "softmax operation": (softmax_operation, "ends in softmax.*; say that"),
    "NaN": (nan_weights, "finite weights.*bias=.*nan"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_classifier_that_cannot_leave_is_refused_before_anything_is_written(case, tmp_path):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        export_classifier(make(), tmp_path / "m", class_names=NAMES)
    assert everything_below(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": NAMES[:2]}, "3 labels.*Received: class_names="),
        ({"class_names": "abc"}, "3 labels.*Received: class_names='abc'"),
        ({"class_names": ["a", "b", "b"]}, "distinct"),
        ({"class_names": ["a", "b", "c\nd"]}, "one line"),
        ({"class_names": ["a", "b", ""]}, "non-empty"),
        ({"class_names": [0, 1, 2]}, "non-empty strings"),
        ({"name": "../up"}, r"name='\.\./up'"),
        ({"figures": {"accuracy": 1}}, "schema 1"),
        ({"figures": {**FIGURES, "natural_accuracy": 97.5}}, "natural_accuracy.*97.5"),
        (
            {"figures": {**FIGURES, "worst_case_accuracy": 0.9}},
            "an attack on the same images, 0.62.*0.9",
        ),
    ],
)
def test_bad_names_and_figures_are_refused_before_anything_is_written(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_classifier(make_plain(), tmp_path / "m", **{"class_names": NAMES, **change})
    assert everything_below(tmp_path) == []


def test_a_target_that_cannot_be_written_is_refused_before_anything_is_written(
    tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("mine")
    for to in (tmp_path / "file", tmp_path / "file" / "m"):
        with pytest.raises(ValueError, match=r"can be written.*Received: to="):
            export_classifier(make_plain(), to, class_names=NAMES)

    mkdir = Path.mkdir

    # Root may write everywhere, so a folder's permissions alone do not show it.
    def denied(path, *args, **kwargs):
        if path.name.endswith(".partial"):
            raise PermissionError(13, "Permission denied")
        mkdir(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(ValueError, match="Permission denied"):
        export_classifier(make_plain(), tmp_path / "new" / "m", class_names=NAMES)
    assert everything_below(tmp_path) == ["file"]


def test_other_backends_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        contract.check_contract(make_plain(), NAMES)


def test_the_writers_overwrite_nothing(tmp_path):
    for name in ("model", "m.tflite", "m.md"):
        (tmp_path / name).write_text("mine")
    card = {"name": "m", "version": 1, "image_shape": SHAPE, "class_names": NAMES}
    for write in (
        lambda: export.write_saved_model(make_plain(), tmp_path / "model", NAMES),
        lambda: export.write_tflite(make_plain(), tmp_path / "m.tflite"),
        lambda: export.write_model_card(tmp_path / "m.md", **card),
    ):
        with pytest.raises(ValueError, match="not exist yet"):
            write()
    assert {p.read_text() for p in tmp_path.iterdir()} == {"mine"}


def test_an_operation_that_litert_has_not_is_refused_and_not_left_to_tensorflow(tmp_path):
    class Bicubic(keras.layers.Layer):
        def call(self, x):
            return tf.image.resize(x, (4, 4), "bicubic")

    model = sequential(Bicubic(), L.Flatten(), L.Dense(3))
    with pytest.raises(export.ExportError, match="built in"):
        export.write_tflite(model, tmp_path / "m.tflite")
    with pytest.raises(export.ExportError, match="built in"):
        export_classifier(model, tmp_path / "m", class_names=NAMES, forms=["tflite"])
    assert everything_below(tmp_path) == []


def test_no_path_of_this_machine_leaves(exports):
    for _, result in exports.values():
        files = [p for p in result.saved_model.rglob("*") if p.is_file()]
        for file in [*files, result.tflite, result.model_card]:
            content = file.read_bytes()
            for path in (Path.cwd(), result.saved_model.parent, Path(sys.prefix), "/tmp/"):
                assert str(path).encode() not in content, file


def test_the_card_leads_with_the_worst_case_and_lists_each_attack(exports):
    _, result = exports["plain"]
    card = result.model_card.read_text()
    lead = card.split("\n## ")[0]
    assert "Robust accuracy 61.50 %" in lead and "natural accuracy 97.50 %" in lead
    assert "90.00 %" not in lead and "62.00 %" not in lead
    assert "digits (test), 200 images" in lead
    assert (
        "| pgd-margin native, loss margin | 100 steps | 0.01 | 5 | 0.03137 (8/255) | 200 | 3 "
        "| 62.00 % |" in card
    )
    assert "| fgsm native, loss ce | 1 step | 0.3 | 1 | 0.3 | 200 | 0 | 90.00 % |" in card
    assert "`run.keras`" in card and "1 CPU core" in card
    assert "```\nkeras-efgsm export it\n```" in card
    assert '| method | `"efgsm"` |' in card and "| command |" not in card
    assert "`zwei drei`" in card
    # A table row of another length is not drawn as a table.
    for block in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        assert len({row.count("|") for row in block.splitlines()}) == 1


def test_the_card_without_figures_says_not_evaluated(tmp_path):
    for name, figures in {"a": None, "b": {**FIGURES, "attacks": []}}.items():
        path = tmp_path / f"{name}.md"
        export.write_model_card(
            path, name="m", version=4, image_shape=SHAPE, class_names=NAMES, figures=figures
        )
        card = path.read_text()
        assert "Robust accuracy: not evaluated" in card.split("\n## ")[0]
        assert "61.50" not in card and "m-4.tflite" in card
        assert "export_classifier(" in card


def test_the_headline_is_a_stronger_attack_on_fewer_images_where_there_is_one():
    square = {**FIGURES["attacks"][1], "name": "square", "num_images": 50, "robust_accuracy": 0.5}
    figures = {**FIGURES, "attacks": [*FIGURES["attacks"], square]}
    assert "**Robust accuracy 50.00 %**" in headline(figures)
    assert "square on the first 50 images" in headline(figures)
    assert "61.50 %" in headline(figures)
    assert "**Robust accuracy 61.50 %**" in headline(FIGURES)


def test_figures_of_schema_2_tell_of_rounds_queries_and_the_cascade():
    shared = {**FIGURES["attacks"][1], "engine": "native", "loss": None, "step_size": None}
    targeted = {**shared, "name": "apgd-t", "steps": 100, "rounds": 9, "queries": None}
    square = {**shared, "name": "square", "steps": None, "rounds": 1, "queries": 5000}
    square["robust_accuracy"] = 0.615
    figures = {**FIGURES, "schema": 2, "cascade": True, "attacks": [targeted, square]}
    check_figures(figures)
    section = results(figures)
    assert "| apgd-t native | 100 steps x 9 targets | - |" in section
    assert "| square native | 5,000 queries | - |" in section
    assert "A cascade: each attack" in section
    assert "**Robust accuracy 61.50 %**" in headline(figures)
    assert "cascade" not in results({**figures, "cascade": False})
    # Rows of another library, as `scripts/integration/check_with_art.py` adds them, and those
    # of schema 1 have none.
    assert "| fgsm native, loss ce | 1 step | 0.3 |" in results(FIGURES)
    assert "cascade" not in results(FIGURES)
    with pytest.raises(ValueError, match="schema 1 or 2"):
        check_figures({**figures, "schema": 3})
