"""What a classifier must be, wherever one is asked for: `networks.requirements` and who asks."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_efgsm.attacks import FGSM
from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness, load_classifier
from keras_efgsm.networks import CLASSIFIERS, for_unit_pixels
from keras_efgsm.networks.answers import random_images
from keras_efgsm.networks.first_layers import read_first_layers
from keras_efgsm.networks.requirements import check_structure, read_contract
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

SHAPE, CLASSES = (6, 6, 3), 4


def network(*first, shape=SHAPE, dtype=None):
    ends = [layers.Flatten(), layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(shape, dtype=dtype), *first, *ends])


def functional(turn, shape=(1, 6, 6), layer=None):
    images = keras.Input(shape)
    features = layers.Flatten()((layer or layers.Conv2D(2, 3))(turn(images)))
    return keras.Model(images, layers.Dense(CLASSES)(features))


def two_outputs():
    images = keras.Input(SHAPE)
    dense = layers.Dense(CLASSES)
    return keras.Model(images, [dense(layers.Flatten()(images)), dense(layers.Flatten()(images))])


def with_weight(value, name="bias"):
    model = network(layers.Conv2D(2, 3, activation="relu"))
    variable = getattr(model.layers[0], name)
    changed = np.array(variable)
    changed.flat[0] = value
    variable.assign(changed)
    return model


class Bare(keras.layers.Layer):
    """A layer that says nothing of how images lie."""

    def call(self, images):
        return images * 2.0


def under_a_global_default(build):
    keras.config.set_image_data_format("channels_first")
    try:
        return build()
    finally:
        keras.config.set_image_data_format("channels_last")


FIRST = r"channels first \({}.*Received: image_shape=\(1, 6, 6\)"
REFUSED = {
    # channels_first
    "a Permute": (
        lambda: functional(layers.Permute((2, 3, 1))),
        FIRST.format("Permute 'permute.*"),
    ),
    "a transposition": (
        lambda: functional(lambda x: ops.transpose(x, (0, 2, 3, 1))),
        FIRST.format("Transpose"),
    ),
    "axes moved": (lambda: functional(lambda x: ops.moveaxis(x, 1, -1)), FIRST.format("Moveaxis")),
    "a Permute after scaling, in a model within": (
        lambda: keras.Sequential(
            [
                keras.Input((1, 6, 6)),
                layers.Rescaling(2.0, -1.0),
                functional(layers.Permute((2, 3, 1))),
            ]
        ),
        FIRST.format("Permute"),
    ),
    "a layer of that format": (
        lambda: functional(
            lambda x: x, layer=layers.GlobalMaxPooling2D(data_format="channels_first")
        ),
        FIRST.format("GlobalMaxPooling2D.*data_format='channels_first'"),
    ),
    "Keras's own default": (
        lambda: under_a_global_default(
            lambda: functional(lambda x: x, layer=layers.GlobalAveragePooling2D())
        ),
        FIRST.format("GlobalAveragePooling2D"),
    ),
    "a normalisation of the first axis": (
        lambda: network(layers.BatchNormalization(axis=1), shape=(1, 6, 6)),
        FIRST.format("BatchNormalization.*first axis"),
    ),
    "a shape alone": (lambda: network(Bare(), shape=(1, 6, 6)), FIRST.format("images of shape")),
    # integers
    "bytes": (
        lambda: network(layers.Rescaling(1 / 255), dtype="uint8"),
        r"floating-point pixels.*cast to uint8.*for_unit_pixels.*inputs\[0\].dtype='uint8'",
    ),
    "whole numbers": (lambda: network(dtype="int32"), "floating-point pixels.*'int32'"),
    "bytes in a model within": (
        lambda: keras.Sequential([keras.Input(SHAPE), network(dtype="uint8")]),
        "floating-point pixels.*'uint8'",
    ),
    # outputs
    "two outputs without names": (two_outputs, r"[oO]f.* several outputs.*Received: "),
    # weights
    "NaN weights": (lambda: with_weight(np.nan), "finite weights.*conv2d.*bias=.*nan"),
    "infinite weights": (lambda: with_weight(np.inf, "kernel"), "finite weights.*kernel=.*inf"),
}


def trained(model):
    AdversarialTrainer(model, epsilon=0.1)


def attacked(model):
    shape = tuple(model.inputs[0].shape[1:])
    FGSM(epsilon=0.1)(model, random_images(shape), np.zeros(4, "int32"))


def exported(model):
    from keras_efgsm.export.contract import check_contract

    check_contract(model, list("abcd"))


def refuses(ask, model, message):
    with pytest.raises(ValueError, match=message) as refusal:
        ask(model)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("case", REFUSED)
def test_a_classifier_is_refused_wherever_one_is_asked_for_that_has(case):
    make, message = REFUSED[case]
    model = make()
    for ask in (trained, load_classifier, attacked):
        refuses(ask, model, message)


@pytest.mark.tensorflow("exports")
@pytest.mark.parametrize("case", REFUSED)
def test_a_classifier_is_not_exported_that_has(case):
    make, message = REFUSED[case]
    refuses(exported, make(), message)


def inner_channels_first():
    images = keras.Input(SHAPE)
    x = layers.Permute((3, 1, 2))(images)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(images, layers.Dense(CLASSES)(x))


@pytest.mark.parametrize(
    "make",
    [
        inner_channels_first,
        lambda: network(layers.Permute((2, 1, 3)), layers.Conv2D(2, 3)),
        # Series of nine channels, which a layer takes as such.
        lambda: network(layers.Conv2D(2, (1, 3)), shape=(1, 12, 9)),
        lambda: network(shape=(1, 6, 3)),
        lambda: network(layers.BatchNormalization(axis=-1)),
        lambda: network(dtype="bfloat16"),
    ],
    ids=["turned inside", "rows for columns", "series", "one row", "last axis", "bfloat16"],
)
def test_a_classifier_is_accepted_whose_channels_come_last(make):
    contract = read_contract(make())
    assert contract.num_classes == CLASSES and contract.doubts == () and not contract.is_random


def statistics_of_bytes():
    norm = layers.BatchNormalization()
    model = network(norm)
    norm.moving_mean.assign([120.0] * 3)
    norm.moving_variance.assign([3600.0] * 3)
    return model


def preprocessed(module):
    return functional(getattr(keras.applications, module).preprocess_input, SHAPE)


OF_BYTES = {
    "a Rescaling": lambda: network(layers.Rescaling(1 / 255)),
    "a Rescaling to -1 to 1": lambda: network(layers.Rescaling(1 / 127.5, -1.0)),
    "a Normalization": lambda: network(
        layers.Normalization(mean=[123.7, 116.3, 103.5], variance=[3400.0] * 3)
    ),
    "the statistics of a BatchNormalization": statistics_of_bytes,
    "a model within": lambda: keras.Sequential(
        [keras.Input(SHAPE), network(layers.Rescaling(1 / 255))]
    ),
    "a division": lambda: functional(lambda x: x / 255.0, SHAPE),
    "a preprocess_input of BGR": lambda: preprocessed("resnet"),
    "a preprocess_input of -1 to 1": lambda: preprocessed("mobilenet"),
}


@pytest.mark.parametrize("case", OF_BYTES)
def test_pixels_of_0_to_255_are_noticed_by(case):
    model = OF_BYTES[case]()
    (doubt,) = check_structure(model).doubts
    assert "takes pixels of 0..255" in doubt and "for_unit_pixels" in doubt
    assert load_classifier(model).doubts == (doubt,)
    with pytest.raises(ValueError, match="takes pixels of 0..255.*Received: classifier="):
        AdversarialTrainer(model, epsilon=0.1).fit(np.zeros((4, *SHAPE), "float32"), np.arange(4))
    scaled = for_unit_pixels(model)
    assert check_structure(scaled).doubts == ()
    images = random_images(SHAPE)
    np.testing.assert_allclose(scaled(images), model(255.0 * images), rtol=1e-4, atol=1e-4)


def test_the_networks_of_this_library_take_pixels_of_0_to_1():
    # One whose first layer has a branch that makes little of the pixels, and a normalised one.
    for name in ("threshold", "resnet8", "strided4"):
        assert read_first_layers(CLASSIFIERS[name]((16, 16, 3), CLASSES)) == (None, None)


def test_a_network_of_bytes_becomes_one_of_pixels_from_0_to_1():
    model = network(layers.Rescaling(1 / 255), layers.Conv2D(2, 3), dtype="uint8")
    levels = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype("uint8")
    scaled = for_unit_pixels(model)
    np.testing.assert_allclose(scaled(levels.astype("float32") / 255), model(levels), atol=1e-5)
    assert np.any(np.abs(FGSM(epsilon=0.1)(scaled, random_images(SHAPE), np.arange(4)) - 0.5) > 0)
    with pytest.raises(ValueError, match="no first layer of it scales them down.*Received: model="):
        for_unit_pixels(network())
    with pytest.raises(ValueError, match="functional or built.*Received: model=function"):
        for_unit_pixels(lambda x: x)


BAD_ANSWERS = {
    "a dict": (lambda logits: {"a": logits, "b": logits}, r"one tensor.*a dict of \['a', 'b'\]"),
    "a list": (lambda logits: [logits, logits], "one tensor.*a list of 2"),
    "NaN": (lambda logits: logits * np.nan, "finite logits"),
    "probabilities": (ops.softmax, "outputs are probabilities"),
    "one probability": (lambda logits: ops.sigmoid(logits[:, :1]), "its one output is a probabil"),
    "one image": (lambda logits: logits[:1], "batch.*for 4 images"),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_function_is_refused_that_answers_with(case):
    spoil, message = BAD_ANSWERS[case]
    model = network()

    def logits_fn(images):
        return spoil(model(images, training=False))

    with pytest.raises(ValueError, match=f"{message}.*"):
        FGSM(epsilon=0.1)(logits_fn, random_images(SHAPE), np.arange(4))
    # Of an evaluated function the logits of real images are looked at, see `classify_clean`.
    given = EvaluatedModel(logits_fn, SHAPE, CLASSES, "a function")
    with pytest.raises(ValueError, match=f"a function.*{message}" if case != "NaN" else message):
        evaluate_robustness(
            given, (random_images(SHAPE), np.arange(4)), FGSM(epsilon=0.1), progress=False
        )


def test_a_function_of_images_with_channels_first_or_another_number_of_classes_is_refused():
    def logits_fn(images):
        return ops.reshape(images, (-1, 36))[:, :4]

    with pytest.raises(ValueError, match=FIRST.format("images of shape")):
        FGSM(epsilon=0.1)(logits_fn, random_images((1, 6, 6)), np.arange(4))
    with pytest.raises(ValueError, match=FIRST.format("images of shape")):
        load_classifier(EvaluatedModel(logits_fn, (1, 6, 6), CLASSES, "a function"))
    with pytest.raises(ValueError, match="as many logits.*num_classes=9, logits=4"):
        load_classifier(EvaluatedModel(logits_fn, (6, 6, 1), 9, "a function"))


def test_an_attack_asks_a_classifier_once_and_again_where_it_has_other_layers():
    calls = []

    class Counted(keras.layers.Layer):
        def call(self, images):
            calls.append(1)
            return images

    model, batch = network(Counted()), (random_images(SHAPE), np.arange(4))
    FGSM(epsilon=0.1)(model, *batch)
    first = len(calls)
    for _ in range(3):
        FGSM(epsilon=0.1)(model, *batch)
    assert len(calls) == first
    model.add(layers.Softmax())
    # A layer without variables changes nothing that could be told; one with them does.
    model.pop()
    model.add(layers.Dense(CLASSES, activation="softmax"))
    with pytest.raises(ValueError, match="ends in softmax"):
        FGSM(epsilon=0.1)(model, *batch)
