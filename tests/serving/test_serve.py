import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_serving")
SERVE = Path(__file__).parents[2] / "scripts" / "serve"
sys.path.insert(0, str(SERVE))

import rest_client  # noqa: E402
from answers import ServerError, answers_of, load_inputs  # noqa: E402
from c_api import SavedModelSession, TensorFlowError  # noqa: E402
from grpc_client import GrpcClient  # noqa: E402
from load import LoadReport, put_load  # noqa: E402
from load_test import client_maker, make_inputs  # noqa: E402
from png_files import encode_png  # noqa: E402
from rest_client import RestClient  # noqa: E402
from served_model import ServedModel  # noqa: E402
from test_double import ServingDouble  # noqa: E402

LABELS = [f"digit {i}" for i in range(10)]


@pytest.fixture(scope="module")
def export(tmp_path_factory, new_classifier):
    """The folder of a model of digits with one version."""
    from keras_efgsm import export_classifier

    folder = tmp_path_factory.mktemp("exported") / "digits"
    export_classifier(new_classifier(), folder, class_names=LABELS)
    return folder


@pytest.fixture(scope="module")
def model(export):
    return ServedModel("digits", export, labels={"stable": 1})


@pytest.fixture(scope="module")
def double(model):
    with ServingDouble(model, max_request_bytes=1 << 20) as running:
        yield running


@pytest.fixture
def rest(double):
    client = RestClient("digits", double.url, timeout=60)
    yield client
    client.close()


@pytest.fixture
def grpc(double):
    client = GrpcClient("digits", double.address, timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="module")
def pixels(digits):
    _, (images, _) = digits
    return np.rint(images[:5] * 255).astype("uint8")


