"""An `.onnx` file as a classifier: logits in batches, without gradients."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.form import Runner
from keras_efgsm.records.environment import allowed_cores


class ONNXClassifier(Runner):
    """Logits of an `.onnx` file, run by ONNX Runtime on the cores that the process may use.

    One made for a fixed batch is run batch after batch of that size.

    Args:
        path: the `.onnx` file. It takes float32 images `(batch, height, width, channels)`, and
            answers with one output, or one of its outputs is called `logits`.

    Attributes:
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits.

    Raises:
        ImportError: if ONNX Runtime is not installed.
        ValueError: if it cannot be read, or does not map one batch of images to logits.

    Example:

    ```python
    classifier = ONNXClassifier("exported_models/mnist/mnist-1.onnx")
    classifier.logits(np.zeros((5, 28, 28, 1), "float32")).shape  # (5, 10)
    ```
    """

    def __init__(self, path: str | os.PathLike[str]):
        received = f"Received: path={str(path)!r}"
        self._session = _session(Path(path), received)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = list(inputs[0].shape) if inputs else []
        # A free dimension is a name, or None.
        if (
            len(inputs) != 1
            or inputs[0].type != "tensor(float)"
            or len(shape) != 4
            or not all(isinstance(size, int) and size > 0 for size in shape[1:])
        ):
            described = [f"{node.name}: {node.type} {node.shape}" for node in inputs]
            raise ValueError(
                "The `.onnx` file must take one batch of float32 images of one size (batch, "
                f"height, width, channels). {received}, inputs={described}"
            )
        names = [node.name for node in outputs]
        if len(names) != 1 and "logits" not in names:
            raise ValueError(
                "The `.onnx` file must answer with one output, or one named `logits`. "
                f"{received}, outputs={names}"
            )
        answer = outputs[names.index("logits") if "logits" in names else 0]
        if answer.type != "tensor(float)" or len(answer.shape) != 2:
            raise ValueError(
                "The `.onnx` file must answer with float32 logits (batch, num_classes). "
                f"{received}, {answer.name}: {answer.type} {answer.shape}"
            )
        self._entry, self._answer = inputs[0].name, answer.name
        self._fixed_batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        height, width, channels = shape[1:]
        self.image_shape = (height, width, channels)
        # The file may leave the number of classes open; a loop over steps has to know it.
        self.num_classes = self.logits(np.zeros((1, *self.image_shape), "float32")).shape[1]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Float32 logits `(B, K)`.

        Args:
            images: float32 `(B, H, W, C)` in [0, 1].
        """
        size = self._fixed_batch or len(images)
        return np.concatenate(
            [self._run(images[i : i + size], size) for i in range(0, len(images), size)]
        )

    def _run(self, images: np.ndarray, size: int) -> np.ndarray:
        count = len(images)
        if count < size:
            images = np.concatenate([images, np.repeat(images[-1:], size - count, axis=0)])
        logits: np.ndarray = self._session.run([self._answer], {self._entry: images})[0][:count]
        return logits


def _session(path: Path, received: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "A `.onnx` file is run by ONNX Runtime, an optional dependency: "
            f"pip install keras-efgsm[onnx] ({error}) {received}"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = allowed_cores()
    # Its threads would go on spinning after an answer and slow down whatever comes next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors: a warning for each folded constant helps nobody
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    # Its exceptions have no common base of their own.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"The `.onnx` file cannot be loaded. {reason} {received}") from error
