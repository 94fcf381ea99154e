"""Robust models that come with the package: loaded by name, as good as their cards say."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import keras_efgsm
from keras_efgsm import PGD, evaluate_robustness, load_data, load_robust
from keras_efgsm.evaluation import ATTACK_SETS
from keras_efgsm.networks.requirements import check_classifier
from keras_efgsm.pretrained import loading, robust_models
from keras_efgsm.pretrained.card import render_robust_model_card
from reporting import robust_models_page

NAMES = list(robust_models())
each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A copy of the folder of models, in place of the package's."""
    copy = tmp_path / "models"
    shutil.copytree(loading.MODELS, copy)
    monkeypatch.setattr(loading, "MODELS", copy)
    return copy


@each
def test_a_robust_model_takes_its_images_and_is_as_large_as_it_says(name):
    record, classifier = robust_models()[name], load_robust(name)
    assert classifier.input_shape[1:] == record.image_shape
    assert check_classifier(classifier) == len(record.class_names)
    assert classifier.count_params() == record.parameters
    assert {weight.dtype for weight in classifier.weights} == {"float32"}
    x = np.random.default_rng(0).random((2, *record.image_shape), dtype="float32")
    assert np.isfinite(np.asarray(classifier(x, training=False))).all()


@each
def test_its_figures_are_those_of_the_standard_attacks(name):
    record = robust_models()[name]
    assert tuple(a.name for a in record.evaluation.attacks) == ATTACK_SETS["standard"]
    assert record.robust_accuracy < record.natural_accuracy
    assert record.evaluation.num_images >= 300 and record.evaluation.cascade
    assert record.command.startswith("keras-efgsm train ")
    assert "--attacks standard" in record.command


@each
def test_its_card_is_written_from_its_record_and_its_folder_holds_nothing_else(name):
    folder = loading.MODELS / name
    assert (folder / "README.md").read_text("utf-8") == render_robust_model_card(
        robust_models()[name]
    )
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "classifier.keras",
        "model.json",
    }
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2**20


def test_the_head_of_a_card_is_what_model_hubs_read():
    yaml = pytest.importorskip("yaml")
    card = (loading.MODELS / "mnist" / "README.md").read_text("utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["library_name"] == "keras"
    assert head["datasets"] == ["mnist"] and head["metrics"] == ["accuracy"]
    (found,) = head["model-index"][0]["results"]
    values = [metric["value"] for metric in found["metrics"]]
    record = robust_models()["mnist"]
    assert values == [record.natural_accuracy, record.robust_accuracy]


def test_the_digits_are_withstood_as_the_card_says():
    record, data = robust_models()["digits"], load_data("digits", "test")
    attack = PGD(epsilon=record.epsilon, steps=10, step_size=record.epsilon / 4)
    report = evaluate_robustness(load_robust("digits"), data, attack, progress=False)
    assert report.natural_accuracy == pytest.approx(record.natural_accuracy, abs=1e-6)
    # Fewer steps than those of the card: no less, and not much more.
    assert -0.01 <= report.worst_case_accuracy - record.robust_accuracy < 0.15


@pytest.mark.slow(reason="reads MNIST")
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("mnist")])
def test_mnist_is_withstood_as_the_card_says(name):
    folder = os.environ.get("TFDS_DATA_DIR")
    if folder is None or not (Path(folder) / "mnist").is_dir():
        pytest.skip("MNIST is not prepared")
    record = robust_models()[name]
    attack = PGD(epsilon=record.epsilon, steps=10, step_size=record.epsilon / 4)
    data = load_data("mnist", "test[:200]")
    report = evaluate_robustness(load_robust(name), data, attack, progress=False)
    assert report.natural_accuracy >= 0.97
    assert -0.04 < report.worst_case_accuracy - record.robust_accuracy < 0.08


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match=r"mnist.* Received: name='imagenet'$") as caught:
        load_robust("imagenet")
    assert all(name in str(caught.value) for name in NAMES)


def test_a_file_that_was_changed_is_refused(models):
    file = models / "digits" / "classifier.keras"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"install keras_efgsm again. Received: sha256='"):
        load_robust("digits")


def test_a_model_is_added_by_its_folder(models):
    shutil.copytree(models / "digits", models / "mine")
    record = json.loads((models / "mine" / "model.json").read_text("utf-8"))
    (models / "mine" / "model.json").write_text(json.dumps({**record, "name": "mine"}))
    assert "mine" in robust_models()
    assert load_robust("mine").count_params() == record["parameters"]


def test_the_models_print_as_a_table_in_a_terminal_and_in_a_notebook(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text, found = str(robust_models()), robust_models()["mnist"]
    assert len(text.splitlines()) == len(NAMES) + 5 and "…" not in text
    line = next(line for line in text.splitlines() if "mnist " in line)
    for part in ("28 x 28 x 1", "L-infinity, 0.3", f"{100 * found.robust_accuracy:.2f} %"):
        assert part in line
    assert robust_models()._repr_html_().count("<tr>") == len(NAMES) + 1
    assert "robust" in str(found)


def test_it_is_reached_from_the_top():
    assert keras_efgsm.load_robust is load_robust
    assert list(keras_efgsm.robust_models()) == NAMES
    assert {"mnist", "digits"} <= set(NAMES)


def test_the_page_of_robust_models_is_what_the_command_writes():
    assert robust_models_page.PAGE.read_text("utf-8") == robust_models_page.page()


def test_the_page_ranks_what_was_attacked_by_all_of_standard_and_nothing_else():
    page = robust_models_page.page()
    ranked, fewer = page.split("## Measured with fewer attacks")
    for name, record in robust_models().items():
        assert f"| `{name}` | **{100 * record.robust_accuracy:.2f} %** |" in ranked
        assert record.command.partition(" && ")[0] in ranked
    assert "[cifar10-cpu 1]" in fewer and "[cifar10-cpu 1]" not in ranked
    assert ranked.index("| `mnist` |") < ranked.index("| `mnist-joint` |")
