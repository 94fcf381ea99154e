"""Checks of good requests to a server, sent by our clients and by plain curl."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from integration.serving.check_list import expect
from integration.serving.reference import SIGNATURES, Reference
from keras_efgsm.serving.grpc_client import GrpcClient
from keras_efgsm.serving.rest_client import RestClient

Checks = Iterator[tuple[str, Callable[[], str]]]


def client_checks(client: RestClient | GrpcClient, reference: Reference, version: int) -> Checks:
    """Yields name and check of what one of our clients gets.

    Args:
        client: of the server.
        reference: what the model should answer.
        version: the version that should answer.
    """

    def status() -> str:
        states = client.status()
        expect(states == {version: "AVAILABLE"}, str(states))
        return f"version {version} {states[version]}"

    def metadata() -> str:
        shape = client.input_shape()
        expect(tuple(shape[1:]) == reference.shape, str(shape))
        return f"image {shape}"

    def predict(name: str) -> str:
        outputs = client.predict(reference.inputs[name], name)
        return f"differs by {reference.difference(name, outputs):.1e} from tf.saved_model.load"

    yield "status", status
    yield "metadata", metadata
    for name in SIGNATURES:
        yield f"predict {name}", lambda name=name: predict(name)


def curl_checks(url: str, name: str, reference: Reference, version: int, work: Path) -> Checks:
    """Yields name and check of what plain curl gets.

    Args:
        url: the REST API.
        name: the model's name.
        reference: what the model should answer.
        version: the version that should answer.
        work: a folder for files.
    """
    model = f"{url}/v1/models/{name}"

    def curl(where: str, body: Any = None) -> tuple[int, Any]:
        words = ["curl", "-sS", "-m", "60", "-w", "\n%{http_code}", where]
        if body is not None:
            file = work / "body.json"
            file.write_text(json.dumps(body))
            words += ["-H", "Content-Type: application/json", "-d", f"@{file}"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        text, _, code = done.stdout.rpartition("\n")
        return int(code), json.loads(text)

    def status(suffix: str) -> str:
        code, answer = curl(f"{model}{suffix}")
        (entry,) = answer["model_version_status"]
        expect((code, entry["version"], entry["state"]) == (200, str(version), "AVAILABLE"), answer)
        return f"{code} {json.dumps(entry)}"

    def metadata() -> str:
        code, answer = curl(f"{model}/metadata")
        names = sorted(answer["metadata"]["signature_def"]["signature_def"])
        expect(code == 200 and names == sorted(SIGNATURES), f"{code} {names}")
        return f"{code} {', '.join(names)}"

    def files(form: str, suffix: str = "") -> str:
        signature = "serving_bytes"
        files = reference.inputs[signature]["image_bytes"]
        sent = [{"b64": base64.b64encode(file).decode()} for file in files]
        code, answer = curl(f"{model}{suffix}:predict", {"signature_name": signature, form: sent})
        expect(code == 200, f"{code} {answer}")
        if form == "instances":
            rows = answer["predictions"]
            outputs = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        else:
            outputs = {key: np.array(value) for key, value in answer["outputs"].items()}
        difference = reference.difference(signature, outputs)
        return f"{code}, labels {outputs['label'].tolist()}, differs by {difference:.1e}"

    def pixels() -> str:
        image = reference.inputs["serving_default"]["image"]
        rows = [{"image": one.tolist()} for one in image]
        code, answer = curl(f"{model}:predict", {"instances": rows})
        expect(code == 200, f"{code} {answer}")
        rows = answer["predictions"]
        outputs = {key: np.array([row[key] for row in rows]) for key in rows[0]}
        return f"{code}, differs by {reference.difference('serving_default', outputs):.1e}"

    def refused() -> str:
        code, answer = curl(f"{model}:predict", {"instances": [[1.0]]})
        expect(code == 400 and answer["error"], f"{code} {answer}")
        return f"{code} {answer['error'].splitlines()[0]}"

    if shutil.which("curl") is None:
        return
    yield "GET /v1/models/NAME", lambda: status("")
    yield "GET /v1/models/NAME/versions/N", lambda: status(f"/versions/{version}")
    yield "GET /v1/models/NAME/metadata", metadata
    yield "POST :predict, base64 files in rows", lambda: files("instances")
    yield (
        "POST /versions/N:predict, base64 files in columns",
        (lambda: files("inputs", f"/versions/{version}")),
    )
    yield "POST :predict, pixels in rows", pixels
    yield "POST :predict, wrong shape", refused
