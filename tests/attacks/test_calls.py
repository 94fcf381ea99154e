"""`attack(classifier, x, y)` keeps its compiled graph between calls."""

import gc
import threading
import weakref

import keras
import numpy as np
import pytest

from keras_efgsm.attacks import EFGSM, FGSM, PGD, TargetedAPGD, attack, graphs
from keras_efgsm.attacks.inputs import check_call
from keras_efgsm.backend import BACKEND

SHAPE, CLASSES = (4, 4, 1), 4
OPTIONS = {"epsilon": 0.2, "random_start": True}


class Counted(keras.layers.Layer):
    """Passes images on and counts how often it is called: once for each trace of a graph."""

    def __init__(self, **options):
        super().__init__(**options)
        self.traces = 0

    def call(self, images):
        self.traces += 1
        return images


def network(dtype=None):
    keras.utils.set_random_seed(0)
    layers = [keras.Input(SHAPE), Counted(), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(CLASSES, dtype=dtype)])
    counted = model.layers[0]
    # The classifier is asked once what it answers, before the first graph.
    counted.traces = 0
    check_call(model, np.zeros((1, *SHAPE), "float32"), np.zeros(1, "int32"))
    assert counted.traces == 2
    counted.traces = 0
    return model, counted


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(0)
    return random.random((6, *SHAPE), dtype="float32"), random.integers(0, CLASSES, 6)


def array(images):
    return np.asarray(images).copy()


@pytest.mark.parametrize("new", [False, True], ids=["the same attack", "a new one each time"])
def test_ten_calls_trace_once(batch, new):
    model, counted = network()
    fgsm = FGSM(**OPTIONS)
    images = [array((FGSM(**OPTIONS) if new else fgsm)(model, *batch)) for _ in range(10)]
    assert counted.traces == 1
    assert all(np.array_equal(each, images[0]) for each in images)


def test_all_rounds_of_an_attack_trace_once(batch):
    model, counted = network()
    TargetedAPGD(epsilon=0.2, steps=2, targets=1)(model, *batch)
    once = counted.traces
    targeted = TargetedAPGD(epsilon=0.2, steps=2, targets=3)
    for _ in range(3):
        targeted(model, *batch)
    # And a pass in which the images of the round are judged.
    assert counted.traces == once + (once + 1)


def test_another_seed_traces_nothing_and_makes_other_images(batch):
    model, counted = network()
    pgd = PGD(epsilon=0.2, steps=1, step_size=0.02)
    made = [array(pgd(model, *batch, seed=seed)) for seed in (0, 1, 2**40 + 1)]
    assert counted.traces == 1
    assert np.any(made[0] != made[1]) and np.any(made[1] != made[2])
    # As traced with that seed alone.
    again, _ = network()
    np.testing.assert_array_equal(made[2], pgd(again, *batch, seed=2**40 + 1))


def test_another_batch_size_or_model_traces_anew(batch):
    model, counted = network()
    x, y = batch
    FGSM(**OPTIONS)(model, x, y)
    FGSM(**OPTIONS)(model, x[:3], y[:3])
    assert counted.traces == 2
    FGSM(**OPTIONS)(model, x, y)
    # Images of another precision are float32 before the graph.
    FGSM(**OPTIONS)(model, x.astype("float64"), list(y))
    assert counted.traces == 2
    other, its_own = network(dtype="mixed_bfloat16")
    FGSM(**OPTIONS)(other, x, y)
    assert (counted.traces, its_own.traces) == (2, 1)


def test_a_changed_option_is_seen(batch):
    model, counted = network()
    fgsm = FGSM(epsilon=0.2)
    wide = array(fgsm(model, *batch))
    fgsm.step_size = 0.05
    narrow = array(fgsm(model, *batch))
    assert counted.traces == 2
    np.testing.assert_array_equal(narrow, FGSM(epsilon=0.2, step_size=0.05)(model, *batch))
    assert np.abs(narrow - batch[0]).max() < 0.06 < np.abs(wide - batch[0]).max()


