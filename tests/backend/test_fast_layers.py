"""The faster operations compute what Keras's layers do, and leave the layers Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import FGSM
from keras_efgsm.attacks.logits import batch_statistics_logits
from keras_efgsm.backend import use_fast_layers
from keras_efgsm.backend.small_convolution import kernel_gradient
from keras_efgsm.networks.precision import dtype_policy_scope
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

SHAPE = (6, 5, 3)


def random_array(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.5, 2.0, shape).astype("float32")


def one_layer(make, *, fast, shape=SHAPE):
    """A network of a layer alone, whose weights are no fresh ones."""
    network = keras.Sequential([keras.Input(shape), make()])
    for number, variable in enumerate(network.variables):
        values = random_array(*variable.shape, seed=number + 1)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    if fast:
        use_fast_layers(network)
    return network


def is_fast(layer):
    return bool({"call", "convolution_op"} & set(vars(layer)))


def kinds_of_operations(function, *inputs):
    """Of the graph that a function becomes."""
    specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in inputs]
    graph = tf.function(function).get_concrete_function(*specs).graph
    return {operation.type for operation in graph.get_operations()}


def outcomes(network, x, training):
    """Outputs and gradients of a call, what is left of it, and gradients of a gradient."""
    x = tf.constant(x)
    seen = [x, *network.trainable_variables]
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network(x, training=training)
            slope = tf.constant(random_array(*y.shape, seed=9))
            loss = tf.reduce_sum(tf.cast(y, "float32") * slope + tf.cast(y, "float32") ** 2)
        first = tape.gradient(loss, [x, *(v.value for v in seen[1:])])
        squares = tf.reduce_sum(first[0] ** 2)
    second = outer.gradient(squares, x)
    return {
        "outputs": y.numpy(),
        "gradients": [g.numpy() for g in first],
        "statistics": [v.numpy() for v in network.non_trainable_variables],
        "second": second.numpy(),
    }


def assert_close(found, expected, tolerance=1e-5):
    """To a tolerance relative to the largest of each."""
    tf.nest.assert_same_structure(found, expected)
    for ours, theirs in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
        scale = max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=tolerance)


# Batch normalization.


def norm(**options):
    return keras.layers.BatchNormalization(**{"momentum": 0.8, "epsilon": 1e-3, **options})


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"scale": False}, {"center": False}, {"axis": 3}, {"trainable": False}],
    ids=str,
)
def test_fused_batch_norm_has_the_outputs_gradients_and_statistics_of_keras(options, training):
    x = random_array(7, *SHAPE)
    found, expected = (
        outcomes(one_layer(lambda: norm(**options), fast=fast), x, training)
        for fast in (True, False)
    )
    assert_close(found, expected)
    before = one_layer(lambda: norm(**options), fast=False).non_trainable_variables[-1]
    moved = np.abs(found["statistics"][-1] - before.numpy()).max() > 0.01
    assert moved == (training and options != {"trainable": False})


def test_a_batch_of_one_value_a_channel_has_no_variance():
    found, expected = (
        outcomes(one_layer(norm, fast=fast, shape=(1, 1, 3)), random_array(1, 1, 1, 3), True)
        for fast in (True, False)
    )
    assert_close(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_in_bfloat16_it_is_batch_norm_up_to_rounding_and_its_statistics_are_float32(training):
    x = random_array(32, *SHAPE)
    found = outcomes(one_layer(lambda: norm(dtype="mixed_bfloat16"), fast=True), x, training)
    expected = outcomes(one_layer(norm, fast=False), x, training)
    assert found["outputs"].dtype == "bfloat16"
    assert {a.dtype.name for a in found["statistics"]} == {"float32"}
    for name in ("outputs", "gradients", "statistics"):
        floats = tf.nest.map_structure(lambda a: np.asarray(a, "float32"), found[name])
        assert_close(floats, expected[name], tolerance=0.02)


@pytest.mark.parametrize("training", [True, False])
def test_the_fused_operation_is_what_runs(training):
    x = random_array(2, *SHAPE)
    kinds = [
        kinds_of_operations(lambda x, n=network: n(x, training=training), x)
        for network in (one_layer(norm, fast=True), one_layer(norm, fast=False))
    ]
    assert "FusedBatchNormV3" in kinds[0] - kinds[1]


def test_in_a_graph_the_statistics_move_as_well():
    x = random_array(7, *SHAPE)
    fast, plain = (one_layer(norm, fast=fast) for fast in (True, False))
    step = tf.function(lambda x: fast(x, training=True))
    for _ in range(3):
        outputs = step(x)
        expected = plain(x, training=True)
    assert_close(outputs.numpy(), expected.numpy())
    for ours, theirs in zip(fast.variables, plain.variables, strict=True):
        assert_close(ours.numpy(), theirs.numpy())


def test_an_attack_that_sees_the_batch_leaves_the_statistics():
    network = one_layer(norm, fast=True)
    x = random_array(7, *SHAPE)
    before = [v.numpy() for v in network.variables]
    logits = batch_statistics_logits(network)(x)
    assert_close(logits.numpy(), one_layer(norm, fast=False)(x, training=True).numpy())
    for old, variable in zip(before, network.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())


class OwnNorm(keras.layers.BatchNormalization):
    """Somebody's own layer, which may call what it will."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: norm(axis=1),
        lambda: norm(dtype="mixed_float16"),
        lambda: norm(dtype="float16"),
        lambda: norm(dtype="bfloat16"),
        lambda: norm(dtype="float64"),
        OwnNorm,
        keras.layers.LayerNormalization,
    ],
    ids=["axis 1", "mixed float16", "float16", "bfloat16 weights", "float64", "own", "layer norm"],
)
def test_a_normalization_that_is_not_covered_is_left_alone(make):
    assert not is_fast(one_layer(make, fast=True).layers[0])
    assert is_fast(one_layer(norm, fast=True).layers[0])


