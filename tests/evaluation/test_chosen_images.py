"""Which images a measurement takes, and what it says and records of them."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_efgsm.evaluation
from keras_efgsm.attacks import PGD
from keras_efgsm.cli.subject import Subject
from keras_efgsm.data import ImageData, save_npz
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import EvaluationRecord, MetricsRecord, ReportCurvesRecord
from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.report.comparison import differences
from keras_efgsm.report.measured_run import _read_kept
from keras_efgsm.runs.adopted import adopt_classifier
from keras_efgsm.runs.folder import RunFolder

NAMES = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LABELS = np.repeat(np.arange(26), 20)


def letters(seed=0, labels=LABELS, names=NAMES):
    """Images whose pixels tell the class, sorted by class as a folder is."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 5, (len(labels), 4, 4, 1))
    return ImageData((9 * labels[:, None, None, None] + noise).astype("uint8"), labels, names, "L")


MODEL = SimpleNamespace(image_shape=(4, 4, 1), num_classes=26)


def as_given(kind):
    data = letters()
    one_hot = np.eye(26, dtype="float32")[data.labels]
    return {
        "image data": data,
        "arrays": (data.pixels(), data.labels),
        "labels in a column": (data.pixels(), data.labels[:, None]),
        "one-hot": (data.pixels(), one_hot),
    }[kind]


