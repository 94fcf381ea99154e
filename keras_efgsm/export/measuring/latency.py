"""How long the forms of a classifier take to answer, measured side by side."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_efgsm.evaluation.models import load_classifier
from keras_efgsm.form_table import form_of
from keras_efgsm.networks.answers import random_images

Runner = Callable[[np.ndarray], np.ndarray]
"""NumPy images `(B, H, W, C)` to NumPy logits `(B, K)`."""

BATCH = 100
_WARM_UP_CALLS = 5


@dataclass(frozen=True)
class Latency:
    """Milliseconds from NumPy images to NumPy logits.

    Args:
        median_ms: of one image.
        p90_ms: of one image, the 90th percentile.
        batch_median_ms: of a batch of 100 images.
    """

    median_ms: float
    p90_ms: float
    batch_median_ms: float

    def to_dict(self) -> dict[str, float]:
        """The figures, ready for JSON."""
        return asdict(self)


def runner(path: Path, *, eager: bool = False) -> Runner:
    """Returns a function that answers images as an application would call this form.

    Files go through their own runtime on all cores that the process may use, a SavedModel through
    its signature. A Keras model is compiled by `tf.function`, once for each batch size, as
    `predict` does it: one called eagerly pays more for Python than for its layers.

    Args:
        path: as of `load_classifier`.
        eager: whether to call a Keras model as it is. Defaults to `False`.

    Example:

    ```python
    runner(Path("exported_models/mnist/mnist-1.onnx"))(np.zeros((5, 28, 28, 1), "float32"))
    ```
    """
    form = form_of(path)
    if form is not None:
        return form.load(path).logits
    logits_fn = load_classifier(path).logits_fn
    if not eager:
        logits_fn = tf.function(logits_fn, autograph=False)
    return lambda images: logits_fn(tf.constant(images)).numpy()


def measure_latencies(
    runners: Mapping[str, Runner],
    image_shape: tuple[int, int, int],
    *,
    calls: int = 300,
    batch_calls: int = 50,
) -> dict[str, Latency]:
    """Times forms in turn within one process, so that what disturbs one disturbs all alike.

    Args:
        runners: what answers, by the form's name.
        image_shape: `(H, W, C)`.
        calls: with one image, of each form. Defaults to `300`.
        batch_calls: with 100 images, of each form. Defaults to `50`.

    Example:

    ```python
    from keras_efgsm.export.litert_runner import TFLiteClassifier

    runners = {"lite": TFLiteClassifier("exported_models/mnist/mnist-1.tflite").logits}
    measure_latencies(runners, (28, 28, 1))["lite"].median_ms
    ```
    """
    single = _times(runners, random_images(image_shape, 1), calls)
    batch = _times(runners, random_images(image_shape, BATCH), batch_calls)
    return {
        name: Latency(
            median_ms=float(np.median(single[name])),
            p90_ms=float(np.percentile(single[name], 90)),
            batch_median_ms=float(np.median(batch[name])),
        )
        for name in runners
    }


def _times(runners: Mapping[str, Runner], images: np.ndarray, calls: int) -> dict[str, Any]:
    for run in runners.values():
        for _ in range(_WARM_UP_CALLS):
            run(images)
    times: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(calls):
        for name, run in runners.items():
            began = time.perf_counter()
            run(images)
            times[name].append(1000.0 * (time.perf_counter() - began))
    return times
