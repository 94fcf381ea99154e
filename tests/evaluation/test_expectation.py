"""Classifiers that draw at random: noticed, said, and averaged over draws."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.attacks import FGSM, PGD, Square, expected_logits
from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness, load_classifier, with_eot
from keras_efgsm.evaluation.expectation import doubts_of
from keras_efgsm.evaluation.straight_through import StraightThrough
from keras_efgsm.networks.requirements import read_contract
from keras_efgsm.records import EvaluationRecord
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.trainer.trained_classifier import check_trained

SHAPE, CLASSES = (4, 4, 1), 3


class AlwaysNoisy(layers.Layer):
    """Noise in evaluation mode as well."""

    def __init__(self, scale=0.3, **options):
        super().__init__(**options)
        self.scale, self.seed = scale, keras.random.SeedGenerator(3)

    def call(self, images):
        noise = keras.random.normal(keras.ops.shape(images), seed=self.seed)
        return images + self.scale * noise


class AlwaysDropping(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, images):
        return keras.random.dropout(images, 0.5, seed=self.seed)


class Resized(layers.Layer):
    """One draw for the whole batch, as in a defence by random resizing and padding."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, images):
        return images * keras.random.uniform((), 0.2, 1.0, seed=self.seed)


def network(*first):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input(SHAPE), *first, layers.Flatten(), layers.Dense(CLASSES)], name="small"
    )


@pytest.fixture(scope="module")
def batch():
    x = np.random.default_rng(0).random((12, *SHAPE), dtype="float32")
    return x, np.asarray(network()(x)).argmax(axis=1)


RANDOM = {
    "noise": lambda: network(AlwaysNoisy()),
    "dropout": lambda: network(AlwaysDropping()),
    "one draw for a batch": lambda: network(Resized()),
    "noise in a model within": lambda: keras.Sequential(
        [keras.Input(SHAPE), network(AlwaysNoisy())]
    ),
}


@pytest.mark.parametrize("case", RANDOM)
def test_a_classifier_that_answers_at_random_is_noticed(case):
    model = RANDOM[case]()
    assert read_contract(model).is_random
    assert load_classifier(model).answers.is_random
    function = EvaluatedModel(lambda x: model(x, training=False), SHAPE, CLASSES, "a function")
    assert function.answers.is_random


@pytest.mark.parametrize(
    "first", [(), (layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.RandomFlip())]
)
def test_layers_that_draw_in_training_alone_are_not_taken_for_random(first):
    assert not read_contract(network(*first)).is_random


def test_the_report_says_that_a_figure_on_single_draws_is_not_to_be_trusted(batch, tmp_path):
    attack, model = PGD(epsilon=0.05, steps=2), network(AlwaysNoisy(0.05))
    single = evaluate_robustness(model, batch, attack, progress=False)
    averaged = evaluate_robustness(model, batch, attack, eot=4, progress=False)
    plain = evaluate_robustness(network(), batch, attack, progress=False)
    assert (single.eot, averaged.eot, plain.eot) == (None, 4, None)
    assert "differently at each call" in single.doubts[0] and "--eot" in single.doubts[0]
    assert averaged.doubts == plain.doubts == ()
    assert "WARNING: Keras model 'small' answers" in single.table().caption
    assert "the mean over 4 draws" in averaged.table().caption
    assert not {"eot", "doubts"} & set(plain.to_dict())
    for report in (single, averaged):
        report.write_json(tmp_path / "evaluation.json")
        record = EvaluationRecord.read(tmp_path / "evaluation.json")
        assert (record.eot, record.doubts) == (report.eot, report.doubts or None)


def test_the_mean_over_draws_is_that_of_independent_draws(batch):
    x = batch[0]
    for layer in (AlwaysNoisy(0.5), Resized()):
        model = network(layer)
        single = np.stack([model(x) for _ in range(64)])
        means = np.stack([expected_logits(model, 16)(x) for _ in range(32)])
        # Of 16 independent draws the spread is a quarter.
        ratio = means.std(axis=0).mean() / single.std(axis=0).mean()
        assert 0.15 < ratio < 0.4
        np.testing.assert_allclose(means.mean(axis=0), single.mean(axis=0), atol=0.3)
    certain = network()
    np.testing.assert_allclose(expected_logits(certain, 5)(x), certain(x), atol=1e-5)


@pytest.mark.parametrize("make", [FGSM, lambda **e: Square(queries=9, **e)], ids=["fgsm", "square"])
def test_every_attack_goes_by_the_mean(batch, make):
    x, y = batch
    calls = []

    class Counting(layers.Layer):
        def call(self, images):
            calls.append(1)
            return images

    model = network(Counting())
    calls.clear()
    attack = make(epsilon=0.1)
    expected = np.asarray(attack(lambda images: model(images, training=False), x, y))
    once, _ = len(calls), calls.clear()
    averaged = attack(expected_logits(model, 3), x, y)
    assert len(calls) == 3 * once
    # Without randomness the mean is the classifier itself, up to rounding.
    np.testing.assert_allclose(averaged, expected, atol=1e-5)


def test_one_draw_changes_nothing_and_draws_are_counted():
    model = load_classifier(network(AlwaysNoisy()))
    assert with_eot(model, 1) is model
    averaged = with_eot(model, 5)
    assert averaged.draws == 5 and "mean of 5 draws" in averaged.identity()
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="`eot` must be a whole number >= 1.*Received: eot="):
            with_eot(model, wrong)


def test_a_single_attack_and_a_training_warn_of_randomness_once(batch):
    x, y = batch
    model = network(AlwaysNoisy())
    with pytest.warns(UserWarning, match="expected_logits") as warned:
        for _ in range(3):
            FGSM(epsilon=0.1)(model, x, y)
    assert len([w for w in warned if "expected_logits" in str(w.message)]) == 1
    trainer = AdversarialTrainer(model, FGSM(epsilon=0.1))
    told = "differently in evaluation mode; evaluate it with `--eot"
    with pytest.warns(UserWarning, match=told) as warned:
        # As a run does before it makes its folder.
        check_trained(trainer)
        trainer.fit(x, y, epochs=1, verbose=0)
    assert len([w for w in warned if told in str(w.message)]) == 1


def test_what_is_known_of_an_artefact_is_known_of_it_with_a_twin():
    noisy = load_classifier(network(AlwaysNoisy()))
    calls = []
    counted = dataclasses.replace(
        noisy, logits_fn=lambda x: calls.append(x) or noisy.logits_fn(x), doubts=("a doubt",)
    )
    together = StraightThrough(counted, network())
    asked = len(calls)
    assert load_classifier(together).answers.is_random and len(calls) == asked == 2
    assert doubts_of(together)[0] == "a doubt" and len(doubts_of(together)) == 2
    assert StraightThrough(with_eot(counted, 5), network()).draws == 5
