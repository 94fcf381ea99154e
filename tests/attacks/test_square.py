import warnings

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm import equations
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.attacks.pgd import PGD
from keras_efgsm.attacks.square import Square, draw_squares, window_sides
from keras_efgsm.backend import call_on_host
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.networks import digits_classifier
from keras_efgsm.noise import Noise

SHAPE = (6, 5, 2)
NUM_IMAGES, NUM_CLASSES = 12, 4
IDS = np.arange(50, 50 + NUM_IMAGES, dtype="int32")


class Linear:
    """A linear classifier in TensorFlow and in numpy."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.weights = rng.normal(size=(60, NUM_CLASSES)).astype("float32")
        self.x = rng.uniform(-0.2, 1.2, (NUM_IMAGES, *SHAPE)).clip(0, 1).astype("float32")
        self.labels = self.logits(self.x).argmax(axis=1).astype("int32")

    def logits(self, x):
        return np.asarray(x).reshape(len(x), -1) @ self.weights

    def logits_fn(self, x):
        return ops.reshape(x, (-1, 60)) @ tensor(self.weights)

    def margin(self, x):
        return np.asarray(equations.margin(tensor(self.logits(x)), tensor(self.labels)))

    def perturb(self, attack, chosen=slice(None), step=2, seed=7, logits_fn=None):
        return np.asarray(
            attack.perturb(
                logits_fn or self.logits_fn,
                tensor(self.x[chosen]),
                tensor(self.labels[chosen]),
                Noise(seed, step, IDS[chosen]),
            ).images
        )


@pytest.fixture(scope="module")
def linear():
    return Linear()


def test_the_squares_shrink_on_the_schedule_of_the_paper():
    sides = window_sides(10_000, 0.8, 28, 28)
    assert sides.shape == (10_000,)
    # round(sqrt(0.8 / 2^n * 784)); the square shrinks after the query that names the stage.
    for first, last, side in [
        (0, 10, 25),
        (11, 50, 18),
        (51, 200, 13),
        (201, 500, 9),
        (501, 1000, 6),
        (1001, 2000, 4),
        (2001, 4000, 3),
        (4001, 8000, 2),
        (8001, 9999, 1),
    ]:
        assert set(sides[first : last + 1]) == {side}, (first, last)


def test_the_schedule_is_rescaled_to_the_number_of_queries():
    np.testing.assert_array_equal(
        window_sides(5000, 0.8, 28, 28), window_sides(10_000, 0.8, 28, 28)[::2]
    )
    # Queries 0, 1000, ... of 10,000: p, p/16, p/32, p/64, p/64, p/128, p/128, p/256, p/256, p/512
    expected = [7, 2, 1, 1, 1, 1, 1, 1, 1, 1]  # of sqrt(51.2, 3.2, 1.6, 0.8, ...)
    np.testing.assert_array_equal(window_sides(10, 0.8, 8, 8), expected)


def test_a_square_is_a_pixel_at_least_and_smaller_than_the_image():
    assert window_sides(3, 1.0, 8, 8)[0] == 7
    assert window_sides(3, 1.0, 8, 20)[0] == 7
    assert window_sides(3, 1e-9, 8, 8)[0] == 1
    assert window_sides(3, 1.0, 1, 1)[0] == 1


def test_the_start_is_vertical_stripes_at_the_ends_of_the_ball(linear):
    images = linear.perturb(Square(epsilon=0.1, queries=1))
    low, high = (np.clip(linear.x + e, 0, 1) for e in (-0.1, 0.1))
    upper = np.abs(images - high) < 1e-6
    np.testing.assert_allclose(images, np.where(upper, high, low), atol=1e-6)
    inner = (linear.x > 0.01) & (linear.x < 0.99)  # where the two ends differ for sure
    for b in range(NUM_IMAGES):
        for column in range(5):
            for channel in range(2):
                chosen = inner[b, :, column, channel]
                assert len(set(upper[b, chosen, column, channel])) == 1
    assert 0.3 < upper.mean() < 0.7


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_each_query_sets_one_square_of_each_image_and_changes_something(side):
    rng = np.random.default_rng(3)
    count = 400
    before = np.broadcast_to(rng.random((count, 1, *SHAPE[1:])) < 0.5, (count, *SHAPE))
    noise = Noise(0, 0, np.arange(count))
    after = np.asarray(
        draw_squares(
            tensor(before),
            noise,
            tensor(5),
            tensor(side),
        )
    )
    changed = after != before
    assert changed.any(axis=(1, 2, 3)).all()
    corners, both = set(), 0
    for b in range(count):
        rows, columns = (np.flatnonzero(changed[b].any(axis=axes)) for axes in ((1, 2), (0, 2)))
        # The stripes' columns either change over the whole height of the square or not at all.
        assert len(rows) == side and rows[-1] - rows[0] == side - 1
        assert columns[-1] - columns[0] < side
        square = after[b, rows[0] : rows[-1] + 1]
        for channel in np.flatnonzero(changed[b].any(axis=(0, 1))):
            values = square[:, changed[b, rows[0], :, channel], channel]
            assert values.min() == values.max()  # one end in each channel
        both += changed[b].any(axis=(0, 1)).all()
        if side == 1:
            corners.add((rows[0], columns[0]))
    assert 0 < both < count  # the channels are drawn independently
    assert side > 1 or len(corners) == 30  # every pixel is reached, the last row too


def test_queries_draw_independent_squares():
    before = ops.zeros((50, *SHAPE), "bool")
    draws = [
        np.asarray(draw_squares(before, Noise(0, step, ids), tensor(query), tensor(2)))
        for step, query, ids in [
            (0, 1, np.arange(50)),
            (0, 2, np.arange(50)),
            (1, 1, np.arange(50)),
            (0, 1, np.arange(50) + 50),
        ]
    ]
    for other in draws[1:]:
        assert (draws[0] != other).any(axis=(1, 2, 3)).mean() > 0.8


def test_a_square_is_kept_if_it_lowers_the_margin_until_the_image_is_turned(linear):
    """The random search image by image in numpy, on the same draws."""
    epsilon, queries = 0.06, 40
    low, high = (np.clip(linear.x + e, 0, 1) for e in (-epsilon, epsilon))
    noise = Noise(7, 2, IDS)
    stripes = np.asarray(noise.uniform((1, *SHAPE[1:]))) < 0.5
    is_high = np.broadcast_to(stripes, linear.x.shape)
    margin = linear.margin(np.where(is_high, high, low))
    outcomes = []
    for query, side in enumerate(window_sides(queries, 0.5, *SHAPE[:2])[1:], 1):
        changed = np.asarray(
            draw_squares(
                tensor(is_high),
                noise,
                tensor(query),
                tensor(side),
            )
        )
        asked = linear.margin(np.where(changed, high, low))
        keep = (asked < margin) & (margin >= 0)
        outcomes.extend(keep)
        is_high = np.where(keep[:, None, None, None], changed, is_high)
        margin = np.where(keep, asked, margin)
    assert 0.1 < np.mean(outcomes) < 0.9
    assert 0 < (margin < 0).sum() < NUM_IMAGES
    images = linear.perturb(Square(epsilon=epsilon, queries=queries, p_init=0.5))
    np.testing.assert_allclose(images, np.where(is_high, high, low), atol=1e-6)


def test_square_stays_in_the_ball_and_in_the_pixel_range(linear):
    images = linear.perturb(Square(epsilon=0.1, queries=30))
    assert images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    assert np.abs(images - linear.x).max() <= 0.1 + 1e-6


def test_square_makes_the_same_images_whatever_the_batch(linear):
    """Also where the rest of the batch keeps the search going after an image is turned."""
    attack = Square(epsilon=0.06, queries=40)
    together = linear.perturb(attack)
    for chosen in ([3], [8, 0, 3, 11], [5]):
        np.testing.assert_array_equal(linear.perturb(attack, chosen), together[chosen])


def test_another_seed_or_restart_searches_elsewhere(linear):
    attack = Square(epsilon=0.06, queries=10)
    images = linear.perturb(attack)
    np.testing.assert_array_equal(linear.perturb(attack), images)
    assert np.any(linear.perturb(attack, seed=8) != images)
    assert np.any(linear.perturb(attack, step=3) != images)


@pytest.mark.tensorflow("it counts calls, of which JAX traces one for a loop")
def test_the_search_asks_as_often_as_it_may_and_ends_when_all_images_are_turned(linear):
    def queries(epsilon):
        count = []

        def counted(x):
            count.append(1)
            return linear.logits_fn(x)

        images = linear.perturb(Square(epsilon=epsilon, queries=60), logits_fn=counted)
        return len(count), (linear.margin(images) < 0).all()

    assert queries(0.001) == (60, False)
    asked, all_turned = queries(0.5)
    assert all_turned and asked < 60


def test_square_attacks_a_black_box_that_the_framework_cannot_see_into(linear):
    def black_box(x):
        return call_on_host(linear.logits, x, NUM_CLASSES)

    attack = Square(epsilon=0.06, queries=40)
    arguments = [tensor(a) for a in (linear.x, linear.labels, IDS, 2)]
    run = compile_native(attack, black_box, 7)
    np.testing.assert_array_equal(run(*arguments), linear.perturb(attack))
    alone = run(*(part[3:4] for part in arguments[:3]), arguments[3])
    np.testing.assert_array_equal(alone, linear.perturb(attack)[3:4])


@pytest.mark.tensorflow("a graph of no fixed batch size")
def test_one_graph_serves_batches_of_any_size(linear):
    import tensorflow as tf

    attack = Square(epsilon=0.06, queries=20)
    signature = [tf.TensorSpec((None, *SHAPE)), *(tf.TensorSpec((None,), "int32"),) * 2]

    @tf.function(autograph=False, input_signature=signature)
    def run(x, labels, ids):
        return attack.perturb(linear.logits_fn, x, labels, Noise(7, 2, ids)).images

    for size in (1, 5):
        images = run(linear.x[:size], linear.labels[:size], IDS[:size])
        np.testing.assert_array_equal(images, linear.perturb(attack)[:size])


@pytest.fixture(scope="module")
def trained(digits):
    (x, y), (x_test, y_test) = digits
    keras.utils.set_random_seed(0)
    model = digits_classifier()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=6, batch_size=64, verbose=0)
    right = np.flatnonzero(model.predict(x_test, verbose=0).argmax(axis=1) == y_test)[:100]
    return model, x_test[right], y_test[right].astype("int32")


def robust_images(attack, logits_fn, x, y):
    run = compile_native(attack, logits_fn, 0)
    images = run(
        tensor(x),
        tensor(y),
        ops.arange(len(x)),
        tensor(0),
    )
    return int((np.argmax(logits_fn(images), axis=1) == y).sum())


@pytest.mark.tensorflow("the toolbox's estimator")
def test_square_is_at_least_as_strong_as_that_of_the_robustness_toolbox(trained):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evasion = pytest.importorskip("art.attacks.evasion")
        from art.estimators.classification import TensorFlowV2Classifier
    model, x, y = trained
    estimator = TensorFlowV2Classifier(
        model=model,
        nb_classes=10,
        input_shape=(8, 8, 1),
        clip_values=(0.0, 1.0),
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    np.random.seed(0)
    theirs = evasion.SquareAttack(
        estimator, norm=np.inf, eps=0.1, max_iter=200, nb_restarts=1, batch_size=100, verbose=False
    ).generate(x, keras.utils.to_categorical(y, 10))
    their_robust = int((np.argmax(model(theirs), axis=1) == y).sum())
    assert 10 < their_robust < 90
    # Both are random searches: 3 of 100 images is the tolerance.
    robust = robust_images(Square(epsilon=0.1, queries=200), evaluation_logits(model), x, y)
    assert robust <= their_robust + 3


def test_square_turns_images_where_gradients_are_zero_and_pgd_turns_none(trained):
    model, x, y = trained
    logits_fn = evaluation_logits(model)

    def quantised(images):
        return logits_fn(ops.round(images * 8.0) / 8.0)

    right = np.argmax(quantised(x), axis=1) == y
    x, y = x[right], y[right]
    assert robust_images(PGD(epsilon=0.1, steps=10, random_start=False), quantised, x, y) == len(y)
    assert robust_images(Square(epsilon=0.1, queries=200), quantised, x, y) < 0.8 * len(y)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epsilon", 0), ("queries", 0), ("queries", 2.5), ("p_init", 0.0), ("p_init", 1.1)],
)
def test_bad_options_of_square_are_refused_with_what_was_received(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` .*Received: {name}={value!r}$"):
        Square(**{"epsilon": 0.3, name: value})


def test_square_is_restored_from_its_configuration():
    attack = Square(epsilon=0.2, queries=7, p_init=0.3)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack))
    assert type(restored) is Square
    assert vars(restored) == vars(attack) == attack.get_config()
    assert not Square.needs_gradient
