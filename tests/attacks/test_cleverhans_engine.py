import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import FGSM, PGD
from keras_efgsm.evaluation import ENGINES, evaluate_robustness, load_classifier

pytest.importorskip("cleverhans")

BOTH = ("native", "cleverhans")


@pytest.fixture(scope="module")
def small():
    """A network, images that touch 0 and 1, and the network's own answers as labels."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu", bias_initializer="normal"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(5),
        ]
    )
    x = np.random.default_rng(0).uniform(-0.2, 1.2, (80, 8, 8, 1)).clip(0, 1).astype("float32")
    # Without its mean answer the network finds every class, near and far from a boundary.
    model.layers[-1].bias.assign(-np.mean(model(x), axis=0))
    return model, x, np.argmax(model(x), axis=1).astype("int32")


def images_of(engine, attack, small, seed=0):
    model, x, y = small
    run = ENGINES[engine](attack, load_classifier(model).logits_fn, seed)
    ids = tf.range(len(x))
    return run(tf.constant(x), tf.constant(y), ids, tf.constant(0)).numpy()


def accuracy(engine, attack, small, **options):
    model, x, y = small
    report = evaluate_robustness(model, (x, y), attack, engine=engine, progress=False, **options)
    return report


@pytest.mark.parametrize("loss", ["ce", "cw"])
def test_both_engines_make_the_same_images_from_the_clean_start(small, loss):
    attack = PGD(epsilon=0.05, steps=8, step_size=0.012, random_start=False, loss=loss)
    model, x, y = small
    # Some labels are not what the network answers: the label given is what counts.
    small = model, x, np.where(np.arange(len(y)) % 4, y, (y + 1) % 5)
    native, theirs = (images_of(engine, attack, small) for engine in BOTH)
    # A gradient of exactly zero's neighbourhood may round to either sign; nearly none does.
    assert np.mean(np.abs(native - theirs) > 1e-5) < 1e-3
    assert np.abs(native - small[1]).max() > 0.049


@pytest.mark.parametrize("loss", ["ce", "cw"])
def test_both_engines_find_the_same_robust_images_from_the_clean_start(small, loss):
    attack = PGD(epsilon=0.05, steps=8, step_size=0.012, random_start=False, loss=loss)
    native = accuracy("native", attack, small).robust
    theirs = accuracy("cleverhans", attack, small, batch_size=30).robust
    assert 0.1 < native.mean() < 0.9
    assert np.sum(native != theirs) <= 1


def test_the_two_losses_are_told_apart(small):
    ce, cw = (
        images_of("cleverhans", PGD(epsilon=0.1, steps=8, random_start=False, loss=loss), small)
        for loss in ("ce", "cw")
    )
    assert np.mean(np.abs(ce - cw) > 1e-5) > 0.01


def test_random_starts_give_nearly_the_same_accuracy_with_either_engine(small):
    attack = PGD(epsilon=0.05, steps=8, step_size=0.012)
    native, theirs = (
        accuracy(engine, attack, small, restarts=2).worst_case_accuracy for engine in BOTH
    )
    assert abs(native - theirs) <= 0.05


def test_a_random_start_is_random_within_the_ball_and_repeats_with_its_seed(small):
    attack = PGD(epsilon=0.1, steps=1, step_size=1e-6)
    first = images_of("cleverhans", attack, small, seed=3)
    change = first - small[1]
    assert np.abs(change).max() <= 0.1 + 1e-5
    inner = change[(small[1] > 0.1) & (small[1] < 0.9)]
    assert abs(inner.std() - 0.1 / np.sqrt(3)) < 0.005  # of a uniform distribution
    np.testing.assert_array_equal(first, images_of("cleverhans", attack, small, seed=3))
    assert np.abs(first - images_of("cleverhans", attack, small, seed=4)).max() > 0.1


def test_restarts_draw_new_starts_and_only_lower_the_accuracy(small):
    attack = PGD(epsilon=0.05, steps=1, step_size=0.03)
    once = accuracy("cleverhans", attack, small)
    often = accuracy("cleverhans", attack, small, restarts=6)
    assert often.worst_case_accuracy < once.worst_case_accuracy


def test_the_callers_random_numbers_are_not_disturbed(small):
    def draw():
        return tf.random.uniform((3,)).numpy()

    tf.random.set_seed(5)
    draw()
    expected = draw()
    tf.random.set_seed(5)
    draw()
    accuracy("cleverhans", PGD(epsilon=0.05, steps=4), small)
    np.testing.assert_array_equal(draw(), expected)


def test_cleverhans_is_traced_once_for_all_batches_and_steps(small):
    from cleverhans.tf2.attacks.fast_gradient_method import compute_gradient

    for loss in ("ce", "cw"):
        before = compute_gradient.experimental_get_tracing_count()
        attack = PGD(epsilon=0.05, steps=7, loss=loss)
        accuracy("cleverhans", attack, small, batch_size=9, restarts=2)
        assert compute_gradient.experimental_get_tracing_count() == before + 1


def test_the_report_names_the_engine_and_its_version(small):
    figures = accuracy("cleverhans", PGD(epsilon=0.05, steps=4), small).to_dict()
    assert figures["attacks"][0]["engine"] == "cleverhans"
    assert figures["versions"]["cleverhans"].startswith("4.")


def test_other_attacks_than_pgd_are_refused(small):
    with pytest.raises(ValueError, match=r"runs `PGD` only.*Received: attack=FGSM"):
        accuracy("cleverhans", FGSM(epsilon=0.1), small)


def test_a_step_larger_than_the_ball_is_refused(small):
    with pytest.raises(ValueError, match=r"larger than the ball.*Received: step_size=0\.2"):
        accuracy("cleverhans", PGD(epsilon=0.1, step_size=0.2), small)


def test_without_cleverhans_the_error_names_the_extra_and_native_still_works(small, monkeypatch):
    for module in [name for name in sys.modules if name.startswith("cleverhans")]:
        monkeypatch.setitem(sys.modules, module, None)
    attack = PGD(epsilon=0.05, steps=4)
    with pytest.raises(ImportError, match=r"pip install keras-efgsm\[cleverhans\]"):
        accuracy("cleverhans", attack, small)
    assert accuracy("native", attack, small).natural_accuracy == 1.0
