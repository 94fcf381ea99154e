"""What a classifier must be: trainer, evaluation, diagnosis, export and attacks ask here."""

from typing import Any, NamedTuple

import keras
import numpy as np

from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.answers import FEW, STRIP, check_answers
from keras_efgsm.networks.first_layers import looks_channels_first, read_first_layers
from keras_efgsm.networks.outputs import choose_output, is_one_number
from keras_efgsm.networks.without_softmax import activation_at_end

_TO_LOGITS = "`keras_efgsm.networks.with_logits(model{})` makes such a classifier of it"
_TO_PIXELS = "`keras_efgsm.networks.for_unit_pixels(model)` puts that in"


class Contract(NamedTuple):
    """What a classifier takes and returns, as it was found on checking it.

    Attributes:
        image_shape: `(H, W, C)`.
        num_classes: the number K of logits.
        is_random: whether it answers the same images differently in evaluation mode.
        doubts: sentences on what it can hardly be meant to be; none for most.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    is_random: bool = False
    doubts: tuple[str, ...] = ()


def check_classifier(classifier: Any) -> int:
    """Checks that a Keras model maps images to logits; see `read_contract`.

    Args:
        classifier: functional or sequential model from `(B, H, W, C)` to `(B, K)`.

    Returns:
        The number of classes K.

    Raises:
        ValueError: if it does not.
    """
    return read_contract(classifier).num_classes


def read_contract(classifier: Any, *, declared: bool = False) -> Contract:
    """Checks a classifier and returns what it is: two passes over a few random images.

    It takes one batch of floating-point images, channels last, pixels in [0, 1], and returns one
    tensor of finite logits, two at least; `with_logits` makes one of a model that returns something
    else. What may be meant, but hardly is, comes back in words: a network that takes pixels of
    0..255.

    Args:
        classifier: functional or sequential model from `(B, H, W, C)` to `(B, K)`.
        declared: whether its user says that its outputs are logits, also where they look like
            probabilities. Defaults to `False`.

    Raises:
        ValueError: if it is not a built Keras model, does not take one batch of such images or does
            not return finite logits: one that ends in a softmax or sigmoid, or whose outputs on
            random images are rows of probabilities, is refused.

    Example:

    ```python
    read_contract(classifier).image_shape
    ```
    """
    contract = check_structure(classifier)
    batch = classifier.inputs[0].shape[0]
    answers = check_answers(
        lambda images: classifier(images, training=False),
        contract.image_shape,
        count=FEW if batch is None else int(batch),
        declared=declared,
    )
    return contract._replace(is_random=answers.is_random)


def check_structure(
    classifier: Any, *, any_size: bool = False, any_output: bool = False
) -> Contract:
    """Checks what a classifier is made of, without asking it anything.

    Args:
        classifier: functional or sequential model from `(B, H, W, C)` to `(B, K)`.
        any_size: whether it may leave height and width open. Defaults to `False`.
        any_output: whether its outputs are read as logits, see `outputs.read_logits`: one of
            several, and one number as two. Defaults to `False`.

    Raises:
        ValueError: as `read_contract`.
    """
    check_keras_settings()
    if not isinstance(classifier, keras.Model) or not hasattr(classifier, "layers"):
        raise ValueError(
            "`classifier` must be a functional or sequential Keras model. "
            f"Received: classifier={type(classifier).__name__}"
        )
    inputs = getattr(classifier, "inputs", None) if classifier.built else None
    input_shape = getattr(classifier, "input_shape", None) if classifier.built else None
    sizes = input_shape[3:] if any_size and isinstance(input_shape, tuple) else None
    if (
        not inputs
        or not isinstance(input_shape, tuple)
        or len(input_shape) != 4
        or None in (input_shape[1:] if sizes is None else sizes)
    ):
        more = _TO_LOGITS.format(", image_shape=(height, width, channels)")
        raise ValueError(
            "`classifier` must be built for one input of shape (batch, height, width, channels); "
            f"of a subclassed or open one, {more}. Received: "
            f"classifier={type(classifier).__name__}, classifier.input_shape={input_shape}"
        )
    _check_dtype(classifier)
    answer = _answer(classifier, any_output)
    shape = () if answer is None else tuple(answer.shape)
    num_classes = shape[1] if len(shape) == 2 else None
    if any_output and is_one_number(shape):
        num_classes = 2
    if num_classes is None or num_classes < 2:
        raise ValueError(
            "`classifier` must return logits of shape (batch, num_classes), num_classes >= 2; of "
            f"one logit, or of several outputs (`output_name=`), {_TO_LOGITS.format('')}. "
            f"Received: classifier.output_shape={classifier.output_shape}"
        )
    check_end(answer, classifier.name)
    first = read_first_layers(classifier)
    if first.channels_first:
        raise channels_come_first(input_shape[1:], first.channels_first)
    _check_weights(classifier)
    doubts: tuple[str, ...] = ()
    if first.takes_bytes:
        doubts = (
            f"The classifier {classifier.name!r} takes pixels of 0..255, but is given pixels in "
            f"[0, 1], which must be multiplied by 255 first; {_TO_PIXELS}: {first.takes_bytes}.",
        )
    return Contract(input_shape[1:], int(num_classes), doubts=doubts)


def check_end(answer: Any, name: str) -> None:
    """Refuses an output that comes out of a softmax or sigmoid.

    Args:
        answer: output of a functional or sequential model.
        name: the model's.

    Raises:
        ValueError: if it does.
    """
    activation = activation_at_end(answer)
    if activation is not None:
        raise ValueError(
            f"`classifier` must return logits, but ends in {activation}, so that its outputs are "
            f"probabilities; {STRIP}. Received: classifier={name!r}"
        )


def _answer(classifier: keras.Model, any_output: bool) -> Any:
    """The output that is the answer; None where there are several and it is not told which."""
    if isinstance(classifier, keras.Sequential):
        return classifier.outputs[0]
    outputs = classifier._outputs_struct
    if any_output:
        outputs = choose_output(outputs)
    return None if isinstance(outputs, (dict, list, tuple)) else outputs


def _check_dtype(classifier: keras.Model) -> None:
    """Floats, also where a model within takes them over: a cast makes 0 of all pixels below 1."""
    within = [
        layer
        for layer in classifier._flatten_layers(include_self=True, recursive=True)
        if isinstance(layer, keras.Model) and getattr(layer, "inputs", None)
    ]
    for model in within:
        for tensor in model.inputs:
            if len(tensor.shape) == 4 and "float" not in str(tensor.dtype):
                raise ValueError(
                    "`classifier` must take floating-point pixels in [0, 1], which a cast to "
                    f"{tensor.dtype} would make 0; give it a float32 input, with its scaling to "
                    f"0..255 inside: {_TO_PIXELS}. "
                    f"Received: model={model.name!r}, inputs[0].dtype={str(tensor.dtype)!r}"
                )


def check_channels_last(image_shape: tuple[int | None, ...]) -> None:
    """Refuses images whose channels come first, as far as their shape shows it.

    Args:
        image_shape: of one image, see `looks_channels_first`.

    Raises:
        ValueError: if the channels come first.
    """
    if looks_channels_first(image_shape):
        raise channels_come_first(image_shape, f"images of shape {tuple(image_shape)}")


def channels_come_first(image_shape: tuple[int | None, ...], shown_by: str) -> ValueError:
    """The error on a classifier whose channels come first: attacks take the last axis for them.

    Args:
        image_shape: of one image.
        shown_by: what shows it.
    """
    return ValueError(
        "The classifier must take images (height, width, channels), but has the channels first "
        f"({shown_by}); turn them inside: `i = keras.Input((height, width, channels))`, then "
        "`keras.Model(i, model(keras.layers.Permute((3, 1, 2))(i)))`. "
        f"Received: image_shape={tuple(image_shape)}"
    )


def _check_weights(classifier: keras.Model) -> None:
    """A graph may hide a NaN, where a ReLU is fused with what comes before it."""
    for variable in classifier.weights:
        values = keras.ops.convert_to_numpy(variable)
        # Of bfloat16, which NumPy has not, the kind is "V".
        if values.dtype.kind not in "fV":
            continue
        if not np.isfinite(values.astype("float32", copy=False)).all():
            raise ValueError(
                "`classifier` must have finite weights; it came out of a training that failed, or "
                f"of a damaged file. Received: {variable.path}={values.reshape(-1)[:3]}"
            )


def check_reconstructor(reconstructor: Any, classifier: keras.Model, num_classes: int) -> None:
    """Checks that a Keras model maps class probabilities to images of the classifier's shape.

    Raises:
        ValueError: if its input or output shape differs.
    """
    images = (None, *classifier.input_shape[1:])
    shapes = (
        getattr(reconstructor, "input_shape", None),
        getattr(reconstructor, "output_shape", None),
    )
    if not isinstance(reconstructor, keras.Model) or shapes != ((None, num_classes), images):
        raise ValueError(
            f"`reconstructor` must be a Keras model from {(None, num_classes)} to {images}. "
            f"Received: reconstructor.input_shape={shapes[0]}, "
            f"reconstructor.output_shape={shapes[1]}"
        )


def uses_float16(classifier: keras.Model) -> bool:
    """Whether any layer computes in float16, whose gradients can underflow."""
    return any(
        getattr(layer, "compute_dtype", "") == "float16"
        for layer in classifier._flatten_layers(include_self=True, recursive=True)
    )
