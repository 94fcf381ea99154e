"""Networks of `keras.applications` as classifiers of pixels in [0, 1]."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.backend import use_fast_layers
from keras_efgsm.networks import applications, build_classifier
from keras_efgsm.networks.applications import application
from keras_efgsm.networks.precision import dtype_policy_scope, float32_twin
from keras_efgsm.networks.specs import APPLICATIONS
from keras_efgsm.networks.splitting import split_after_first_layer

SHAPE = (32, 32, 3)
SMALL = "keras.applications:MobileNetV3Small"
# Where the preprocessing of each kind lies in Keras; that of "bytes" changes nothing.
FUNCTIONS = {
    "unit": keras.applications.mobilenet_v2.preprocess_input,
    "torch": keras.applications.densenet.preprocess_input,
    "caffe": keras.applications.resnet50.preprocess_input,
    "bytes": keras.applications.mobilenet_v3.preprocess_input,
}


def forward(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def images(shape=SHAPE, count=2):
    return np.random.default_rng(0).random((count, *shape), dtype="float32")


def assert_same(found, expected, tolerance=1e-3):
    """Alike by the largest number: logits of random weights are small."""
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return build_classifier(SMALL, SHAPE, 7)


@pytest.fixture(scope="module")
def plain():
    """The same as Keras makes it, without a head."""
    return keras.applications.MobileNetV3Small(
        input_shape=SHAPE, include_top=False, pooling="avg", weights=None
    )


@pytest.mark.parametrize("pixels", FUNCTIONS)
def test_pixels_are_prepared_inside_as_keras_does_it_outside(pixels):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, applications._preprocessed(inputs, pixels))
    x = images()
    by_hand = FUNCTIONS[pixels]((255.0 * x).copy())
    np.testing.assert_allclose(forward(model, x), by_hand, rtol=1e-4, atol=1e-3)


def test_each_application_is_of_the_kind_that_its_module_says():
    modules = {
        "DenseNet121": keras.applications.densenet,
        "EfficientNetB0": keras.applications.efficientnet,
        "EfficientNetV2S": keras.applications.efficientnet_v2,
        "ConvNeXtTiny": keras.applications.convnext,
        "InceptionV3": keras.applications.inception_v3,
        "InceptionResNetV2": keras.applications.inception_resnet_v2,
        "MobileNet": keras.applications.mobilenet,
        "MobileNetV2": keras.applications.mobilenet_v2,
        "MobileNetV3Large": keras.applications.mobilenet_v3,
        "NASNetMobile": keras.applications.nasnet,
        "ResNet152": keras.applications.resnet,
        "ResNet50V2": keras.applications.resnet_v2,
        "VGG16": keras.applications.vgg16,
        "VGG19": keras.applications.vgg19,
        "Xception": keras.applications.xception,
    }
    x = 255.0 * images()
    for name, module in modules.items():
        kind = FUNCTIONS[APPLICATIONS[name].pixels]
        np.testing.assert_allclose(module.preprocess_input(x.copy()), kind(x.copy()), atol=1e-3)


def test_an_application_is_one_flat_model_that_ends_in_float32_logits(small, plain):
    assert (small.input_shape, small.output_shape) == ((None, *SHAPE), (None, 7))
    assert small.name == "mobilenetv3small"
    assert not any(isinstance(layer, keras.Model) for layer in small.layers)
    assert small.layers[-1].activation is keras.activations.linear
    assert small.layers[-1].compute_dtype == "float32"
    # That of Keras, fed by hand with what it asks for.
    plain.set_weights(small.get_weights()[:-2])
    kernel, bias = small.get_weights()[-2:]
    expected = forward(plain, 255.0 * images()) @ kernel + bias
    assert_same(forward(small, images()), expected)


def test_grey_images_become_three_equal_channels_inside():
    keras.utils.set_random_seed(0)
    grey = application(SMALL, (32, 32, 1), 4)
    color = application(SMALL, SHAPE, 4)
    color.set_weights(grey.get_weights())
    x = images((32, 32, 1))
    assert_same(forward(grey, x), forward(color, np.repeat(x, 3, axis=-1)))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("MobileNetV3Small", (28, 28, 1), "at least 32 x 32 pixels.*`--image-size 32 32`"),
        ("Xception", (64, 128, 3), "at least 71 x 71 pixels.*`--image-size 71 142`"),
        ("InceptionV3", (74, 80, 3), "at least 75 x 75"),
        ("VGG16", (32, 32, 4), "1 or 3 channels; choose with `--channels`"),
    ],
)
def test_images_that_an_application_does_not_take_are_refused(name, shape, message):
    with pytest.raises(ValueError, match=message + ".*Received: image_shape="):
        build_classifier(f"keras.applications:{name}", shape, 10)


def test_weights_come_from_a_file_and_layers_freeze_up_to_one(plain, tmp_path):
    plain.save_weights(tmp_path / "features.weights.h5")
    spec = f"{SMALL}:{tmp_path / 'features.weights.h5'}"
    model = build_classifier(spec, SHAPE, 7, freeze_until="expanded_conv_project_bn")
    for a, b in zip(plain.get_weights(), model.get_weights(), strict=False):
        np.testing.assert_array_equal(a, b)
    names = [layer.name for layer in model.layers]
    last = names.index("expanded_conv_project_bn")
    trained = {layer.name for layer in model.layers if layer.trainable_weights}
    assert trained and not trained & set(names[: last + 1])
    (tmp_path / "other.weights.h5").write_text("nothing")
    for path, message in (("other", "must hold the weights"), ("none", "the path of a file")):
        with pytest.raises(ValueError, match=message):
            build_classifier(f"{SMALL}:{tmp_path / path}.weights.h5", SHAPE, 7)


def test_without_a_network_the_weights_of_imagenet_are_refused_with_what_to_do(monkeypatch):
    def fails(**options):
        assert options["weights"] == "imagenet" and options["include_top"] is False
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "MobileNetV3Small", fails)
    with pytest.raises(ValueError, match=r"give their path.*URL fetch failure.*Received: "):
        build_classifier(f"{SMALL}:imagenet", SHAPE, 7)


def test_pixels_stay_in_float32_whatever_the_policy():
    with dtype_policy_scope("mixed_bfloat16"):
        model = application(SMALL, SHAPE, 4)
    before = next(i for i, layer in enumerate(model.layers) if layer.trainable_weights)
    assert {layer.compute_dtype for layer in model.layers[1:before]} == {"float32"}
    assert model.layers[before].compute_dtype == "bfloat16"
    # One part in 1024, which bfloat16 would not tell from nothing.
    seen = keras.Model(model.inputs[0], model.layers[before - 1].output)
    x = np.full((1, *SHAPE), 0.75, "float32")
    assert np.abs(forward(seen, x + 1 / 1024) - forward(seen, x)).min() > 0
    assert {layer.compute_dtype for layer in float32_twin(model).layers} == {"float32"}


def test_an_application_is_cut_behind_its_first_convolution_and_computes_fast(small):
    first, rest = split_after_first_layer(small)
    kernels = [layer for layer in first.layers if isinstance(layer, layers.Conv2D)]
    assert [kernel.name for kernel in kernels] == ["conv"]
    x = images()
    assert_same(forward(rest, forward(first, x)), forward(small, x))
    fast = keras.models.clone_model(small)
    fast.set_weights(small.get_weights())
    use_fast_layers(fast)
    assert_same(forward(fast, x), forward(small, x))


def test_a_channel_order_of_caffe_is_saved_and_served(tmp_path):
    """ResNet50 is large: its preprocessing before a small network."""
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, strides=4)(applications._preprocessed(inputs, "caffe"))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    model.save(tmp_path / "caffe.keras")
    again = build_classifier(str(tmp_path / "caffe.keras"), SHAPE, 3)
    assert_same(forward(again, images()), forward(model, images()))


@pytest.mark.tensorflow("SavedModel")
def test_an_application_is_saved_and_served(small, tmp_path):
    import tensorflow as tf

    small.save(tmp_path / "small.keras")
    again = build_classifier(str(tmp_path / "small.keras"), SHAPE, 7)
    assert_same(forward(again, images()), forward(small, images()))
    # Its preprocessing and first blocks, which have a layer of every kind that it has.
    blocks = next(layer for layer in small.layers if isinstance(layer, layers.Add)).output
    pooled = layers.GlobalAveragePooling2D()(blocks)
    part = keras.Model(small.inputs[0], layers.Dense(7)(pooled))
    assert {type(layer) for layer in part.layers} == {type(layer) for layer in small.layers}
    part.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "served")
    served = loaded.serve(tf.constant(images()))
    assert_same(served, forward(part, images()))
