"""Networks by name for images of any shape, and what the names always made."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_efgsm.networks import (
    CIFAR10_PIXELS,
    CLASSIFIERS,
    NEUTRAL_PIXELS,
    RECONSTRUCTORS,
    PixelStatistics,
    default_network,
    default_reconstructor,
    image_shape_of,
    multiply_adds,
    resnet,
    strided_resnet,
    subpixel_reconstructor,
)

# Of the networks as they were when each was written for one data set: layers, their names and
# shapes, and a sum over the weights under seed 0.
RECORDED = json.loads((Path(__file__).parent / "recorded_networks.json").read_text())
TABLES = {"classifiers": CLASSIFIERS, "reconstructors": RECONSTRUCTORS}
ENTRIES = [(kind, name) for kind, names in RECORDED.items() for name in names]

ODD_SHAPES = [(24, 20, 3), (36, 36, 1), (17, 31, 3), (64, 64, 3)]
# The others are the same functions with more layers or channels.
LIGHT = [
    *("conv2", "strided-conv", "conv4", "conv4-pool", "madry-cnn", "trades-cnn"),
    *("threshold", "threshold-deep", "tone-curve", "free-curve", "cifar10-conv4"),
]
# Of convolutions with padding and a mean over the image: two shapes tell as much as four.
RESIDUAL = ["strided", "strided8", "resnet8", "wrn10-1"]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_the_names_of_a_data_set_make_the_layers_and_weights_they_always_made(kind, name):
    recorded = RECORDED[kind][name]
    keras.backend.clear_session(free_memory=False)  # layers are numbered from one
    keras.utils.set_random_seed(0)
    model = TABLES[kind][name](image_shape_of(name), 10)
    layers = [
        [type(layer).__name__, layer.name, list(layer.output.shape[1:])] for layer in model.layers
    ]
    found = hashlib.sha256(json.dumps(layers).encode()).hexdigest()[:16]
    assert (model.name, len(layers), found, model.count_params()) == (
        recorded["model"],
        recorded["layers"],
        recorded["layers_sha256"],
        recorded["weights"],
    )
    if keras.backend.backend() == "tensorflow":  # whose initializers were recorded
        values = (weight.ravel().astype("float64") for weight in model.get_weights())
        checksum = sum(float(np.sum(v * np.cos(np.arange(v.size)))) for v in values)
        assert checksum == pytest.approx(recorded["checksum"], rel=1e-6, abs=1e-4)


def forward(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


@pytest.mark.parametrize("name", LIGHT + RESIDUAL)
def test_a_classifier_takes_images_of_any_shape(name):
    cases = list(zip(ODD_SHAPES, (2, 26, 3, 1000), strict=True))
    for shape, classes in cases[1:3] if name in RESIDUAL else cases:
        model = CLASSIFIERS[name](shape, classes, activation="silu", name="mine")
        assert (model.input_shape, model.output_shape) == ((None, *shape), (None, classes))
        assert model.name == "mine"
    images = np.random.default_rng(0).random((2, *shape), dtype="float32")
    assert np.isfinite(forward(model, images)).all()


@pytest.mark.parametrize("name", [n for n in RECONSTRUCTORS if "wrn22" not in n])
def test_a_reconstructor_makes_images_of_any_shape(name):
    for shape, classes in zip(ODD_SHAPES, (2, 26, 3, 100), strict=True):
        model = RECONSTRUCTORS[name](shape, classes, name="mine")
        assert (model.input_shape, model.output_shape) == ((None, classes), (None, *shape))
    images = forward(model, np.eye(classes, dtype="float32")[:2])
    assert images.min() >= 0.0 and images.max() <= 1.0


def test_images_whose_sides_are_odd_are_the_upper_left_part_of_even_ones():
    whole, part = (subpixel_reconstructor((side, 8, 1), 4, (4, 4, 4)) for side in (8, 5))
    part.set_weights(whole.get_weights())
    one_hot = np.eye(4, dtype="float32")
    np.testing.assert_array_equal(forward(part, one_hot), forward(whole, one_hot)[:, :5])


@pytest.mark.parametrize(
    ("name", "shape", "larger"),
    [
        ("trades-cnn", (8, 8, 1), "16 16"),
        ("mnist-trades", (12, 24, 3), "16 32"),
        ("madry-cnn", (3, 9, 1), "4 12"),
        ("mnist-paper", (28, 2, 1), "56 4"),
    ],
)
def test_a_network_of_images_too_small_for_it_is_refused_with_the_size_that_would_do(
    name, shape, larger
):
    with pytest.raises(ValueError, match=f"by `--image-size {larger}` or.*Received: image_shape="):
        CLASSIFIERS[name](shape, 10)
    rows, columns = (int(side) for side in larger.split())
    assert CLASSIFIERS[name]((rows, columns, 1), 10).output_shape == (None, 10)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((8, 8), 10, r"\(height, width, channels\)\. Received: image_shape=\(8, 8\)"),
        (64, 10, r"\(height, width, channels\)\. Received: image_shape=64"),
        ((8, 0, 1), 10, "`image_shape` must be a whole number >= 1. Received: image_shape=0"),
        ((16, 16, 1), 1, "`num_classes` must be a whole number >= 2. Received: num_classes=1"),
    ],
)
def test_what_is_no_shape_or_one_class_alone_is_refused(table, shape, classes, message):
    for build in table.values():
        with pytest.raises(ValueError, match=message):
            build(shape, classes)


# Their pixels.


def test_statistics_of_other_channels_are_the_mean_of_them():
    assert CIFAR10_PIXELS.for_channels(3) is CIFAR10_PIXELS
    grey = CIFAR10_PIXELS.for_channels(1)
    assert grey.mean == pytest.approx((0.4734,), abs=1e-4)
    assert grey.std == pytest.approx((0.25073,), abs=1e-4)
    assert NEUTRAL_PIXELS.for_channels(3) == PixelStatistics((0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    ("name", "pixels"), [("strided", NEUTRAL_PIXELS), ("cifar10-strided", CIFAR10_PIXELS)]
)
def test_a_network_by_name_normalises_the_channels_there_are(name, pixels, channels):
    model = CLASSIFIERS[name]((8, 8, channels), 10)
    first = keras.Model(model.inputs[0], model.get_layer("normalization").output)
    images = np.random.default_rng(0).random((2, 8, 8, channels), dtype="float32")
    mean, std = (np.float32(v) for v in pixels.for_channels(channels))
    np.testing.assert_allclose(forward(first, images), (images - mean) / std, rtol=1e-4, atol=1e-5)


# Those chosen by default.


@pytest.mark.parametrize(
    ("shape", "images", "classes", "name"),
    [
        ((8, 8, 1), 1_437, 10, "conv2"),
        ((28, 28, 1), 60_000, 10, "tone-curve"),
        ((36, 36, 1), 900, 26, "tone-curve"),
        ((36, 36, 1), 90_000, 1_000, "strided"),
        ((24, 20, 3), 200, 3, "strided-narrow"),
        ((32, 32, 3), 50_000, 10, "strided"),
        ((32, 32, 3), 2_000, 100, "strided"),
        ((17, 31, 3), 50_000, 10, "strided"),
        ((64, 64, 3), 50_000, 200, "strided4"),
        ((64, 48, 1), 500, 5, "strided4"),
        ((128, 128, 3), 3_000, 5, "strided8"),
        ((224, 224, 3), 3_000, 5, "strided8"),
        ((512, 512, 3), 3_000, 5, "strided16"),
    ],
)
def test_the_network_chosen_by_default_is_affordable_whatever_the_size(
    shape, images, classes, name
):
    assert default_network(shape, images, classes) == name
    cost = multiply_adds(CLASSIFIERS[name](shape, classes))
    helper = RECONSTRUCTORS[default_reconstructor(shape, classes)](shape, classes)
    print(f"{name}: {cost / 1e6:.1f} M, re-constructor: {multiply_adds(helper) / 1e6:.1f} M")
    assert cost < 650e6
    assert multiply_adds(helper) < max(0.25 * cost, 3e6)
    assert helper.output_shape == (None, *shape)


@pytest.mark.parametrize(
    "arguments", [((8, 8), 10, 10), ((8, 8, 1), 0, 10), ((8, 8, 1), 10, 1), ((8, 8, 1), 1.5, 10)]
)
def test_there_is_no_default_for_what_is_no_data(arguments):
    with pytest.raises(ValueError, match="Received: "):
        default_network(*arguments)


def test_a_larger_stride_costs_a_larger_image_what_a_small_one_costs():
    small = multiply_adds(strided_resnet((32, 32, 3)))
    for factor in (2, 4):
        shape = (32 * factor, 32 * factor, 3)
        large = multiply_adds(strided_resnet(shape, stride=2 * factor))
        assert large == pytest.approx(small, rel=0.15)


def test_a_function_is_registered_by_one_line(monkeypatch):
    def mine(image_shape, num_classes, activation="relu", name="mine"):
        return resnet(image_shape, num_classes, 8, activation=activation, name=name)

    monkeypatch.setitem(CLASSIFIERS, "mine", mine)
    assert CLASSIFIERS["mine"]((9, 9, 2), 4).output_shape == (None, 4)
