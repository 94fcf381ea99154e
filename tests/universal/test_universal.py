"""One perturbation for all images: its formulas, its fooling rate, its files."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.cli import main
from keras_efgsm.records import UniversalRecord
from keras_efgsm.universal import UniversalPerturbation, draw_universal, measure_universal
from support.networks import SHAPE, Net


@pytest.fixture(scope="module")
def net():
    return Net()


class Plane:
    """Two classes, `z_0 - z_1 = w x + b`, and images of both sides."""

    def __init__(self):
        generator = np.random.default_rng(0)
        self.w = generator.normal(size=12)
        self.x = generator.uniform(0.3, 0.7, (40, *SHAPE)).astype("float32")
        self.b = 0.4 - (self.x.reshape(40, -1) @ self.w).mean()
        self.model = keras.Sequential(
            [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(2)]
        )
        self.model.set_weights(
            [np.stack([self.w, -self.w], 1) / 2, np.array([self.b, -self.b]) / 2]
        )
        self.labels = self.classes(self.x)

    def margin(self, x):
        return x.reshape(len(x), -1).astype("float64") @ self.w + self.b

    def classes(self, x):
        return (self.margin(x) < 0).astype("int32")


@pytest.fixture(scope="module")
def plane():
    return Plane()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_step_is_that_of_the_formulas(net, norm):
    epsilon, rate = 0.3, 0.25
    maker = UniversalPerturbation(epsilon=epsilon, norm=norm, clip=2.0)
    v = np.random.default_rng(2).uniform(-0.2, 0.2, SHAPE).astype("float32")
    logits_fn = net.model
    arguments = map(ops.convert_to_tensor, (net.x, net.labels, v, np.float32(rate)))
    made = np.asarray(maker.step(logits_fn, *arguments))
    shifted = net.x.astype("float64") + v
    images = np.clip(shifted, 0, 1)
    loss, gradient = net.cross_entropy(images)
    assert 0 < (loss > 2.0).sum() < len(loss)  # some are clipped
    gradient = gradient * (loss <= 2.0)[:, None, None, None]
    # A pixel beyond the range does not move the image.
    total = np.where((shifted >= 0) & (shifted <= 1), gradient, 0.0).sum(axis=0)
    if norm == "linf":
        expected = np.clip(v + rate * np.sign(total), -epsilon, epsilon)
    else:
        moved = v + rate * total / np.linalg.norm(total)
        expected = moved * min(1.0, epsilon / np.linalg.norm(moved))
        assert np.linalg.norm(moved) > epsilon
    np.testing.assert_allclose(made, expected, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_images_of_one_class_are_led_straight_across_the_plane(plane, norm):
    chosen = plane.labels == 0
    maker = UniversalPerturbation(epsilon=0.05, norm=norm, steps=30)
    v = maker.make(plane.model, plane.x[chosen], plane.labels[chosen], batch_size=8)
    best = np.sign(plane.w) if norm == "linf" else plane.w / np.linalg.norm(plane.w)
    np.testing.assert_allclose(v.reshape(-1), -0.05 * best, atol=2e-3)


def test_the_rates_are_counted_on_images_it_was_not_made_on(plane):
    maker = UniversalPerturbation(epsilon=0.1, steps=40)
    report = measure_universal(plane.model, (plane.x, plane.labels), maker, progress=False, seed=3)
    order = np.random.default_rng(3).permutation(40)
    others = np.sort(order[20:])
    x = plane.x[others]
    turned = plane.classes(np.clip(x + report.perturbation, 0, 1)) != plane.classes(x)
    np.testing.assert_array_equal(report.fooled, turned)
    np.testing.assert_array_equal(report.labels, plane.labels[others])
    assert 0 < report.fooling_rate == turned.mean()
    assert report.accuracy == pytest.approx(1.0 - turned.mean())
    random = plane.classes(np.clip(x + report.random, 0, 1)) != plane.classes(x)
    assert report.record.fooling_rate_random == random.mean() < report.fooling_rate
    assert np.abs(report.random).max() == pytest.approx(0.1)
    made_on = plane.x[np.sort(order[:20])]
    turned = plane.classes(np.clip(made_on + report.perturbation, 0, 1)) != plane.classes(made_on)
    assert report.record.fooling_rate_made_on == turned.mean()


def test_a_label_that_is_wrong_does_not_change_the_perturbation(plane):
    maker = UniversalPerturbation(epsilon=0.1, steps=10)
    one, other = (
        measure_universal(plane.model, (plane.x, labels), maker, progress=False)
        for labels in (plane.labels, 1 - plane.labels)
    )
    np.testing.assert_array_equal(one.perturbation, other.perturbation)
    assert one.fooling_rate == other.fooling_rate
    assert (one.clean_accuracy, other.clean_accuracy) == (1.0, 0.0)


def test_a_perturbation_outside_the_ball_is_refused(plane, monkeypatch):
    monkeypatch.setattr(
        UniversalPerturbation, "make", lambda *a, **k: np.full(SHAPE, 0.11, "float32")
    )
    with pytest.raises(RuntimeError, match=r"must lie within epsilon=0.1.*Received: its linf"):
        measure_universal(
            plane.model, (plane.x, plane.labels), UniversalPerturbation(epsilon=0.1), progress=False
        )


@pytest.mark.parametrize(
    ("name", "value"), [("epsilon", 8), ("norm", "l1"), ("steps", 0), ("step_size", 0), ("clip", 0)]
)
def test_bad_options_are_refused_with_what_was_received(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` .*Received: {name}={value!r}$"):
        UniversalPerturbation(**{"epsilon": 0.3, name: value})
    assert UniversalPerturbation(epsilon=2.5, norm="l2").epsilon == 2.5


@pytest.mark.tensorflow("a run folder")
def test_the_command_writes_figures_and_a_picture(new_classifier, tmp_path, capsys):
    path = tmp_path / "classifier.keras"
    new_classifier().save(path)
    words = ["universal", path, "--dataset", "digits", "--epsilon", "0.3", "--num-images", "60"]
    words += ["--steps", "12", "--json", tmp_path / "u.json", "--picture", tmp_path / "u.png"]
    assert main([str(word) for word in words]) == 0
    record = UniversalRecord.read(tmp_path / "u.json")
    assert record.num_made_on == record.num_images == 30
    assert f"{100 * record.fooling_rate:.2f} %" in capsys.readouterr().out
    assert (tmp_path / "u.png").read_bytes()[:4] == b"\x89PNG"
    assert record.png and record.size == (8, 8)
    assert main([*map(str, words[:4]), "--norm", "l2"]) == 2
    assert "`--epsilon` must be given" in capsys.readouterr().err


def test_a_picture_of_two_channels_is_refused(plane):
    maker = UniversalPerturbation(epsilon=0.1, steps=1)
    report = measure_universal(plane.model, (plane.x, plane.labels), maker, progress=False)
    object.__setattr__(report, "perturbation", np.zeros((3, 4, 2), "float32"))
    with pytest.raises(ValueError, match=r"1 or 3 channels. Received: channels=2"):
        draw_universal(report, "never.png")
