"""The clients, the test double of TensorFlow Serving and the checks of an export, together."""

import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from integration.serving import file_checks
from integration.serving.c_api import SavedModelSession, TensorFlowError
from integration.serving.check_list import CheckList
from integration.serving.png_files import encode_png
from integration.serving.served_model import ServedModel
from integration.serving.warmup import WARMUP_FILE, read_warmup
from keras_efgsm.cli import main
from keras_efgsm.serving import GrpcClient, RestClient, ServerError, answers_of, load_inputs
from keras_efgsm.serving.answers import byte_vector

CHECK = Path(__file__).parents[2] / "scripts" / "integration" / "serving" / "check.py"


@pytest.mark.slow(reason="serves an export and puts load on it")
def test_the_whole_check_of_an_export_passes(export, tmp_path, fresh):
    words = [CHECK, export, "--json", tmp_path / "checks.json"]
    done = fresh.run(*words, env={"COLUMNS": "200"})
    found = json.loads((tmp_path / "checks.json").read_text())
    assert [check for check in found["checks"] if not check["passed"]] == []
    assert done.returncode == 0
    assert "NOT run: TF Serving itself" in done.stdout
    parts = {check["part"] for check in found["checks"]}
    assert {"1 C API", "2 saved_model_cli", "3 configs", "4 gRPC client", "5 REST"} <= parts
    assert len(found["checks"]) > 80


def test_the_check_fails_where_the_warm_up_is_missing_and_goes_on(export, tmp_path, monkeypatch):
    (tmp_path / "1").symlink_to(export / "1")
    checks = CheckList(Console(quiet=True))
    monkeypatch.setattr(file_checks, "read_warmup", lambda _: [])
    for name, run in file_checks.config_checks("digits", [1], export / "1"):
        checks.run("configs", name, run)
    (failed,) = checks.failed
    assert failed.name == "warm-up records parse and replay"
    assert "no warm-up records" in failed.evidence
    assert len(checks.checks) == 5


def test_the_c_api_answers_every_signature_like_python_and_frees_itself(
    export, pixels, expected, labels
):
    with SavedModelSession(export / "1") as session:
        assert set(session.signatures) >= {"serving_default", "serving_uint8", "serving_bytes"}
        files = {"image_bytes": byte_vector([encode_png(image) for image in pixels])}
        for signature, inputs in (("serving_uint8", {"image": pixels}), ("serving_bytes", files)):
            answer = session.run(signature, inputs)
            np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
            names = [labels[i].encode() for i in expected.argmax(axis=1)]
            assert answer["label"].tolist() == names
        only = session.run("serving_uint8", {"image": pixels}, ["label"])
        assert list(only) == ["label"]
    session.close()


def test_the_c_api_says_why_it_refuses(export, tmp_path):
    with pytest.raises(TensorFlowError, match="NOT_FOUND"):
        SavedModelSession(tmp_path)
    with SavedModelSession(export / "1") as session:
        with pytest.raises(TensorFlowError, match="INVALID_ARGUMENT.*8 x 8"):
            session.run("serving_default", {"image": np.zeros((1, 9, 8, 1), "float32")})
        with pytest.raises(TensorFlowError, match="no tensor holds arrays of complex64"):
            session.run("serving_default", {"image": np.zeros((1, 8, 8, 1), "complex64")})


