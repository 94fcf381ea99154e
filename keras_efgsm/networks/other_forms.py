"""A Keras model of any form as a functional classifier from images to logits."""

import warnings
from typing import Any, NamedTuple

import keras

from keras_efgsm.networks.answers import random_images
from keras_efgsm.networks.image_shape import check_image_shape
from keras_efgsm.networks.outputs import (
    LOGARITHM,
    Output,
    check_output,
    check_probabilities,
    choose_output,
    is_one_number,
    logits_of_probabilities,
    saturation_doubt,
    two_logits,
)
from keras_efgsm.networks.own_models import trained_classifier
from keras_efgsm.networks.requirements import check_end
from keras_efgsm.networks.without_softmax import activation_at_end, without_softmax


class ReadModel(NamedTuple):
    """A model whose output was read as logits.

    Attributes:
        classifier: functional or sequential, from images `(B, H, W, C)` to logits `(B, K)`.
        changes: what was done to the model, in words, such as `"without its softmax"`; none for
            most.
        doubts: sentences on what an attack may miss for it.
    """

    classifier: keras.Model
    changes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def with_logits(
    model: keras.Model,
    *,
    output: str = "auto",
    output_name: str | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Makes a classifier of images and logits of a model that is one in another form.

    It shares layers and weights with the model: trained, both are. Trainer, evaluation, diagnosis,
    export and attacks take what comes out.

    - One logit z of class 1 against class 0 becomes the two logits `[0, z]`, whose cross-entropy is
      the binary one of z.
    - A softmax or sigmoid at the end is taken off, where `output="probabilities"` says that it is
      meant to be. What remains are the exact logits, whose gradients do not vanish as those of
      probabilities near 0 and 1 do. Where none can be taken off, as one in a custom layer, the
      logits are `log p`, with a warning.
    - Of several outputs, in a dict or list, one is taken.
    - A subclassed model becomes a functional one of images of `image_shape`.

    Args:
        model: any Keras model of one batch of images.
        output: `"probabilities"` for a model that ends in a softmax or sigmoid; `"logits"` for one
            whose logits look like probabilities. Defaults to `"auto"`: logits, and who asks for a
            classifier refuses what looks like probabilities.
        output_name: which of several outputs: its key, its name or its place. Defaults to the only
            one, or the one named `logits`.
        image_shape: `(H, W, C)`, for a model that was not built yet or leaves a size open.
            Defaults to that of the model.

    Raises:
        ValueError: if it is no Keras model of images, there is no such output, an `image_shape` is
            needed, or what are said to be probabilities are none.

    Example:

    ```python
    binary = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    classifier = with_logits(binary, output="probabilities")
    classifier.output_shape  # (None, 2)
    ```
    """
    read = read_model(model, check_output(output, output_name), image_shape)
    for doubt in read.doubts:
        warnings.warn(doubt, stacklevel=2)
    return read.classifier


def read_model(
    model: keras.Model, output: Output, image_shape: tuple[int, ...] | None = None
) -> ReadModel:
    """The same with what was done in words, see `with_logits`.

    Args:
        model: as of `with_logits`.
        output: what it returns.
        image_shape: as of `with_logits`.

    Raises:
        ValueError: as `with_logits`.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a Keras model. Received: model={type(model).__name__}")
    changes: list[str] = []
    doubts: list[str] = []
    model = trained_classifier(model)
    read = _functional(model, image_shape)
    if isinstance(read, keras.Sequential):
        structure, names = read.outputs[0], ()
    else:
        structure, names = read._outputs_struct, read.output_names
    answer = choose_output(structure, output.name, names)
    if isinstance(answer, (dict, list, tuple)):
        known = list(structure) if isinstance(structure, dict) else list(names)
        raise ValueError(
            "Of several outputs none is named `logits`: say which holds them, by `output_name` "
            f"(`--output-name`), one of {', '.join(map(str, known))}. "
            f"Received: model={model.name!r}, output_name=None"
        )
    if answer is not structure:
        changes.append(f"its output {output.name or 'logits'!r}" if len(names) > 1 else "")
        read = keras.Model(read.inputs[0], answer, name=model.name)
    if output.kind == "probabilities":
        activation, cut = activation_at_end(read.outputs[0]), without_softmax(read)
        changes.append(LOGARITHM if cut is None else f"without its {activation}")
        if cut is None:
            images = random_images(tuple(read.inputs[0].shape[1:]))
            outputs = keras.ops.cast(read(images, training=False), "float32")
            check_probabilities(keras.ops.convert_to_numpy(outputs))
            doubts.append(saturation_doubt(repr(model.name)))
            answer = logits_of_probabilities(read.outputs[0])
            cut = keras.Model(read.inputs[0], answer, name=model.name)
        read = cut
    if is_one_number(read.outputs[0].shape):
        # Behind the two logits it would not be seen.
        check_end(read.outputs[0], model.name)
        changes.append("its one logit read as two")
        read = keras.Model(read.inputs[0], two_logits(read.outputs[0]), name=model.name)
    return ReadModel(read, tuple(filter(None, changes)), tuple(doubts))


def _functional(model: keras.Model, image_shape: tuple[int, ...] | None) -> Any:
    """The model with inputs of known shape, made functional where it has none."""
    inputs = getattr(model, "inputs", None)
    if inputs and (len(inputs) != 1 or len(inputs[0].shape) != 4):
        return model
    if inputs and (None not in inputs[0].shape[1:] or image_shape is None):
        return model
    shape = image_shape or _built_shape(model)
    if shape is None:
        raise ValueError(
            "`image_shape` must be given for a subclassed model that was not called yet: "
            "`with_logits(model, image_shape=(height, width, channels))`. "
            f"Received: model={type(model).__name__}, image_shape=None"
        )
    dtype = inputs[0].dtype if inputs else None
    images = keras.Input(check_image_shape(shape, model.name), name="image", dtype=dtype)
    try:
        return keras.Model(images, model(images), name=model.name)
    # Whatever the call of a user's model makes of a symbolic tensor.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            "A subclassed model must map a symbolic `keras.Input` of images, as a functional model "
            f"is made of it ({type(error).__name__}: {reason}). "
            f"Received: model={type(model).__name__}, image_shape={tuple(shape)}"
        ) from error


def _built_shape(model: keras.Model) -> tuple[int, ...] | None:
    """`(H, W, C)` that a model was built for; None if it says nothing of the kind."""
    config = model.get_build_config() if model.built else None
    shape = (config or {}).get("input_shape")
    if not isinstance(shape, (tuple, list)) or len(shape) != 4 or None in tuple(shape)[1:]:
        return None
    return tuple(shape)[1:]
