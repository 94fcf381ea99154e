"""Run folders as a stranger may make them: every command says in one line what is wrong."""

import io
import json
import shutil
import zipfile

import keras
import numpy as np
import pytest

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, save_npz
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.checkpoint import Checkpoint
from keras_efgsm.runs.checkpoint_arrays import Digest
from keras_efgsm.runs.folder import RunFolder

ATTACK = {
    "name": "square",
    "robust_accuracy": 0.5,
    "success_rate": 0.5,
    "epsilon": 0.1,
    "seed": 0,
    "steps": None,
    "queries": 5,
    "rounds": 1,
    "seconds": 1.0,
    "on_images": 10,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run and its data."""
    folder = tmp_path_factory.mktemp("hostile")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), "uint8")
    data = ImageData(images, np.arange(20) % 2, ("cat", "dog"))
    save_npz(folder / "d.npz", data, data)
    (folder / "run").mkdir()
    model.save(folder / "run" / "classifier.keras")
    config = TrainingConfig(
        dataset="d.npz",
        classifier="run/classifier.keras",
        reconstructor=None,
        epsilon=0.1,
        method="efgsm",
        epochs=1,
        probe_images=0,
    )
    (folder / "run" / "config.json").write_text(json.dumps(config.to_dict()))
    metrics = {"natural_accuracy": 0.5, "class_names": ["cat", "dog"]}
    RunFolder(folder / "run").write_metrics(metrics)
    return folder


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "at")
    monkeypatch.chdir(tmp_path / "at")
    return tmp_path / "at"


OF_IMAGES = ["--attacks", "square", "--queries", "2"]
COMMANDS = {
    "evaluate": ["evaluate", "run", *OF_IMAGES],
    "diagnose": ["diagnose", "run"],
    "export": ["export", "run", "--to", "out", "--forms", "tflite"],
    "report": ["report", "run"],
}


def refused(words, capsys):
    """What a command prints as it ends with status 2."""
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0 and said.startswith(f"keras-efgsm {words[0]}: ")
    assert said.replace("\n", "").isprintable() and "Received: " in said and len(said) < 3000
    return said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", 5),
        ("dataset", None),
        ("dataset", ["a"]),
        ("data_dir", 5),
        ("data_dir", {}),
        ("channels", True),
        ("method", 7),
        ("method", []),
        ("attack", 3),
        ("objective", [1]),
        ("epsilon", "x"),
        ("epsilon", {}),
        ("seed", [1]),
        ("classifier", 3),
        ("image_size", [1]),
        ("method_options", [1]),
        ("activation", 5),
        ("freeze_until", 1),
        ("flip", 1.5),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_an_option_of_another_type_in_config_json_is_refused(place, name, value, command, capsys):
    path = place / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    refused(COMMANDS[command], capsys)
    assert not (place / "out").exists()


@pytest.mark.parametrize("content", ["[]", "null", "5", "[" * 100_000, '{"a":1,"a":1}', "\x00"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_config_json_that_is_no_object_is_refused(place, content, command, capsys):
    (place / "run" / "config.json").write_text(content)
    refused(COMMANDS[command], capsys)


@pytest.mark.parametrize("content", ["[]", "null", "5", "[" * 100_000, '{"attacks": [5]}'])
@pytest.mark.parametrize("file", ["metrics.json", "evaluation.json"])
@pytest.mark.parametrize("command", ["export", "report"])
def test_a_result_that_is_no_object_is_refused(place, content, file, command, capsys):
    (place / "run" / file).write_text(content)
    refused(COMMANDS[command], capsys)
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", []),
        ("epsilon", "x"),
        ("data_dir", 5),
        ("image_size", "abc"),
        ("image_size", [8]),
        ("channels", "x"),
        ("seed", [1]),
        ("seed", -1),
        ("reconstructor", {}),
    ],
)
def test_a_report_takes_no_option_of_another_type(place, name, value, capsys):
    path = place / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    evaluated(place)
    refused(COMMANDS["report"], capsys)


def test_an_evaluation_that_is_none_is_not_kept_beside_a_keras_file(place, capsys):
    (place / "no.json").write_text("[]")
    words = ["report", "run/classifier.keras", "--dataset", "d.npz", "--epsilon", "0.1"]
    refused([*words, "--evaluation", "no.json"], capsys)
    assert not (place / "run" / "classifier.report" / "evaluation.json").exists()


def evaluated(place):
    """Puts an evaluation into the run."""
    evaluation = {
        "schema": 2,
        "num_images": 10,
        "natural_accuracy": 0.5,
        "worst_case_accuracy": 0.5,
        "attacks": [ATTACK],
    }
    (place / "run" / "evaluation.json").write_text(json.dumps(evaluation))


def flip(path, at, bit=1):
    content = bytearray(path.read_bytes())
    content[at] ^= bit
    path.write_bytes(content)


@pytest.mark.parametrize("member", ["metadata.json", "config.json", "model.weights.h5"])
@pytest.mark.parametrize(
    "words",
    [
        *COMMANDS.values(),
        ["export", "run/classifier.keras", "--to", "out", "--dataset", "d.npz"],
        ["evaluate", "run/classifier.keras", "--dataset", "d.npz", "--epsilon", "0.1"],
        ["report", "run/classifier.keras", "--dataset", "d.npz", "--epsilon", "0.1"],
        [
            "train",
            "d.npz",
            "--classifier",
            "run/classifier.keras",
            "--epsilon",
            "0.1",
            "--out",
            "n",
        ],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_one_bit_of_a_keras_file_is_missed_by_no_command(place, member, words, capsys):
    path = place / "run" / "classifier.keras"
    with zipfile.ZipFile(path) as archive:
        found = archive.getinfo(member)
    # The last bytes of the content, which a reader may leave out.
    flip(path, found.header_offset + 30 + len(member) + found.file_size - 5)
    if words[0] == "report" and words[1] == "run":
        evaluated(place)
    assert "damaged" in refused(words, capsys)
    assert not (place / "out").exists()


def test_a_keras_file_that_unpacks_to_a_gigabyte_is_refused_by_its_directory(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(2**20))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (2**30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"unpacks to 1074 MB"):
        read_keras_file(path)


def test_a_keras_file_whose_json_is_nested_deep_is_refused(place):
    whole = place / "run" / "classifier.keras"
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile("deep.keras", "w") as deep:
        for name in archive.namelist():
            text = b"[" * 100_000 if name == "config.json" else archive.read(name)
            deep.writestr(name, text)
    with pytest.raises(ValueError, match="cannot be loaded"):
        read_keras_file("deep.keras")


# Checkpoints.


def checkpoint(path, meta, callbacks=None, schema=2, **arrays):
    header = {"schema": schema, "meta": meta, "callbacks": {} if callbacks is None else callbacks}
    content = {"header": np.frombuffer(json.dumps(header).encode(), "uint8"), **arrays}
    digest = Digest()
    for name, array in content.items():
        digest.add(name, array)
    np.savez(path, **content, sha256=digest.value())
    return Checkpoint(path)


ROW = {"epoch": 1, "seconds": 1.5, "loss": float("nan")}
META = {"epoch": 1, "step": 0, "seconds": 0.0, "rows": [ROW], "stopped": False}


def test_a_checkpoint_with_a_loss_that_is_not_a_number_can_be_resumed(tmp_path):
    found = checkpoint(tmp_path / "c.npz", META)
    found.check_position()
    assert np.isnan(found.meta["rows"][0]["loss"])


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": None},
        {"rows": []},
        {"rows": 5},
        {"rows": [5]},
        {"rows": [{"epoch": 1}]},
        {"rows": [{"epoch": 1, "seconds": "x"}]},
        {"rows": [ROW, ROW]},
        {"epoch": -1},
        {"epoch": "1"},
        {"step": None},
        {"step": 1.5},
        {"stopped": 3},
    ],
)
def test_a_checkpoint_that_does_not_say_where_it_stood_is_refused(tmp_path, changes):
    meta = {k: v for k, v in (META | changes).items() if v is not None}
    with pytest.raises(ValueError, match=r"where its run stood.*Received: checkpoint=c\.npz"):
        checkpoint(tmp_path / "c.npz", meta).check_position()


@pytest.mark.parametrize(("meta", "callbacks"), [([], {}), (5, {}), (META, []), (META, 3)])
def test_a_checkpoint_whose_header_is_no_object_is_refused(tmp_path, meta, callbacks):
    with pytest.raises(ValueError, match="must be an object"):
        checkpoint(tmp_path / "c.npz", meta, callbacks)


@pytest.mark.parametrize(
    ("name", "shape", "descr"),
    [
        ("weight_0", (2**40,), "<f4"),
        ("momentum", (2**40, 8, 8, 1), "|i1"),
        ("momentum", (0,), "|i1"),
        ("momentum", (5, 0), "|i1"),
        ("weight_0", (1,), "|O"),
        ("header", (2**35,), "|u1"),
    ],
)
def test_a_checkpoint_whose_arrays_say_more_than_they_hold_is_refused(tmp_path, name, shape, descr):
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr(f"{name}.npy", file.getvalue())
    with pytest.raises(ValueError, match=r"damaged.*Received: checkpoint=c\.npz"):
        Checkpoint(tmp_path / "c.npz")
