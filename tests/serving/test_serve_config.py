"""The config files of TensorFlow Serving, and the command that uses them."""

import shlex
from pathlib import Path

import pytest

from keras_efgsm.cli import main
from keras_efgsm.serving import model_versions, parse_config, write_config
from keras_efgsm.serving.published_messages import build_messages
from keras_efgsm.serving.server_config import batching_parameters


@pytest.fixture
def export(tmp_path):
    """A model's folder with two versions, as far as the configs are concerned."""
    folder = tmp_path / "shapes"
    for version in (1, 12):
        (folder / str(version)).mkdir(parents=True)
        (folder / str(version) / "saved_model.pb").touch()
    (folder / "shapes-1.tflite").touch()
    return folder


def written(capsys, export, *words):
    assert main(["serve-config", str(export), *words]) == 0
    return capsys.readouterr().out


def test_the_configs_are_written_as_the_server_reads_them(export, tmp_path, capsys):
    out = tmp_path / "serving"
    options = ["--versions", "1,12", "--label", "stable=1", "--label", "canary=12", "--batching"]
    said = written(capsys, export, "--out", str(out), *options, "--max-batch-size", "64")
    (model,) = parse_config(
        "models.config", (out / "models.config").read_text()
    ).model_config_list.config
    assert (model.name, model.base_path) == ("shapes", "/models/shapes")
    assert model.model_platform == "tensorflow"
    assert list(model.model_version_policy.specific.versions) == [1, 12]
    assert dict(model.version_labels) == {"stable": 1, "canary": 12}
    batching = parse_config("batching.config", (out / "batching.config").read_text())
    assert batching.max_batch_size.value == 64
    monitoring = parse_config("monitoring.config", (out / "monitoring.config").read_text())
    assert monitoring.prometheus_config.enable
    command = shlex.split(said.splitlines()[-1])
    assert f"type=bind,source={export},target=/models/shapes,readonly" in command
    assert f"type=bind,source={out},target=/config,readonly" in command
    assert "--batching_parameters_file=/config/batching.config" in command
    assert "--allow_version_labels_for_unavailable_models=true" in command


def test_the_function_writes_what_the_command_writes(export, tmp_path, capsys):
    written(capsys, export, "--out", str(tmp_path / "command"), "--label", "stable=12")
    texts = write_config(export, tmp_path / "function", labels={"stable": 12})
    assert sorted(texts) == ["batching.config", "models.config", "monitoring.config"]
    for file, text in texts.items():
        assert (tmp_path / "function" / file).read_text() == text
        assert (tmp_path / "command" / file).read_text() == text


def test_by_default_the_latest_version_is_served_without_batching(export, capsys):
    said = written(capsys, export)
    assert "num_versions: 1" in said
    assert "--enable_batching" not in said.splitlines()[-1]
    assert "tensorflow/serving:2.21.0" in said.splitlines()[-1]
    assert not (Path.cwd() / "models.config").exists()


def test_written_configs_are_not_replaced_unasked(export, tmp_path, capsys):
    out = tmp_path / "serving"
    written(capsys, export, "--out", str(out))
    (out / "models.config").write_text("mine")
    assert main(["serve-config", str(export), "--out", str(out)]) == 2
    assert "overwrite=False" in capsys.readouterr().err
    assert (out / "models.config").read_text() == "mine"
    written(capsys, export, "--out", str(out), "--overwrite")
    assert (out / "models.config").read_text() != "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["--versions", "3"],
        ["--versions", "newest"],
        ["--label", "stable=3"],
        ["--label", "stable=1"],  # served is the latest, 12
        ["--label", "stable"],
        ["--name", "a/b"],
        ["--max-batch-size", "0"],
        ["--allowed-batch-sizes", "8", "4", "32"],
        ["--allowed-batch-sizes", "8", "16"],
    ],
)
def test_options_that_the_server_would_refuse_are_refused(export, words, capsys):
    assert main(["serve-config", str(export), *words]) == 2
    assert capsys.readouterr().err.startswith("keras-efgsm serve-config: ")


def test_a_folder_without_versions_is_refused_and_one_version_points_above(export, tmp_path):
    assert model_versions(export) == [1, 12]
    with pytest.raises(ValueError, match="give the folder above.*Received"):
        model_versions(export / "1")
    (export / "13").mkdir()
    with pytest.raises(ValueError, match=r"Received: .*versions=\[1, 12, 13\]"):
        model_versions(export)
    with pytest.raises(ValueError, match="Received"):
        model_versions(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("models.config", "model_config_list { config { nam: 'x' } }"),
        ("batching.config", "max_batch_size: 3"),
        ("batching.config", "batch_timeout { value: 3 }"),
        ("monitoring.config", "prometheus_config { enable: 'yes' }"),
    ],
)
def test_a_config_with_a_wrong_key_or_type_is_refused(file, text):
    with pytest.raises(ValueError, match=f"`{file}` must be a tensorflow.serving.*Received"):
        parse_config(file, text)


def test_messages_by_field_numbers_read_what_the_generated_ones_write():
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    Config = build_messages(
        "other",
        {
            "Config": {
                "name": (1, "string"),
                "base_path": (2, "string"),
                "version_labels": (8, "map int64"),
            }
        },
    )["Config"]
    real = model_server_config_pb2.ModelConfig(name="m", base_path="/m", model_platform="t")
    real.version_labels["stable"] = 3
    read = Config.FromString(real.SerializeToString())
    assert (read.name, read.base_path, dict(read.version_labels)) == ("m", "/m", {"stable": 3})
    text = text_format.MessageToString(batching_parameters(allowed_batch_sizes=[1, 32]))
    assert parse_config("batching.config", text) == batching_parameters(allowed_batch_sizes=[1, 32])
