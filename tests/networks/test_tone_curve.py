"""The learned curve that a classifier sees each pixel through."""

import keras
import numpy as np
import pytest

from keras_efgsm.backend import input_gradient
from keras_efgsm.networks import (
    free_curve_classifier,
    free_curves,
    multiply_adds,
    tone_curve,
    tone_curve_classifier,
)

PIXELS = np.linspace(0.0, 1.0, 28 * 28, dtype="float32").reshape(1, 28, 28, 1)


def curve(shape=(28, 28, 1), **options):
    inputs = keras.Input(shape)
    return keras.Model(inputs, tone_curve(inputs, **options))


def seen_by(model, pixels):
    return keras.ops.convert_to_numpy(model(pixels))


def test_it_is_the_sum_of_sigmoids_and_a_line():
    model = curve(knots=3, steepness=6.0, leak=0.02)
    kernel, bias, weights = (np.asarray(w) for w in model.get_weights())
    kernel = kernel + np.asarray([0.0, 1.0, 2.0])
    weights = weights * np.asarray([1.0, 0.5, 2.0]).reshape(1, 1, 3, 1)
    model.set_weights([kernel, bias, weights])
    x = PIXELS.astype("float64")
    terms = 1 / (1 + np.exp(-(kernel.reshape(3) * 6.0 * x + bias)))
    np.testing.assert_allclose(
        seen_by(model, PIXELS), terms @ weights.reshape(3, 1) + 0.02 * x, atol=1e-6
    )


def test_at_the_start_it_is_nearly_a_line():
    seen = seen_by(curve(), PIXELS).reshape(-1)
    line = np.linspace(seen[0], seen[-1], len(seen))
    assert seen[-1] - seen[0] > 0.75
    assert np.abs(seen - line).max() < 0.06


def test_all_channels_of_a_colour_image_go_through_the_same_curve():
    grey, colour = curve(), curve((28, 28, 3))
    images = np.random.default_rng(0).random((2, 28, 28, 3), dtype="float32")
    each = [seen_by(grey, images[..., [channel]]) for channel in range(3)]
    np.testing.assert_allclose(seen_by(colour, images), np.concatenate(each, -1), atol=1e-6)


def test_a_training_that_pulls_its_weights_below_zero_leaves_it_rising():
    keras.utils.set_random_seed(0)
    model = curve()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    # Falling pixels are asked for: without the constraint the curve would follow.
    model.fit(PIXELS, 1.0 - PIXELS, epochs=30, verbose=0)
    seen = seen_by(model, PIXELS).reshape(-1).astype("float64")
    assert (np.diff(seen) > 0).all()


@pytest.mark.parametrize("steepness", [10.0, 200.0])
def test_no_pixel_has_a_gradient_of_zero(steepness):
    model = curve(steepness=steepness)

    def total(x):
        return keras.ops.sum(model(x), axis=(1, 2, 3)), ()

    slope = input_gradient(total, keras.ops.convert_to_tensor(PIXELS))[2]
    assert (keras.ops.convert_to_numpy(slope) > 0).all()


def test_the_classifier_has_as_many_parameters_as_the_threshold_and_twelve():
    classifier = tone_curve_classifier((28, 28, 1))
    assert classifier.count_params() == 184_690 + 12
    assert multiply_adds(classifier) < 0.7e6


def test_a_free_curve_may_fall():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    model = keras.Model(inputs, free_curves(inputs, curves=1))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    model.fit(PIXELS, 1.0 - PIXELS, epochs=60, verbose=0)
    seen = seen_by(model, PIXELS).reshape(-1)
    assert seen[0] > seen[-1] + 0.5


def test_the_free_one_has_two_curves_before_the_same_network():
    free, rising = free_curve_classifier((28, 28, 1)), tone_curve_classifier((28, 28, 1))
    more = 34 - 12 + 3 * 3 * 4 * 24
    assert free.count_params() == rising.count_params() + more


@pytest.mark.parametrize(
    ("options", "message"),
    [({"knots": 0}, "knots"), ({"steepness": 0.0}, "steepness"), ({"leak": -1.0}, "leak")],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=rf"{message}.*Received: {message}="):
        tone_curve_classifier((28, 28, 1), **options)
