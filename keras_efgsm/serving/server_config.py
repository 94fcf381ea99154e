"""The text files that TF Serving's model server reads, built and checked as protobuf messages.

`models.config` is a ModelServerConfig, whose module comes with tensorflow-serving-api. The modules
of BatchingParameters and MonitoringConfig do not; those are built here from their published field
numbers, so that a misspelt key or a wrong type is refused as the server would refuse it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from google.protobuf import message, text_format

from keras_efgsm.form_table import parse_name
from keras_efgsm.records.exported_files import check_exported_files
from keras_efgsm.serving.published_messages import build_messages

_INT64, _STRING = "google.protobuf.Int64Value", "google.protobuf.StringValue"
# tensorflow_serving/servables/tensorflow/session_bundle_config.proto and
# tensorflow_serving/config/monitoring_config.proto.
_MESSAGES = build_messages(
    "tensorflow.serving",
    {
        "BatchingParameters": {
            "max_batch_size": (1, _INT64),
            "batch_timeout_micros": (2, _INT64),
            "max_enqueued_batches": (3, _INT64),
            "num_batch_threads": (4, _INT64),
            "thread_pool_name": (5, _STRING),
            "allowed_batch_sizes": (6, "repeated int64"),
            "pad_variable_length_inputs": (7, "bool"),
        },
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    },
)
MODELS, BATCHING, MONITORING = "models.config", "batching.config", "monitoring.config"


class BatchingOptions(TypedDict, total=False):
    """The arguments of `batching_parameters`."""

    max_batch_size: int
    batch_timeout_micros: int
    num_batch_threads: int
    max_enqueued_batches: int
    allowed_batch_sizes: Sequence[int]


def model_versions(folder: str | Path) -> list[int]:
    """Returns the versions in a model's folder, ascending, as TF Serving finds them.

    Args:
        folder: the folder with integer sub-folders.

    Raises:
        ValueError: if there is none with a `saved_model.pb`, or its files are not as they were
            exported.

    Example:

    ```python
    model_versions("exported_models/mnist")  # [1]
    ```
    """
    folder = Path(folder)
    entries = folder.iterdir() if folder.is_dir() else ()
    named = [(parse_name(e.name), e) for e in entries if e.is_dir()]
    # As the server: a folder above int64 is passed over.
    versions = sorted(found.version for found, e in named if found is not None and not found.name)
    whole = [v for v in versions if (folder / str(v) / "saved_model.pb").is_file()]
    if not whole or whole != versions:
        hint = "; give the folder above" if (folder / "saved_model.pb").is_file() else ""
        raise ValueError(
            "`folder` must hold integer folders with a saved_model.pb each, as `keras-efgsm "
            f"export` writes them{hint}. Received: folder={str(folder)!r}, versions={versions}"
        )
    for version in versions:
        check_exported_files(folder / str(version))
    return versions


def models_config(
    name: str,
    base_path: str,
    *,
    versions: str | Sequence[int] = "latest",
    labels: Mapping[str, int] | None = None,
) -> message.Message:
    """Returns the ModelServerConfig of one model.

    Args:
        name: the model's name, as it stands in request URLs.
        base_path: the model's folder as the server sees it.
        versions: `"latest"` (one version, the highest), `"all"`, or the versions to
            keep loaded. Defaults to `"latest"`.
        labels: label to version, such as `{"stable": 1}`. Defaults to none.

    Raises:
        ValueError: if the name or base path cannot be used, or a label names a
            version that is not served.
    """
    from tensorflow_serving.config import model_server_config_pb2

    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise ValueError(f"`name` must be letters, digits, `_`, `.`, `-`. Received: name={name!r}")
    if not base_path.startswith("/"):
        raise ValueError(f"`base_path` must be absolute. Received: base_path={base_path!r}")
    config = model_server_config_pb2.ModelServerConfig()
    model = config.model_config_list.config.add()
    model.name, model.base_path, model.model_platform = name, base_path, "tensorflow"
    if versions == "latest":
        model.model_version_policy.latest.num_versions = 1
    elif versions == "all":
        model.model_version_policy.all.SetInParent()
    else:
        model.model_version_policy.specific.versions.extend(versions)
    for label, version in (labels or {}).items():
        if not isinstance(versions, str) and version not in versions:
            raise ValueError(
                f"A label must name a version that is served, one of {list(versions)}. "
                f"Received: labels={labels}"
            )
        model.version_labels[label] = version
    return config


def batching_parameters(
    max_batch_size: int = 32,
    batch_timeout_micros: int = 2000,
    num_batch_threads: int = 2,
    max_enqueued_batches: int = 64,
    allowed_batch_sizes: Sequence[int] = (),
) -> message.Message:
    """Returns the BatchingParameters of the server.

    Args:
        max_batch_size: the most images of one batch; a request of more is refused.
            Defaults to 32.
        batch_timeout_micros: how long a request waits for others, in microseconds.
            Defaults to 2000.
        num_batch_threads: batches computed at once; about one per core. Defaults to 2.
        max_enqueued_batches: batches that may wait; above it requests are refused
            (UNAVAILABLE). Defaults to 64.
        allowed_batch_sizes: sizes that batches are filled up to, ascending, the last
            being `max_batch_size`. Defaults to none: any size.

    Raises:
        ValueError: if a number is not positive, or the allowed sizes are not as said.
    """
    numbers = {
        "max_batch_size": (max_batch_size, 1),
        "batch_timeout_micros": (batch_timeout_micros, 0),
        "num_batch_threads": (num_batch_threads, 1),
        "max_enqueued_batches": (max_enqueued_batches, 1),
    }
    parameters = _MESSAGES["BatchingParameters"]()
    for name, (value, least) in numbers.items():
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value}")
        getattr(parameters, name).value = value
    sizes = list(allowed_batch_sizes)
    if sizes and (sizes != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != max_batch_size):
        raise ValueError(
            "`allowed_batch_sizes` must ascend and end with `max_batch_size`. "
            f"Received: allowed_batch_sizes={sizes}, max_batch_size={max_batch_size}"
        )
    parameters.allowed_batch_sizes.extend(sizes)
    return parameters


def monitoring_config(path: str = "/monitoring/prometheus/metrics") -> message.Message:
    """Returns the MonitoringConfig that exposes Prometheus metrics on the REST port.

    Args:
        path: where. Defaults to `"/monitoring/prometheus/metrics"`.
    """
    config = _MESSAGES["MonitoringConfig"]()
    config.prometheus_config.enable, config.prometheus_config.path = True, path
    return config


def parse_config(name: str, text: str) -> message.Message:
    """Returns the message of a config file.

    Args:
        name: `"models.config"`, `"batching.config"` or `"monitoring.config"`.
        text: what the file holds.

    Raises:
        ValueError: if the server would refuse it.

    Example:

    ```python
    parse_config("batching.config", "max_batch_size { value: 32 }")
    ```
    """
    from tensorflow_serving.config import model_server_config_pb2

    kinds = {
        MODELS: model_server_config_pb2.ModelServerConfig,
        BATCHING: _MESSAGES["BatchingParameters"],
        MONITORING: _MESSAGES["MonitoringConfig"],
    }
    try:
        return text_format.Parse(text, kinds[name]())
    except text_format.ParseError as error:
        kind = kinds[name].DESCRIPTOR.full_name
        raise ValueError(
            f"`{name}` must be a {kind} in protobuf's text format. Received: {error}"
        ) from error