@pytest.mark.parametrize(
    ("options", "shape"),
    [({"synchronized": True}, SHAPE), ({}, (4,)), ({}, (5, 4)), ({}, (2, 3, 4, 5))],
    ids=["synchronized", "rank 2", "rank 3", "rank 5"],
)
def test_what_shows_at_the_call_only_is_left_to_keras(options, shape):
    x = random_array(6, *shape)
    fast, plain = (
        one_layer(lambda: norm(**options), fast=fast, shape=shape) for fast in (True, False)
    )
    for training in (True, False):
        kinds = kinds_of_operations(lambda x, t=training: fast(x, training=t), x)
        assert "FusedBatchNormV3" not in kinds
        outputs = [network(x, training=training).numpy() for network in (fast, plain)]
        np.testing.assert_array_equal(*outputs)


# Convolutions of small images.


def gradient_of_keras(x, slope, size, stride):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=[size, size, x.shape[-1], slope.shape[-1]],
        out_backprop=slope,
        strides=[1, stride, stride, 1],
        padding="SAME",
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("height", "width", "stride"),
    [(1, 1, 1), (2, 2, 1), (3, 4, 1), (4, 4, 1), (2, 2, 2), (4, 8, 2), (8, 6, 2), (6, 9, 3)],
)
def test_the_kernel_gradient_by_taps_is_that_of_the_operation(height, width, stride, size):
    x = tf.constant(random_array(3, height, width, 4))
    slope = tf.constant(random_array(3, height // stride, width // stride, 5, seed=1))
    found = kernel_gradient(x, slope, size, stride)
    assert_close(found.numpy(), gradient_of_keras(x, slope, size, stride).numpy())


def convolution(**options):
    options = {"padding": "same", "dtype": "mixed_bfloat16", **options}
    return keras.layers.Conv2D(5, options.pop("kernel_size", 3), **options)


def in_bfloat16(values):
    """The nearest numbers of bfloat16, in float32."""
    return tf.cast(tf.cast(values, "bfloat16"), "float32").numpy()


def convolution_gradients(network, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = network(x, training=True)
        slope = in_bfloat16(random_array(*y.shape, seed=9))
        loss = tf.reduce_sum(tf.cast(y, "float32") * slope)
    variables = [v.value for v in network.trainable_variables]
    return y.numpy(), [g.numpy() for g in tape.gradient(loss, [x, *variables])]


@pytest.mark.parametrize(
    ("side", "options"),
    [
        (4, {}),
        (1, {}),
        (8, {"strides": 2}),
        (2, {"strides": 2, "use_bias": False}),
        (4, {"kernel_size": 5, "activation": "relu"}),
        (6, {"kernel_size": 5, "strides": 2}),
    ],
    ids=str,
)
def test_a_small_convolution_is_as_near_to_float32_as_the_layer_of_keras(side, options):
    """Processors add products of bfloat16 in their own ways, with errors of their own."""
    x = in_bfloat16(random_array(8, side, side, 3))

    def gradients(fast, **dtype):
        make = lambda: convolution(**options, **dtype)  # noqa: E731
        network = one_layer(make, fast=fast, shape=x.shape[1:])
        network.set_weights([in_bfloat16(weights) for weights in network.get_weights()])
        return convolution_gradients(network, x)

    (y, found), (y_of_keras, of_keras) = gradients(True), gradients(False)
    _, exact = gradients(False, dtype="float32")
    np.testing.assert_array_equal(y, y_of_keras)
    for ours, theirs, truth in zip(found, of_keras, exact, strict=True):
        # A number of bfloat16 is known to a 256th.
        allowed = max(np.abs(theirs - truth).max(), np.abs(truth).max() / 256)
        assert np.abs(ours - truth).max() <= 2 * allowed


def backward_kinds(network, x):
    return kinds_of_operations(lambda x: gradient_of_kernel(network, x), x)


def gradient_of_kernel(network, x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(network(x, training=True), "float32"))
    return tape.gradient(loss, network.layers[0].kernel.value)


@pytest.mark.parametrize(
    ("side", "options", "by_taps"),
    [
        (4, {}, True),
        (8, {"strides": 2}, True),
        (5, {}, False),  # too large for products to be faster
        (10, {"strides": 2}, False),
        (7, {"strides": 2}, False),  # which the stride does not divide
    ],
    ids=str,
)
def test_the_operation_is_replaced_where_images_are_small(side, options, by_taps):
    x = random_array(2, side, side, 3)
    network = one_layer(lambda: convolution(**options), fast=True, shape=x.shape[1:])
    assert ("Conv2DBackpropFilter" not in backward_kinds(network, x)) == by_taps


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float32"},
        {"dtype": "mixed_float16"},
        {"kernel_size": 1},
        {"kernel_size": (3, 5)},
        {"padding": "valid"},
        {"dilation_rate": 2},
        {"strides": 3},
        {"groups": 5},
    ],
    ids=str,
)
def test_a_convolution_that_is_not_covered_is_left_alone(options):
    shape = (4, 4, 5)
    assert not is_fast(one_layer(lambda: convolution(**options), fast=True, shape=shape).layers[0])
    assert is_fast(one_layer(convolution, fast=True, shape=shape).layers[0])


def test_images_of_any_size_are_left_to_keras():
    shape = (None, None, 3)
    signature = [tf.TensorSpec([None, *shape], "float32")]
    x = random_array(2, 4, 4, 3)
    fast, plain = (
        tf.function(one_layer(convolution, fast=fast, shape=shape), input_signature=signature)(x)
        for fast in (True, False)
    )
    np.testing.assert_array_equal(fast.numpy(), plain.numpy())


# Whole networks.


def classifier():
    keras.utils.set_random_seed(0)
    with dtype_policy_scope("mixed_bfloat16"):
        inner = keras.Sequential([keras.Input((4, 4, 3)), convolution(), norm()])
        layers = [keras.Input((4, 4, 3)), inner, keras.layers.GlobalAveragePooling2D()]
        return keras.Sequential([*layers, keras.layers.Dense(10, dtype="float32")])


def test_a_trainer_makes_the_layers_of_its_classifier_fast_those_within_a_model_too():
    network = classifier()
    inner = network.layers[0].layers
    assert not any(map(is_fast, inner))
    AdversarialTrainer(network, FGSM(epsilon=0.1))
    assert all(map(is_fast, inner))
    assert not any(map(is_fast, network.layers[1:]))


def test_a_file_of_a_fast_network_and_its_clone_are_plain_keras(tmp_path):
    network, plain = classifier(), classifier()
    use_fast_layers(network)
    network.save(tmp_path / "fast.keras")
    plain.save(tmp_path / "plain.keras")
    x = random_array(4, 4, 4, 3)
    expected = plain(x, training=False).numpy()
    loaded = keras.saving.load_model(tmp_path / "fast.keras")
    clone = keras.models.clone_model(network)
    clone.set_weights(network.get_weights())
    for copy in (loaded, clone):
        assert not any(map(is_fast, copy._flatten_layers()))
        np.testing.assert_array_equal(copy(x, training=False), expected)
    for ours, theirs in zip(network.layers[0].layers, plain.layers[0].layers, strict=True):
        assert {**ours.get_config(), "name": None} == {**theirs.get_config(), "name": None}
    assert_close(network(x, training=False).numpy(), expected, tolerance=0.02)


def test_made_fast_twice_a_network_is_as_fast_as_once():
    network = one_layer(norm, fast=True)
    use_fast_layers(network)
    x = random_array(7, *SHAPE)
    expected = outcomes(one_layer(norm, fast=False), x, True)
    assert_close(outcomes(network, x, True), expected)
