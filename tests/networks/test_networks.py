import types

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.networks import (
    CLASSIFIERS,
    RECONSTRUCTORS,
    cifar10_conv4,
    cifar10_preact_resnet18,
    cifar10_resnet,
    cifar10_resnet18,
    cifar10_small_reconstructor,
    cifar10_threshold_classifier,
    cifar10_wrn10_1,
    cifar10_wrn10_2,
    cifar10_wrn22_3_reconstructor,
    cifar10_wrn22_5,
    digits_classifier,
    digits_reconstructor,
    mnist_classifier,
    mnist_deep_threshold_classifier,
    mnist_dense_reconstructor,
    mnist_madry_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
    mnist_resnet,
    mnist_threshold_classifier,
    mnist_trades_classifier,
    multiply_adds,
    resnet,
)
from keras_efgsm.networks.requirements import check_classifier, check_reconstructor, uses_float16
from keras_efgsm.networks.subpixel import depth_to_space, space_to_depth

SHAPES = {
    mnist_classifier: (28, 28, 1),
    mnist_paper_classifier: (28, 28, 1),
    mnist_reconstructor: (28, 28, 1),
    mnist_dense_reconstructor: (28, 28, 1),
    mnist_threshold_classifier: (28, 28, 1),
    mnist_deep_threshold_classifier: (28, 28, 1),
    cifar10_threshold_classifier: (32, 32, 3),
    digits_classifier: (8, 8, 1),
    digits_reconstructor: (8, 8, 1),
    mnist_madry_classifier: (28, 28, 1),
    mnist_trades_classifier: (28, 28, 1),
    mnist_resnet: (28, 28, 1),
    cifar10_resnet: (32, 32, 3),
    cifar10_conv4: (32, 32, 3),
    cifar10_resnet18: (32, 32, 3),
    cifar10_preact_resnet18: (32, 32, 3),
    cifar10_wrn10_1: (32, 32, 3),
    cifar10_wrn10_2: (32, 32, 3),
    cifar10_wrn22_5: (32, 32, 3),
    cifar10_small_reconstructor: (32, 32, 3),
    cifar10_wrn22_3_reconstructor: (32, 32, 3),
}
RECONSTRUCTOR_BUILDS = (
    digits_reconstructor,
    mnist_reconstructor,
    mnist_dense_reconstructor,
    cifar10_small_reconstructor,
    cifar10_wrn22_3_reconstructor,
)
by_name = {"ids": lambda value: getattr(value, "__name__", str(value))}


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (mnist_classifier, 185_354),
        (mnist_paper_classifier, 210_650),
        (mnist_reconstructor, 258_152),
        (mnist_dense_reconstructor, 51_664),
        (mnist_threshold_classifier, 184_690),
        (mnist_deep_threshold_classifier, 188_794),
        (cifar10_threshold_classifier, 240_178),
        (digits_classifier, 76_522),
        (cifar10_conv4, 1_116_970),
        (mnist_madry_classifier, 3_274_634),
        (mnist_trades_classifier, 312_202),
    ],
    **by_name,
)
def test_networks_have_the_parameters_their_documentation_tells(build, count):
    assert build().count_params() == count


def test_the_stride_two_classifier_costs_a_fifth_of_the_papers():
    cheap, paper = multiply_adds(mnist_classifier()), multiply_adds(mnist_paper_classifier())
    assert paper == 3_025_664
    assert cheap == 628_320
    assert 4.5 < paper / cheap < 5.5


def test_a_strided_convolution_on_blocks_of_pixels_is_the_same_function():
    inputs = keras.Input((28, 28, 1))
    strided = keras.Model(inputs, layers.Conv2D(16, 4, strides=2, padding="same")(inputs))
    blocks = space_to_depth(layers.ZeroPadding2D(1)(inputs))
    rearranged = keras.Model(inputs, layers.Conv2D(16, 2)(blocks))
    kernel, bias = rearranged.layers[-1].get_weights()
    # Channel 2 i + j of a block is its pixel in row i and column j.
    kernel = kernel.reshape(2, 2, 2, 2, 1, 16).transpose(0, 2, 1, 3, 4, 5).reshape(4, 4, 1, 16)
    strided.layers[-1].set_weights([kernel, bias + 0.1])
    rearranged.layers[-1].set_weights([rearranged.layers[-1].get_weights()[0], bias + 0.1])
    images = np.random.default_rng(0).random((3, 28, 28, 1), dtype="float32")
    np.testing.assert_allclose(rearranged(images), strided(images), atol=1e-5)