def test_another_class_with_the_same_options_is_another_attack(batch):
    class Backwards(FGSM):
        def restrict(self, images, x):
            return super().restrict(2.0 * x - images, x)

    model, _ = network()
    there, back = (array(kind(epsilon=0.1)(model, *batch)) for kind in (FGSM, Backwards))
    assert np.any(np.abs(there - back) > 0.05)


def test_weights_that_changed_between_calls_are_seen(batch):
    model, counted = network()
    before = array(FGSM(epsilon=0.1)(model, *batch))
    model.set_weights([-weight for weight in model.get_weights()])
    after = array(FGSM(epsilon=0.1)(model, *batch))
    assert counted.traces == 1
    assert np.any(before != after)
    fresh, _ = network()
    fresh.set_weights(model.get_weights())
    np.testing.assert_array_equal(after, FGSM(epsilon=0.1)(fresh, *batch))


def test_a_layer_that_was_added_is_seen(batch):
    model, counted = network()
    FGSM(epsilon=0.1)(model, *batch)
    model.add(keras.layers.Dense(CLASSES))
    made = array(FGSM(epsilon=0.1)(model, *batch))
    assert counted.traces >= 2
    expected = FGSM(epsilon=0.1)(lambda images: model(images, training=False), *batch)
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_a_function_is_compiled_anew_as_it_may_read_anything(batch):
    sign = [1.0]
    kernel = np.random.default_rng(1).normal(size=(16, CLASSES)).astype("float32")

    def logits(images):
        return sign[0] * keras.ops.reshape(images, (-1, 16)) @ kernel

    before = array(FGSM(epsilon=0.1)(logits, *batch))
    sign[0] = -1.0
    after = array(FGSM(epsilon=0.1)(logits, *batch))
    np.testing.assert_allclose(before + after, 2 * batch[0].clip(0.1, 0.9), atol=0.2)
    assert np.any(before != after)


def test_an_attack_whose_options_are_no_plain_values_is_compiled_anew(batch):
    model, counted = network()
    fgsm = FGSM(epsilon=0.2)
    fgsm.step_size = np.array(0.1, "float32")
    first = array(fgsm(model, *batch))
    fgsm.step_size[...] = 0.02
    second = array(fgsm(model, *batch))
    assert counted.traces == 2
    assert np.abs(second - batch[0]).max() < 0.03 < np.abs(first - batch[0]).max()


@pytest.mark.parametrize("made", [EFGSM(epsilon=0.1), TargetedAPGD(epsilon=0.1, steps=2)])
def test_a_kept_graph_does_not_keep_its_classifier(batch, made):
    model, counted = network()
    made(model, *batch)
    gone, kept = weakref.ref(model), len(attack._compiled._graphs)
    del model, counted
    gc.collect()
    assert gone() is None
    assert len(attack._compiled._graphs) < kept


def test_the_graphs_of_a_classifier_do_not_grow_without_bound(batch, monkeypatch):
    monkeypatch.setattr(graphs, "_MOST_GRAPHS", 2)
    model, counted = network()
    for step_size in (0.1, 0.2, 0.1, 0.3, 0.1):
        FGSM(epsilon=0.3, step_size=step_size)(model, *batch)
    # That used last stayed, though it came first.
    assert counted.traces == 3
    assert attack._compiled.count(model) == 2
    FGSM(epsilon=0.3, step_size=0.2)(model, *batch)
    assert counted.traces == 4


def test_threads_share_a_graph(batch):
    model, counted = network()
    expected, made = None, []
    start = threading.Barrier(4)

    def call():
        start.wait()
        made.append(array(FGSM(**OPTIONS)(model, *batch)))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = array(FGSM(**OPTIONS)(model, *batch))
    assert len(made) == 4 and all(np.array_equal(each, expected) for each in made)
    # JAX may trace in two threads at once; afterwards there is one graph.
    assert attack._compiled.count(model) == 1
    assert counted.traces == 1 or BACKEND == "jax"


