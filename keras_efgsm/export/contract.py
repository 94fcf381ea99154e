"""The contract of an export: a classifier from images to logits, with a name for every class."""

import warnings
from collections.abc import Sequence

import keras

from keras_efgsm.checks import check_printable
from keras_efgsm.form import Contract, ExportError
from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.requirements import read_contract

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
        ValueError: if `classifier` is not such a model, see `read_contract`,
            if it answers at random, or if `class_names` are not K distinct
            labels of one line each.
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
    found = read_contract(classifier)
    if found.is_random:
        raise ValueError(
            "`classifier` must answer the same images alike in evaluation mode, as a file does; "
            "leave out what draws at random there. "
            f"Received: classifier={classifier.name!r}, which answers differently at each call"
        )
    shape = tuple(inputs[0].shape)
    # A fixed batch would answer some requests and fail at others.
    if shape[0] is not None:
        raise ValueError(
            "`classifier` must take images of shape (None, height, width, channels): any batch, "
            f"one image size. Received: classifier.inputs[0].shape={shape}"
        )
    if shape[3] not in DECODABLE_CHANNELS:
        raise ValueError(
            "`classifier` must take 1 (grey), 3 (RGB) or 4 (RGBA) channels, which a PNG can hold. "
            f"Received: classifier.inputs[0].shape={shape}"
        )
    for doubt in found.doubts:
        warnings.warn(doubt, stacklevel=4)
    return found.image_shape, found.num_classes


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
