"""Minimum-distance attacks beside distances that are known, and what a measurement says of them."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.cli import main
from keras_efgsm.distances import (
    DISTANCE_ATTACKS,
    LBFGS,
    CarliniWagnerL2,
    CarliniWagnerLinf,
    DeepFool,
    ElasticNet,
    MinimumAttack,
    make_distance_attacks,
    measure_distances,
    norm_of,
)
from keras_efgsm.distances.report import quantile
from keras_efgsm.distances.tanh_space import Adam, adam_step, from_tanh_space, to_tanh_space
from keras_efgsm.evaluation import EvaluatedModel
from keras_efgsm.records import DistancesRecord
from support.networks import ROWS, SHAPE, Net

SIZE = 12
QUICK_L2 = {"steps": 100, "searches": 6, "learning_rate": 0.005, "initial_constant": 0.1}
QUICK_LINF = {"steps": 60, "learning_rate": 0.005, "growth": 8.0, "initial_constant": 0.1}
NATIVE = [attack for attack in DISTANCE_ATTACKS if "native" in attack.engines]


class Linear:
    """A linear classifier of grey images, whose boundaries are planes far from the box."""

    def __init__(self):
        random = np.random.default_rng(0)
        self.weights = random.normal(size=(SIZE, 4))
        self.x = random.uniform(0.35, 0.65, (8, *SHAPE)).astype("float32")
        # Every class is answered somewhere.
        self.bias = -(self.x.reshape(8, -1) @ self.weights).mean(axis=0)
        self.model = keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(4)]
        )
        self.model.set_weights([self.weights, self.bias])
        logits = self.x.reshape(8, -1).astype("float64") @ self.weights + self.bias
        self.labels = logits.argmax(axis=1).astype("int32")
        rows = np.arange(8)
        self.margins = logits[rows, self.labels][:, None] - logits
        self.margins[rows, self.labels] = np.inf
        self.slopes = self.weights.T[self.labels][:, None] - self.weights.T[None]

    def distances(self, norm):
        """The distance of each image to the nearest plane, by the dual norm of its slope."""
        dual = {"l2": 2, "linf": 1, "l1": np.inf}[norm]
        steepness = np.linalg.norm(self.slopes, dual, axis=2)
        return (self.margins / np.maximum(steepness, 1e-12)).min(axis=1)

    def to_runner_up(self, norm):
        """The distance to the plane of the class of the next smaller logit."""
        runner_up = self.margins.argmin(axis=1)
        slopes = self.slopes[np.arange(8), runner_up]
        dual = {"l2": 2, "linf": 1}[norm]
        return self.margins.min(axis=1) / np.linalg.norm(slopes, dual, axis=1)

    def measure(self, attack, **options):
        return measure_distances(
            self.model, (self.x, self.labels), attack, progress=False, **options
        )


@pytest.fixture(scope="module")
def linear():
    return Linear()


@pytest.fixture(scope="module")
def net():
    return Net()


# The norms.


def test_norms_are_those_of_numpy():
    change = np.random.default_rng(0).normal(size=(3, 2, 2, 3)).astype("float32")
    change[0, 0] = 0.0
    change[1, 1, 1, 0] = 1e-8
    flat = change.reshape(3, -1)
    for norm, order in (("linf", np.inf), ("l2", 2), ("l1", 1)):
        expected = np.linalg.norm(flat, order, axis=1)
        np.testing.assert_allclose(norm_of(ops.convert_to_tensor(change), norm), expected, 1e-5)
    change[1, 1, 1, 1:] = 1e-8  # as rounding leaves it: not changed
    np.testing.assert_array_equal(norm_of(ops.convert_to_tensor(change), "l0"), [2, 3, 4])
    with pytest.raises(ValueError, match=r"`norm` must be one of .*Received: norm='l3'"):
        norm_of(change, "l3")


# DeepFool.


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deepfool_goes_straight_to_the_nearest_plane_and_a_share_beyond(linear, norm):
    report = linear.measure(DeepFool(norm=norm, overshoot=0.02, halvings=0))
    exact = linear.distances(norm)
    np.testing.assert_allclose(report.smallest, 1.02 * exact, rtol=1e-3, atol=2e-4)
    assert report.attacks[0].found.all()
    # The way back ends at the plane.
    near = linear.measure(DeepFool(norm=norm, overshoot=0.5)).smallest
    np.testing.assert_allclose(near, exact, rtol=3e-3, atol=2e-4)


def deepfool_in_numpy(net, b, norm, steps, overshoot, candidates, within=False):
    x = net.x[b].astype("float64")
    shift, image = np.zeros_like(x), x
    for _ in range(steps):
        row = net.x.astype("float64").copy()
        row[b] = image
        margins, gradients = (part[b] for part in net.margins(row))
        if margins.min() < 0:
            break
        chosen = np.argsort(margins)[: candidates - 1]
        flat, pixels = gradients[chosen].reshape(len(chosen), -1), image.reshape(-1)
        if within:
            flat = np.where(((flat > 0) & (pixels <= 0)) | ((flat < 0) & (pixels >= 1)), 0.0, flat)
        order = 2 if norm == "l2" else 1
        ratio = margins[chosen] / np.linalg.norm(flat, order, axis=1)
        i = ratio.argmin()
        if norm == "l2":
            move = -(ratio[i] + 1e-4) * flat[i] / np.linalg.norm(flat[i])
        else:
            move = -(ratio[i] + 1e-6) * np.sign(flat[i])
        shift = np.clip(x + shift + move.reshape(x.shape), 0, 1) - x
        image = np.clip(x + (1 + overshoot) * shift, 0, 1)
    return image


@pytest.mark.parametrize(("norm", "candidates"), [("l2", 10), ("linf", 3)])
def test_deepfool_makes_the_images_of_its_formulas(net, norm, candidates):
    attack = DeepFool(norm=norm, steps=4, candidates=candidates, halvings=0)
    made = np.asarray(attack(net.model, net.x, net.labels))
    for b in ROWS:
        expected = deepfool_in_numpy(net, b, norm, 4, 0.02, candidates)
        if net.logits(expected[None])[0].argmax() == net.labels[b]:
            expected = deepfool_in_numpy(net, b, norm, 4, 0.02, candidates, within=True)
        np.testing.assert_allclose(made[b], expected, atol=2e-4)
    assert np.abs(made - net.x).max() > 0.05


# Carlini & Wagner.


def test_tanh_space_holds_the_images_and_nothing_outside():
    x = np.array([0.0, 0.25, 0.5, 1.0], "float32")
    w = np.asarray(to_tanh_space(ops.convert_to_tensor(x)))
    np.testing.assert_allclose(w, np.arctanh((2 * x.astype("float64") - 1) * 0.999999), rtol=2e-2)
    np.testing.assert_allclose(from_tanh_space(w), x, atol=1e-6)
    np.testing.assert_allclose(from_tanh_space(ops.convert_to_tensor([-50.0, 50.0])), [0.0, 1.0])


def test_adam_steps_as_published_and_leaves_alone_what_is_done():
    random = np.random.default_rng(1)
    w = start = random.normal(size=(2, 1, 1, 1)).astype("float32")
    adam = Adam(np.zeros_like(w), np.zeros_like(w))
    first = second = np.zeros_like(w, "float64")
    expected = w.astype("float64")
    goes_on = ops.convert_to_tensor([True, False])
    for step in range(3):
        gradient = random.normal(size=w.shape).astype("float32")
        w, adam = adam_step(w, gradient, adam, step, 0.1, goes_on)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient.astype("float64") ** 2
        unbiased = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        expected = expected - 0.1 * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    np.testing.assert_allclose(np.asarray(w)[0], expected[0], rtol=1e-4)
    np.testing.assert_array_equal(np.asarray(w)[1], start[1])


def test_carlini_wagner_comes_near_the_plane_of_the_runner_up_and_none_nearer(linear):
    found = linear.measure(CarliniWagnerL2(**QUICK_L2)).smallest
    assert np.all(found >= linear.distances("l2") * (1 - 1e-4))
    assert np.all(found <= linear.to_runner_up("l2") * 1.06)


def test_carlini_wagner_in_linf_ends_within_a_shrinkage_of_that_plane(linear):
    found = linear.measure(CarliniWagnerLinf(**QUICK_LINF)).smallest
    assert np.all(found >= linear.distances("linf") * (1 - 1e-4))
    # It does not look nearer than a 256th.
    assert np.all(found <= np.maximum(linear.to_runner_up("linf"), 1 / 256) / 0.9 * 1.05)
    assert np.median(found) < 0.02


def test_confidence_asks_for_a_margin(linear):
    attack = CarliniWagnerL2(**{**QUICK_L2, "learning_rate": 0.02, "confidence": 0.5})
    made = np.asarray(attack(linear.model, linear.x, linear.labels))
    logits = np.array(linear.model(made))
    rows = np.arange(len(logits))
    true = logits[rows, linear.labels].copy()
    logits[rows, linear.labels] = -np.inf
    assert np.all(logits.max(axis=1) - true >= 0.5 - 1e-4)


# L-BFGS.


def test_lbfgs_ends_where_the_gradient_of_what_it_minimises_is_zero(linear):
    """For one weight of the loss, which is so large that all images are turned."""
    made = np.asarray(
        LBFGS(searches=1, initial_constant=3.0)(linear.model, linear.x, linear.labels)
    )
    flat = made.reshape(8, -1).astype("float64")
    logits = flat @ linear.weights + linear.bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = p - np.eye(4)[linear.margins.argmin(axis=1)]
    change = flat - linear.x.reshape(8, -1)
    slope = 2 * change + 3.0 * error @ linear.weights.T
    # But where the box ends.
    inside = (flat > 0.0) & (flat < 1.0)
    np.testing.assert_allclose(slope[inside], 0.0, atol=5e-3)
    assert np.all(slope[flat == 0.0] >= 0.0) and np.all(slope[flat == 1.0] <= 0.0)
    assert np.abs(change).max() > 0.05


def test_lbfgs_searches_for_the_smallest_weight(linear):
    few, many = (linear.measure(LBFGS(searches=n), num_images=3).smallest for n in (1, 9))
    assert np.all(many >= linear.distances("l2")[:3] * (1 - 1e-4))
    assert np.all(many < few) and np.all(many <= linear.to_runner_up("l2")[:3] * 1.6)


# All of them.


@pytest.fixture(scope="module")
def made(net):
    """What each attack makes of the images of the network."""
    quick = {"steps": 40, "learning_rate": 0.05}
    attacks = [DeepFool(), CarliniWagnerL2(searches=3, initial_constant=1.0, **quick)]
    attacks += [CarliniWagnerLinf(growth=8.0, **quick)]
    return [(attack, np.asarray(attack(net.model, net.x, net.labels))) for attack in attacks]


def test_the_result_of_an_image_does_not_depend_on_its_batch(net, made):
    chosen = [1, 6]
    for attack, images in made:
        alone = np.asarray(attack(net.model, net.x[chosen], net.labels[chosen]))
        np.testing.assert_allclose(alone, images[chosen], atol=2e-3)


def test_images_stay_in_the_box_and_misclassified_ones_as_they_are(net, made):
    wrong = np.argmax(net.model(net.x), axis=1) != net.labels
    assert 0 < wrong.sum() < len(wrong)
    for _, images in made:
        assert images.dtype == np.float32 and images.min() >= 0.0 and images.max() <= 1.0
        np.testing.assert_array_equal(images[wrong], net.x[wrong])
        turned = np.argmax(net.model(images), axis=1) != net.labels
        assert turned.mean() > 0.8


@pytest.mark.parametrize("attack", NATIVE, ids=lambda attack: attack.__name__)
def test_an_attack_is_restored_from_its_configuration(attack):
    made = attack()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert type(again) is attack and vars(again) == vars(made)
    assert set(made.get_config()) == set(attack.option_names())
    assert made.passes >= made.steps and str(made.steps) in made.budget.replace(",", "")


@pytest.mark.parametrize(
    ("attack", "name", "value"),
    [
        (DeepFool, "norm", "l1"),
        (DeepFool, "steps", 0),
        (DeepFool, "overshoot", -0.1),
        (DeepFool, "candidates", 1),
        (CarliniWagnerL2, "searches", 0),
        (CarliniWagnerL2, "learning_rate", 0.0),
        (CarliniWagnerL2, "confidence", float("nan")),
        (CarliniWagnerLinf, "growth", 1.0),
        (CarliniWagnerLinf, "shrinkage", 1.0),
        (CarliniWagnerLinf, "largest_constant", 0.001),
        (LBFGS, "initial_constant", 0),
    ],
)
def test_bad_options_are_refused_with_what_was_received(attack, name, value):
    with pytest.raises(ValueError, match=f"^`{name}` .*Received: {name}={value!r}$"):
        attack(**{name: value})


# The measurement.


class Fixed(MinimumAttack):
    """Returns what it was given."""

    kind, norms, norm, steps = "fixed", ("l2",), "l2", 1

    def __init__(self, images):
        self.images = images

    @property
    def passes(self):
        return 1

    def find(self, logits_fn, x, labels):
        return ops.convert_to_tensor(self.images)

    def get_config(self):
        return {}


def test_what_is_not_misclassified_is_not_found(linear):
    other = np.asarray(DeepFool()(linear.model, linear.x, linear.labels)).copy()
    images = linear.x.copy()
    images[:3] = other[:3]
    images[5] += 1e-4  # changed, and still of its class
    report = linear.measure(Fixed(images))
    np.testing.assert_array_equal(report.attacks[0].found, np.arange(8) < 3)
    np.testing.assert_array_equal(np.isinf(report.smallest), np.arange(8) >= 3)
    assert np.all(report.attacks[0].predicted[3:] == linear.labels[3:])
    record = report.record.attacks[0]
    assert (record.num_attacked, record.num_found, record.median) == (8, 3, None)
    assert record.lower_quartile == pytest.approx(np.sort(report.smallest)[1:3] @ [0.25, 0.75])


def test_images_outside_the_box_are_refused(linear):
    images = linear.x.copy()
    images[2, 0, 0, 0] = 1.001
    with pytest.raises(RuntimeError, match=r"fixed must stay within \[0, 1\].*Received: pixels"):
        linear.measure(Fixed(images))


def test_misclassified_images_have_distance_zero_and_are_not_attacked(linear):
    labels = linear.labels.copy()
    labels[:2] = (labels[:2] + 1) % 4
    data = linear.x, labels
    report = measure_distances(linear.model, data, DeepFool(), batch_size=3, progress=False)
    assert np.all(report.smallest[:2] == 0.0) and np.all(report.smallest[2:] > 0.0)
    exact = linear.distances("l2")[2:]
    np.testing.assert_allclose(report.smallest[2:], exact, rtol=3e-3, atol=2e-4)
    assert report.record.num_correct == 6
    assert report.median == pytest.approx(np.median(report.smallest[2:]))


def test_quantiles_count_what_was_not_found_as_infinitely_far():
    distances = np.array([0.4, np.inf, 0.1, 0.2])
    assert quantile(distances, 0.5) == pytest.approx(np.quantile([0.1, 0.2, 0.4, 9.0], 0.5))
    assert quantile(distances, 0.75) is None
    assert quantile(np.array([np.inf]), 0.5) is None
    assert quantile(np.array([0.3]), 0.25) == pytest.approx(0.3)


def test_several_attacks_are_taken_image_by_image_and_written(linear, tmp_path):
    attacks = [DeepFool(overshoot=0.5, halvings=0), DeepFool(steps=30)]
    report = linear.measure(attacks)
    each = [attack.distances for attack in report.attacks]
    np.testing.assert_array_equal(report.smallest, np.minimum(*each))
    report.write_json(tmp_path / "distances.json")
    record = DistancesRecord.read(tmp_path / "distances.json")
    assert record == report.record
    assert record.attacks[1].options["steps"] == 30
    assert list(report.table().columns[0].cells)[-1] == "smallest of all"


def test_names_make_the_attacks_of_a_norm():
    deepfool, cw = make_distance_attacks("deepfool, cw", "linf", steps=7)
    assert (deepfool.norm, deepfool.steps) == ("linf", 7)
    assert type(cw) is CarliniWagnerLinf and cw.steps == 7
    for names, norm, message in (
        ("deepfol", "l2", "names out of deepfool"),
        ("lbfgs", "linf", "makes another norm small, l2; in linf there are deepfool, cw"),
        ("cw,cw", "l2", "name each attack once"),
        ("cw", "l7", "`norm` must be one of"),
    ):
        with pytest.raises(ValueError, match=f"{message}.*Received: "):
            make_distance_attacks(names, norm)


def test_what_cannot_be_measured_is_refused(linear):
    for attacks, message in (
        ([], "must be one or more attacks"),
        ([DeepFool(), DeepFool(norm="linf")], "share one norm"),
        (ElasticNet(), r"not run by this engine, but by art.*engine='native'"),
    ):
        with pytest.raises(ValueError, match=f"{message}.*Received: |{message}"):
            linear.measure(attacks)
    blind = EvaluatedModel(linear.model, SHAPE, 4, "a file", differentiable=False)
    with pytest.raises(
        ValueError, match=r"a file has no gradients, which deepfool needs.*Received: "
    ):
        measure_distances(blind, (linear.x, linear.labels), DeepFool())
    with pytest.raises(ValueError, match=r"not run by this engine, but by native"):
        linear.measure(LBFGS(), engine="art")
    with pytest.raises(ValueError, match=r"`ead` is run by another library"):
        ElasticNet()(linear.model, linear.x, linear.labels)


def test_the_command_prints_the_median_and_writes_the_record(new_classifier, tmp_path, capsys):
    path, target = tmp_path / "classifier.keras", tmp_path / "d.json"
    new_classifier().save(path)
    words = ["distance", path, "--dataset", "digits", "--num-images", "40", "--attacks", "deepfool"]
    assert main([*map(str, words), "--json", str(target)]) == 0
    printed = capsys.readouterr().out
    record = json.loads(target.read_text())
    assert record["norm"] == "l2" and record["num_images"] == 40
    assert f"{record['attacks'][0]['median']:.4g}" in printed
    assert main([*map(str, words), "--norm", "l1"]) == 2
    assert "makes another norm small" in capsys.readouterr().err
