import json

import numpy as np
import pytest

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, save_npz
from keras_efgsm.records import EvaluationRecord, RobustnessCurveRecord, TargetedRecord
from support.channels import LABELS, PIXELS, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

NAMES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("channels")
    data = ImageData(np.uint8(np.round(PIXELS * 255)), LABELS, NAMES)
    save_npz(folder / "animals.npz", data, data)
    channel_classifier().save(folder / "model.keras")
    return folder


@pytest.fixture
def evaluate(place, monkeypatch, tmp_path):
    """`keras-efgsm evaluate` in an empty folder; returns its status."""
    monkeypatch.chdir(tmp_path)
    data = ["--dataset", str(place / "animals.npz")]

    def run(*words):
        attack = ["--attacks", "pgd-cw", "--steps", "8", "--step-size", "0.03"]
        return main(["evaluate", str(place / "model.keras"), *data, *attack, *words])

    return run


def test_classes_adversarial_images_and_pictures_of_one_radius(evaluate, tmp_path, capsys):
    saved = ["--save-adversarial", "found.npz", "--save-images", "pictures", "--json", "x.json"]
    assert evaluate("--epsilon", "0.06", "--per-class", *saved) == 0
    out = capsys.readouterr().out
    assert "(95 %: " in out and "Accuracy per class" in out and "owl" in out
    figures = EvaluationRecord.read("x.json")
    assert figures.classes.class_names == NAMES
    turned = round(6 * (figures.natural_accuracy - figures.worst_case_accuracy))
    with np.load("found.npz") as found:
        assert len(found["x_adv"]) == turned > 0
    assert len(list((tmp_path / "pictures").iterdir())) == turned
    assert sorted(p.name for p in tmp_path.iterdir()) == ["found.npz", "pictures", "x.json"]


def test_several_radii_give_one_table_one_file_and_a_curve(evaluate, tmp_path, capsys):
    assert evaluate("--epsilon", "0,2/255,0.06", "--json", "curve.json") == 0
    out = capsys.readouterr().out
    assert "0.007843 (2/255)" in out and "83.33 %" in out
    curve = RobustnessCurveRecord.read("curve.json")
    assert [point.epsilon for point in curve.points] == [0.0, 2 / 255, 0.06]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.json", "curve.png"]


def test_images_are_taken_towards_a_class(evaluate, capsys):
    words = ["--epsilon", "0.11", "--target-class", "owl", "--json", "targeted.json"]
    assert evaluate(*words) == 0
    assert "Taken for owl: 75.00 %" in capsys.readouterr().out
    record = TargetedRecord.read("targeted.json")
    assert (record.target, record.num_images, record.success_rate) == ("owl", 4, 0.75)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epsilon", "0.1,0.2", "--target-class", "1"], "`--target-class` is for"),
        (["--epsilon", "0.1,0.2", "--per-class"], "`--per-class` is for an evaluation of one"),
        (["--epsilon", "0.1", "--picture", "x.png"], "`--picture` is for an evaluation of several"),
        (["--epsilon", "0"], "epsilon"),
        (["--epsilon", "0,0"], "must hold a radius above 0"),
        (["--epsilon", "0.1", "--target-class", "bird"], "cat, dog, owl"),
        (["--epsilon", "0.1", "--save-images", "."], "new or empty"),
        (["--epsilon", "0.1", "--save-adversarial", "no/x.npz"], "save-adversarial="),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    evaluate, tmp_path, capsys, words, message
):
    (tmp_path / "mine").touch()
    assert evaluate(*words) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1 and "Received: " in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_interrupted_command_goes_on_with_its_images(evaluate, monkeypatch, tmp_path):
    words = ["--epsilon", "0.06", "--save-adversarial", "found.npz", "--json", "x.json"]
    from keras_efgsm.evaluation.tally import Tally

    take, taken = Tally.take, []

    def stopped(self, *arguments):
        taken.append(arguments[0].tolist())
        take(self, *arguments)
        if len(taken) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Tally, "take", stopped)
    assert evaluate(*words, "--batch-size", "3") != 0
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["x.partial.images", "x.partial.npz"]
    assert evaluate(*words, "--batch-size", "3") == 0
    assert taken == [[0, 1, 2], [3, 4]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.npz", "x.json"]
    with np.load("found.npz") as found:
        assert found["index"].tolist() == [0, 2, 3, 4]
    assert json.loads((tmp_path / "x.json").read_text())["num_images"] == 6
