"""The SHA-256 of every exported file: on the card, and compared wherever an export is read."""

import json
import os
import shutil

import keras
import numpy as np
import pytest

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, save_npz
from keras_efgsm.evaluation import load_classifier
from keras_efgsm.export import export_classifier
from keras_efgsm.export.measuring import find_export
from keras_efgsm.export.versions import next_version
from keras_efgsm.form_table import MAX_VERSION, parse_name
from keras_efgsm.records import ExportRecord
from keras_efgsm.records.exported_files import check_exported_files, without_digests
from keras_efgsm.serving import model_versions

VARIABLES = "1/variables/variables.data-00000-of-00001"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    to = tmp_path_factory.mktemp("export") / "cats"
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    export_classifier(model, to, class_names=["cat", "dog"], forms=["saved-model", "tflite"])
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8")
    data = ImageData(images, np.arange(20) % 2, ("cat", "dog"))
    save_npz(to.parent / "d.npz", data, data)
    return to


@pytest.fixture
def to(exported, tmp_path):
    shutil.copy(exported.parent / "d.npz", tmp_path / "d.npz")
    return shutil.copytree(exported, tmp_path / "cats")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change(name):
    return lambda to: flip(to / name)


def remove(name):
    return lambda to: (to / name).unlink()


def add(name):
    return lambda to: (to / name).write_text("more")


FAULTS = [
    ("cats-1.tflite", change("cats-1.tflite"), "cats-1.tflite was changed"),
    ("1", change(VARIABLES), f"{VARIABLES} was changed"),
    ("1", change("1/assets/labels.txt"), "1/assets/labels.txt was changed"),
    ("1", change("1/saved_model.pb"), "1/saved_model.pb was changed"),
    ("1", remove("1/assets/labels.txt"), "1/assets/labels.txt is missing"),
    ("1", remove(VARIABLES), f"{VARIABLES} is missing"),
    ("1", add("1/assets/more.txt"), "1/assets/more.txt was added"),
    ("1", add("1/variables/more"), "1/variables/more was added"),
]


@pytest.mark.parametrize(("name", "fault", "message"), FAULTS)
def test_a_file_that_is_not_as_exported_is_refused_before_it_is_loaded(
    to, name, fault, message, monkeypatch
):
    check_exported_files(to / name)
    fault(to)
    monkeypatch.setattr("tensorflow.saved_model.load", lambda path: pytest.fail("it is loaded"))
    with pytest.raises(ValueError, match=rf"{message}.*Received: path="):
        load_classifier(to / name)


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "cats/1", "--attacks", "square"],
        ["diagnose", "cats/1"],
        ["measure", "cats/1", "--attacks", "square"],
        ["evaluate", "cats/cats-1.tflite", "--attacks", "square", "--twin", "cats/1"],
        ["evaluate", "cats/cats-1.tflite", "--attacks", "square"],
        ["serve-config", "cats"],
        ["serve-config", "cats", "--out", "serving"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_every_command_that_reads_an_export_compares_its_digests(to, command, capsys, monkeypatch):
    monkeypatch.chdir(to.parent)
    flip(to / VARIABLES)
    of_images = ["--dataset", "d.npz", "--epsilon", "0.1"] if command[0] != "serve-config" else []
    assert main([*command, *of_images]) == 2
    assert f"{VARIABLES} was changed" in capsys.readouterr().err
    assert not (to.parent / "serving").exists()
    assert not list(to.glob("*.measured.json"))


def test_a_file_of_another_form_that_was_put_beside_is_refused(to):
    shutil.copy(to / "cats-1.tflite", to / "cats-1-float16.tflite")
    with pytest.raises(ValueError, match=r"cats-1\.json has none of this name: it was added later"):
        load_classifier(to / "cats-1-float16.tflite")


def test_a_form_that_was_taken_away_leaves_the_others_as_they_are(to):
    (to / "cats-1.tflite").unlink()
    assert list(find_export(to / "1").forms) == ["saved-model"]
    assert load_classifier(to / "1").num_classes == 2


def test_a_file_elsewhere_is_read_without_a_record(to, tmp_path):
    shutil.copy(to / "cats-1.tflite", tmp_path / "cats-1.tflite")
    flip(to / "cats-1.tflite")
    assert load_classifier(tmp_path / "cats-1.tflite").num_classes == 2
    assert without_digests(tmp_path / "cats-1.tflite") is None


def test_an_old_export_without_digests_is_read_with_a_word(to, capsys, monkeypatch):
    (to / "cats-1.json").unlink()
    flip(to / "1/assets/labels.txt")
    monkeypatch.chdir(to.parent)
    assert load_classifier(to / "1").num_classes == 2
    assert main(["serve-config", "cats"]) == 0
    assert "cats/1 was exported without digests" in capsys.readouterr().err
    assert main(["evaluate", "cats/1", "--dataset", "d.npz", "--epsilon", "9"]) == 2
    assert "cats/1 was exported without digests" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["[]", "null", "{}", "[" * 100_000, '{"schema": 1}', '{"schema": 99}', '{"a":1,"a":2}', ""],
)
def test_a_record_that_is_damaged_is_refused_with_what_to_do(to, content):
    (to / "cats-1.json").write_text(content)
    for read in (lambda: load_classifier(to / "1"), lambda: model_versions(to)):
        with pytest.raises(ValueError, match=r"export again, or remove it.*Received: path="):
            read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files", 5),
        ("files", [5]),
        ("files", [{"file": "1"}]),
        ("contract", []),
        ("contract", {"image_size": [8], "channels": 1, "class_names": []}),
        ("version", "1"),
        ("agreements", {"tflite": 3}),
        ("limits", "text"),
    ],
)
def test_a_record_of_other_types_is_refused(to, name, value):
    path = to / "cats-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ValueError, match="The record of an export is damaged"):
        ExportRecord.read(path)


