"""The classifier as a float32 `.onnx` file."""

import os
from pathlib import Path

import keras
import numpy as np

from keras_efgsm.checks import check_count
from keras_efgsm.export.endpoint import frozen_graph, quiet
from keras_efgsm.export.onnx_operations import HANDLERS
from keras_efgsm.export.onnx_runner import ONNXClassifier
from keras_efgsm.export.operations import lacking

DEFAULT_OPSET = 17
_OLDEST_OPSET = 13


def write_onnx(
    classifier: keras.Model, path: str | os.PathLike[str], *, opset: int = DEFAULT_OPSET
) -> None:
    """Writes the logits of `classifier` as a float32 `.onnx` file.

    It takes `image` float32 `(batch, H, W, C)`, pixels in [0, 1], and answers `logits` float32
    `(batch, K)`, for any batch. Needs the packages tf2onnx and onnx (`keras-efgsm[onnx]`).

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`.
        path: the file to write, ending in `.onnx`; it must not exist yet.
        opset: the version of ONNX's operations, from 13 to the newest that
            tf2onnx writes. Defaults to 17.

    Raises:
        ValueError: if `path` exists or ends otherwise, or tf2onnx does not
            write `opset`.
        ImportError: if tf2onnx or onnx is missing.
        ExportError: if the classifier has an operation that ONNX has not.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    write_onnx(classifier, "cats_and_dogs.onnx")
    onnx_logits("cats_and_dogs.onnx", np.zeros((5, 8, 8, 1), "float32")).shape  # (5, 2)
    ```
    """
    path = Path(path)
    if path.suffix != ".onnx" or os.path.lexists(path):
        raise ValueError(
            f"`path` must end in `.onnx` and not exist yet. Received: path={str(path)!r}"
        )
    check_opset(opset)
    import onnx
    import tf2onnx

    graph, entry, answer = frozen_graph(classifier)
    unknown: list[str] = []
    try:
        with quiet():
            model, _ = tf2onnx.convert.from_graph_def(
                graph,
                input_names=[entry],
                output_names=[answer],
                opset=opset,
                custom_op_handlers=dict(HANDLERS),
                tensors_to_rename={entry: "image", answer: "logits"},
            )
        # What it has no rule for it leaves as it was.
        unknown = [n.op_type for n in model.graph.node if not onnx.defs.has(n.op_type, n.domain)]
        for value in (*model.graph.input, *model.graph.output):
            # The converter numbers the sizes it does not know.
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        received = f"classifier={classifier.name!r}, opset={opset}"
        raise lacking("ONNX", unknown, error, received) from error
    path.write_bytes(model.SerializeToString(deterministic=True))


def check_opset(opset: int) -> int:
    """Returns `opset` if the installed tf2onnx writes it.

    Raises:
        ValueError: otherwise.
        ImportError: if tf2onnx is missing.
    """
    from tf2onnx.constants import OPSET_TO_IR_VERSION

    newest = max(OPSET_TO_IR_VERSION)
    if check_count(opset, "opset") not in range(_OLDEST_OPSET, newest + 1):
        raise ValueError(
            f"`opset` must be from {_OLDEST_OPSET} to {newest}, which the installed "
            f"tf2onnx writes. Received: opset={opset}"
        )
    return opset


def onnx_logits(path: str | os.PathLike[str], images: np.ndarray) -> np.ndarray:
    """Returns the logits `(n, K)` that onnxruntime computes from an `.onnx` file on the CPU.

    Args:
        path: a file that `write_onnx` wrote.
        images: float32 array `(n, height, width, channels)`, pixels in [0, 1].

    Raises:
        ImportError: if onnxruntime is missing.

    Example:

    ```python
    images = np.zeros((5, 28, 28, 1), "float32")
    onnx_logits("exported_models/mnist/mnist-1.onnx", images).shape  # (5, 10)
    ```
    """
    return ONNXClassifier(path).logits(np.asarray(images, "float32"))
