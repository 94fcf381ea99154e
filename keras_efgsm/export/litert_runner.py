"""A `.tflite` file as a classifier: logits in batches, without gradients."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.form import Runner
from keras_efgsm.records.environment import allowed_cores


class TFLiteClassifier(Runner):
    """Logits of a `.tflite` file, run by LiteRT.

    A file of integers (full int8 quantisation) is given its images, and answers, in the scale of
    its own tensors. One converted for a fixed batch is run batch after batch of that size.

    Args:
        path: the `.tflite` file.

    Attributes:
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits.

    Raises:
        ImportError: if neither LiteRT nor TensorFlow is installed.
        ValueError: if it cannot be read, or does not map one batch of images to logits.

    Example:

    ```python
    classifier = TFLiteClassifier("exported_models/mnist/mnist-1.tflite")
    classifier.logits(np.zeros((5, 28, 28, 1), "float32")).shape  # (5, 10)
    ```
    """

    def __init__(self, path: str | os.PathLike[str]):
        received = f"Received: path={str(path)!r}"
        try:
            self._interpreter = open_interpreter(Path(path))
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(f"The `.tflite` file cannot be loaded. {reason} {received}") from error
        entries = self._interpreter.get_input_details()
        answers = self._interpreter.get_output_details()
        shapes = [tuple(int(n) for n in d["shape_signature"]) for d in (*entries, *answers)]
        if len(entries) != 1 or len(answers) != 1 or (len(shapes[0]), len(shapes[1])) != (4, 2):
            raise ValueError(
                "The `.tflite` file must map one batch of images (batch, height, width, channels) "
                f"to one batch of logits (batch, num_classes). {received}, shapes={shapes}"
            )
        # A variable of a `.tflite` file has a type that NumPy has not.
        if any(np.dtype(d["dtype"]).kind in "OV" for d in self._interpreter.get_tensor_details()):
            raise ValueError(
                "The `.tflite` file must hold its weights as constants: it has variables, which "
                "are not in the file, so that its answers are what happens to lie in memory. "
                f"`keras_efgsm.export.tflite.write_tflite` converts a Keras model. {received}"
            )
        self._entry, self._answer = entries[0], answers[0]
        for tensor in (self._entry, self._answer):
            kind = np.dtype(tensor["dtype"])
            if kind not in (np.float32, np.int8, np.uint8):
                raise ValueError(
                    "The `.tflite` file must take and answer float32, int8 or uint8. "
                    f"{received}, {tensor['name']}: {kind}"
                )
            if kind != np.float32 and not tensor["quantization"][0] > 0.0:
                raise ValueError(
                    "Integers of a `.tflite` file must have one scale for the whole tensor. "
                    f"{received}, {tensor['name']}: {kind}"
                )
        height, width, channels = shapes[0][1:]
        self.image_shape = (height, width, channels)
        self.num_classes = int(self._answer["shape"][-1])
        if any(size < 1 for size in self.image_shape):
            raise ValueError(
                "The `.tflite` file must take images of one size. "
                f"{received}, image_shape={self.image_shape}"
            )
        self._fixed_batch = shapes[0][0] if shapes[0][0] > 0 else None
        self._lock = threading.Lock()

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Float32 logits `(B, K)`.

        Args:
            images: float32 `(B, H, W, C)` in [0, 1].
        """
        # TensorFlow may call from several threads; the interpreter is one set of buffers.
        with self._lock:
            size = self._fixed_batch or len(images)
            parts = [self._run(images[i : i + size], size) for i in range(0, len(images), size)]
        return np.concatenate(parts)

    def _run(self, images: np.ndarray, size: int) -> np.ndarray:
        count = len(images)
        if count < size:
            images = np.concatenate([images, np.repeat(images[-1:], size - count, axis=0)])
        index = self._entry["index"]
        if tuple(self._interpreter.get_input_details()[0]["shape"]) != images.shape:
            # `strict` lets only the batch change.
            self._interpreter.resize_tensor_input(index, images.shape, strict=True)
            self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(index, _to_integers(images, self._entry))
        self._interpreter.invoke()
        return _from_integers(self._interpreter.get_tensor(self._answer["index"]), self._answer)[
            :count
        ]


def _to_integers(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    kind = np.dtype(tensor["dtype"])
    if kind == np.float32:
        return np.asarray(values, "float32")
    scale, zero = tensor["quantization"]
    limits = np.iinfo(kind)
    levels: np.ndarray = np.clip(np.round(values / scale) + zero, limits.min, limits.max)
    return levels.astype(kind)


def _from_integers(values: np.ndarray, tensor: dict[str, Any]) -> np.ndarray:
    if values.dtype == np.float32:
        return values
    scale, zero = tensor["quantization"]
    logits: np.ndarray = (values.astype("float32") - zero) * scale
    return logits.astype("float32")


def open_interpreter(path: Path) -> Any:
    """LiteRT's interpreter of a file, or TensorFlow's where LiteRT is not installed.

    Args:
        path: the `.tflite` file.

    Raises:
        ImportError: if neither is installed.
        ValueError: if the file cannot be read.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = _interpreter_of_tensorflow()
    return Interpreter(model_path=str(path), num_threads=allowed_cores())


def _interpreter_of_tensorflow() -> Any:
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ImportError(
            "A `.tflite` file is run by LiteRT, an optional dependency: "
            f"pip install keras-efgsm[litert] ({error})"
        ) from error
    return tf.lite.Interpreter
