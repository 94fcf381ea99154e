import json

import keras
import numpy as np
import pytest
from keras import ops
from rich.console import Console

from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import (
    AttackResult,
    EvaluatedModel,
    RobustnessReport,
    evaluate_robustness,
    make_attacks,
)
from keras_efgsm.records import ClassesPart, EvaluationRecord, RecordError
from keras_efgsm.records.intervals import wilson_interval
from support.channels import CLEAN, EPSILON, LABELS, PIXELS, Raise, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

ATTACKS = [Raise(epsilon=EPSILON, channel=1), Raise(epsilon=EPSILON, channel=2)]
NAMES = ("cat", "dog", "owl")


def evaluate(model, data, attacks, **options):
    return evaluate_robustness(model, data, attacks, **{"progress": False, **options})


def text_of(table, width=160):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.fixture(scope="module")
def report(uncompiled):
    return evaluate(channel_classifier(), (PIXELS, LABELS), ATTACKS)


@pytest.fixture(scope="module")
def cascade(uncompiled):
    data = ImageData(np.uint8(np.round(PIXELS * 255)), LABELS, NAMES, name="animals")
    return evaluate(channel_classifier(), data, ATTACKS, cascade=True)


def test_every_image_has_the_class_that_each_attack_turned_it_to(report):
    first, second = report.attacks
    assert report.clean_classes.tolist() == CLEAN.tolist()
    assert first.classes.tolist() == [1, 0, 0, 1, 1, 0]
    assert second.classes.tolist() == [0, 0, 2, 1, 2, 0]
    # By the first attack that turned it; misclassified clean ones keep their class.
    assert report.classes.tolist() == [1, 0, 2, 1, 1, 0]
    assert report.robust.tolist() == [False, True, False, True, False, False]


def test_in_a_cascade_an_image_keeps_the_class_of_the_attack_that_turned_it(cascade, report):
    assert cascade.attacks[1].classes.tolist() == report.classes.tolist()
    assert cascade.classes.tolist() == report.classes.tolist()


def test_classes_have_their_accuracy_and_confusion(report):
    rows = report.per_class()
    assert [(r.name, r.num_images, r.natural_accuracy, r.robust_accuracy) for r in rows] == [
        ("0", 3, 1.0, 1 / 3),
        ("1", 1, 1.0, 1.0),
        ("2", 2, 0.5, 0.0),
    ]
    assert rows[0].interval == wilson_interval(1, 3)
    assert report.confusion().tolist() == [[1, 1, 1], [0, 1, 0], [1, 1, 0]]
    assert report.confusion("none").tolist() == [[3, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert report.confusion("raise-2").tolist() == [[2, 0, 1], [0, 1, 0], [1, 0, 1]]
    with pytest.raises(ValueError, match=r"`attack` must be one of.*Received: attack='pgd'"):
        report.confusion("pgd")


def test_the_report_has_an_interval_beside_each_accuracy(report):
    assert report.natural_interval == wilson_interval(5, 6)
    assert report.interval == wilson_interval(2, 6)
    assert report.attacks[0].interval == wilson_interval(3, 6)
    figures = report.to_dict()
    assert figures["natural_interval"] == list(wilson_interval(5, 6))
    assert figures["worst_case_interval"] == list(wilson_interval(2, 6))
    assert figures["attacks"][0]["robust_interval"] == list(wilson_interval(3, 6))
    text = text_of(report.table())
    assert "33.33 % (95 %: 9.7\u201370.0 %)" in text and "43.6\u201397.0 %" in text


def test_the_file_tells_the_classes_apart_compactly(cascade, tmp_path):
    cascade.write_json(tmp_path / "evaluation.json")
    found = json.loads((tmp_path / "evaluation.json").read_text())["classes"]
    assert found == {
        "num_classes": 3,
        "class_names": list(NAMES),
        "clean": {"0": {"0": 3}, "1": {"1": 1}, "2": {"0": 1, "2": 1}},
        "attacked": {"0": {"0": 1, "1": 1, "2": 1}, "1": {"1": 1}, "2": {"0": 1, "1": 1}},
    }
    record = EvaluationRecord.read(tmp_path / "evaluation.json")
    assert record.classes.per_class() == cascade.per_class()
    assert record.classes.confusion().tolist() == cascade.confusion().tolist()
    lines = text_of(cascade.class_table()).splitlines()
    assert any("owl" in line and "50.00 %" in line and "cat 1, dog 1" in line for line in lines)


def test_an_image_without_finite_logits_is_of_no_class():
    # The attack makes the first channel darker than 0.5, where the logits are not finite.
    def logits(x):
        means = ops.mean(x, axis=(1, 2))
        return ops.where(means[:, :1] < 0.45, float("nan"), means)

    model = EvaluatedModel(logits, (2, 2, 3), 3, "a function")
    report = evaluate(model, (PIXELS[2:3], LABELS[2:3]), Raise(epsilon=0.2, channel=1))
    assert report.classes.tolist() == [-1] and report.robust.tolist() == [False]
    assert report.confusion().sum() == 0
    assert report.per_class()[0].num_images == 1 and report.per_class()[0].robust_accuracy == 0.0


def test_a_report_that_does_not_know_the_classes_says_so(report):
    about = {"model": "m", "dataset": "d", "split": "test", "versions": {}, "hardware": ""}
    attack = AttackResult.of(
        ATTACKS[0],
        name="raise-1",
        engine="native",
        restarts=1,
        seed=0,
        start=report.correct,
        robust=report.robust,
        seconds=0.0,
    )
    bare = RobustnessReport(
        **about, correct=report.correct, cascade=False, attacks=(attack,), seconds=0.0
    )
    assert bare.classes is None and "classes" not in bare.to_dict()
    for ask in (bare.per_class, bare.confusion, bare.class_table):
        with pytest.raises(ValueError, match="tells classes apart if it has"):
            ask()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attacked": {"3": {"0": 1}}}, "attacked classes in \\[0, 3\\)"),
        ({"clean": {"0": {"-1": 1}}}, "clean classes in"),
        ({"clean": {"0": {"9" * 5000: 1}}}, "clean classes in"),
        ({"attacked": {"0": {"0": 4}}}, "more right, under attack"),
        ({"attacked": {"1": {"0": 2}}}, "no class with more images"),
        ({"class_names": ["cat"]}, "3 class_names"),
        ({"num_classes": 10**9}, "at most 65536 num_classes"),
    ],
)
def test_impossible_classes_of_a_file_are_refused(report, change, message):
    with pytest.raises(ValueError, match=message):
        ClassesPart.from_dict(report.classes_part.to_dict() | change)
    assert issubclass(RecordError, ValueError)


@pytest.mark.parametrize("classes", [2, 1000])
def test_targeted_attacks_go_for_the_nearest_of_2_and_of_1000_classes(classes):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    x = np.random.default_rng(0).random((6, 4, 4, 1), dtype="float32")
    attacks = make_attacks("apgd-t,fab-t", 0.3, steps=3, targets=2)
    report = evaluate(model, (x, np.argmax(model(x), axis=1)), attacks)
    assert [attack.rounds for attack in report.attacks] == [min(2, classes - 1)] * 2
    assert report.worst_case_accuracy < 1.0
