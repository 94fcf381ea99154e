"""What `print`, `repr` and a notebook show of each result."""

import base64
import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from keras_efgsm.comparison import Comparison
from keras_efgsm.diagnosis.findings import Diagnosis, Finding
from keras_efgsm.distances.report import DistanceResult, DistancesReport
from keras_efgsm.evaluation import evaluate_over_epsilons, evaluate_robustness, evaluate_targeted
from keras_efgsm.evaluation.towards import targeted
from keras_efgsm.export.exporting import ExportResult
from keras_efgsm.export.measuring import FormResult, Measurements
from keras_efgsm.printing import ResultTable, as_html, as_text, brief
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records import (
    Agreement,
    AskedAttackPart,
    AttackRecord,
    ComparedPart,
    ComparisonRecord,
    EvaluationRecord,
    HistoryRecord,
)
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.result import TrainingResult
from keras_efgsm.universal import UniversalPerturbation
from keras_efgsm.universal.report import UniversalReport
from support.channels import EPSILON, LABELS, PIXELS, Raise, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

MADE = {"versions": {}, "hardware": "h", "seconds": 1.0}
ABOUT = {"model": "m<b>", "dataset": "d", **MADE}
ATTACKS = [Raise(epsilon=EPSILON, channel=1), Raise(epsilon=EPSILON, channel=2)]
NO = {"progress": False}


def evaluation():
    return evaluate_robustness(channel_classifier(), (PIXELS, LABELS), ATTACKS, **NO)


def curve():
    return evaluate_over_epsilons(channel_classifier(), (PIXELS, LABELS), ATTACKS[:1], **NO)


def towards():
    attacks = [targeted(attack) for attack in ATTACKS[:1]]
    return evaluate_targeted(channel_classifier(), (PIXELS, LABELS), attacks, target="1", **NO)


def diagnosis():
    about = {**ABOUT, "epsilon": 0.1, "num_images": 9, "num_correct": 9, "lowest_accuracy": 0.5}
    return Diagnosis(**about, seed=0, findings=(Finding("a_sign", True, "Seen.", {}),))


def distances():
    found = {"distances": np.array([0.1, np.inf, 0.0]), "predicted": np.array([1, 2, -1])}
    correct = np.array([True, True, False])
    result = DistanceResult("deepfool", "native", {}, "50 steps", **found, attacked=correct,
                            seconds=1.0)  # fmt: skip
    about = {"split": "test", "norm": "l2", "correct": correct, "attacks": (result,)}
    return DistancesReport(**ABOUT, **about)


def universal():
    three = np.zeros(3, int)
    images = {"perturbation": np.full((2, 2, 1), 0.1), "random": np.zeros((2, 2, 1))}
    fooled = dict.fromkeys(("made_on", "fooled", "fooled_by_random"), three == 0)
    maker = UniversalPerturbation(epsilon=0.1)
    classes = {"labels": three, "clean": three, "predicted": three}
    about = {"split": "test", "maker": maker, "engine": "native", "seed": 0}
    return UniversalReport(
        **ABOUT, **about, **images, **fooled, **classes, examples=np.zeros((3, 2, 2, 1))
    )


def comparison():
    figures = EvaluationRecord(
        num_images=10,
        natural_accuracy=0.9,
        worst_case_accuracy=0.5,
        attacks=(AttackRecord(name="square", robust_accuracy=0.5),),
        seconds=1.0,
    )
    part = ComparedPart(
        name="m[/b]",
        digest="d",
        access="white-box",
        worst_case_interval=(0.2, 0.8),
        natural_interval=(0.6, 1.0),
        accuracies=(0.5,),
        evaluation=figures,
        rank=1,
    )
    asked = {"attacks": (AskedAttackPart(name="square", budget="2 queries"),), "models": (part,)}
    data = {"dataset": "d", "split": "test", "num_images": 10, "selection": "first", "images": "i"}
    how = {"epsilon": 0.1, "cascade": False, "seed": 0, "eot": 1, "versions": {}, "hardware": "h"}
    return Comparison(ComparisonRecord(**data, **how, **asked))


def measurements(tmp_path):
    settings = {"dataset": "d", "split": "test", "num_images": 9, "epsilon": 0.1}
    times = {"median_ms": 1.0, "p90_ms": 2.0, "batch_median_ms": 9.0}
    figures = {"natural_accuracy": 0.9, "worst_case_accuracy": 0.5, "attacks": []}
    forms = {"tflite": FormResult("m-1.tflite", "d", 1000, figures)}
    return Measurements(tmp_path / "m.json", settings, {"forms": {"tflite": times}}, forms)


