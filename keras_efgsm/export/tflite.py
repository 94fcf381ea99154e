"""The classifier as a `.tflite` file for LiteRT: float32, or with smaller numbers."""

import os
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_efgsm.array_checks import check_images
from keras_efgsm.checks import check_choice
from keras_efgsm.export.endpoint import logits_endpoint
from keras_efgsm.export.litert_runner import TFLiteClassifier, open_interpreter
from keras_efgsm.export.operations import lacking

QUANTIZATIONS = (None, "float16", "dynamic", "int8")
# Fewer images say little about the ranges that activations take.
FEWEST_REPRESENTATIVE_IMAGES = 16


def write_tflite(
    classifier: keras.Model,
    path: str | os.PathLike[str],
    *,
    quantization: str | None = None,
    representative_images: np.ndarray | None = None,
) -> None:
    """Writes the logits of `classifier` as a `.tflite` file.

    The signature `serving_default` takes `image` `(batch, H, W, C)`, pixels in [0, 1], and answers
    `logits` `(batch, K)`, for any batch once the input is resized; both float32, or int8 in the
    scale of the tensors where `quantization="int8"`. Only built-in operations are used:
    `model.export(format="litert")` of Keras would let TensorFlow's slip in, which the interpreter
    of `ai_edge_litert` cannot run, and would call the answer `output_0`.

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`.
        path: the file to write, ending in `.tflite`; it must not exist yet.
        quantization: `"float16"` stores the weights in half the bytes;
            `"dynamic"` stores those of larger layers as int8 and computes
            their activations' range at each call; `"int8"` computes in
            integers wherever LiteRT can. Defaults to `None`: float32.
        representative_images: float32 `(n, H, W, C)` in [0, 1], n >= 16, whose
            activations fix the ranges of `"int8"`; some hundreds of training
            images. Defaults to none, which `"int8"` refuses.

    Raises:
        ValueError: if `path` exists or ends otherwise, `quantization` is
            unknown, or `representative_images` are missing or wrong.
        ExportError: if the classifier has an operation that LiteRT has not.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    write_tflite(classifier, "cats_and_dogs.tflite", quantization="float16")
    tflite_logits("cats_and_dogs.tflite", np.zeros((5, 8, 8, 1), "float32")).shape  # (5, 2)
    ```
    """
    path = Path(path)
    if path.suffix != ".tflite" or os.path.lexists(path):
        raise ValueError(
            f"`path` must end in `.tflite` and not exist yet. Received: path={str(path)!r}"
        )
    check_choice(quantization, "quantization", QUANTIZATIONS)
    if quantization == "int8":
        check_representative_images(representative_images, tuple(classifier.inputs[0].shape[1:]))
    endpoint = logits_endpoint(classifier)
    module = tf.Module()
    module.weights = list(endpoint.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([endpoint], module)
    _set_quantization(converter, quantization, representative_images)
    try:
        content = converter.convert()
    except Exception as error:
        unknown = [
            entry.operator.name.removeprefix("tf.") for entry in getattr(error, "errors", ())
        ]
        raise lacking("LiteRT", unknown, error, f"classifier={classifier.name!r}") from error
    path.write_bytes(content)


def check_representative_images(
    images: np.ndarray | None, image_shape: tuple[int, int, int]
) -> None:
    """Checks the images that full int8 is calibrated with.

    Args:
        images: what was given.
        image_shape: `(height, width, channels)` of the classifier's images.

    Raises:
        ValueError: if they are not at least 16 images of that shape, finite
            and in [0, 1].
    """
    shape = () if images is None else np.shape(images)
    if len(shape) != 4 or shape[1:] != image_shape or shape[0] < FEWEST_REPRESENTATIVE_IMAGES:
        raise ValueError(
            f"`representative_images` must be at least {FEWEST_REPRESENTATIVE_IMAGES} images (500 "
            f"of the training data are better), shape (n, {', '.join(map(str, image_shape))}). "
            f"Received: representative_images.shape={shape}"
        )
    check_images(images, "representative_images")


def _set_quantization(
    converter: tf.lite.TFLiteConverter, quantization: str | None, images: np.ndarray | None
) -> None:
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantization is None:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization == "int8" and images is not None:
        chosen = images

        def each_image() -> Iterator[list[np.ndarray]]:
            for image in chosen:
                yield [np.asarray(image[None], "float32")]

        converter.representative_dataset = each_image
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8


def tflite_logits(path: str | os.PathLike[str], images: np.ndarray) -> np.ndarray:
    """Returns the float32 logits `(n, K)` that a `.tflite` file gives for `images`.

    A file of integers is given the images, and answers, in the scale of its own tensors.

    Args:
        path: a file that `write_tflite` wrote.
        images: float32 array `(n, height, width, channels)`, pixels in [0, 1].

    Raises:
        ValueError: if the images have another size than the file takes.

    Example:

    ```python
    images = np.zeros((5, 28, 28, 1), "float32")
    tflite_logits("exported_models/mnist/mnist-1.tflite", images).shape  # (5, 10)
    ```
    """
    runner = TFLiteClassifier(path)
    if tuple(np.shape(images)[1:]) != runner.image_shape:
        raise ValueError(
            f"`images` must have shape (n, {', '.join(map(str, runner.image_shape))}). "
            f"Received: images.shape={np.shape(images)}"
        )
    return runner.logits(np.asarray(images, "float32"))


def tensor_scales(path: str | os.PathLike[str]) -> tuple[tuple[float, int], tuple[float, int]]:
    """Returns scale and zero point of the input and of the output of a `.tflite` file.

    Args:
        path: a file that `write_tflite` wrote; both are zero where its tensors are float.
    """
    interpreter = open_interpreter(Path(path))
    (entry,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    return entry["quantization"], answer["quantization"]


def is_all_integers(path: str | os.PathLike[str]) -> bool:
    """Returns whether a `.tflite` file computes in integers throughout.

    Args:
        path: a file that `write_tflite` wrote; of int8 the converter leaves an operation in float
            for which LiteRT has no other.
    """
    types = {
        np.dtype(tensor["dtype"]) for tensor in open_interpreter(Path(path)).get_tensor_details()
    }
    return not any(np.issubdtype(kind, np.floating) for kind in types)
