"""The Adversarial Robustness Toolbox as an engine, beside ours and beside cases worked by hand."""

import dataclasses
import random
import sys

import keras
import numpy as np
import pytest

from keras_efgsm.attacks import APGD, FGSM, PGD, Square
from keras_efgsm.distances import (
    CarliniWagnerL2,
    DeepFool,
    ElasticNet,
    Pixel,
    measure_distances,
)
from keras_efgsm.evaluation import evaluate_robustness, load_classifier
from keras_efgsm.evaluation.art_estimator import art_estimator
from keras_efgsm.universal import UniversalPerturbation, measure_universal

pytest.importorskip("art")
tf = pytest.importorskip("tensorflow")
SHAPE = (6, 6, 1)


class Plane:
    """Two classes and the plane between them: `z_0 - z_1 = w x + b`."""

    def __init__(self):
        generator = np.random.default_rng(0)
        self.w = generator.choice([-1.0, 1.0], 36) * generator.uniform(0.5, 1.5, 36)
        self.x = generator.uniform(0.3, 0.7, (8, *SHAPE)).astype("float32")
        flat = self.x.reshape(8, -1).astype("float64")
        # All images are of class 0, some nearer to the plane than others.
        self.b = 0.05 - (flat @ self.w).min()
        self.margin = flat @ self.w + self.b
        self.model = keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        weights = np.stack([self.w, np.zeros(36), np.zeros(36)], axis=1)
        self.model.set_weights([weights, np.array([self.b, 0.0, -50.0])])
        self.labels = np.zeros(8, "int32")

    def evaluate(self, attack, **options):
        data = self.x, self.labels
        return evaluate_robustness(self.model, data, attack, progress=False, **options)

    def measure(self, attack, engine="art", **options):
        data = self.x, self.labels
        options = {"engine": engine, "progress": False, **options}
        return measure_distances(self.model, data, attack, **options)


@pytest.fixture(scope="module")
def plane():
    return Plane()


# In a ball.


@pytest.mark.parametrize(
    "attack",
    [PGD(epsilon=0.03, steps=5), APGD(epsilon=0.03, steps=20), Square(epsilon=0.03, queries=300)],
    ids=lambda attack: attack.name,
)
def test_it_turns_what_lies_within_epsilon_of_the_plane(plane, attack):
    """The linear margin falls by epsilon times the sum of |w|, no further."""
    within = plane.margin < 0.03 * np.abs(plane.w).sum()
    assert 1 < within.sum() < 7
    report = plane.evaluate(attack, engine="art")
    assert not np.any(~report.robust & ~within)
    # One lies just within; a random search of few queries may miss it, and another.
    assert (~report.robust).sum() >= within.sum() - 2 * (attack.kind == "square")
    assert report.attacks[0].engine == "art"
    assert report.versions["adversarial-robustness-toolbox"].startswith("1.")