def export(tmp_path):
    (tmp_path / "m-1.tflite").write_bytes(b"1234")
    agreement = Agreement(1e-7, 1.0, 9, "random")
    files, skipped = {"tflite": tmp_path / "m-1.tflite"}, {"onnx": "no tf2onnx"}
    card, record = tmp_path / "m-1.md", tmp_path / "m-1.json"
    return ExportResult(1, files, card, record, {"tflite": agreement}, skipped)


def training(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.prepare(dataclasses.replace(PRESETS["digits"], seed=7), resume=False)
    metrics = {"natural_accuracy": 0.9, "test_images": 100, "epochs": 3, "training_seconds": 5.0}
    return TrainingResult(None, {**metrics, "stop": None}, folder)


def history():
    row = {"epoch": 1, "seconds": 2.5, "loss": 0.25, "accuracy": 0.5, "val_accuracy": 0.9}
    return HistoryRecord(rows=(row, {**row, "epoch": 2, "probe_accuracy": 0.4}))


WITHOUT_FILES = (evaluation, curve, towards, diagnosis, distances, universal, comparison, history)
WITH_FILES = (measurements, export, training)


@pytest.fixture(params=[*WITHOUT_FILES, *WITH_FILES], ids=lambda make: make.__name__)
def result(request, tmp_path):
    return request.param(tmp_path) if request.param in WITH_FILES else request.param()


def test_every_result_prints_its_table_and_says_in_a_line_what_it_is(result):
    shown, line, page = str(result), repr(result), result._repr_html_()
    assert shown == str(result.table()) and "\n" in shown
    assert line.startswith(f"{type(result).__name__}(") and "\n" not in line and len(line) < 400
    assert page.startswith("<table>") and "</table>" in page
    for text in (shown, line, page, repr(result.table())):
        # No address of an object, and no array.
        assert " at 0x" not in text and "array(" not in text
    assert "m<b>" not in page


def test_an_evaluation_shows_its_interval_and_repr_names_attributes():
    report = evaluation()
    assert "95 %" in str(report) and "worst case" in str(report)
    assert "natural_accuracy=0.8333" in repr(report) and "worst_case_accuracy=0.3333" in repr(
        report
    )
    assert "attacks=['raise-1', 'raise-2']" in repr(report)
    assert repr(report.attacks[0]).startswith("AttackResult(name='raise-1', epsilon=0.1,")
    console = Console(file=io.StringIO(), width=120)
    console.print(report)
    assert "worst case" in console.file.getvalue()


def test_curves_and_comparisons_bring_their_picture_into_a_notebook():
    for made in (curve(), comparison()):
        picture = made._repr_html_().partition("base64,")[2].partition('"')[0]
        assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_a_history_says_on_which_images_an_accuracy_is():
    shown = " ".join(str(history()).replace("┃", " ").split())
    page = history()._repr_html_()
    assert "accuracy under the training&#x27;s attack" in page
    assert "accuracy on clean validation images" in page
    assert "50.00 %" in shown and "90.00 %" in shown


def test_brackets_in_a_text_are_no_styles():
    table = ResultTable("[b]", title="of [/red]", caption="[link=x]")
    table.add_row("[/i] :cat:")
    shown = str(table)
    assert "[/i]" in shown and "of [/red]" in shown and "[link=x]" in shown
    # A table of `rich` itself takes them for markup.
    assert "[/i]" in as_html(table)


def test_html_is_escaped_and_keeps_what_is_bold_and_on_which_side_it_stands():
    table = ResultTable(title="<script>")
    table.add_column("a & b", justify="right")
    table.add_row("<i>\n2")
    table.add_row("3", style="bold")
    page = as_html(table)
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert '<th style="text-align:right">a &amp; b</th>' in page
    assert '<td style="text-align:right">&lt;i&gt;<br>2</td>' in page
    assert '<th style="text-align:right">3</th>' in page
    assert table._repr_mimebundle_(include=["text/html"]) == {"text/html": page}


def test_a_text_is_as_wide_as_the_terminal(monkeypatch):
    table = ResultTable("words")
    table.add_row("word " * 40)
    for columns in (40, 70):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert max(map(len, as_text(table).splitlines())) == columns
    assert isinstance(table, Table)


def test_numbers_of_a_repr_are_rounded():
    assert brief(Raise(epsilon=0.1, channel=0), share=2 / 3, name="n") == (
        "Raise(share=0.6667, name='n')"
    )
