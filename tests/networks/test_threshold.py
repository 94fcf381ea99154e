"""The threshold that a classifier sees each pixel through."""

import keras
import numpy as np
import pytest

from keras_efgsm.backend import input_gradient
from keras_efgsm.networks import (
    deep_threshold_classifier,
    pixel_threshold,
    threshold_classifier,
)

PIXELS = np.linspace(0.0, 1.0, 28 * 28, dtype="float32").reshape(1, 28, 28, 1)


def threshold(**options):
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, pixel_threshold(inputs, **options))


def slope(model, pixels):
    """Gradient of the sum of what is seen, in pixels."""

    def seen(x):
        return keras.ops.sum(model(x), axis=(1, 2, 3)), ()

    return keras.ops.convert_to_numpy(input_gradient(seen, keras.ops.convert_to_tensor(pixels))[2])


def test_a_pixel_is_seen_as_a_steep_sigmoid_and_a_line():
    seen = keras.ops.convert_to_numpy(threshold(steepness=12.0, leak=0.01)(PIXELS))
    x = PIXELS.astype("float64")
    np.testing.assert_allclose(seen, 1 / (1 + np.exp(-12 * (x - 0.5))) + 0.01 * x, atol=1e-6)


def test_its_gradient_is_that_of_finite_differences():
    x = np.asarray([0.1, 0.45, 0.5, 0.6, 0.9])
    step = 1e-6

    def seen(x):
        return 1 / (1 + np.exp(-40 * (x - 0.5))) + 2e-4 * x

    expected = (seen(x + step) - seen(x - step)) / (2 * step)
    pixels = np.tile(x.astype("float32"), 28 * 28 // 5 + 1)[: 28 * 28].reshape(1, 28, 28, 1)
    found = slope(threshold(), pixels).ravel()[:5]
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_the_slope_is_zero_nowhere_however_steep_it_is():
    assert slope(threshold(steepness=500.0), PIXELS).min() > 1e-4
    # Without the leak a white pixel has none, on which an attack by its sign stands still.
    assert slope(threshold(steepness=500.0, leak=0.0), PIXELS).min() == 0.0


def test_a_change_that_keeps_black_and_white_pixels_on_their_side_is_hardly_seen():
    model = threshold()
    for pixel, moved in ((0.0, 0.3), (1.0, 0.7)):
        images = [np.full((1, 28, 28, 1), value, "float32") for value in (pixel, moved)]
        before, after = (keras.ops.convert_to_numpy(model(image)) for image in images)
        assert np.abs(after - before).max() < 1e-3


@pytest.mark.parametrize("make", [threshold_classifier, deep_threshold_classifier])
def test_the_gradient_of_a_pixel_has_the_sign_of_the_gradient_behind_the_threshold(make):
    keras.utils.set_random_seed(0)
    classifier = make((28, 28, 1))
    seen = classifier.get_layer("seen").output
    behind = keras.Model(seen, classifier.output)
    before = keras.Model(classifier.input, seen)
    images = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")

    def margin(model):
        def value(x):
            logits = model(x)
            return logits[:, 0] - logits[:, 1], ()

        return value

    through = input_gradient(margin(classifier), keras.ops.convert_to_tensor(images))[2]
    inner = input_gradient(margin(behind), before(images))[2]
    through, inner = (keras.ops.convert_to_numpy(g) for g in (through, inner))
    assert (np.abs(inner) > 0).mean() > 0.9
    clear = np.abs(inner) > 1e-6
    np.testing.assert_array_equal(np.sign(through[clear]), np.sign(inner[clear]))


@pytest.mark.parametrize("make", [threshold_classifier, deep_threshold_classifier])
def test_where_the_strides_do_not_divide_the_size_every_pixel_is_seen_all_the_same(make):
    keras.utils.set_random_seed(0)
    classifier = make((9, 11, 1))
    images = np.random.default_rng(0).random((2, 9, 11, 1), dtype="float32")
    logits = keras.ops.convert_to_numpy(classifier(images))
    # The last row and column too.
    images[:, -1, -1] = 1.0 - images[:, -1, -1]
    assert np.abs(keras.ops.convert_to_numpy(classifier(images)) - logits).max() > 1e-4
