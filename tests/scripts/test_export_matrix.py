"""The table of every network in every form."""

import pytest

from integration import export_matrix
from integration.exported_networks import APPLICATIONS, KERAS, all_cases, measure
from keras_efgsm.export import FORMS
from keras_efgsm.networks import CLASSIFIERS

CASES = all_cases(["relu", "gelu"])


def test_every_network_is_a_case_and_the_lightest_of_a_function_has_every_activation():
    names = [name for name, activation in CASES if activation == "relu"]
    assert sorted(names) == sorted(CLASSIFIERS)
    other = [name for name, activation in CASES if activation == "gelu"]
    assert len(other) == len({network.function for network in CLASSIFIERS.values()})
    assert {"conv2", "resnet8", "wrn10-1"} <= set(other)
    own = [name for name, activation in CASES if activation == "own"]
    assert own == [f"keras.applications:{name}" for name in APPLICATIONS]


def test_a_network_has_a_cell_for_each_form_and_what_failed_is_told():
    before = list(FORMS)
    row = measure("conv2", "relu", ["tflite", "onnx"])
    assert list(row["forms"]) == [KERAS, "tflite", "onnx"] and list(FORMS) == before
    assert row["image_shape"] == [16, 16, 3] and row["peak_megabytes"] > 0
    for found in row["forms"].values():
        assert found["difference"] <= 1e-5 and found["bytes"] > 1000
    lost = {"network": "gone", "activation": "relu", "failed": "killed"}
    no_onnx = {**row, "forms": {**row["forms"], "onnx": {"failed": "no Erfc"}}}
    table = export_matrix.table_of([row, no_onnx, lost]).markdown().splitlines()
    assert "| keras | tflite | onnx |" in table[2]
    assert "failed" not in table[4] and table[5].endswith("| failed |")
    assert export_matrix.failures_of([row, no_onnx, lost]) == [
        "conv2 (relu), onnx: no Erfc",
        "gone (relu): killed",
    ]


def test_a_network_that_cannot_be_made_is_a_row_that_failed():
    row = measure("conv2", "nosuch", ["tflite"])
    assert "nosuch" in row["failed"] and "forms" not in row


@pytest.mark.exhaustive(reason="exports every network in every form")
@pytest.mark.parametrize(("name", "activation"), CASES)
def test_every_network_leaves_in_every_form(name, activation):
    row = measure(name, activation, None)
    assert export_matrix.failures_of([row]) == []
    for form in FORMS:
        assert row["forms"][form]["difference"] <= FORMS[form].tolerance