def test_a_transposed_convolution_without_overlap_is_a_pointwise_one_to_blocks_of_pixels():
    inputs = keras.Input((7, 7, 16))
    transposed = keras.Model(inputs, layers.Conv2DTranspose(8, 2, strides=2)(inputs))
    pointwise = keras.Model(inputs, depth_to_space(layers.Conv2D(32, 1)(inputs)))
    # (row, column, out, in) of the transposed kernel against (1, 1, in, row column out).
    kernel = transposed.layers[-1].get_weights()[0].transpose(3, 0, 1, 2).reshape(1, 1, 16, 32)
    bias = np.arange(8, dtype="float32")
    transposed.layers[-1].set_weights([transposed.layers[-1].get_weights()[0], bias])
    pointwise.get_layer(index=1).set_weights([kernel, np.tile(bias, 4)])
    images = np.random.default_rng(0).random((3, 7, 7, 16), dtype="float32")
    np.testing.assert_allclose(pointwise(images), transposed(images), atol=1e-5)


def test_space_to_depth_and_depth_to_space_undo_each_other():
    inputs = keras.Input((6, 4, 3))
    there_and_back = keras.Model(inputs, depth_to_space(space_to_depth(inputs)))
    images = np.random.default_rng(0).random((2, 6, 4, 3), dtype="float32")
    np.testing.assert_array_equal(there_and_back(images), images)


@pytest.mark.parametrize("num_classes", [10, 3])
@pytest.mark.parametrize(
    "build", [build for build in SHAPES if build not in RECONSTRUCTOR_BUILDS], **by_name
)
def test_classifiers_map_images_to_logits(build, num_classes):
    keras.utils.set_random_seed(0)
    model = build(num_classes)
    assert check_classifier(model) == num_classes
    assert model.input_shape == (None, *SHAPES[build])
    images = np.random.default_rng(0).random((5, *SHAPES[build]), dtype="float32")
    logits = np.asarray(model(images))
    assert logits.shape == (5, num_classes)
    # No probabilities and no rectified outputs.
    model.layers[-1].set_weights([-weight for weight in model.layers[-1].get_weights()])
    np.testing.assert_allclose(np.asarray(model(images)), -logits, rtol=1e-4, atol=1e-5)
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("num_classes", [10, 3])
@pytest.mark.parametrize("build", RECONSTRUCTOR_BUILDS, **by_name)
def test_reconstructors_map_probabilities_to_images_in_0_to_1(build, num_classes):
    keras.utils.set_random_seed(0)
    model = build(num_classes)
    assert model.input_shape == (None, num_classes)
    images = np.asarray(model(np.eye(num_classes, dtype="float32") * 50.0))
    assert images.shape == (num_classes, *SHAPES[build])
    assert images.min() >= 0.0 and images.max() <= 1.0
    assert len(np.unique(images.reshape(num_classes, -1), axis=0)) == num_classes


@pytest.mark.parametrize("build", SHAPES, **by_name)
def test_networks_have_names_and_take_others(build):
    assert build().name == build.__name__
    assert build(name="other").name == "other"


def test_classifiers_and_reconstructors_of_a_name_fit_together():
    classifiers = {
        "mnist-dense": "mnist-threshold",
        "cifar10-small": "cifar10-conv4",
        "cifar10-wrn22-3": "cifar10-wrn10-1",
    }
    for build in RECONSTRUCTOR_BUILDS:
        shape = SHAPES[build]
        name = next(n for n, entry in RECONSTRUCTORS.items() if entry.name == build.__name__)
        classifier = CLASSIFIERS[classifiers.get(name, name)](shape, 10)
        check_reconstructor(RECONSTRUCTORS[name](shape, 10), classifier, 10)
    check_reconstructor(mnist_reconstructor(), mnist_paper_classifier(), 10)


@pytest.mark.parametrize("depth", [8, 20, 56])
def test_a_residual_network_has_the_layers_its_depth_says(depth):
    model = resnet((16, 16, 3), depth=depth)
    kernels = [w for w in model.trainable_weights if len(w.shape) in (2, 4)]
    shortcuts = [w for w in kernels if w.shape[:2] == (1, 1)]
    # The shortcuts of the second and third group are not counted among the layers.
    assert len(kernels) - len(shortcuts) == depth
    assert len(shortcuts) == 2


def test_a_residual_network_of_another_depth_is_refused():
    with pytest.raises(ValueError, match="6 n \\+ 2.*Received: depth=9"):
        resnet((16, 16, 3), depth=9)


