"""`keras-efgsm serve-request IMAGE... --model NAME`."""

import argparse
from collections.abc import Sequence
from typing import Any

from keras_efgsm.limits import MOST_TEXT, read_file


def add_command(commands: Any) -> None:
    """Adds `serve-request` to the parser."""
    parser = commands.add_parser(
        "serve-request",
        help="send images to a running TensorFlow Serving",
        description="Send images to a running TensorFlow Serving and print class, label, "
        "probability and margin of each: by how much the logit of the class is above that of the "
        "runner-up. Without images it says which versions the server has.",
    )
    parser.add_argument(
        "files",
        metavar="IMAGE",
        nargs="*",
        help="PNG or JPEG files, or one .npy of pixels, uint8 or float in [0, 1]",
    )
    parser.add_argument("--model", required=True, help="its name at the server")
    parser.add_argument("--protocol", choices=("rest", "grpc"), default="rest")
    parser.add_argument(
        "--server", help="default: http://localhost:8501, or localhost:8500 for grpc"
    )
    parser.add_argument(
        "--model-version",
        dest="version",
        metavar="N",
        type=int,
        help="default: the server's latest",
    )
    parser.add_argument("--label", help="a label of a version, such as stable")
    parser.add_argument("--labels", help="file of class names, for a .npy of floats")
    parser.add_argument("--timeout", type=float, default=10.0, help="in seconds; default: 10")
    parser.set_defaults(run=run, light=True)


def run(options: argparse.Namespace) -> None:
    """Hands the options to `serve_request`."""
    given = vars(options)
    serve_request(**{name: given[name] for name in serve_request.__annotations__ if name in given})


def serve_request(
    files: Sequence[str],
    *,
    model: str,
    protocol: str = "rest",
    server: str | None = None,
    version: int | None = None,
    label: str | None = None,
    labels: str | None = None,
    timeout: float = 10.0,
) -> None:
    """Sends images to a server and prints one line for each.

    Args:
        files: PNG or JPEG images, or one .npy `(batch, height, width, channels)`; none to
            ask for the versions that the server has.
        model: the model's name.
        protocol: `"rest"` or `"grpc"`. Defaults to `"rest"`.
        server: its URL, or for gRPC its host and port. Defaults to this machine.
        version: the version to ask. Defaults to the server's latest.
        label: the version label to ask, instead of a version. Defaults to none.
        labels: file of class names, one a line. Defaults to none.
        timeout: seconds to wait for an answer. Defaults to 10.

    Raises:
        ServerError: if the server refuses, or cannot be reached.
        ValueError: if a file is of another kind.
    """
    from keras_efgsm.checks import visible
    from keras_efgsm.serving.asking import ask, make_client

    if not files:
        client = make_client(model, protocol, server, version=version, label=label, timeout=timeout)
        try:
            for number, state in client.status().items():
                print(f"{model} version {number}: {state}")
        finally:
            client.close()
        return
    names = read_file(labels, MOST_TEXT).decode("utf-8").splitlines() if labels else None
    answers = ask(
        files,
        model,
        protocol=protocol,
        server=server,
        version=version,
        label=label,
        class_names=names,
        timeout=timeout,
    )
    for i, answer in enumerate(answers):
        source = files[i] if len(files) == len(answers) else f"{files[0]}[{i}]"
        called = "-" if answer.label is None else answer.label
        print(
            f"{source}: class {answer.class_id}, label {visible(str(called))}, "
            f"probability {answer.probability:.4f}, margin {answer.margin:.2f}"
        )
