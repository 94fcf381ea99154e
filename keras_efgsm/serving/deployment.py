"""The config files and the container command with which TensorFlow Serving serves an export."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from google.protobuf import text_format

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.serving.server_config import (
    BATCHING,
    MODELS,
    MONITORING,
    BatchingOptions,
    batching_parameters,
    model_versions,
    models_config,
    monitoring_config,
    parse_config,
)

IMAGE = "tensorflow/serving:2.21.0"
"""The container image that goes with the TensorFlow that writes the exports."""

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

    Example:

    ```python
    words = container_command("mnist", Path("exported_models/mnist"), Path("serving"))
    words[:2]  # ["docker", "run"]
    ```
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
    **batching: Unpack[BatchingOptions],
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

    Example:

    ```python
    sorted(config_texts("mnist", [1, 2], versions="all", labels={"stable": 1}))
    ```
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


def write_config(
    export: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    versions: str = "latest",
    labels: Mapping[str, int] | None = None,
    overwrite: bool = False,
    **batching: Unpack[BatchingOptions],
) -> dict[str, str]:
    """Writes `models.config`, `batching.config` and `monitoring.config`.

    Each is built as a protobuf message, written as text and parsed again.

    Args:
        export: the model's folder, with integer versions.
        out: the folder to write to.
        name: the model's name. Defaults to the last part of `export`.
        versions: `"latest"`, `"all"`, or numbers with commas between. Defaults to
            `"latest"`.
        labels: label to version. Defaults to none.
        overwrite: whether existing files are replaced. Defaults to `False`.
        **batching: arguments of `batching_parameters`.

    Returns:
        What was written, file name to text.

    Raises:
        ValueError: if a file is there already, a version is not in the folder, or an
            argument cannot be used.

    Example:

    ```python
    write_config("exported_models/mnist", "serving", labels={"stable": 1})
    ```
    """
    export, out = Path(export), Path(out)
    texts = config_texts(
        name or export.resolve().name,
        model_versions(export),
        versions=versions,
        labels=labels,
        **batching,
    )
    there = [file for file in texts if (out / file).exists()]
    if there and not overwrite:
        raise ValueError(
            "`out` must not hold these files yet, unless they are overwritten. "
            f"Received: out={str(out)!r} with {there}, overwrite=False"
        )
    out.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        write_atomically(out / file, text)
    return texts