@pytest.fixture(scope="module")
def expected(export, pixels):
    """What Python's own loader says of `pixels`."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export / "1"))
    image = tf.constant((pixels / 255).astype("float32"))
    return loaded.signatures["serving_default"](image=image)["probabilities"].numpy()


def test_the_whole_check_of_an_export_passes(export, tmp_path):
    words = [sys.executable, SERVE / "check.py", export, "--json", tmp_path / "checks.json"]
    wide = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(words, capture_output=True, text=True, env=wide)
    found = json.loads((tmp_path / "checks.json").read_text())
    assert [check for check in found["checks"] if not check["passed"]] == []
    assert done.returncode == 0
    assert "NOT run: TF Serving itself" in done.stdout
    parts = {check["part"] for check in found["checks"]}
    assert {"1 C API", "2 saved_model_cli", "3 configs", "4 gRPC client", "5 REST"} <= parts
    assert len(found["checks"]) > 80


def test_the_check_fails_where_the_warm_up_is_missing_and_goes_on(export, tmp_path, monkeypatch):
    from rich.console import Console

    import check
    import file_checks
    from check_list import CheckList

    (tmp_path / "1").symlink_to(export / "1")
    checks = CheckList(Console(quiet=True))
    monkeypatch.setattr(file_checks, "read_warmup", lambda _: [])
    for name, run in check.config_checks("digits", [1], export / "1"):
        checks.run("configs", name, run)
    (failed,) = checks.failed
    assert failed.name == "warm-up records parse and replay"
    assert "no warm-up records" in failed.evidence
    assert len(checks.checks) == 5


def test_the_c_api_answers_every_signature_like_python_and_frees_itself(export, pixels, expected):
    with SavedModelSession(export / "1") as session:
        assert set(session.signatures) >= {"serving_default", "serving_uint8", "serving_bytes"}
        files = load_inputs_of([encode_png(image) for image in pixels])
        for signature, inputs in (("serving_uint8", {"image": pixels}), ("serving_bytes", files)):
            answer = session.run(signature, inputs)
            np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
            names = [LABELS[i].encode() for i in expected.argmax(axis=1)]
            assert answer["label"].tolist() == names
        only = session.run("serving_uint8", {"image": pixels}, ["label"])
        assert list(only) == ["label"]
    session.close()


def load_inputs_of(contents):
    from answers import byte_vector

    return {"image_bytes": byte_vector(contents)}


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
def test_both_clients_get_the_models_answer(double, pixels, expected, protocol, choice):
    where = double.url if protocol == "rest" else double.address
    client = {"rest": RestClient, "grpc": GrpcClient}[protocol](
        "digits", where, timeout=60, **choice
    )
    answers = answers_of(client.predict({"image": pixels}, "serving_uint8"))
    assert [answer.class_id for answer in answers] == expected.argmax(axis=1).tolist()
    assert [answer.label for answer in answers] == [LABELS[a.class_id] for a in answers]
    np.testing.assert_allclose([a.probability for a in answers], expected.max(axis=1), atol=1e-6)
    assert client.status() == {1: "AVAILABLE"}
    assert client.input_shape() == (-1, 8, 8, 1)
    client.close()


@pytest.mark.parametrize("script", ["rest_client.py", "grpc_client.py"])
def test_the_client_scripts_print_classes_and_tell_errors_in_one_line(
    double, pixels, expected, script, tmp_path
):
    files = []
    for i, image in enumerate(pixels[:2]):
        files.append(tmp_path / f"{i}.png")
        files[-1].write_bytes(encode_png(image))
    where = ["--url", double.url] if "rest" in script else ["--address", double.address]
    base = [sys.executable, SERVE / script]
    words = [*base, "predict", *files, "--model", "digits", "--timeout", "60", *where]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    for i, line in enumerate(done.stdout.splitlines()):
        best = expected[i].argmax()
        assert line == f"{files[i]}: class {best}, label {LABELS[best]}, {expected[i, best]:.4f}"
    refused = subprocess.run([*words, "--version", "9"], capture_output=True, text=True)
    assert refused.returncode == 1
    name = script.removesuffix(".py")
    said = [line for line in refused.stderr.splitlines() if line.startswith(name)]
    assert len(said) == 1
    assert "Specific(digits, 9)" in said[0]


def test_a_server_that_is_not_there_is_told_in_one_line(capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SystemExit, match="1"):
        rest_client.main(["status", "--model", "m", "--url", f"http://127.0.0.1:{port}"])
    assert capsys.readouterr().err.startswith("rest_client: no answer: 127.0.0.1:")
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

    from warmup import WARMUP_FILE, read_warmup

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


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_load_test_counts_every_request(double, protocol, tmp_path):
    where = double.url if protocol == "rest" else double.address
    words = [sys.executable, SERVE / "load_test.py", "--model", "digits", "--protocol", protocol]
    words += ["--server", where, "--requests", "30", "--clients", "3", "--batch-size", "4"]
    words += ["--signature", "serving_bytes", "--timeout", "60", "--json", tmp_path / "load.json"]
    subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads((tmp_path / "load.json").read_text())
    assert (found["answered"], found["errors"]) == (30, 0)
    assert found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["max_ms"]
    ratio = found["images_per_second"] / found["requests_per_second"]
    assert ratio == pytest.approx(4)


def test_a_load_test_counts_errors_by_message_and_a_dead_client_ends_it(double):
    make = client_maker("rest", "digits", double.url, 60.0)
    inputs = make_inputs("serving_uint8", (8, 8, 1), 1)
    asked = []

    class Flaky(RestClient):
        def predict(self, *words):
            asked.append(1)
            if len(asked) % 2 == 0:
                raise ServerError(503, "busy")
            return super().predict(*words)

    def flaky():
        return Flaky("digits", double.url)

    report = put_load(flaky, inputs, "serving_uint8", clients=1, requests=10, warmup=0)
    assert report.errors == {"503: busy": 5}
    assert len(report.latencies) == 5
    with pytest.raises(ServerError, match="busy"):
        put_load(flaky, inputs, "serving_uint8", clients=2, requests=10, warmup=3)
    with pytest.raises(ServerError, match="8 x 8"):
        put_load(make, make_inputs("serving_uint8", (9, 9, 1), 1), "serving_uint8")
    with pytest.raises(ValueError, match="Received: clients=0"):
        put_load(make, inputs, "serving_uint8", clients=0)


def test_percentiles_are_those_of_the_latencies():
    figures = LoadReport(tuple(i / 1000 for i in range(1, 102)), {}, 2.0, 3).figures()
    assert figures["p50_ms"] == pytest.approx(51)
    assert figures["p90_ms"] == pytest.approx(91)
    assert figures["max_ms"] == pytest.approx(101)
    assert figures["images_per_second"] == pytest.approx(101 * 3 / 2)
