"""Writes what TF Serving needs to serve an export: its config files and the container command.

    python scripts/serve/configure.py exported_models/mnist --out serving [--versions all]
        [--label stable=1] [--batching] [--max-batch-size 32] ...

Writes `models.config`, `batching.config` and `monitoring.config`, each built as a protobuf message,
written as text and parsed again, and prints the `docker run` line that uses them. With `--print`
nothing is written. An existing file is only replaced with `--overwrite`.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format

from server_config import (
    BATCHING,
    MODELS,
    MONITORING,
    batching_parameters,
    model_versions,
    models_config,
    monitoring_config,
    parse_config,
)

# The release that goes with the TensorFlow that writes the exports.
IMAGE = "tensorflow/serving:2.21.0"
_CONFIG_FOLDER = "/config"


def container_command(
    name: str,
    folder: Path,
    config: Path,
    *,
    image: str = IMAGE,
    batching: bool = False,
    labels: bool = False,
    grpc_port: int = 8500,
    rest_port: int = 8501,
) -> list[str]:
    """Returns the words of the command that starts the model server in a container.

    Args:
        name: the model's name.
        folder: the model's folder on this machine.
        config: the folder of the config files on this machine.
        image: the container image. Defaults to `IMAGE`.
        batching: whether the server merges requests. Defaults to `False`.
        labels: whether `models.config` has version labels. Defaults to `False`.
        grpc_port: the port of this machine for gRPC. Defaults to 8500.
        rest_port: the port of this machine for REST. Defaults to 8501.
    """
    words = ["docker", "run", "--rm", "--name", f"serve-{name}"]
    words += ["-p", f"{grpc_port}:8500", "-p", f"{rest_port}:8501"]
    for source, target in ((folder, f"/models/{name}"), (config, _CONFIG_FOLDER)):
        words += ["--mount", f"type=bind,source={source.resolve()},target={target},readonly"]
    words += [image, f"--model_config_file={_CONFIG_FOLDER}/{MODELS}"]
    words += ["--model_config_file_poll_wait_seconds=60", "--file_system_poll_wait_seconds=30"]
    words += [f"--monitoring_config_file={_CONFIG_FOLDER}/{MONITORING}"]
    words += ["--rest_api_timeout_in_ms=10000"]
    if batching:
        words += ["--enable_batching=true"]
        words += [f"--batching_parameters_file={_CONFIG_FOLDER}/{BATCHING}"]
    if labels:
        # At the start no version is loaded yet, and a label of such a version is refused.
        words += ["--allow_version_labels_for_unavailable_models=true"]
    return words


def config_texts(
    name: str,
    found: Sequence[int],
    *,
    versions: str = "latest",
    labels: Mapping[str, int] | None = None,
    **batching: int | Sequence[int],
) -> dict[str, str]:
    """Returns the config files, file name to text, each parsed once again.

    Args:
        name: the model's name.
        found: the versions in its folder.
        versions: `"latest"`, `"all"`, or numbers with commas between. Defaults to
            `"latest"`.
        labels: label to version. Defaults to none.
        **batching: arguments of `batching_parameters`.

    Raises:
        ValueError: if a version is not in the folder, or an argument cannot be used.
    """
    served = {"latest": [max(found)], "all": list(found)}.get(versions)
    policy: str | list[int] = versions
    if served is None:
        try:
            policy = served = [int(v) for v in versions.split(",")]
        except ValueError:
            raise ValueError(
                "`versions` must be latest, all, or numbers with commas between. "
                f"Received: versions={versions!r}"
            ) from None
    missing = sorted({*served, *(labels or {}).values()} - set(found))
    if missing or not set((labels or {}).values()) <= set(served):
        raise ValueError(
            f"Versions must be in the folder, which has {list(found)}, and labels name those that "
            f"are served, {served}. Received: versions={versions!r}, labels={labels}"
        )
    messages = {
        MODELS: models_config(name, f"/models/{name}", versions=policy, labels=labels),
        BATCHING: batching_parameters(**batching),
        MONITORING: monitoring_config(),
    }
    texts = {file: text_format.MessageToString(message) for file, message in messages.items()}
    for file, message in messages.items():
        if parse_config(file, texts[file]) != message:
            raise RuntimeError(f"{file} does not come back as it was written")
    return texts


def main(words: list[str] | None = None) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("export", type=Path, help="the model's folder, with integer versions")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="the folder to write to")
    where.add_argument("--print", action="store_true", help="print, write nothing")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--name", help="default: the last part of the folder")
    parser.add_argument("--versions", default="latest", help="latest, all, or as 1,2")
    parser.add_argument("--label", action="append", default=[], metavar="LABEL=VERSION")
    parser.add_argument("--image", default=IMAGE)
    parser.add_argument("--grpc-port", type=int, default=8500)
    parser.add_argument("--rest-port", type=int, default=8501)
    parser.add_argument("--batching", action="store_true", help="let the server merge requests")
    parser.add_argument("--max-batch-size", type=int, default=32)
    parser.add_argument("--batch-timeout-micros", type=int, default=2000)
    parser.add_argument("--num-batch-threads", type=int, default=2)
    parser.add_argument("--max-enqueued-batches", type=int, default=64)
    parser.add_argument("--allowed-batch-sizes", type=int, nargs="*", default=())
    options = parser.parse_args(words)
    name = options.name or options.export.resolve().name
    try:
        labels = {key: int(v) for key, _, v in (word.partition("=") for word in options.label)}
        texts = config_texts(
            name,
            model_versions(options.export),
            versions=options.versions,
            labels=labels,
            max_batch_size=options.max_batch_size,
            batch_timeout_micros=options.batch_timeout_micros,
            num_batch_threads=options.num_batch_threads,
            max_enqueued_batches=options.max_enqueued_batches,
            allowed_batch_sizes=options.allowed_batch_sizes,
        )
        if options.out:
            _write(options.out, texts, options.overwrite)
    except (ValueError, OSError) as error:
        parser.exit(2, f"configure: {error}\n")
    for file, text in texts.items():
        print(f"# {options.out / file if options.out else file}\n{text}")
    command = container_command(
        name,
        options.export,
        options.out or Path("serving"),
        image=options.image,
        batching=options.batching,
        labels=bool(labels),
        grpc_port=options.grpc_port,
        rest_port=options.rest_port,
    )
    print(shlex.join(command))


def _write(folder: Path, texts: Mapping[str, str], overwrite: bool) -> None:
    from keras_efgsm.atomic_file import write_atomically

    there = [file for file in texts if (folder / file).exists()]
    if there and not overwrite:
        raise ValueError(
            "`--out` must not hold these files yet, unless with --overwrite. "
            f"Received: out={str(folder)!r} with {there}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        write_atomically(folder / file, text)


if __name__ == "__main__":
    main()
