import json
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.cli import main
from keras_efgsm.export import (
    FORMS,
    Agreement,
    ExportError,
    check_agreement,
    export_classifier,
    exporting,
    measure_agreement,
    versions,
    writing,
)
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs.folder import RunFolder

NAMES = [str(i) for i in range(10)]
FLOAT_FORMS = [form for form in FORMS if form != "tflite-int8"]


def small_classifier(seed=5):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def images(digits):
    return digits[0][0][:32]


@pytest.fixture(scope="module")
def exported(images, tmp_path_factory):
    classifier = small_classifier()
    to = tmp_path_factory.mktemp("exported_models") / "m"
    result = export_classifier(
        classifier, to, class_names=NAMES, representative_images=images.astype("float64")
    )
    return classifier, to, result


def test_by_default_every_form_is_written_under_its_name(exported):
    _, to, result = exported
    assert result.files == {
        "saved-model": to / "1",
        "tflite": to / "m-1.tflite",
        "tflite-float16": to / "m-1-float16.tflite",
        "tflite-dynamic": to / "m-1-dynamic.tflite",
        "tflite-int8": to / "m-1-int8.tflite",
        "onnx": to / "m-1.onnx",
        "openvino": to / "m-1.xml",
    }
    assert list(result.files) == list(FORMS) and result.skipped == {}
    assert (result.saved_model, result.tflite) == (to / "1", to / "m-1.tflite")
    # And nothing else lies there.
    beside = {"m-1.md", "m-1.json", "m-1.bin"}
    assert {p.name for p in to.iterdir()} == {p.name for p in result.files.values()} | beside
    assert (to / "1" / "assets.extra" / "tf_serving_warmup_requests").exists()


def test_each_form_was_compared_with_keras(exported):
    _, _, result = exported
    assert set(result.agreements) == set(FORMS)
    assert result.differences["saved-model"] <= 1e-5
    assert max(result.differences["tflite"], result.differences["onnx"]) <= 1e-4
    assert result.differences["tflite-float16"] <= 1e-2
    int8 = result.agreements["tflite-int8"]
    assert (int8.num_images, int8.on) == (32, "representative") and int8.difference > 1e-4


def test_agreement_tells_another_classifier(exported, images):
    classifier, _, result = exported
    other = small_classifier(seed=6)
    for form, path in result.files.items():
        own = measure_agreement(form, path, classifier, images)
        theirs = measure_agreement(form, path, other, images)
        assert own.same_class > 0.9 and theirs.same_class < 0.5
        assert own.difference < 0.05 < theirs.difference
        check_agreement(form, own)
        with pytest.raises(ExportError, match=f"{form!r}.*Received: "):
            check_agreement(form, theirs)


@pytest.mark.parametrize("form", [form for form in FORMS if form != "saved-model"])
def test_a_file_answers_several_threads_at_once(exported, images, form):
    runner = FORMS[form].load(exported[2].files[form])
    alone = runner.logits(images)
    # As the operations of a graph do, which run side by side.
    with ThreadPoolExecutor(4) as threads:
        for answer in threads.map(runner.logits, [images] * 64):
            np.testing.assert_array_equal(answer, alone)


@pytest.mark.parametrize(
    ("form", "difference", "same_class", "on", "refused"),
    [
        ("saved-model", 2e-5, 1.0, "random", "within 1e-05.*difference=2e-05"),
        ("onnx", 2e-4, 1.0, "random", "within 0.0001"),
        ("tflite-float16", 0.02, 1.0, "random", "within 0.01"),
        ("tflite-int8", 3.0, 0.51, "representative", None),
        ("tflite-int8", 3.0, 0.49, "representative", "50%.*same_class=0.490 of 100"),
        ("tflite-dynamic", 3.0, 0.1, "random", None),
        ("tflite-dynamic", float("nan"), 1.0, "random", "difference=nan"),
        ("tflite-int8", float("inf"), 1.0, "random", "difference=inf"),
    ],
)
def test_floats_are_held_to_a_tolerance_and_integers_to_half_of_the_classes(
    form, difference, same_class, on, refused
):
    agreement = Agreement(difference, same_class, 100, on)
    if refused is None:
        check_agreement(form, agreement)
    else:
        with pytest.raises(ExportError, match=refused):
            check_agreement(form, agreement)


@pytest.mark.parametrize("broken", FORMS)
def test_an_export_asked_for_a_form_that_answers_otherwise_is_refused_and_removed(
    broken, images, tmp_path, monkeypatch
):
    def measure(form, *_):
        return Agreement(float("nan") if form == broken else 0.0, 1.0, 4, "random")

    monkeypatch.setattr(writing, "measure_agreement", measure)
    for form in FORMS.values():
        monkeypatch.setattr(form, "write", lambda _, path, given: path.touch())
    with pytest.raises(ExportError, match=f"{broken!r}.*difference=nan"):
        export_classifier(
            small_classifier(),
            tmp_path / "m",
            class_names=NAMES,
            forms=list(FORMS),
            representative_images=images,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_run_is_refused(tmp_path):
    for name in ("m.tflite", "m.onnx"):
        (tmp_path / name).write_bytes(b"no model")
    for form, name in (("tflite", "m.tflite"), ("tflite-int8", "m.tflite"), ("onnx", "m.onnx")):
        with pytest.raises(ExportError, match=f"{form!r} must run.*Received: path="):
            measure_agreement(form, tmp_path / name, small_classifier())


def test_only_the_forms_asked_for_are_written(tmp_path):
    result = export_classifier(
        small_classifier(), tmp_path / "m", class_names=NAMES, forms=["tflite-dynamic"]
    )
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        "m-1-dynamic.tflite",
        "m-1.md",
        "m-1.json",
    }
    assert (result.saved_model, result.tflite) == (None, None)
    card = result.model_card.read_text()
    assert "`m-1-dynamic.tflite`" in card and "SavedModel:" not in card and "onnx" not in card


