"""The REST routes of the test double: those of TF Serving, on Python's own HTTP server."""

import json
import re
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from integration.serving.c_api import TensorFlowError
from integration.serving.json_tensors import read_request, write_response
from integration.serving.metadata import metadata_json
from integration.serving.served_model import ServedModel

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_MODEL + r":(?P<method>predict|classify|regress)", re.IGNORECASE)
_STATUS = re.compile(_MODEL + r"(?P<metadata>/metadata)?", re.IGNORECASE)
# TF Serving's http_server.cc.
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_SECONDS_OF_SILENCE = 30


class RestDouble(ThreadingHTTPServer):
    """An HTTP server that answers for one model.

    Args:
        model: the model.
        host: the address to listen on.
        port: the port; 0 for a free one.
        max_request_bytes: a larger body is answered with 413 and not read. TF Serving
            itself has no such limit.
    """

    daemon_threads = True

    def __init__(self, model: ServedModel, host: str, port: int, max_request_bytes: int):
        self.model, self.max_request_bytes = model, max_request_bytes
        super().__init__((host, port), _Handler)

    def handle_error(self, request: socket.socket, client_address: Any) -> None:
        """Says nothing of clients that went away; the thread of the connection ends, no other."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS_OF_SILENCE
    disable_nagle_algorithm = True
    server: RestDouble

    def do_GET(self) -> None:
        self._answer(self._status)

    def do_POST(self) -> None:
        self._answer(self._predict)

    def handle_expect_100(self) -> bool:
        # A client that asks first is told before it sends a body that is too large.
        if self._length() is not None and self._length() > self.server.max_request_bytes:
            self._send(413, _error(self._too_large()), close=True)
            return False
        return super().handle_expect_100()

    def _status(self) -> bytes:
        found = _STATUS.fullmatch(self._path())
        if not found:
            raise TensorFlowError("INVALID_ARGUMENT", f"Malformed request: GET {self.path}")
        asked = (found["name"], _number(found["version"]), found["label"])
        model = self.server.model
        if found["metadata"]:
            return metadata_json(model.name, model.find(*asked))
        status = {"error_code": "OK", "error_message": ""}
        states = model.states(*asked).items()
        entries = [{"version": str(n), "state": state, "status": status} for n, state in states]
        return json.dumps({"model_version_status": entries}, indent=1).encode()

    def _predict(self) -> bytes:
        body = self._body()
        found = _PREDICT.fullmatch(self._path())
        if not found:
            raise TensorFlowError("INVALID_ARGUMENT", f"Malformed request: POST {self.path}")
        if found["method"].lower() != "predict":
            raise TensorFlowError("UNIMPLEMENTED", "this test double answers `predict` alone")
        asked = (found["name"], _number(found["version"]), found["label"])
        version = self.server.model.find(*asked)
        signatures = version.session.signatures

        def find(name: str):
            name = name or "serving_default"
            if name not in signatures:
                raise TensorFlowError(
                    "INVALID_ARGUMENT",
                    f'Serving signature name: "{name}" not found in signature def',
                )
            return signatures[name]

        signature, inputs, rows = read_request(body, find)
        return write_response(version.predict(signature, inputs), rows=rows)

    def _answer(self, make) -> None:
        try:
            self._send(200, make())
        except TensorFlowError as error:
            self._send(_HTTP_STATUS.get(error.code, 500), _error(error.message))
        except _BodyError as error:
            self._send(error.status, _error(str(error)), close=True)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            # Whatever else a request brings about ends that request and not the server.
            self._send(500, _error(f"{type(error).__name__}: {error}"))

    def _body(self) -> bytes:
        length = self._length()
        if length is None:
            raise _BodyError(411, "a request must have a Content-Length")
        if length > self.server.max_request_bytes:
            self._skip(min(length, 8 * self.server.max_request_bytes))
            raise _BodyError(413, self._too_large())
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away")
        return body

    def _skip(self, length: int) -> None:
        # Answered while it still sends, a client would see a broken pipe and not the answer.
        while length > 0:
            chunk = self.rfile.read(min(length, 1 << 16))
            if not chunk:
                return
            length -= len(chunk)

    def _length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdecimal() else None

    def _too_large(self) -> str:
        limit = self.server.max_request_bytes
        return f"the request has {self._length()} bytes, this server takes {limit}"

    def _path(self) -> str:
        return unquote(self.path.partition("?")[0])

    def _send(self, status: int, body: bytes, *, close: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _BodyError(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _error(message: str) -> bytes:
    return json.dumps({"error": message}).encode()
