"""Checks an export for serving, as far as that can be done without a TF Serving binary.

    python scripts/integration/serving/check.py exported_models/mnist [--version N]
        [--json CHECKS.json]

Takes the latest version. (1) TensorFlow's C API, whose loader TF Serving builds on, in a process
without TensorFlow's Python; (2) saved_model_cli; (3) the server's configs and the warm-up records;
(4) a loopback TEST DOUBLE of TF Serving, asked by our REST and gRPC clients and by curl;
(5) malformed requests, after each of which a good one must be answered. Exits with 1 if a check
fails. Needs tensorflow-serving-api.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[2]))

import argparse
import json
import shutil
import socket
import tempfile
from dataclasses import asdict
from urllib.parse import urlsplit

import numpy as np
from rich.console import Console

from integration.serving.check_list import CheckList, expect
from integration.serving.double_process import DoubleProcess
from integration.serving.file_checks import c_api_checks, cli_checks, config_checks
from integration.serving.malformed_requests import grpc_requests, refusal, rest_requests
from integration.serving.reference import Reference, make_reference
from integration.serving.request_checks import client_checks, curl_checks
from keras_efgsm.serving.grpc_client import GrpcClient
from keras_efgsm.serving.rest_client import RestClient
from keras_efgsm.serving.server_config import model_versions

NOT_RUN = (
    "NOT run: TF Serving itself (tensorflow_model_server, its container image), so neither its "
    "request batching, its loading of new versions while it serves, its metrics, nor a GPU. The "
    "server above is a test double on TF Serving's protocol definitions."
)
_LIMIT = 16 << 20  # bytes of a request, of the test double
_MEMORY = 400  # MiB that malformed requests may take; 30000 x 30000 grey pixels would take 858
_TIMEOUT = 60.0


def check_export(export: Path, name: str, version: int | None, console: Console) -> CheckList:
    """Runs all checks and returns them.

    Args:
        export: the model's folder.
        name: the model's name.
        version: the version to check. Defaults to the latest.
        console: where they are shown.

    Raises:
        ValueError: if the folder has no such version.
    """
    versions = model_versions(export)
    version = max(versions) if version is None else version
    if version not in versions:
        raise ValueError(f"`version` must be one of {versions}. Received: version={version}")
    saved_model, checks = export / str(version), CheckList(console)
    console.print(f"{name}, version {version}, {saved_model}", highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        reference = make_reference(saved_model)
        for part, found in (
            ("1 C API", c_api_checks(saved_model, reference, work)),
            ("2 saved_model_cli", cli_checks(saved_model, reference, work)),
            ("3 configs", config_checks(name, versions, saved_model)),
        ):
            for check, run in found:
                checks.run(part, check, run)
        try:
            double = DoubleProcess(export, name, ("--version", str(version)))
        except RuntimeError as error:
            checks.run("4 test double", "starts", lambda error=error: _raise(error))
            return checks
        with double:
            _check_requests(checks, double, name, version, reference, work)
            _check_malformed(checks, double, name, reference)
    return checks


def _check_requests(
    checks: CheckList,
    double: DoubleProcess,
    name: str,
    version: int,
    reference: Reference,
    work: Path,
) -> None:
    def banner() -> str:
        (line,) = (line for line in double.said().splitlines() if "TEST DOUBLE" in line)
        return line

    checks.run("4 test double", "starts, warms up, says what it is", banner)
    rest, grpc = _clients(double, name)
    curl = curl_checks(double.url, name, reference, version, work)
    for part, found in (
        ("4 REST client", client_checks(rest, reference, version)),
        ("4 gRPC client", client_checks(grpc, reference, version)),
        ("4 curl", curl),
    ):
        for check, run in found:
            checks.run(part, check, run)
    if shutil.which("curl") is None:
        checks.console.print("SKIP  4 curl: there is no curl on this machine")
    rest.close()
    grpc.close()


def _check_malformed(
    checks: CheckList, double: DoubleProcess, name: str, reference: Reference
) -> None:
    rest, grpc = _clients(double, name)
    before = double.peak_mib()
    for part, client, requests in (
        ("5 REST", rest, rest_requests(rest, reference, _LIMIT)),
        ("5 gRPC", grpc, grpc_requests(grpc, reference, _LIMIT)),
    ):
        for request in requests:

            def run(client=client, request=request) -> str:
                said = refusal(request)
                expect(double.is_alive, "the server went down")
                _good_request(client, reference)
                return said

            checks.run(part, request.name, run)

    def broken_off() -> str:
        where = urlsplit(double.url)
        heads = (b"POST /v1/models/x:predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{", b"\0" * 99)
        for head in heads:
            with socket.create_connection((where.hostname, where.port), timeout=_TIMEOUT) as open_:
                open_.sendall(head)
        _good_request(rest, reference)
        return "a request broken off and 99 zero bytes; the next one was answered"

    def memory() -> str:
        after = double.peak_mib()
        if before is None or after is None:
            return "not known on this system"
        expect(after - before < _MEMORY, f"from {before:.0f} to {after:.0f} MiB")
        return f"peak memory of the server from {before:.0f} to {after:.0f} MiB"

    checks.run("5 REST", "connections that break off", broken_off)
    checks.run("5 both", "no request took much memory", memory)
    rest.close()
    grpc.close()

    def still() -> str:
        expect(double.is_alive, "the server went down")
        status = double.stop()
        expect(status == 0, f"exit status {status}")
        return "answered to the end, exit status 0"

    checks.run("5 both", "the server never went down", still)


def _clients(double: DoubleProcess, name: str) -> tuple[RestClient, GrpcClient]:
    return (
        RestClient(name, double.url, timeout=_TIMEOUT),
        GrpcClient(name, double.address, timeout=_TIMEOUT),
    )


def _good_request(client: RestClient | GrpcClient, reference: Reference) -> None:
    outputs = client.predict(reference.inputs["serving_default"])
    reference.difference("serving_default", {k: np.asarray(v) for k, v in outputs.items()})


def _raise(error: Exception) -> str:
    raise error


def main(words: list[str] | None = None) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export", type=Path, help="the model's folder, with integer versions")
    parser.add_argument("--name", help="default: the last part of the folder")
    parser.add_argument("--version", type=int, help="default: the latest")
    parser.add_argument("--json", type=Path, help="also write the checks here")
    options = parser.parse_args(words)
    console = Console()
    try:
        name = options.name or options.export.resolve().name
        checks = check_export(options.export, name, options.version, console)
    except ValueError as error:
        parser.exit(2, f"check: {error}\n")
    checks.print_table(f"{name}: {len(checks.checks) - len(checks.failed)} of {len(checks.checks)}")
    console.print(NOT_RUN, highlight=False)
    if options.json:
        from keras_efgsm.atomic_file import write_atomically

        found = {"checks": [asdict(check) for check in checks.checks], "not_run": NOT_RUN}
        write_atomically(options.json, json.dumps(found, indent=2) + "\n")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