def test_threads_may_use_one_session_at_the_same_time(export, pixels, expected):
    wrong = []

    def ask(session, i):
        for _ in range(20):
            answer = session.run("serving_uint8", {"image": pixels[i : i + 1]})
            if not np.allclose(answer["probabilities"][0], expected[i], atol=1e-6):
                wrong.append(i)

    with SavedModelSession(export / "1") as session:
        threads = [threading.Thread(target=ask, args=(session, i)) for i in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.parametrize("choice", [{}, {"version": 1}, {"label": "stable"}])
@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_both_clients_get_the_models_answer(double, pixels, expected, labels, protocol, choice):
    where = double.url if protocol == "rest" else double.address
    client = {"rest": RestClient, "grpc": GrpcClient}[protocol](
        "digits", where, timeout=60, **choice
    )
    answers = answers_of(client.predict({"image": pixels}, "serving_uint8"))
    assert [answer.class_id for answer in answers] == expected.argmax(axis=1).tolist()
    assert [answer.label for answer in answers] == [labels[a.class_id] for a in answers]
    np.testing.assert_allclose([a.probability for a in answers], expected.max(axis=1), atol=1e-6)
    assert client.status() == {1: "AVAILABLE"}
    assert client.input_shape() == (-1, 8, 8, 1)
    client.close()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_the_command_prints_classes_and_margins_and_tells_errors_in_one_line(
    double, pixels, expected, labels, protocol, tmp_path, capsys
):
    files = []
    for i, image in enumerate(pixels[:2]):
        files.append(str(tmp_path / f"{i}.png"))
        Path(files[-1]).write_bytes(encode_png(image))
    where = double.url if protocol == "rest" else double.address
    words = ["--model", "digits", "--timeout", "60", "--protocol", protocol, "--server", where]
    assert main(["serve-request", *files, *words]) == 0
    for i, line in enumerate(capsys.readouterr().out.splitlines()):
        second, best = np.sort(expected[i])[-2:]
        chosen = expected[i].argmax()
        assert line == (
            f"{files[i]}: class {chosen}, label {labels[chosen]}, "
            f"probability {best:.4f}, margin {np.log(best / second):.2f}"
        )
    assert main(["serve-request", *words]) == 0
    assert capsys.readouterr().out == "digits version 1: AVAILABLE\n"
    assert main(["serve-request", *files, *words, "--model-version", "9"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("keras-efgsm serve-request: ") and "Specific(digits, 9)" in line


def test_a_server_that_is_not_there_is_told_in_one_line(capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["serve-request", "--model", "m", "--server", f"http://127.0.0.1:{port}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"keras-efgsm serve-request: no answer: 127.0.0.1:{port}: ")
    assert len(said.splitlines()) == 1
    with pytest.raises(ServerError, match="UNAVAILABLE"):
        GrpcClient("m", f"127.0.0.1:{port}", timeout=60).status()


def test_what_is_sent_follows_the_kind_of_file(tmp_path, pixels):
    np.save(tmp_path / "bytes.npy", pixels)
    np.save(tmp_path / "pixels.npy", pixels / 255)
    np.save(tmp_path / "wrong.npy", pixels.astype("int64"))
    (tmp_path / "a.png").write_bytes(encode_png(pixels[0]))
    (tmp_path / "text.png").write_text("not an image")
    assert load_inputs([tmp_path / "bytes.npy"])[0] == "serving_uint8"
    signature, inputs = load_inputs([tmp_path / "pixels.npy"])
    assert (signature, inputs["image"].dtype) == ("serving_default", np.float32)
    signature, inputs = load_inputs([tmp_path / "a.png"] * 2)
    assert (signature, len(inputs["image_bytes"])) == ("serving_bytes", 2)
    for files in (["wrong.npy"], ["text.png"], ["a.png", "bytes.npy"]):
        with pytest.raises(ValueError, match="Received:"):
            load_inputs([tmp_path / file for file in files])


def test_the_double_refuses_tensors_that_would_fill_the_memory(grpc, pixels):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(np.zeros(1, "float32")))
    request.inputs["image"].tensor_shape.dim[0].size = 1 << 50
    with pytest.raises(ServerError, match="INVALID_ARGUMENT: tensor parsing error"):
        grpc.call(grpc.predictions.Predict, request)
    assert grpc.predict({"image": pixels}, "serving_uint8")["label"].shape == (5,)


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(double, rest):
    with socket.create_connection(tuple(double.url[7:].split(":")), timeout=60) as connection:
        head = "POST /v1/models/digits:predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        connection.sendall(f"{head}Content-Length: {1 << 40}\r\n\r\n".encode())
        assert b"413" in connection.recv(100)
    assert rest.status() == {1: "AVAILABLE"}


def test_the_double_serves_the_latest_version_and_none_that_fails_its_warm_up(export, tmp_path):
    import tensorflow as tf

    for version in (2, 10):
        (tmp_path / str(version)).mkdir()
        for entry in (export / "1").iterdir():
            if entry.name != "assets.extra":
                (tmp_path / str(version) / entry.name).symlink_to(entry)
    model = ServedModel("digits", tmp_path)
    assert list(model.versions) == [10]
    with pytest.raises(TensorFlowError, match=r"Specific\(digits, 2\)"):
        model.find("digits", 2)
    (log, *_) = read_warmup(export / "1")
    log.predict_log.request.inputs["image"].CopyFrom(tf.make_tensor_proto(np.zeros(3, "float32")))
    log.predict_log.request.model_spec.signature_name = "serving_default"
    log.predict_log.request.inputs.pop("image_bytes", None)
    path = tmp_path / "10" / WARMUP_FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(log.SerializeToString())
    with pytest.raises(TensorFlowError, match="warm-up request 0"):
        ServedModel("digits", tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match=r"must be a TFRecord file.*Received"):
        ServedModel("digits", tmp_path)
