"""A TEST DOUBLE of TF Serving, NOT for production: a loopback server to test clients and exports.

    python scripts/integration/serving/test_double.py exported_models/mnist
        [--grpc-port 8500] [--rest-port 8501]

It is not TF Serving. It answers `Predict`, `GetModelMetadata` and `GetModelStatus` on the gRPC
services of tensorflow-serving-api and the REST routes that go with them, and it runs the model by
TensorFlow's C API, through the loader that TF Serving builds on. It has no batching, no reload of
versions, no encryption, no metrics; `Classify`, `Regress` and `MultiInference` are refused.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[2]))

import argparse
import json
import signal
import threading
from types import TracebackType

from integration.serving.c_api import TensorFlowError
from integration.serving.rest_double import RestDouble
from integration.serving.served_model import ServedModel

BANNER = "TEST DOUBLE of TF Serving, not for production"


class ServingDouble:
    """Both servers of the test double, running.

    Args:
        model: the model.
        host: the address to listen on. Defaults to `"127.0.0.1"`.
        grpc_port: 0, the default, takes a free one; `grpc_port` then says which.
        rest_port: 0, the default, takes a free one; `rest_port` then says which.
        max_request_bytes: larger requests are refused. Defaults to 16 MiB.

    Raises:
        OSError: if a port is taken.

    Example:

    ```python
    with ServingDouble(ServedModel("mnist", "exported_models/mnist")) as double:
        RestClient("mnist", double.url).status()  # {1: "AVAILABLE"}
    ```
    """

    def __init__(
        self,
        model: ServedModel,
        *,
        host: str = "127.0.0.1",
        grpc_port: int = 0,
        rest_port: int = 0,
        max_request_bytes: int = 16 << 20,
    ):
        from integration.serving.grpc_double import start_grpc_double

        self.model, self.host = model, host
        self._rest = RestDouble(model, host, rest_port, max_request_bytes)
        try:
            self._grpc, self.grpc_port = start_grpc_double(
                model, host, grpc_port, max_request_bytes
            )
        except BaseException:
            self._rest.server_close()
            raise
        self.rest_port = self._rest.server_address[1]
        self._thread = threading.Thread(target=self._rest.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the REST API is."""
        return f"http://{self.host}:{self.rest_port}"

    @property
    def address(self) -> str:
        """Where the gRPC API is."""
        return f"{self.host}:{self.grpc_port}"

    def stop(self) -> None:
        """Stops both servers; open requests have a second to end."""
        self._rest.shutdown()
        self._rest.server_close()
        self._grpc.stop(grace=1.0).wait()

    def __enter__(self) -> "ServingDouble":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def main(words: list[str] | None = None) -> None:
    """Reads the command line, serves until interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export", help="the model's folder, with integer versions")
    parser.add_argument("--name", help="default: the last part of the folder")
    parser.add_argument("--version", type=int, action="append", default=[], help="default: latest")
    parser.add_argument("--label", action="append", default=[], metavar="LABEL=VERSION")
    parser.add_argument("--grpc-port", type=int, default=8500, help="0: a free one")
    parser.add_argument("--rest-port", type=int, default=8501, help="0: a free one")
    parser.add_argument("--max-request-mib", type=float, default=16.0)
    options = parser.parse_args(words)
    name = options.name or Path(options.export).resolve().name
    try:
        labels = {key: int(v) for key, _, v in (word.partition("=") for word in options.label)}
        model = ServedModel(name, options.export, versions=options.version, labels=labels)
        double = ServingDouble(
            model,
            grpc_port=options.grpc_port,
            rest_port=options.rest_port,
            max_request_bytes=int(options.max_request_mib * (1 << 20)),
        )
    except (TensorFlowError, ValueError, OSError) as error:
        parser.exit(1, f"test_double: {error}\n")
    warmed = {n: version.warmed_up for n, version in model.versions.items()}
    print(f"{BANNER}: {name}, warm-up requests by version {warmed}", file=sys.stderr, flush=True)
    # For who starts it: where it listens, once it does.
    print(json.dumps({"url": double.url, "address": double.address}), flush=True)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    double.stop()


if __name__ == "__main__":
    main()
