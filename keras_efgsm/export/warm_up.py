"""Warm-up requests: TensorFlow Serving replays them before a version answers its first client."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_efgsm.checks import check_count
from keras_efgsm.networks.answers import random_images

WARM_UP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
"""Where in a version folder a server looks for requests to begin with."""

# A server replays at most so many records.
_MOST_RECORDS = 1000


def write_warm_up_requests(
    path: str | os.PathLike[str],
    name: str,
    image_shape: tuple[int, int, int],
    batch_sizes: Sequence[int] = (1, 8),
) -> None:
    """Writes warm-up requests for all signatures into the SavedModel in folder `path`.

    The first request that a graph answers is the slowest, as it is then that it is optimised. The
    file is a TFRecord of `PredictionLog`; the images in it are random and always the same. No
    version is named in a request, so that it holds for whichever version the folder becomes.

    Args:
        path: a folder that `write_saved_model` wrote.
        name: the model's name at the server.
        image_shape: `(height, width, channels)` of one image.
        batch_sizes: one request of each size for each signature. Defaults to
            `(1, 8)`.

    Raises:
        ValueError: if `batch_sizes` are not at least one whole number above 0,
            or too many for a server, which replays 1000 records.

    Example:

    ```python
    from keras_efgsm.export import write_saved_model

    write_saved_model(classifier, "digits/1", class_names)
    write_warm_up_requests("digits/1", "digits", (28, 28, 1), batch_sizes=(1, 32))
    ```
    """
    sizes = check_batch_sizes(batch_sizes)
    file = Path(path) / WARM_UP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for size in sizes:
            pixels = random_images(image_shape, size)
            levels = np.round(pixels * 255).astype("uint8")
            files = np.array([tf.io.encode_png(level).numpy() for level in levels], object)
            for signature, key, values in (
                ("serving_default", "image", pixels),
                ("serving_uint8", "image", levels),
                ("serving_bytes", "image_bytes", files),
            ):
                log = _prediction_log(name, signature, key, values)
                writer.write(log.SerializeToString(deterministic=True))


def check_batch_sizes(batch_sizes: Sequence[int]) -> tuple[int, ...]:
    """Returns `batch_sizes` if there are requests to be made of them.

    Raises:
        ValueError: otherwise.
    """
    sizes = tuple(batch_sizes)
    if not 0 < 3 * len(sizes) <= _MOST_RECORDS:
        raise ValueError(
            "`batch_sizes` must be at least one and at most 333 batch sizes. "
            f"Received: batch_sizes={batch_sizes!r}"
        )
    return tuple(check_count(size, "batch_sizes") for size in sizes)


def _prediction_log(name: str, signature: str, key: str, values: np.ndarray) -> Any:
    from tensorflow_serving.apis import (
        model_pb2,
        predict_pb2,
        prediction_log_pb2,
    )

    request = predict_pb2.PredictRequest(
        model_spec=model_pb2.ModelSpec(name=name, signature_name=signature),
        inputs={key: tf.make_tensor_proto(values)},
    )
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