@pytest.mark.parametrize("made", [FGSM(**OPTIONS), TargetedAPGD(epsilon=0.2, steps=2, targets=2)])
def test_an_attack_is_called_within_a_graph_of_the_users_own(batch, made):
    model, _ = network()
    expected = array(made(model, *batch, seed=3))

    def run(x, y):
        return made(model, x, y, seed=3)

    if BACKEND == "tensorflow":
        import tensorflow as tf

        run = tf.function(run)
    else:
        import jax

        run = jax.jit(run)
    x, y = (keras.ops.convert_to_tensor(part) for part in (batch[0], batch[1].astype("int32")))
    for _ in range(2):
        np.testing.assert_allclose(run(x, y), expected, atol=1e-6)
    # What a graph of the user's left behind is of no harm to the next call.
    np.testing.assert_array_equal(made(model, *batch, seed=3), expected)


@pytest.mark.tensorflow("a batch of unknown size")
def test_a_graph_of_the_users_own_is_called_before_any_other(batch):
    import tensorflow as tf

    model, _ = network()
    within = tf.function(lambda x, y: FGSM(**OPTIONS)(model, x, y))(*map(tf.constant, batch))
    np.testing.assert_allclose(within, FGSM(**OPTIONS)(model, *batch), atol=1e-6)


GOOD_X, GOOD_Y = np.full((2, *SHAPE), 0.5, "float32"), np.array([0, 3])
BAD_CALLS = {
    "pixels of 0..255": (GOOD_X * 255, GOOD_Y, "divide 0..255 pixels by 255.*x.max"),
    "pixels below 0": (GOOD_X - 1, GOOD_Y, r"`x` must be pixels in \[0, 1\].*x.min"),
    "NaN": (GOOD_X * np.nan, GOOD_Y, "`x` must be finite.*x.min"),
    "integers": (GOOD_X.astype("uint8"), GOOD_Y, "`x` must be floating-point.*x.dtype=uint8"),
    "no channels": (GOOD_X[..., 0], GOOD_Y, "`x` must be a non-empty array of shape.*x.shape"),
    "no images": (GOOD_X[:0], GOOD_Y[:0], "`x` must be a non-empty array.*x.shape"),
    "another size": (GOOD_X[:, :3], GOOD_Y, r"images of shape \(4, 4, 1\).*x.shape=\(2, 3, 4, 1\)"),
    "a class too many": (GOOD_X, GOOD_Y + 1, r"`y` must lie in \[0, 4\).*y.max\(\)=4"),
    "a class below 0": (GOOD_X, GOOD_Y - 1, r"`y` must lie in \[0, 4\).*y.min\(\)=-1"),
    "half a class": (GOOD_X, GOOD_Y + 0.5, "`y` must be whole numbers.*y.min"),
    "one-hot": (GOOD_X, np.eye(4)[GOOD_Y], r"`y` must have shape \(2,\).*y.shape=\(2, 4\)"),
    "a label too few": (GOOD_X, GOOD_Y[:1], r"`y` must have shape \(2,\).*y.shape=\(1,\)"),
}


@pytest.mark.parametrize(("x", "y", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_images_and_labels_that_do_not_fit_are_refused(x, y, message):
    model, counted = network()
    with pytest.raises(ValueError, match=f"{message}.*"):
        FGSM(epsilon=0.1)(model, x, y)
    assert counted.traces == 0


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_a_seed_that_is_no_whole_number_is_refused(batch, seed):
    with pytest.raises(ValueError, match=r"`seed` must be a whole number >= 0.*Received: seed="):
        FGSM(epsilon=0.1)(network()[0], *batch, seed=seed)


def test_a_function_and_a_model_that_does_not_say_its_shapes_are_called_too(batch):
    model, _ = network()

    class Wrapped(keras.Model):
        def call(self, images, training=None):
            return model(images, training=training)

    expected = array(FGSM(epsilon=0.1)(model, *batch))
    for classifier in (Wrapped(), lambda images: model(images, training=False)):
        np.testing.assert_allclose(FGSM(epsilon=0.1)(classifier, *batch), expected, atol=1e-6)
    with pytest.raises(ValueError, match="`y` must lie in"):
        FGSM(epsilon=0.1)(lambda images: model(images), batch[0], batch[1] - 9)
