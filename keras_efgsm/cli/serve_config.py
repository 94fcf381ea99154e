"""`keras-efgsm serve-config EXPORT --out DIR`."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.cli.values import Flat, listed


def add_command(commands: Any) -> None:
    """Adds `serve-config` to the parser."""
    parser = commands.add_parser(
        "serve-config",
        help="write TensorFlow Serving's config files for an export",
        description="Write TensorFlow Serving's model, batching and monitoring configuration for "
        "an export, and print the docker command that uses them.",
    )
    parser.add_argument("export", metavar="EXPORT", help="the folder exported_models/NAME")
    parser.add_argument("--out", help="folder to write to; without it they are only printed")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--name", help="of the model; default: the last part of the folder")
    parser.add_argument("--versions", default="latest", help="latest, all, or as 1,2")
    parser.add_argument(
        "--label",
        dest="labels",
        action="append",
        default=[],
        metavar="LABEL=VERSION",
        help="a name for a version, such as stable=1; may be given several times",
    )
    parser.add_argument(
        "--image", help="of the container; default: the release of the TensorFlow that exports"
    )
    parser.add_argument("--grpc-port", type=int, default=8500, help="default: 8500")
    parser.add_argument("--rest-port", type=int, default=8501, help="default: 8501")
    parser.add_argument("--batching", action="store_true", help="let the server merge requests")
    parser.add_argument("--max-batch-size", type=int, default=32, help="default: 32 images")
    parser.add_argument(
        "--batch-timeout-micros", type=int, default=2000, help="wait for others; default: 2000"
    )
    parser.add_argument(
        "--num-batch-threads", type=int, default=2, help="about one a core; default: 2"
    )
    parser.add_argument(
        "--max-enqueued-batches", type=int, default=64, help="refuse above; default: 64"
    )
    parser.add_argument(
        "--allowed-batch-sizes",
        type=listed(int),
        nargs="*",
        action=Flat,
        default=(),
        help="sizes that batches are filled up to, the last being --max-batch-size; default: any",
    )
    parser.set_defaults(run=run, light=True)


def run(options: argparse.Namespace) -> None:
    """Hands the options to `serve_config`."""
    given = vars(options)
    serve_config(**{name: given[name] for name in serve_config.__annotations__ if name in given})


def serve_config(
    export: str,
    out: str | None = None,
    *,
    name: str | None = None,
    versions: str = "latest",
    labels: Sequence[str] = (),
    image: str | None = None,
    grpc_port: int = 8500,
    rest_port: int = 8501,
    batching: bool = False,
    max_batch_size: int = 32,
    batch_timeout_micros: int = 2000,
    num_batch_threads: int = 2,
    max_enqueued_batches: int = 64,
    allowed_batch_sizes: Sequence[int] = (),
    overwrite: bool = False,
) -> None:
    """Writes the config files, and prints them and the command that uses them.

    Args:
        export: the model's folder, with integer versions.
        out: the folder to write to. Defaults to none: nothing is written.
        name: the model's name. Defaults to the last part of `export`.
        versions: `"latest"`, `"all"`, or numbers with commas between. Defaults to
            `"latest"`.
        labels: each as `"stable=1"`. Defaults to none.
        image: the container image. Defaults to `keras_efgsm.serving.IMAGE`.
        grpc_port: the port of this machine for gRPC. Defaults to 8500.
        rest_port: the port of this machine for REST. Defaults to 8501.
        batching: whether the server merges requests. Defaults to `False`.
        max_batch_size: as for `batching_parameters`, as are the four below.
        batch_timeout_micros: as there.
        num_batch_threads: as there.
        max_enqueued_batches: as there.
        allowed_batch_sizes: as there.
        overwrite: whether existing files are replaced. Defaults to `False`.

    Raises:
        ValueError: if the folder holds no versions, a file is there already, or an option
            cannot be used.
    """
    from keras_efgsm.cli.trust import say_without_digests
    from keras_efgsm.serving.deployment import (
        IMAGE,
        config_texts,
        container_command,
        write_config,
    )
    from keras_efgsm.serving.server_config import BatchingOptions, model_versions

    folder = Path(export)
    name = name or folder.resolve().name
    numbered = read_labels(labels)
    batches: BatchingOptions = {
        "max_batch_size": max_batch_size,
        "batch_timeout_micros": batch_timeout_micros,
        "num_batch_threads": num_batch_threads,
        "max_enqueued_batches": max_enqueued_batches,
        "allowed_batch_sizes": allowed_batch_sizes,
    }
    if out is None:
        found = model_versions(folder)
        texts = config_texts(name, found, versions=versions, labels=numbered, **batches)
    else:
        texts = write_config(
            folder,
            out,
            name=name,
            versions=versions,
            labels=numbered,
            overwrite=overwrite,
            **batches,
        )
    for version in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        say_without_digests(version)
    for file, text in texts.items():
        print(f"# {file if out is None else Path(out) / file}\n{text}")
    command = container_command(
        name,
        folder,
        Path(out or "serving"),
        image=image or IMAGE,
        batching=batching,
        labels=bool(numbered),
        grpc_port=grpc_port,
        rest_port=rest_port,
    )
    print(shlex.join(command))


def read_labels(words: Sequence[str]) -> dict[str, int]:
    """Returns label to version.

    Args:
        words: each as `"stable=1"`.

    Raises:
        ValueError: if one is not.
    """
    labels = {}
    for word in words:
        label, _, version = word.partition("=")
        if not label or not version.isdecimal():
            raise ValueError(f"A label must be as stable=1. Received: label={word!r}")
        labels[label] = int(version)
    return labels
