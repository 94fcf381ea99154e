"""What holds of every network in the tables: an entry that is added is tested here.

Entries that make the same function deeper or wider are tested by the lightest of them.
"""

import json

import keras
import numpy as np
import pytest

from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.networks.precision import dtype_policy_scope
from keras_efgsm.networks.requirements import check_classifier, uses_float16
from keras_efgsm.networks.splitting import split_after_first_layer

CLASSES = 4
# The lightest entry of each function, and of feature denoising, and images that it takes.
LIGHTEST = {
    "conv2": (8, 8, 1),
    "strided-conv": (8, 8, 1),
    "conv4": (8, 8, 3),
    "conv4-pool": (8, 8, 1),
    "madry-cnn": (8, 8, 1),
    "trades-cnn": (16, 16, 1),
    "threshold": (8, 8, 1),
    "threshold-deep": (8, 8, 1),
    "tone-curve": (8, 8, 3),
    "free-curve": (8, 8, 1),
    "strided-narrow": (8, 8, 3),
    "resnet8": (8, 8, 3),
    "resnet8-denoise": (8, 8, 3),
    "resnet18": (8, 8, 3),
    "preact-resnet18": (8, 8, 3),
    "wrn10-1": (8, 8, 3),
    "transposed": (8, 8, 1),
    "dense": (8, 8, 1),
    "subpixel": (8, 8, 3),
    "wrn22-3": (8, 8, 1),
}
TABLE = {**CLASSIFIERS, **RECONSTRUCTORS}
# Eleven million weights each: built, not saved.
LARGE = ("resnet18", "preact-resnet18")
CLASSIFYING = [name for name in LIGHTEST if name in CLASSIFIERS]
each = pytest.mark.parametrize("name", LIGHTEST)
each_classifier = pytest.mark.parametrize("name", CLASSIFYING)


def forward(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def inputs_of(model, count=3):
    return np.random.default_rng(0).random((count, *model.input_shape[1:]), dtype="float32")


@pytest.fixture(scope="module")
def made():
    """Each network by name, made once, with weights where it begins at zero."""
    models, random = {}, np.random.default_rng(0)

    def make(name):
        if name not in models:
            keras.utils.set_random_seed(0)
            models[name] = model = TABLE[name](LIGHTEST[name], CLASSES)
            for weight in model.weights:
                if not np.any(weight):
                    weight.assign(random.normal(0.0, 0.1, weight.shape))
        return models[name]

    return make


def test_the_lightest_entry_of_every_function_is_here():
    def function(name):
        made_by = TABLE[name]
        return getattr(made_by, "function", made_by)

    assert {function(name) for name in TABLE} == {function(name) for name in LIGHTEST}


@each
def test_it_has_the_shapes_and_the_name_it_is_asked_for(name, made):
    model, shape = made(name), LIGHTEST[name]
    given, returned = (shape, (CLASSES,)) if name in CLASSIFYING else ((CLASSES,), shape)
    assert (model.input_shape, model.output_shape) == ((None, *given), (None, *returned))
    outputs = forward(model, inputs_of(model))
    assert outputs.dtype == np.float32 and np.isfinite(outputs).all()
    assert np.ptp(outputs, axis=0).max() > 0  # constant answers say nothing
    if name in CLASSIFYING:
        assert check_classifier(model) == CLASSES
    else:
        assert outputs.min() >= 0.0 and outputs.max() <= 1.0
    assert TABLE[name].name == model.name


@each
def test_it_comes_back_from_its_configuration(name, made):
    model = made(name)
    stored = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    again = keras.saving.deserialize_keras_object(stored)
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        forward(again, inputs_of(model)), forward(model, inputs_of(model))
    )


@pytest.mark.parametrize("name", [name for name in LIGHTEST if name not in LARGE])
def test_its_file_holds_all_of_it(name, made, tmp_path):
    model = made(name)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        forward(again, inputs_of(model)), forward(model, inputs_of(model))
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", [name for name in LIGHTEST if name not in LARGE])
def test_in_half_precision_its_answers_are_about_the_same_and_logits_are_float32(
    name, policy, made
):
    model = made(name)
    with dtype_policy_scope(policy):
        half = TABLE[name](LIGHTEST[name], CLASSES)
    assert uses_float16(half) == (policy == "mixed_float16")
    half.set_weights(model.get_weights())
    outputs, expected = forward(half, inputs_of(model)), forward(model, inputs_of(model))
    # A margin is a difference of logits, which would round to nothing.
    assert outputs.dtype == np.float32 or name in RECONSTRUCTORS
    assert {w.dtype for w in half.weights} == {"float32"}
    scale = np.abs(expected).max()
    np.testing.assert_allclose(outputs.astype("float32") / scale, expected / scale, atol=0.1)


@each_classifier
def test_it_is_cut_behind_its_first_layer_with_weights(name, made):
    model = made(name)
    first, rest = split_after_first_layer(model)
    x = inputs_of(model)
    np.testing.assert_allclose(forward(rest, forward(first, x)), forward(model, x), atol=1e-4)


@each_classifier
def test_its_images_have_a_gradient(name, made, gradients):
    model = made(name)
    x = 0.25 + 0.5 * inputs_of(model)
    (found,) = gradients(lambda images: keras.ops.sum(model(images, training=False)[:, 0]), x)
    assert np.isfinite(found).all() and np.abs(found).max() > 0


@each_classifier
def test_its_activation_is_the_one_that_is_asked_for(name):
    if name in LARGE:
        pytest.skip("the same function as a smaller one's blocks")
    model = TABLE[name](LIGHTEST[name], CLASSES, activation="silu")
    used = {
        layer.activation.__name__
        for layer in model.layers
        if getattr(layer, "activation", None) is not None
    }
    assert "silu" in used and "relu" not in used
    with pytest.raises(ValueError, match="nosuch"):
        TABLE[name](LIGHTEST[name], CLASSES, activation="nosuch")
