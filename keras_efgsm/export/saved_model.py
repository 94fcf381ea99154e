"""The classifier as a SavedModel: endpoints for pixels, for bytes of pixels and for image files."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_efgsm.export.contract import check_contract
from keras_efgsm.export.image_bytes import pixels_of_files
from keras_efgsm.export.refusals import refuse_other_images, refuse_other_pixels
from keras_efgsm.form import Contract
from keras_efgsm.networks.precision import float32_twin

LABELS_FILE = "labels.txt"


def write_saved_model(
    classifier: keras.Model,
    path: str | os.PathLike[str],
    class_names: Sequence[str],
    *,
    resizes: bool = False,
) -> None:
    """Writes `classifier` as a SavedModel that needs neither Keras nor this library to run.

    Signatures, with H, W, C and K those of the classifier:

    - `serving_default`: `image` float32 `(batch, H, W, C)`, pixels in [0, 1], to
      `logits` and `probabilities`, float32 `(batch, K)`. It can be differentiated
      after `tf.saved_model.load`, as long as the loaded object is kept.
    - `serving_uint8`: `image` uint8 `(batch, H, W, C)` to `class_id` int64
      `(batch,)`, `label` string `(batch,)` and `probabilities`.
    - `serving_bytes`: `image_bytes` string `(batch,)`, PNG or JPEG files, to the
      same three.

    Refused inside the graph, with an InvalidArgumentError that names the input: another size or
    rank, an empty batch, pixels that are NaN, infinite or outside [0, 1], and bytes that are not an
    image file. Files of another size are refused by their header, or resized. Only the weights
    that the answers depend on are stored, each once, and all computation is in float32.

    Args:
        classifier: functional or sequential model, float images
            `(batch, H, W, C)` in [0, 1] to logits `(batch, K)`.
        path: the folder to write; it must not exist yet.
        class_names: the K labels, in the order of the logits.
        resizes: whether `serving_bytes` brings files of another size to H x W, by the
            interpolation that a run with an `image_size` resizes its images with. Defaults to
            `False`.

    Raises:
        ValueError: if `path` exists, or if `classifier` or `class_names` are
            not what `check_contract` asks for.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    write_saved_model(classifier, "cats_and_dogs", ["cat", "dog"])
    model = tf.saved_model.load("cats_and_dogs")
    model.signatures["serving_default"](image=tf.zeros((1, 8, 8, 1)))["probabilities"]
    ```
    """
    path = Path(path)
    if os.path.lexists(path):
        raise ValueError(f"`path` must not exist yet. Received: path={str(path)!r}")
    contract = check_contract(classifier, class_names, resizes=resizes)
    classifier = float32_twin(classifier)
    with tempfile.TemporaryDirectory() as folder:
        labels_file = Path(folder) / LABELS_FILE
        labels_file.write_text("".join(f"{n}\n" for n in contract.class_names), encoding="utf-8")
        module = tf.Module()
        # The initializer carries its file along as an asset of the SavedModel.
        module.labels = tf.lookup.StaticHashTable(_LabelsInitializer(labels_file), default_value="")
        signatures = {
            "serving_default": _pixels_endpoint(classifier, contract),
            "serving_uint8": _uint8_endpoint(classifier, contract, module.labels),
            "serving_bytes": _bytes_endpoint(classifier, contract, module.labels),
        }
        # The module holds what the graphs read and nothing else: no optimizer, no seed, no metric.
        used = {v.ref(): v for s in signatures.values() for v in s.variables}
        module.weights = list(used.values())
        tf.saved_model.save(module, str(path), signatures=signatures)


class _LabelsInitializer(tf.lookup.TextFileInitializer):  # type: ignore[misc]  # no types
    """Line number to line of a file, in a table named after the lines.

    TensorFlow would name the table after the path, which would leave with the graph. Tables of one
    name are one table where a session loads two models, so the name has to tell labels apart.
    """

    def __init__(self, labels_file: Path):
        self._table_name = f"labels_{hashlib.sha256(labels_file.read_bytes()).hexdigest()[:16]}"
        super().__init__(
            str(labels_file),
            key_dtype=tf.int64,
            key_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            value_dtype=tf.string,
            value_index=tf.lookup.TextFileIndex.WHOLE_LINE,
        )

    @property
    def _shared_name(self) -> str:
        return self._table_name


def _pixels_endpoint(classifier: keras.Model, contract: Contract) -> Any:
    spec = tf.TensorSpec((None, *contract.image_shape), tf.float32, name="image")

    def serving_default(image: tf.Tensor) -> dict[str, tf.Tensor]:
        image = refuse_other_images(image, contract, "image")
        return _answer(classifier, refuse_other_pixels(image, "image"))

    return _concrete(serving_default, spec)


def _uint8_endpoint(
    classifier: keras.Model, contract: Contract, labels: tf.lookup.StaticHashTable
) -> Any:
    spec = tf.TensorSpec((None, *contract.image_shape), tf.uint8, name="image")

    def serving_uint8(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return _named_answer(classifier, refuse_other_images(image, contract, "image"), labels)

    return _concrete(serving_uint8, spec)


def _bytes_endpoint(
    classifier: keras.Model, contract: Contract, labels: tf.lookup.StaticHashTable
) -> Any:
    spec = tf.TensorSpec((None,), tf.string, name="image_bytes")

    def serving_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return _named_answer(classifier, pixels_of_files(image_bytes, contract), labels)

    return _concrete(serving_bytes, spec)


def _concrete(function: Callable[..., Any], spec: tf.TensorSpec) -> Any:
    return tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()


def _answer(classifier: keras.Model, image: tf.Tensor) -> dict[str, tf.Tensor]:
    logits = tf.cast(classifier(image, training=False), tf.float32)
    return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def _named_answer(
    classifier: keras.Model, levels: tf.Tensor, labels: tf.lookup.StaticHashTable
) -> dict[str, tf.Tensor]:
    answer = _answer(classifier, tf.cast(levels, tf.float32) / 255.0)
    class_id = tf.argmax(answer["logits"], axis=-1, output_type=tf.int64)
    return {
        "class_id": class_id,
        "label": labels.lookup(class_id),
        "probabilities": answer["probabilities"],
    }
