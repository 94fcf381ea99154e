"""The warm-up records of an export: what a server answers before it reports a version as ready."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from integration.serving.c_api import TensorFlowError

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
_MOST_RECORDS = 1000  # TF Serving's limit


def read_warmup(saved_model: str | Path) -> list[Any]:
    """Returns the PredictionLogs of a SavedModel, none if it has no warm-up file.

    Args:
        saved_model: the folder with `saved_model.pb`.

    Raises:
        ValueError: if a record is no PredictionLog of a predict request, or there are
            more than TF Serving takes.
    """
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    path = Path(saved_model) / WARMUP_FILE
    if not path.is_file():
        return []
    logs = []
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            logs.append(prediction_log_pb2.PredictionLog.FromString(record))
    except (tf.errors.DataLossError, DecodeError) as error:
        raise ValueError(
            "The warm-up file must be a TFRecord file of PredictionLogs "
            f"({str(error).splitlines()[0]}). Received: path={str(path)!r}"
        ) from error
    kinds = {log.WhichOneof("log_type") for log in logs}
    if kinds - {"predict_log"} or not 0 < len(logs) <= _MOST_RECORDS:
        raise ValueError(
            f"The warm-up file must hold 1 to {_MOST_RECORDS} logs of predict requests. "
            f"Received: {len(logs)} records, kinds={sorted(map(str, kinds))}"
        )
    return logs


def replay_warmup(
    saved_model: str | Path,
    predict: Callable[[str, Mapping[str, np.ndarray], Iterable[str]], Any],
) -> int:
    """Sends each warm-up request to `predict` and returns their number.

    Args:
        saved_model: the folder with `saved_model.pb`.
        predict: takes a signature's name, inputs by name and names of outputs.

    Raises:
        TensorFlowError: if one of them is refused.
    """
    import tensorflow as tf

    logs = read_warmup(saved_model)
    for i, log in enumerate(logs):
        request = log.predict_log.request
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        try:
            predict(request.model_spec.signature_name, inputs, request.output_filter)
        except TensorFlowError as error:
            raise TensorFlowError(error.code, f"warm-up request {i}: {error.message}") from error
    return len(logs)