def test_the_card_has_the_digest_of_every_file_as_the_usual_program_checks_it(to):
    card, record = (to / "cats-1.md").read_text(), ExportRecord.read(to / "cats-1.json")
    lines = card.split("sha256sum --check <<END\n")[1].split("\nEND")[0].splitlines()
    assert {tuple(line.split("  ")[::-1]) for line in lines} == {
        item for entry in record.files for item in entry.sha256.items()
    }
    assert len(lines) >= 6 and record.describes(card)


@pytest.mark.parametrize("name", ["\x1b[31mred", "be\x07ll", "\u202ered", "a\u2028b"])
def test_labels_with_control_characters_are_not_exported(tmp_path, name):
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    with pytest.raises(ValueError, match="printable characters alone|of one line"):
        export_classifier(model, tmp_path / "to", class_names=["cat", name], forms=["tflite"])
    assert not (tmp_path / "to").exists()


# Versions are int64, as the server's.


@pytest.mark.parametrize(
    "name", ["99999999999999999999", str(2**63), "9" * 5000, "٣", "1.0", "-1", "+1", ""]
)
def test_a_name_beyond_int64_is_no_version(name):
    assert parse_name(name) is None
    assert parse_name(f"cats-{name}.md") is None or name in ("-1", "1.0")


def test_versions_beyond_int64_are_passed_over_as_the_server_does(to):
    shutil.copytree(to / "1", to / "99999999999999999999")
    assert model_versions(to) == [1]
    with next_version(to) as (version, _):
        assert version == 2
    with pytest.raises(ValueError, match=r"N at most 2\*\*63 - 1.*Received: path="):
        find_export(to / "99999999999999999999")


def test_after_the_last_version_there_is_none(to):
    os.rename(to / "1", to / str(MAX_VERSION))
    with pytest.raises(ValueError, match=r"2\*\*63 - 1"), next_version(to):
        pass
    assert not list(to.glob(".*"))


def test_a_folder_of_versions_beyond_int64_alone_holds_none(to):
    os.rename(to / "1", to / "99999999999999999999")
    with pytest.raises(ValueError, match="integer folders with a saved_model.pb"):
        model_versions(to)
