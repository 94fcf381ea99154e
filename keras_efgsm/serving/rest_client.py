"""A client of TensorFlow Serving's REST API."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import urllib3

from keras_efgsm.serving.answers import ServerError, check_version_choice


class RestClient:
    """A connection to one model of a server. Threads may share it.

    Args:
        model: the model's name.
        url: the server. Defaults to `"http://localhost:8501"`.
        version: the version to ask. Defaults to the server's latest.
        label: the version label to ask, instead of a version. Defaults to none.
        timeout: seconds to wait for the network. Defaults to 10.

    Example:

    ```python
    client = RestClient("mnist")
    client.predict({"image": np.zeros((1, 28, 28, 1), "float32")})["probabilities"]
    ```
    """

    def __init__(
        self,
        model: str,
        url: str = "http://localhost:8501",
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
    ):
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"`url` must be as http://host:8501. Received: url={url!r}")
        check_version_choice(version, label)
        # A connection is used again; one that the server has closed meanwhile is noticed.
        self._pool = urllib3.connection_from_url(
            f"{parts.scheme}://{parts.netloc}", timeout=timeout, retries=False
        )
        self.path = f"{parts.path.rstrip('/')}/v1/models/{quote(model, safe='')}"
        if version is not None:
            self.path += f"/versions/{version}"
        if label is not None:
            self.path += f"/labels/{quote(label, safe='')}"

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = "serving_default"
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature, by name.

        Args:
            inputs: its inputs, by name; strings as bytes.
            signature: its name. Defaults to `"serving_default"`.

        Raises:
            ServerError: if the server refuses, or cannot be reached.
        """
        columns = {name: _to_json(np.asarray(array)) for name, array in inputs.items()}
        answer = self.post({"signature_name": signature, "inputs": columns})
        outputs = answer["outputs"]
        if not isinstance(outputs, dict):
            # A signature with one output is answered without its name.
            outputs = {"output": outputs}
        return {name: np.asarray(value) for name, value in outputs.items()}

    def post(self, body: Any) -> dict[str, Any]:
        """Returns the answer to a predict request.

        Args:
            body: what becomes JSON; bytes are sent as they are.

        Raises:
            ServerError: if the server refuses, or cannot be reached.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", f"{self.path}:predict", content)

    def status(self) -> dict[int, str]:
        """Returns version to state, `"AVAILABLE"` being the one that answers."""
        found = self.request("GET", self.path)["model_version_status"]
        return {int(entry["version"]): entry["state"] for entry in found}

    def metadata(self) -> dict[str, Any]:
        """Returns the server's description of the model with its signatures."""
        return self.request("GET", f"{self.path}/metadata")

    def input_shape(
        self, signature: str = "serving_default", name: str = "image"
    ) -> tuple[int, ...]:
        """Returns the shape of an input, -1 where any size is taken.

        Args:
            signature: the name of its signature. Defaults to `"serving_default"`.
            name: its name. Defaults to `"image"`.
        """
        signatures = self.metadata()["metadata"]["signature_def"]["signature_def"]
        dims = signatures[signature]["inputs"][name]["tensor_shape"]["dim"]
        return tuple(int(dim["size"]) for dim in dims)

    def request(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """Returns the JSON that the server answers to any request.

        Args:
            method: GET or POST.
            path: of the URL; that of the model is `path`.
            body: what is sent. Defaults to nothing.

        Raises:
            ServerError: if the server refuses, or cannot be reached.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            response = self._pool.request(method, path, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            where = f"{self._pool.host}:{self._pool.port}"
            raise ServerError("no answer", f"{where}: {error or type(error).__name__}") from error
        return _read(response.status, response.data)

    def close(self) -> None:
        """Closes the connection."""
        self._pool.close()


def _read(status: int, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ServerError(status, f"not JSON: {content[:100].decode('utf-8', 'replace')}")
    if status != 200 or "error" in answer:
        raise ServerError(status, answer.get("error", "no message"))
    return answer


def _to_json(array: np.ndarray) -> Any:
    if array.dtype == object:
        return [{"b64": base64.b64encode(value).decode()} for value in array]
    return array.tolist()
