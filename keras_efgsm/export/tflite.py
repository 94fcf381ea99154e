"""The classifier as a float32 `.tflite` file for LiteRT."""

import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.export.contract import ExportError
from keras_efgsm.precision import float32_twin


def write_tflite(classifier: keras.Model, path: str | os.PathLike) -> None:
    """Writes the logits of `classifier` as a float32 `.tflite` file.

    The signature `serving_default` takes `image` float32 `(batch, H, W, C)`, pixels in [0, 1], and
    answers `logits` float32 `(batch, K)`, for any batch once the input is resized. Only built-in
    operations are used: `model.export(format="litert")` of Keras would let TensorFlow's slip in,
    which the interpreter of `ai_edge_litert` cannot run, and would call the answer `output_0`.

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`.
        path: the file to write, ending in `.tflite`; it must not exist yet.

    Raises:
        ValueError: if `path` exists or ends otherwise.
        ExportError: if the classifier has an operation that LiteRT has not.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    write_tflite(classifier, "cats_and_dogs.tflite")
    tflite_logits("cats_and_dogs.tflite", np.zeros((5, 8, 8, 1), "float32")).shape  # (5, 2)
    ```
    """
    path = Path(path)
    if path.suffix != ".tflite" or os.path.lexists(path):
        raise ValueError(
            f"`path` must end in `.tflite` and not exist yet. Received: path={str(path)!r}"
        )
    classifier = float32_twin(classifier)
    spec = tf.TensorSpec(tuple(classifier.inputs[0].shape), tf.float32, name="image")

    @tf.function(input_signature=[spec], autograph=False)
    def serving_default(image):
        return {"logits": tf.cast(classifier(image, training=False), tf.float32)}

    endpoint = serving_default.get_concrete_function()
    module = tf.Module()
    module.weights = list(endpoint.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([endpoint], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        content = converter.convert()
    except Exception as error:
        raise ExportError(
            "The classifier must be made of operations that LiteRT has built in; the converter's "
            f"own error is above. Received: classifier={classifier.name!r}"
        ) from error
    path.write_bytes(content)


def tflite_logits(path: str | os.PathLike, images: np.ndarray) -> np.ndarray:
    """Returns the logits `(n, K)` that a `.tflite` file gives for `images`.

    Args:
        path: a file that `write_tflite` wrote.
        images: float32 array `(n, height, width, channels)`, pixels in [0, 1].

    Raises:
        ValueError: if the images have another size than the file takes.
    """
    interpreter = _interpreter(Path(path))
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    (answer,) = interpreter.get_output_details()
    taken = tuple(entry["shape_signature"][1:])
    if tuple(np.shape(images)[1:]) != taken:
        raise ValueError(
            f"`images` must have shape (n, {', '.join(map(str, taken))}). "
            f"Received: images.shape={np.shape(images)}"
        )
    # `strict` lets only the batch change.
    interpreter.resize_tensor_input(entry["index"], images.shape, strict=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], np.asarray(images, "float32"))
    interpreter.invoke()
    return interpreter.get_tensor(answer["index"])


def _interpreter(path: Path):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    return Interpreter(model_path=str(path))