@pytest.mark.parametrize("kind", ["image data", "arrays", "labels in a column", "one-hot"])
def test_of_sorted_data_every_class_is_measured(kind):
    images = check_data(as_given(kind), MODEL, 50, seed=1)
    assert images.selection == "by class, seed 1" and images.missing == ""
    assert len(images.labels) == 50 and set(images.labels) == set(range(26))
    pixels = images.pixels(np.arange(50))
    np.testing.assert_array_equal((pixels.max((1, 2, 3)) * 255 // 9).astype(int), images.labels)
    np.testing.assert_array_equal(images.pixels(np.array([7, 3])), pixels[[7, 3]])


def test_all_images_and_the_first_of_shuffled_ones_are_as_they_were():
    order = np.random.default_rng(0).permutation(len(LABELS))
    data = letters(labels=LABELS[order])
    taken = check_data(data, MODEL, 100)
    assert taken.selection == "first"
    assert taken.digest() == check_data(data.take(100), MODEL, None).digest()
    assert check_data(letters(), MODEL, None).selection == "first"
    assert len(check_data(letters(), MODEL, 9999, or_all=True).labels) == len(LABELS)
    with pytest.raises(ValueError, match="at most 520"):
        check_data(letters(), MODEL, 9999)


def test_what_is_taken_is_known_again_whatever_its_size():
    data = letters()
    larger = ImageData(
        data.images.repeat(2, 1).repeat(2, 2), data.labels, NAMES, digests=data_digests(data)
    )
    wide = SimpleNamespace(image_shape=(8, 8, 1), num_classes=26)
    digests = {check_data(data, MODEL, 50).contents(), check_data(larger, wide, 50).contents()}
    assert len(digests) == 1
    changed = letters(seed=1)
    assert check_data(changed, MODEL, 50).contents() not in digests
    assert check_data(data, MODEL, 50, seed=1).contents() not in digests


def data_digests(data):
    from keras_efgsm.data.digests import digests_of_images

    return digests_of_images(data.images)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(26)]
    model = keras.Sequential(layers)
    # The class whose mean pixel is nearest.
    means = (9 * np.arange(26) + 2) / 255
    weights = np.tile(2 * means, (16, 1)) / 16
    model.set_weights([300 * weights, -300 * means**2])
    return model


def test_a_report_says_how_its_images_were_chosen(classifier, tmp_path):
    attack = PGD(epsilon=0.001, steps=1)
    report = evaluate_robustness(classifier, letters(), attack, num_images=20, progress=False)
    assert report.natural_accuracy > 0.9
    caption = " ".join(str(report.table().caption).split())
    assert "20 images (drawn by class, seed 0)" in caption
    assert "Warning: 6 of 26 classes have no image among the 20: 'B'" in caption or (
        "Warning: 6 of 26 classes have no image among the 20: " in caption
    )
    report.write_json(tmp_path / "evaluation.json")
    record = EvaluationRecord.read(tmp_path / "evaluation.json")
    assert record.selection == "by class, seed 0" and len(record.images) == 64
    assert record.measured_with()["selection"] == "by class, seed 0"


def test_an_older_evaluation_took_the_first_images():
    older = EvaluationRecord(num_images=20, natural_accuracy=0.5)
    newer = EvaluationRecord(num_images=20, natural_accuracy=0.5, selection="first", images="d")
    drawn = EvaluationRecord(num_images=20, natural_accuracy=0.5, selection="by class, seed 0")
    assert older.measured_with() == newer.measured_with() != drawn.measured_with()
    assert "selection" not in older.to_dict()


def kept_curves(path, confusion, **more):
    measured = MeasuredPart.from_dict(
        {
            "num_images": 4, "natural_accuracy": 1.0, "epsilon_curve": [], "steps_curve": [],
            "confusion": confusion, "examples": [], "films": [], "dataset": "L", "split": "test",
            "epsilon": 0.1, "seed": 0, "class_names": ["A", "B"], "hardware": "", "versions": {},
            **more,
        }
    )  # fmt: skip
    ReportCurvesRecord(measured_with={"seed": 0}, measured=measured).write(path)
    return _read_kept(path, {"seed": 0})


def test_kept_curves_of_first_images_that_lack_a_class_are_measured_anew(tmp_path):
    path = tmp_path / "curves.json"
    assert kept_curves(path, [[4, 0], [0, 0]]) is None
    assert kept_curves(path, [[4, 0], [0, 0]], selection="by class, seed 0") is not None
    assert kept_curves(path, [[2, 0], [1, 1]]) is not None


def run_folder(path, data, split="test"):
    folder = RunFolder(path)
    folder.path.mkdir(parents=True)
    metrics = {"natural_accuracy": 0.5, "class_names": list(data.class_names)}
    MetricsRecord.from_dict(metrics | {"data": {split: data.record().to_dict()}}).write(
        folder.metrics
    )
    return folder


def subject(folder, dataset, split="test"):
    config = TrainingConfig(str(dataset), "digits", None, 0.1, method="efgsm")
    return Subject(MODEL, config, 0.1, str(dataset), split, None, folder=folder)


def test_a_run_is_measured_on_changed_images_with_a_word(tmp_path, capsys):
    file = tmp_path / "letters.npz"
    save_npz(file, letters(), letters(1))
    folder = run_folder(tmp_path / "run", letters(1))
    subject(folder, file).load_data()
    assert capsys.readouterr().out == ""
    save_npz(file, letters(), letters(2))
    subject(folder, file).load_data()
    said = capsys.readouterr().out
    assert said == (
        "warning: the images of the run's data set have changed since its training: "
        "test images (images)\n"
    )
    # Nothing is known of the other split, nor of another data set.
    subject(folder, file, "train").load_data()
    subject(folder, file)._replace(
        config=TrainingConfig("other", "digits", None, 0.1, method="efgsm")
    ).load_data()
    assert capsys.readouterr().out == ""


def test_a_run_is_not_measured_on_its_classes_in_another_order(tmp_path):
    file = tmp_path / "letters.npz"
    turned = letters(names=NAMES[::-1])
    save_npz(file, turned, turned)
    folder = run_folder(tmp_path / "run", letters())
    with pytest.raises(ValueError, match="same order.*Received: 'npz:letters:test' with classes"):
        subject(folder, file).load_data()


def test_a_report_on_a_file_is_made_anew_where_its_images_changed(
    classifier, tmp_path, monkeypatch, capsys
):
    def quickly(model, data, attacks, **options):
        return evaluate_robustness(model, data, PGD(epsilon=0.001, steps=1), progress=False)

    monkeypatch.setattr(keras_efgsm.evaluation, "evaluate_robustness", quickly)
    classifier.save(tmp_path / "mine.keras")
    file = tmp_path / "letters.npz"
    save_npz(file, letters(), letters(1))
    folder = adopt_classifier(tmp_path / "mine.keras", str(file), 0.001)
    curves = folder.path / "report-curves.json"
    figures = folder.evaluation.read_bytes()
    curves.write_text("kept")
    for changes in (False, True):
        if changes:
            save_npz(file, letters(), letters(2))
        capsys.readouterr()
        adopt_classifier(tmp_path / "mine.keras", str(file), 0.001)
        assert ("have changed since mine.report" in capsys.readouterr().out) == changes
        assert curves.exists() != changes
    assert folder.evaluation.read_bytes() != figures


def test_runs_of_other_choices_are_not_compared():
    def run(**changes):
        attack = SimpleNamespace(num_images=20, epsilon=0.1)
        figures = SimpleNamespace(
            strongest=attack, worst_is_one_attack=False, num_images=20, dataset="L", split="test",
            selection=None, attacks_in_words=lambda: "pgd", **changes,
        )  # fmt: skip
        return SimpleNamespace(evaluation=figures, epsilon=0.1, norm="linf")

    def chosen(selection):
        found = run()
        found.evaluation.selection = selection
        return found

    assert differences([chosen(None), chosen("first")]) == []
    assert differences([chosen(None), chosen("by class, seed 0")]) == ["choice of images"]
