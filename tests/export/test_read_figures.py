"""Everything that tells an export the figures of its evaluation, and what stays off its card."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.export import export_classifier, read_figures
from keras_efgsm.export.exporting_runs import _listed
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records import EvaluationRecord
from keras_efgsm.report.tables import configuration_table
from keras_efgsm.runs.folder import RunFolder
from support.channels import EPSILON, LABELS, PIXELS, Raise, channel_classifier


@pytest.fixture(scope="module")
def report(uncompiled):
    attack = Raise(epsilon=EPSILON, channel=1)
    return evaluate_robustness(channel_classifier(), (PIXELS, LABELS), attack, progress=False)


def test_a_report_its_record_its_json_its_file_and_its_run_tell_the_same(report, tmp_path):
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    report.write_json(run.evaluation)
    expected = json.loads(run.evaluation.read_text())
    for figures in (report, report.record, expected, run.evaluation, run, run.path, str(run.path)):
        found = read_figures(figures)
        assert json.loads(json.dumps(found)) == expected
    assert read_figures(None) is None


def test_what_tells_no_figures_is_refused(report, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a run that was evaluated.*Received: figures="):
        read_figures(tmp_path)
    with pytest.raises(ValueError, match=r"the report of `evaluate_robustness`.*Received: figures"):
        read_figures([0.5])
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(ValueError, match="Received: path="):
        read_figures(tmp_path)


def test_the_card_of_an_export_leads_with_the_report_that_it_is_given(report, tmp_path):
    names = ["red", "green", "blue"]
    classifier, to = channel_classifier(), tmp_path / "m"
    result = export_classifier(classifier, to, class_names=names, forms=["tflite"], figures=report)
    assert "**Robust accuracy 50.00 %**" in result.model_card.read_text()
    assert str(result).count("m-1.tflite") == 1
    record = EvaluationRecord.from_dict(json.loads(result.record.read_text())["figures"])
    assert np.isclose(record.worst_case_accuracy, report.worst_case_accuracy)


def test_a_reconstructor_that_was_not_trained_is_listed_neither_on_a_card_nor_on_a_page():
    for name, is_trained in (("mnist", False), ("mnist-joint", True)):
        config = PRESETS[name]
        assert config.reconstructor is not None
        assert ("reconstructor" in _listed(config)) is is_trained
        run = SimpleNamespace(config=config.to_dict(), has_reconstructor=is_trained)
        listed = [row[0] for row in configuration_table(run).rows]
        assert ("reconstructor" in listed) is is_trained
