"""Single draws of a randomised classifier: how its figure spreads, in memory, file and command."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.attacks import FGSM, Square
from keras_efgsm.cli import main
from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.evaluation.spread import DRAWS, Spread
from keras_efgsm.networks import RandomBarrage
from keras_efgsm.records import EvaluationRecord, RecordError, SingleDraws, TallyRecord

SHAPE = (4, 4, 1)


class Coin(layers.Layer):
    """Turns the logits of a whole batch with some probability, and shakes them a little."""

    def __init__(self, probability, **options):
        super().__init__(**options)
        self.probability = probability
        self.seed = keras.random.SeedGenerator(0)

    def call(self, logits):
        turns = keras.random.uniform((), seed=self.seed) < self.probability
        shaken = 0.01 * keras.random.normal(keras.ops.shape(logits), seed=self.seed)
        return keras.ops.where(turns, -logits, logits) + shaken


def tossed(probability=0.25):
    """Says whether the mean pixel is above 1/2, but for a coin."""
    model = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Dense(2), Coin(probability)], name="tossed"
    )
    weights = np.repeat([[-1.0, 1.0]], 16, axis=0)
    model.layers[1].set_weights([weights, np.array([8.0, -8.0])])
    return model


@pytest.fixture(scope="module")
def batch():
    x = np.full((20, *SHAPE), 0.62, "float32")
    x[:5] = 0.52  # which an attack of 0.1 turns
    return x, np.ones(20, int)


def test_the_spread_is_that_of_single_draws_on_the_images_found(batch, tmp_path):
    report = evaluate_robustness(tossed(), batch, FGSM(epsilon=0.1), eot=12, progress=False)
    # The mean over 12 coins is right, and 15 images withstand.
    assert report.natural_accuracy == 1.0 and report.worst_case_accuracy == 0.75
    spread = report.single_draws
    # A draw that keeps the logits is right on the 15, one that turns them on the other 5.
    assert (spread.draws, spread.lowest, spread.highest) == (DRAWS, 0.25, 0.75)
    turned = round((0.75 - spread.mean) / 0.5 * DRAWS)
    assert 1 <= turned <= 6
    shares = np.repeat([0.25, 0.75], [turned, DRAWS - turned])
    assert spread.mean == pytest.approx(shares.mean())
    assert spread.deviation == pytest.approx(shares.std(ddof=1))
    assert "A single draw holds on" in report.table().caption
    assert "25.00 % to 75.00 % over 10 draws" in report.table().caption
    report.write_json(tmp_path / "evaluation.json")
    assert EvaluationRecord.read(tmp_path / "evaluation.json").single_draws == spread


def test_a_classifier_that_does_not_draw_has_no_spread(batch):
    model = tossed()
    certain = keras.Model(model.inputs, model.layers[-2].output)
    report = evaluate_robustness(certain, batch, FGSM(epsilon=0.1), eot=2, progress=False)
    assert report.single_draws is None and "single_draws" not in report.to_dict()
    assert "single draw" not in report.table().caption


def test_of_the_versions_of_an_image_the_one_of_the_smallest_margin_is_asked_about(batch):
    asked = []

    def logits(x):
        asked.append(np.asarray(x))
        mean = keras.ops.mean(x, axis=(1, 2, 3))
        return keras.ops.stack([0.5 - mean, mean - 0.5], axis=1)

    model = EvaluatedModel(logits, SHAPE, 2, "a function", one_draw=logits)
    images = check_data(batch, model, None, 0)
    spread = Spread(model, images)
    spread._draw = logits
    chosen = np.array([3, 7])
    for pixels, kept in (
        ((0.8, 0.6), (0.8, 0.6)),
        ((0.9, 0.2), (0.8, 0.2)),
        ((0.1, 0.3), (0.1, 0.2)),
    ):
        x = np.ones((3, *SHAPE), "float32")  # the third is padding
        x[:2] *= np.array(pixels, "float32")[:, None, None, None]
        spread.take(chosen, x, np.asarray(logits(x))[:2])
        np.testing.assert_allclose(spread.state[0, chosen], 2 * np.array(kept) - 1.0, atol=1e-6)
        assert spread.state[1:, chosen].tolist() == [[float(k > 0.5) for k in kept]] * DRAWS
    before = len(asked)
    spread.take(chosen, x, np.asarray([[0.0, 9.0]] * 2))
    assert len(asked) == before
    # A verdict that is no number is the smallest margin; who was wrong clean counts as wrong.
    spread.take(chosen[:1], np.ones((1, *SHAPE), "float32"), np.array([[np.nan, 0.0]]))
    assert spread.state[1:, 3].tolist() == [1.0] * DRAWS and spread.state[0, 3] == -np.inf
    assert spread.result(np.ones(20, bool)).mean == pytest.approx(1 / 20)
    assert spread.result(np.arange(20) != 3).mean == 0.0


def test_an_evaluation_that_goes_on_keeps_the_draws_that_it_had(batch, tmp_path, monkeypatch):
    state, model = tmp_path / "state.npz", tossed(0.0)
    attacks = [FGSM(epsilon=0.1), Square(epsilon=0.1, queries=2)]

    def evaluate():
        return evaluate_robustness(model, batch, attacks, state=state, progress=False)

    with monkeypatch.context() as patch:

        def stop(self, *arguments):
            raise KeyboardInterrupt

        patch.setattr(Square, "perturb", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate()
    kept = TallyRecord.read(state).single_draws
    assert kept.shape == (1 + DRAWS, 20) and np.isfinite(kept[0]).all()
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(Spread, "take_clean", lambda *_: asked.append(1))
        report = evaluate()
    # The attack by gradients found all there is; its draws are those of before.
    assert not asked and report.single_draws.mean == pytest.approx(kept[1:].mean())


def test_figures_that_do_not_fit_are_refused():
    figures = {"draws": 3, "mean": 0.5, "deviation": 0.1, "lowest": 0.4, "highest": 0.6}
    assert SingleDraws.from_dict(figures) == SingleDraws(**figures)
    with pytest.raises(RecordError, match="between the lowest and the highest"):
        SingleDraws.from_dict({**figures, "mean": 0.7})
    header = {
        "schema": 2,
        "identity": {},
        "attack": 0,
        "step": 0,
        "batch_size": 1,
        "attack_seconds": [0.0],
    }
    header |= {"seconds": 0.0, "round_has_begun": False}
    arrays = {"correct": np.ones(2, bool), "robust": np.ones((1, 2), bool)}
    arrays["waiting"] = np.zeros(2, bool)
    arrays |= {"clean_classes": np.zeros(2, "int32"), "classes": np.zeros((1, 2), "int32")}
    for drawn in (np.zeros((3, 1), "float32"), np.zeros((3, 2)), np.full((3, 2), 0.5, "float32")):
        with pytest.raises(RecordError, match="truth values of each image for single draws"):
            TallyRecord.from_dict({**header, **arrays, "single_draws": drawn})


def test_the_command_averages_over_draws_and_says_how_they_spread(tmp_path, capsys, digits):
    _, (x, y) = digits
    inputs = keras.Input(x.shape[1:])
    features = RandomBarrage(count=1, transforms=("noise",), seed=0)(inputs)
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(features)))
    # A linear classifier by the mean image of each class.
    means = np.stack([x[y == k].mean(axis=0).ravel() for k in range(10)])
    model.layers[-1].set_weights([10 * means.T, -5 * (means**2).sum(axis=1)])
    model.save(tmp_path / "bart.keras")
    target = tmp_path / "evaluation.json"
    words = ["evaluate", str(tmp_path / "bart.keras"), "--dataset", "digits", "--epsilon", "0.1"]
    words += ["--attacks", "square,apgd-ce", "--queries", "5", "--steps", "3", "--eot", "2"]
    assert main([*words, "--num-images", "40", "--json", str(target)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "Each answer is the mean over 2 draws. A single draw holds on" in output
    assert "WARNING" not in output
    record = EvaluationRecord.read(target)
    assert (record.eot, record.doubts, record.single_draws.draws) == (2, None, DRAWS)
    assert 0 < record.single_draws.mean < record.natural_accuracy