def flat(*rest, shape=(4, 4, 1)):
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *rest])


class Unbuilt(keras.Model):
    def call(self, x):
        return x


def nested_softmax():
    inner = flat(layers.Dense(3, activation="softmax"))
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, inner(inputs))


def two_inputs():
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    return keras.Model([a, b], layers.Dense(3)(layers.Flatten()(layers.Add()([a, b]))))


def two_outputs():
    a = keras.Input((4, 4, 1))
    x = layers.Flatten()(a)
    return keras.Model(a, [layers.Dense(3)(x), layers.Dense(3)(x)])


NOT_LOGITS = {
    "softmax activation": (
        lambda: flat(layers.Dense(3, activation="softmax")),
        "ends in softmax",
    ),
    "softmax layer": (lambda: flat(layers.Dense(3), layers.Softmax()), "ends in softmax"),
    "activation layer": (
        lambda: flat(layers.Dense(3), layers.Activation("softmax")),
        "ends in softmax",
    ),
    "sigmoid": (lambda: flat(layers.Dense(3, activation="sigmoid")), "ends in sigmoid"),
    "softmax inside": (nested_softmax, "ends in softmax"),
    "softmax of a function": (
        lambda: flat(layers.Dense(3), layers.Lambda(keras.ops.softmax)),
        "its outputs are probabilities",
    ),
}


@pytest.mark.parametrize(("build", "reason"), NOT_LOGITS.values(), ids=NOT_LOGITS)
def test_a_classifier_that_ends_in_probabilities_is_refused(build, reason):
    with pytest.raises(
        ValueError, match=f"must return logits, but {reason}.*; say that.*Received: "
    ):
        check_classifier(build())


WRONG_SHAPES = {
    "no model": (lambda: lambda x: x, "functional or sequential", "classifier=function"),
    "layers but no model": (
        lambda: types.SimpleNamespace(layers=[], built=False),
        "functional or sequential",
        "classifier=SimpleNamespace",
    ),
    "not built": (Unbuilt, "must be built for one input", "input_shape=None"),
    "no image": (lambda: flat(layers.Dense(3), shape=(16,)), "one input", "(None, 16)"),
    "free size": (
        lambda: keras.Sequential(
            [keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(3)]
        ),
        "one input",
        "(None, None, None, 1)",
    ),
    "two inputs": (two_inputs, "one input", "[(None, 4, 4, 1), (None, 4, 4, 1)]"),
    "two outputs": (two_outputs, "logits of shape", "[(None, 3), (None, 3)]"),
    "one logit": (lambda: flat(layers.Dense(1)), "num_classes >= 2", "(None, 1)"),
    "image out": (
        lambda: keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 1)]),
        "logits of shape",
        "(None, 4, 4, 2)",
    ),
}


@pytest.mark.parametrize(("build", "wanted", "received"), WRONG_SHAPES.values(), ids=WRONG_SHAPES)
def test_a_classifier_of_other_shapes_is_refused(build, wanted, received):
    with pytest.raises(ValueError) as error:
        check_classifier(build())
    message, _, value = str(error.value).partition("Received: ")
    assert wanted in message
    assert received in value


def test_classifiers_whose_outputs_only_look_like_probabilities_now_and_then_are_accepted():
    zeros = flat(layers.Dense(3, kernel_initializer="zeros"))
    relu = flat(layers.Dense(3, activation="relu"))
    for model in (zeros, relu):
        assert check_classifier(model) == 3


@pytest.mark.parametrize(
    "build",
    [
        digits_reconstructor,
        lambda: mnist_reconstructor(num_classes=9),
        lambda: lambda p: p,
        lambda: None,
    ],
    ids=["another image size", "another number of classes", "function", "none"],
)
def test_a_reconstructor_that_does_not_fit_is_refused(build):
    wanted = r"from \(None, 10\) to \(None, 28, 28, 1\)\. Received: reconstructor"
    with pytest.raises(ValueError, match=wanted):
        check_reconstructor(build(), mnist_classifier(), 10)


def test_float16_is_found_in_any_layer_however_deep():
    inner = flat(layers.Dense(3, dtype="mixed_float16"), layers.Dense(3))
    inputs = keras.Input((4, 4, 1))
    assert uses_float16(keras.Model(inputs, inner(inputs)))
    assert not uses_float16(flat(layers.Dense(3)))
    assert not uses_float16(flat(layers.Dense(3, dtype="mixed_bfloat16")))