def test_without_images_int8_is_skipped_and_said_what_it_needs(tmp_path):
    result = export_classifier(small_classifier(), tmp_path / "m", class_names=NAMES)
    assert list(result.files) == FLOAT_FORMS
    assert "representative_images" in result.skipped["tflite-int8"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"forms": ["tflite-int8"]}, "cannot be written: it needs `representative_images`"),
        ({"forms": ["tflite", "tf-js"]}, "one of 'saved-model'.*Received: forms='tf-js'"),
        ({"forms": []}, "at least one of"),
        ({"forms": "tflite"}, "a list of at least one of"),
        ({"representative_images": np.zeros((3, 8, 8, 1), "float32")}, "at least 16 images"),
        ({"representative_images": np.full((20, 8, 8, 1), 9.0)}, "divide 0..255 pixels"),
        ({"warm_up_batch_sizes": ()}, "Received: batch_sizes="),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_classifier(small_classifier(), tmp_path / "m", class_names=NAMES, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_any_form_takes_its_version(form, tmp_path):
    path = tmp_path / FORMS[form].file_name("mnist-5", 3)
    path.mkdir() if form == "saved-model" else path.touch()
    with versions.next_version(tmp_path) as (version, _):
        assert version == 4


def saved_model_parts(path):
    files = {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    return {name: content for name, content in files.items() if name != "fingerprint.pb"}


def test_the_files_for_litert_and_the_weights_are_the_same_bytes_in_every_export(
    exported, images, tmp_path
):
    classifier, to, first = exported
    again = export_classifier(
        classifier, tmp_path / "m", class_names=NAMES, representative_images=images
    )
    for form in FORMS:
        if form.startswith("tflite"):
            assert first.files[form].read_bytes() == again.files[form].read_bytes()
    one, two = saved_model_parts(to / "1"), saved_model_parts(again.saved_model)
    assert one.keys() == two.keys()
    # The names of the functions in the graph count on in a process.
    assert {name for name in one if one[name] != two[name]} <= {
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    }
    read = [
        tf.train.load_checkpoint(str(r.saved_model / "variables/variables")) for r in (first, again)
    ]
    for name in read[0].get_variable_to_shape_map():
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH":
            assert np.array_equal(*(reader.get_tensor(name) for reader in read))


# The command.


@pytest.fixture
def run(tmp_path):
    """The folder of a run as `train` leaves it, without the training."""
    folder = RunFolder(tmp_path / "run")
    folder.prepare(PRESETS["digits"], resume=False)
    folder.save_model(small_classifier(), folder.classifier)
    folder.write_metrics({"natural_accuracy": 0.1, "class_names": NAMES, "epochs": 0})
    return folder


def test_the_command_calibrates_with_the_training_split_of_the_run(run, tmp_path, capsys):
    words = ["--forms", "tflite-int8", "--calibration-images", "40", "--calibration-seed", "3"]
    assert main(["export", str(run.path), "--to", str(tmp_path / "m"), *words]) == 0
    assert f"tflite-int8: {tmp_path / 'm' / 'm-1-int8.tflite'}" in capsys.readouterr().out
    card = (tmp_path / "m" / "m-1.md").read_text()
    assert "calibrated with 40 images of the training split of digits" in card
    assert "seed 3" in card and "40 representative" in card
    # Its own options lead to the same file again.
    assert " ".join(words) in card


def test_the_command_says_in_one_line_what_it_skipped(run, tmp_path, capsys, monkeypatch):
    config = json.loads(run.config.read_text())
    run.config.write_text(json.dumps({**config, "dataset": str(tmp_path / "gone")}))
    monkeypatch.setattr(
        exporting, "choose_forms", lambda forms, has_images: (("tflite",), {"tflite-int8": "?"})
    )
    assert main(["export", str(run.path), "--to", str(tmp_path / "m")]) == 0
    lines = capsys.readouterr().out.splitlines()
    (skipped,) = [line for line in lines if "skipped" in line]
    assert skipped.startswith("tflite-int8 skipped: the run's training images cannot be read (")


def test_the_command_says_in_one_line_which_form_cannot_be_made(run, tmp_path, capsys, monkeypatch):
    unlike = Agreement(1.0, 1.0, 4, "random")
    monkeypatch.setattr(writing, "measure_agreement", lambda *_: unlike)
    words = ["export", str(run.path), "--to", str(tmp_path / "m"), "--forms", "tflite"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "'tflite' must be within 0.0001" in error and error.count("\n") == 1
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--forms", "tflite-int8"], "gone'"),
        (["--calibration-images", "3"], "`calibration_images` must be a whole number >= 16"),
    ],
)
def test_the_command_refuses_before_anything_is_written(words, message, run, tmp_path, capsys):
    config = json.loads(run.config.read_text())
    run.config.write_text(json.dumps({**config, "dataset": str(tmp_path / "gone")}))
    assert main(["export", str(run.path), "--to", str(tmp_path / "m"), *words]) == 2
    error = capsys.readouterr().err
    # What there is no data of is answered by what data there may be, a line each.
    assert message in error.splitlines()[-1] and error.startswith("keras-efgsm export: ")
    assert not (tmp_path / "m").exists()
