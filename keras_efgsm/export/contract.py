"""The contract of an export: a classifier from images to logits, with a name for every class."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_efgsm.checks import check_printable
from keras_efgsm.form import Contract, ExportError
from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.requirements import are_probabilities, final_layer, random_images

__all__ = ["DECODABLE_CHANNELS", "Contract", "ExportError", "check_contract"]

# What `decode_image` can produce: grey, RGB, and RGBA (PNG only).
DECODABLE_CHANNELS = (1, 3, 4)


def check_contract(
    classifier: keras.Model, class_names: Sequence[str], *, resizes: bool = False
) -> Contract:
    """Returns the contract of `classifier` if it can be exported.

    Args:
        classifier: functional or sequential model, float images
            `(batch, height, width, channels)` to logits `(batch, K)`.
        class_names: the K labels, in the order of the logits.
        resizes: whether image files of another size are resized, as the training images were.
            Defaults to `False`: they are refused.

    Raises:
        ValueError: if `classifier` is not such a model, if it answers with
            probabilities or with values that are not finite, or if
            `class_names` are not K distinct labels of one line each.
        RuntimeError: if Keras does not run on TensorFlow.

    Example:

    ```python
    classifier = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    check_contract(classifier, ["cat", "dog"]).image_shape  # (8, 8, 1)
    ```
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "Export needs Keras on TensorFlow: save the classifier as `.keras` and export it in a "
            "process started with KERAS_BACKEND=tensorflow. "
            f"Received: keras.backend.backend()={keras.backend.backend()!r}"
        )
    check_keras_settings()
    image_shape, num_classes = _check_shapes(classifier)
    names = _check_class_names(class_names, num_classes)
    _check_answers_logits(classifier, image_shape)
    return Contract(image_shape=image_shape, class_names=names, resizes=resizes)


def _check_shapes(classifier: keras.Model) -> tuple[tuple[int, int, int], int]:
    inputs = getattr(classifier, "inputs", None)
    outputs = getattr(classifier, "outputs", None)
    if not isinstance(classifier, keras.Model) or not inputs or not outputs:
        raise ValueError(
            "`classifier` must be a functional or built sequential keras.Model; of a trainer, "
            "give the classifier it trains. "
            f"Received: classifier={type(classifier).__name__}"
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "`classifier` must have one input (the images) and one output (the logits). "
            f"Received: len(classifier.inputs)={len(inputs)}, "
            f"len(classifier.outputs)={len(outputs)}"
        )
    shape, dtype = tuple(inputs[0].shape), str(inputs[0].dtype)
    # A fixed batch or a free image size would answer some requests and fail at others.
    if len(shape) != 4 or shape[0] is not None or None in shape[1:]:
        raise ValueError(
            "`classifier` must take images of shape (None, height, width, channels): any batch, "
            f"one image size. Received: classifier.inputs[0].shape={shape}"
        )
    if "float" not in dtype:
        raise ValueError(
            "`classifier` must take floating-point pixels in [0, 1]. "
            f"Received: classifier.inputs[0].dtype={dtype!r}"
        )
    if shape[3] not in DECODABLE_CHANNELS:
        raise ValueError(
            "`classifier` must take 1 (grey), 3 (RGB) or 4 (RGBA) channels, which a PNG can hold. "
            f"Received: classifier.inputs[0].shape={shape}"
        )
    answer = tuple(outputs[0].shape)
    if len(answer) != 2 or answer[1] is None or answer[1] < 2:
        raise ValueError(
            "`classifier` must answer with logits of shape (batch, K), K >= 2. "
            f"Received: classifier.outputs[0].shape={answer}"
        )
    return shape[1:], int(answer[1])


def _check_class_names(class_names: Sequence[str], num_classes: int) -> tuple[str, ...]:
    # A string is a sequence of strings too: "0123456789" would pass as ten digits.
    names = () if isinstance(class_names, str) else tuple(class_names)
    if len(names) != num_classes:
        raise ValueError(
            f"`class_names` must hold {num_classes} labels, one per logit of the classifier. "
            f"Received: class_names={class_names!r}"
        )
    for name in names:
        # The labels leave as a text file of one line each.
        if not isinstance(name, str) or not name or name.splitlines() != [name]:
            raise ValueError(
                "`class_names` must be non-empty strings of one line. "
                f"Received: class_names={names!r}, with {name!r}"
            )
    check_printable(names, "class_names")
    if len(set(names)) != len(names):
        raise ValueError(f"`class_names` must be distinct. Received: class_names={names!r}")
    return names


def _check_answers_logits(classifier: keras.Model, image_shape: tuple[int, int, int]) -> None:
    last = final_layer(classifier)
    is_softmax = isinstance(last, keras.layers.Softmax)
    is_softmax |= getattr(last, "activation", None) is keras.activations.softmax
    answers = classifier(random_images(image_shape), training=False)
    answers = keras.ops.convert_to_numpy(keras.ops.cast(answers, "float32"))
    if not np.isfinite(answers).all():
        raise ValueError(
            "`classifier` must answer with finite logits; are its weights NaN? "
            f"Received: logits on random images={answers[0].tolist()}"
        )
    is_softmax |= are_probabilities(answers)
    if is_softmax:
        raise ValueError(
            "`classifier` must answer with logits: drop its softmax, the export adds the "
            "`probabilities` itself. "
            f"Received: last layer={last.name!r} ({type(last).__name__}), "
            f"first answer={answers[0].tolist()}"
        )
