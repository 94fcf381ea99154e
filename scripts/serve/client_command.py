"""The command line that both clients have."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from answers import ServerError, answers_of, load_inputs, print_answers


def run_client(
    name: str,
    client_class: Any,
    description: str,
    address: tuple[str, str],
    words: list[str] | None = None,
) -> None:
    """Asks a server what the command line says and prints the answer; exits with 1 on an error.

    Args:
        name: the script's name, which an error begins with.
        client_class: `RestClient` or `GrpcClient`.
        description: what the help begins with.
        address: the option that names the server, and its default.
        words: the command line. Defaults to that of the process.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("predict", "status", "metadata"))
    parser.add_argument("files", nargs="*", help="images, or one .npy")
    parser.add_argument("--model", required=True)
    parser.add_argument(address[0], dest="address", default=address[1])
    parser.add_argument("--version", type=int)
    parser.add_argument("--label")
    parser.add_argument("--labels", type=Path, help="labels.txt, for `serving_default`")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds")
    options = parser.parse_args(words)
    try:
        more = {"version": options.version, "label": options.label, "timeout": options.timeout}
        client = client_class(options.model, options.address, **more)
        if options.action == "status":
            for version, state in client.status().items():
                print(f"{options.model} version {version}: {state}")
        elif options.action == "metadata":
            found = client.metadata()
            print(json.dumps(found, indent=1) if isinstance(found, dict) else found)
        else:
            if not options.files:
                raise ValueError("Name the images to send. Received: files=[]")
            signature, inputs = load_inputs(options.files)
            labels = options.labels.read_text().splitlines() if options.labels else None
            print_answers(options.files, answers_of(client.predict(inputs, signature), labels))
    except (ServerError, ValueError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
