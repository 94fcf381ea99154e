import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks.losses import cross_entropy, margin_loss
from keras_efgsm.backend import compiled, input_gradient, rival_margins_and_gradients

NUM_CLASSES = 5
ROWS = np.arange(6)


class Net:
    """A small smooth network in Keras and, in float64, in numpy."""

    def __init__(self):
        keras.utils.set_random_seed(1)
        self.model = keras.Sequential(
            [
                keras.Input((3, 4, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(9, activation="tanh"),
                keras.layers.Dense(NUM_CLASSES, bias_initializer="normal"),
            ]
        )
        self.weights = [w.astype("float64") for w in self.model.get_weights()]
        rng = np.random.default_rng(0)
        self.x = ops.convert_to_tensor(rng.uniform(size=(6, 3, 4, 1)), "float32")
        self.labels = ops.convert_to_tensor([0, 1, 2, 3, 4, 0])

    def logits(self, x):
        w1, b1, w2, b2 = self.weights
        return np.tanh(np.reshape(x, (len(x), -1)) @ w1 + b1) @ w2 + b2

    def finite_differences(self, function):
        """Gradient of `function(logits)` `(B,)` with respect to the images."""
        x = np.asarray(self.x).astype("float64")
        gradient = np.zeros_like(x)
        for pixel in np.ndindex(*x.shape[1:]):
            step = np.zeros(x.shape[1:])
            step[pixel] = 1e-6
            difference = function(self.logits(x + step)) - function(self.logits(x - step))
            gradient[(slice(None), *pixel)] = difference / 2e-6
        return gradient


@pytest.fixture(scope="module")
def net():
    return Net()


def rivals_by_logit(net):
    """Rivals `(B, K - 1)` of each image, the largest logit first."""
    z = net.logits(np.asarray(net.x))
    z[ROWS, np.asarray(net.labels)] = -np.inf
    return np.argsort(-z, axis=1)[:, :-1]


def numpy_margin(net, rivals):
    labels = np.asarray(net.labels)
    return lambda z: z[ROWS, labels] - z[ROWS, rivals]


def numpy_cross_entropy(net):
    labels = np.asarray(net.labels)
    return lambda z: np.log(np.exp(z).sum(axis=1)) - z[ROWS, labels]


def test_the_input_gradient_of_the_cross_entropy_agrees_with_finite_differences(net):
    def loss(x):
        logits = net.model(x)
        return cross_entropy(logits, net.labels), logits

    values, aux, gradient = input_gradient(loss, net.x)
    function = numpy_cross_entropy(net)
    np.testing.assert_allclose(aux, net.logits(np.asarray(net.x)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(values, function(net.logits(np.asarray(net.x))), rtol=1e-4)
    np.testing.assert_allclose(gradient, net.finite_differences(function), rtol=1e-3, atol=1e-5)


def test_the_input_gradient_of_the_margin_loss_agrees_with_finite_differences(net):
    values, _, gradient = input_gradient(
        lambda x: (margin_loss(net.model(x), net.labels), None), net.x
    )
    margin = numpy_margin(net, rivals_by_logit(net)[:, 0])
    np.testing.assert_allclose(values, -margin(net.logits(np.asarray(net.x))), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, -net.finite_differences(margin), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_margins_and_gradients_of_the_nearest_rivals_agree_with_finite_differences(net, count):
    logits, margins, gradients = rival_margins_and_gradients(net.model, net.x, net.labels, count)
    z = net.logits(np.asarray(net.x))
    np.testing.assert_allclose(logits, z, rtol=1e-4, atol=1e-5)
    assert len(margins) == len(gradients) == count
    rivals = rivals_by_logit(net)
    for m in range(count):
        function = numpy_margin(net, rivals[:, m])
        np.testing.assert_allclose(margins[m], function(z), rtol=1e-4, atol=1e-5)
        expected = net.finite_differences(function)
        np.testing.assert_allclose(gradients[m], expected, rtol=1e-3, atol=1e-5)


def test_no_count_and_a_count_beyond_the_classes_mean_all_rivals(net):
    expected = rival_margins_and_gradients(net.model, net.x, net.labels, NUM_CLASSES - 1)
    for count in (None, NUM_CLASSES, 100):
        _, margins, gradients = rival_margins_and_gradients(net.model, net.x, net.labels, count)
        assert len(margins) == len(gradients) == NUM_CLASSES - 1
        np.testing.assert_array_equal(margins, expected[1])
        np.testing.assert_array_equal(gradients, expected[2])
    # Every class but the true one is there once: the margins add up to K z_t - sum z.
    z = net.logits(np.asarray(net.x))
    total = NUM_CLASSES * z[ROWS, np.asarray(net.labels)] - z.sum(axis=1)
    np.testing.assert_allclose(np.sum(margins, axis=0), total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [1024.0, 3.0])
def test_the_scale_leaves_values_and_gradients_as_they_are(net, scale):
    def loss(x):
        return cross_entropy(net.model(x), net.labels), None

    plain, scaled = input_gradient(loss, net.x), input_gradient(loss, net.x, scale)
    np.testing.assert_array_equal(scaled[0], plain[0])
    np.testing.assert_allclose(scaled[2], plain[2], rtol=1e-5, atol=1e-7)
    for count in (1, None):
        plain = rival_margins_and_gradients(net.model, net.x, net.labels, count)
        scaled = rival_margins_and_gradients(net.model, net.x, net.labels, count, scale)
        np.testing.assert_array_equal(scaled[1], plain[1])
        np.testing.assert_allclose(scaled[2], plain[2], rtol=1e-5, atol=1e-7)


@pytest.mark.tensorflow("it looks at values that JAX only traces")
@pytest.mark.parametrize("count", [1, 2])
def test_the_scale_is_in_force_while_gradients_flow_back(net, count):
    seen = []

    @ops.custom_gradient
    def watched(logits):
        def backward(upstream):
            seen.append(upstream)
            return upstream

        return logits, backward

    rival_margins_and_gradients(lambda x: watched(net.model(x)), net.x, net.labels, count, 1024.0)
    input_gradient(lambda x: (ops.max(watched(net.model(x)), axis=1), None), net.x, 1024.0)
    assert len(seen) == count + 1
    assert all(np.abs(upstream).max() == 1024.0 for upstream in seen)


def test_a_value_that_does_not_depend_on_the_images_has_gradient_zero(net):
    _, _, gradient = input_gradient(lambda x: (ops.ones(len(x)), None), net.x)
    np.testing.assert_array_equal(gradient, np.zeros(net.x.shape))
    constant = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(6, 5)), "float32")
    for count in (1, None):
        _, _, gradients = rival_margins_and_gradients(lambda x: constant, net.x, net.labels, count)
        for gradient in gradients:
            np.testing.assert_array_equal(gradient, np.zeros(net.x.shape))


@pytest.mark.parametrize("count", [1, None])
def test_the_gradient_of_a_sample_does_not_depend_on_the_others(net, count):
    _, _, together = rival_margins_and_gradients(net.model, net.x, net.labels, count)
    for b in (0, 5):
        _, _, alone = rival_margins_and_gradients(
            net.model, net.x[b : b + 1], net.labels[b : b + 1], count
        )
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], other[b], rtol=1e-5, atol=1e-6)


def test_rivals_take_one_forward_pass_however_many_there_are(net):
    calls = []

    def logits_fn(x):
        calls.append(1)
        return net.model(x)

    rival_margins_and_gradients(logits_fn, net.x, net.labels, None)
    assert len(calls) == 1


def test_a_compiled_function_gives_the_same_gradients_and_is_traced_once(net):
    traces = []

    def gradient_of(x, labels):
        traces.append(1)
        return rival_margins_and_gradients(net.model, x, labels, 2)[2]

    function = compiled(gradient_of)
    expected = gradient_of(net.x, net.labels)
    traces.clear()
    for _ in range(3):
        np.testing.assert_allclose(function(net.x, net.labels), expected, rtol=1e-5, atol=1e-6)
    assert len(traces) == 1