def test_the_same_seed_gives_the_same_images_and_the_callers_numbers_are_not_disturbed(plane):
    attack = Square(epsilon=0.02, queries=4)
    np.random.seed(5)
    random.seed(5)
    expected = np.random.uniform(size=3), random.random()
    np.random.seed(5)
    random.seed(5)
    first, again = (plane.evaluate(attack, engine="art", seed=3).robust for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(np.random.uniform(size=3), expected[0])
    assert random.random() == expected[1]


def test_what_it_has_not_is_refused(plane, tmp_path):
    for attack, message in (
        (FGSM(epsilon=0.1), r"runs PGD, APGD, Square.*Received: attack=FGSM"),
        (PGD(epsilon=0.1, loss="cw"), r"has PGD on ce alone.*Received: loss='cw'"),
        (APGD(epsilon=0.1, loss="cw"), r"has APGD on ce and dlr alone.*Received: loss='cw'"),
    ):
        with pytest.raises(ValueError, match=message):
            plane.evaluate(attack, engine="art")
    with pytest.raises(ValueError, match=r"`state` is for the native engine.*engine='art'"):
        plane.evaluate(PGD(epsilon=0.1), engine="art", state=tmp_path / "state.npz")


def test_without_it_the_error_names_the_extra(plane, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "art"]:
        monkeypatch.setitem(sys.modules, module, None)
    for run in (
        lambda: plane.evaluate(PGD(epsilon=0.1), engine="art"),
        lambda: plane.measure(DeepFool()),
    ):
        with pytest.raises(ImportError, match=r"pip install keras-efgsm\[art\]"):
            run()


# Distances.


def test_its_deepfool_and_ours_go_the_same_way_to_the_plane(plane):
    exact = plane.margin / np.linalg.norm(plane.w)
    for engine in ("art", "native"):
        found = plane.measure(DeepFool(halvings=0), engine).smallest
        np.testing.assert_allclose(found, 1.02 * exact, rtol=2e-3, atol=2e-4)


@pytest.mark.slow(reason="thousands of calls of another library")
def test_carlini_and_wagner_of_both_come_near_the_plane(plane):
    options = {"steps": 80, "searches": 5, "learning_rate": 0.005, "initial_constant": 0.1}
    far = np.argsort(plane.margin)[2:5]
    exact = plane.margin[far] / np.linalg.norm(plane.w)
    data = plane.x[far], plane.labels[far]
    for engine in ("art", "native"):
        attack = CarliniWagnerL2(**options)
        report = measure_distances(plane.model, data, attack, engine=engine, progress=False)
        assert np.all(report.smallest >= exact * (1 - 1e-4))
        assert np.all(report.smallest <= exact * 1.1)


@pytest.mark.slow(reason="thousands of calls of another library")
def test_the_elastic_net_comes_near_the_distance_in_l1(plane):
    """By one pixel, the steepest, as far as it goes."""
    exact = plane.margin / np.abs(plane.w).max()
    attack = ElasticNet(steps=60, searches=5, learning_rate=0.02, initial_constant=0.1, beta=0.1)
    near = np.argsort(exact)[2:4]
    data = plane.x[near], plane.labels[near]
    report = measure_distances(plane.model, data, attack, engine="art", progress=False)
    assert np.all(report.smallest >= exact[near] * (1 - 1e-4))
    assert report.attacks[0].found.all()
    assert np.all(report.smallest <= exact[near] * 2.0)


def test_one_pixel_turns_the_images_that_one_pixel_can(plane):
    """The most that one pixel can do is to go to the end of its range against w."""
    flat = plane.x.reshape(8, -1)
    reach = np.where(plane.w > 0, flat, 1.0 - flat) * np.abs(plane.w)
    able = reach.max(axis=1) > plane.margin
    assert 0 < able.sum() < 8
    report = plane.measure(Pixel(pixels=1, steps=8))
    assert not np.any(report.attacks[0].found & ~able)
    assert report.attacks[0].found.sum() >= able.sum() - 1
    assert np.all(report.smallest[report.attacks[0].found] == 1.0)


def test_it_has_no_deepfool_in_linf(plane):
    with pytest.raises(ValueError, match=r"ART has DeepFool in L2 alone.*norm='linf'"):
        plane.measure(DeepFool(norm="linf"))


def test_a_point_beyond_pixels_is_asked_at_the_nearest_image_with_the_gradient_there(plane):
    """Elastic nets ask for such, and an export refuses them."""

    def logits_fn(x):
        tf.debugging.Assert(tf.reduce_all((x >= 0.0) & (x <= 1.0)), [x])
        return plane.model(x)

    model = dataclasses.replace(load_classifier(plane.model), logits_fn=logits_fn)
    estimator = art_estimator(model)
    beyond = plane.x + np.where(plane.w > 0, 0.8, -0.8).reshape(SHAPE).astype("float32")
    assert beyond.min() < 0.0 and beyond.max() > 1.0
    expected = plane.model(np.clip(beyond, 0.0, 1.0))
    np.testing.assert_allclose(estimator.predict(beyond), expected, rtol=1e-5)
    gradient = estimator.class_gradient(beyond, label=0)[:, 0]
    np.testing.assert_allclose(gradient.reshape(8, -1), np.tile(plane.w, (8, 1)), rtol=1e-4)


# One perturbation for all images.


@pytest.mark.slow(reason="attacks image by image, again and again")
def test_its_universal_perturbation_lies_in_the_ball_and_fools(plane):
    maker = UniversalPerturbation(epsilon=0.04)
    data = plane.x, plane.labels
    report = measure_universal(plane.model, data, maker, engine="art", progress=False)
    assert np.abs(report.perturbation).max() <= 0.04 * (1 + 1e-5)
    assert report.engine == "art" and report.fooling_rate > report.record.fooling_rate_random
