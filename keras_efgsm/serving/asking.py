"""Sends image files to a served classifier, by either protocol."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from keras_efgsm.serving.answers import Answer, answers_of, load_inputs
from keras_efgsm.serving.grpc_client import GrpcClient
from keras_efgsm.serving.rest_client import RestClient


class Client(Protocol):
    """What `RestClient` and `GrpcClient` have in common."""

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str = ...
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature, by name."""
        ...

    def status(self) -> dict[int, str]:
        """Returns version to state."""
        ...

    def metadata(self) -> Any:
        """Returns the server's description of the model's signatures."""
        ...

    def input_shape(self, signature: str = ..., name: str = ...) -> tuple[int, ...]:
        """Returns the shape of an input, -1 where any size is taken."""
        ...

    def close(self) -> None:
        """Closes the connection."""
        ...


PROTOCOLS: dict[str, Callable[..., Client]] = {"rest": RestClient, "grpc": GrpcClient}
"""What asks a server, by the name of its protocol."""


def make_client(
    model: str,
    protocol: str = "rest",
    server: str | None = None,
    *,
    version: int | None = None,
    label: str | None = None,
    timeout: float = 10.0,
) -> Client:
    """Returns a client of one model of a server.

    Args:
        model: the model's name.
        protocol: `"rest"` or `"grpc"`. Defaults to `"rest"`.
        server: its URL, or for gRPC its host and port. Defaults to the port of TensorFlow
            Serving on this machine: `"http://localhost:8501"` or `"localhost:8500"`.
        version: the version to ask. Defaults to the server's latest.
        label: the version label to ask, instead of a version. Defaults to none.
        timeout: seconds to wait for an answer. Defaults to 10.

    Raises:
        ValueError: if the protocol is not one of the two, or both a version and a label are
            given.

    Example:

    ```python
    client = make_client("mnist", "rest", timeout=2.0)
    ```
    """
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"`protocol` must be one of {', '.join(PROTOCOLS)}. Received: protocol={protocol!r}"
        )
    where = () if server is None else (server,)
    return PROTOCOLS[protocol](model, *where, version=version, label=label, timeout=timeout)


def ask(
    files: Sequence[str | Path],
    model: str,
    *,
    protocol: str = "rest",
    server: str | None = None,
    version: int | None = None,
    label: str | None = None,
    class_names: Sequence[str] | None = None,
    timeout: float = 10.0,
) -> list[Answer]:
    """Sends images to a server and returns one answer for each.

    Args:
        files: PNG or JPEG images, or one .npy, as `load_inputs` takes them.
        model: the model's name.
        protocol: `"rest"` or `"grpc"`. Defaults to `"rest"`.
        server: where it is. Defaults to this machine, as for `make_client`.
        version: the version to ask. Defaults to the server's latest.
        label: the version label to ask, instead of a version. Defaults to none.
        class_names: names of the classes, for a float .npy, whose signature gives none.
            Defaults to none.
        timeout: seconds to wait for an answer. Defaults to 10.

    Raises:
        ServerError: if the server refuses, or cannot be reached.
        ValueError: if there are no files, or files of another kind.

    Example:

    ```python
    (answer,) = ask(["three.png"], "mnist")
    print(answer.label, answer.probability, answer.margin)
    ```
    """
    signature, inputs = load_inputs(files)
    client = make_client(model, protocol, server, version=version, label=label, timeout=timeout)
    try:
        return answers_of(client.predict(inputs, signature), class_names)
    finally:
        client.close()
