import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import PGD
from keras_efgsm.cli import main
from keras_efgsm.data import load_digits
from keras_efgsm.evaluation import (
    EvaluatedModel,
    StraightThrough,
    Transfer,
    evaluate_robustness,
    load_classifier,
    make_attacks,
    with_twin,
)
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.export import export_classifier

EPSILON = 0.1


def fitted(seed, classes=10):
    keras.utils.set_random_seed(seed)
    model, train = network(classes), load_digits("train")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(train.pixels(), train.labels, batch_size=128, epochs=4, verbose=0)
    return model


def network(classes=10, shape=(8, 8, 1)):
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes),
        ]
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `1/`, `digits-1.tflite`, `digits-1-int8.tflite` and `twin.keras`."""
    folder, model = tmp_path_factory.mktemp("models") / "digits", fitted(seed=0)
    export_classifier(
        model,
        folder,
        class_names=[str(i) for i in range(10)],
        forms=["saved-model", "tflite", "tflite-int8"],
        representative_images=load_digits("train").pixels()[:50],
    )
    model.save(folder / "twin.keras")
    fitted(seed=1).save(folder / "stranger.keras")
    return folder


@pytest.fixture(scope="module")
def int8(place):
    return load_classifier(place / "digits-1-int8.tflite")


@pytest.fixture(scope="module")
def twin(place):
    return load_classifier(place / "twin.keras")


@pytest.fixture(scope="module")
def data():
    test = load_digits("test")
    return test.pixels()[:60], test.labels[:60]


def evaluate(model, data, attacks, **options):
    return evaluate_robustness(model, data, attacks, **{"progress": False, **options})


def test_forward_it_is_the_artefact_and_backward_its_twin(int8, twin, data):
    x, model = tf.constant(data[0]), StraightThrough(int8, twin)
    upstream = tf.random.stateless_normal((60, 10), (0, 1))

    def gradient(logits_fn):
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = logits_fn(x)
        return logits, tape.gradient(logits, x, output_gradients=upstream)

    expected = gradient(twin.logits_fn)
    for compile in (lambda function: function, tf.function):
        logits, slope = compile(lambda: gradient(model.logits_fn))()
        np.testing.assert_array_equal(logits, int8.logits_fn(x))
        np.testing.assert_allclose(slope, expected[1], rtol=1e-5, atol=1e-6)
    assert np.abs(logits - expected[0]).max() > 0.0
    assert model.differentiable and not int8.differentiable
    assert (model.description, model.twin) == ("digits-1-int8.tflite", twin)


def test_every_attack_by_gradients_finds_on_a_file_what_it_finds_on_its_twin(place, twin, data):
    model = StraightThrough(place / "digits-1.tflite", twin)
    names, options = "pgd-cw,apgd-ce,apgd-t,fab-t", {"steps": 5, "step_size": 0.03, "targets": 2}
    attacks = make_attacks(names, EPSILON, **options)
    on_file, on_twin = evaluate(model, data, attacks), evaluate(twin, data, attacks)
    for one, other in zip(on_file.attacks, on_twin.attacks, strict=True):
        assert other.num_turned > 10
        # Logits differ in the last digits, so a step may go the other way once in a while.
        assert (one.robust != other.robust).sum() <= 2
    assert on_file.attacks[0].name == "pgd-cw, gradients of twin.keras (straight-through)"
    assert [result.name for result in on_twin.attacks] == names.split(",")


def in_grey_levels(twin, count):
    """The twin behind a rounding of its pixels: white-box, its gradient is zero."""

    def logits_fn(x):
        return twin.logits_fn(tf.round(count * x) / count)

    return EvaluatedModel(logits_fn, (8, 8, 1), 10, "in grey levels")


def test_what_counts_is_the_answer_of_the_artefact_itself(twin, data):
    x, y = data
    artefact = in_grey_levels(twin, 5)
    model, attack = StraightThrough(artefact, twin), PGD(epsilon=EPSILON, steps=4, loss="cw")
    report = evaluate(model, data, attack)
    made = compile_native(attack, model.logits_fn, 0)(
        tf.constant(x), tf.constant(y, tf.int32), tf.range(60), tf.constant(0)
    )
    own, other = (np.argmax(m.logits_fn(made), axis=1) == y for m in (artefact, twin))
    np.testing.assert_array_equal(report.robust, report.correct & own)
    # Else this would not tell one from the other.
    assert (own != other).any()


def test_straight_through_finds_at_least_what_a_transfer_finds(int8, twin, data):
    for attack in make_attacks("pgd-cw,apgd-ce", EPSILON, steps=6, step_size=0.03):
        through, transferred = evaluate(
            StraightThrough(int8, twin), data, [attack, Transfer(attack, twin)]
        ).attacks
        assert through.num_turned >= transferred.num_turned > 10


def test_a_quantisation_that_zeroes_gradients_does_not_pass_for_robust(twin, data):
    planted = in_grey_levels(twin, 20)
    attack = PGD(epsilon=EPSILON, steps=10, random_start=False)
    alone = evaluate(planted, data, attack)
    assert alone.worst_case_accuracy == alone.natural_accuracy > 0.8
    through = evaluate(StraightThrough(planted, twin), data, attack)
    assert through.worst_case_accuracy < 0.7 * alone.worst_case_accuracy


def test_each_attack_comes_on_the_artefact_and_as_a_transfer(int8, twin, data):
    attacks = make_attacks("apgd-ce,square", EPSILON, steps=3, queries=20)
    model, tried = with_twin(int8, twin, attacks)
    report = evaluate(model, data, tried, cascade=True)
    assert [result.name for result in report.attacks] == [
        "apgd-ce, gradients of twin.keras (straight-through)",
        "transfer apgd-ce from twin.keras",
        "square",
        "transfer square from twin.keras",
    ]
    figures = report.to_dict()
    assert figures["twin"] == "twin.keras" and figures["twin_agreement"] > 0.9
    assert figures["model"] == "digits-1-int8.tflite"


def test_an_interrupted_evaluation_goes_on_and_knows_artefact_and_twin(
    place, int8, twin, data, tmp_path, monkeypatch
):
    state, attacks = tmp_path / "state.npz", make_attacks("apgd-ce,square", EPSILON, steps=3)
    attacks[1].queries = 20
    model, tried = with_twin(int8, twin, attacks)
    options = {"batch_size": 20, "cascade": True}
    whole = evaluate(model, data, tried, **options)

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "perturb", interrupted)
        with pytest.raises(KeyboardInterrupt):
            # Traced when the first batch comes to it: straight-through is through by then.
            evaluate(model, data, tried, state=state, **options)
    assert state.exists()
    again, tried = with_twin(place / "digits-1-int8.tflite", place / "twin.keras", attacks)
    continued = evaluate(again, data, tried, state=state, **options)
    assert continued.attacks[0].seconds < continued.seconds
    for one, other in zip(continued.attacks, whole.attacks, strict=True):
        np.testing.assert_array_equal(one.robust, other.robust)
    other, tried = with_twin(int8, place / "stranger.keras", attacks)
    with pytest.raises(ValueError, match="differ in: attacks, model"):
        evaluate(other, data, tried, state=state, **options)


# What is refused.


def test_a_twin_without_gradients_or_of_another_shape_is_refused(place, int8):
    with pytest.raises(ValueError, match=r"`twin` must have gradients.*Received: twin='digits-1"):
        StraightThrough(int8, place / "digits-1.tflite")
    for other in (network(classes=9), network(shape=(9, 8, 1))):
        with pytest.raises(ValueError, match=r"`twin` must take images of shape \(8, 8, 1\).*Rec"):
            StraightThrough(int8, other)


def test_a_stranger_that_answers_most_images_differently_is_refused(int8, twin, data):
    stranger = EvaluatedModel(
        lambda x: tf.roll(twin.logits_fn(x), 1, axis=1), (8, 8, 1), 10, "a stranger"
    )
    with pytest.raises(ValueError, match=r"another class.*Received: .*same class on 0 of 60"):
        evaluate(StraightThrough(int8, stranger), data, PGD(epsilon=EPSILON))


# The command line.

SHORT = ["--dataset", "digits", "--epsilon", "0.1", "--num-images", "40"]
ATTACKS = ["--attacks", "pgd-cw,square", "--steps", "2", "--queries", "5"]


def command(path, *words):
    return main([str(word) for word in ("evaluate", path, *SHORT, *words)])


def names_in(path):
    return [attack["name"] for attack in json.loads(path.read_text())["attacks"]]


def test_a_twin_that_is_named_attacks_a_file_in_both_ways(place, tmp_path, capsys):
    target = tmp_path / "report.json"
    words = [*ATTACKS, "--json", target]
    assert command(place / "digits-1-int8.tflite", "--twin", place / "twin.keras", *words) == 0
    assert names_in(target) == [
        "pgd-cw, gradients of twin.keras (straight-through)",
        "transfer pgd-cw from twin.keras",
        "square",
        "transfer square from twin.keras",
    ]
    assert "found beside the file" not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_version_folder_beside_a_file_is_its_twin_unless_switched_off(place, tmp_path, capsys):
    target, file = tmp_path / "report.json", place / "digits-1-int8.tflite"
    assert command(file, *ATTACKS, "--json", target) == 0
    assert names_in(target)[0] == "pgd-cw, gradients of digits/1 (straight-through)"
    assert f"twin: {place / '1'}, found beside the file" in capsys.readouterr().out
    assert command(file, *ATTACKS, "--json", target, "--transfer-from", place / "twin.keras") == 0
    assert names_in(target) == ["square", "transfer pgd-cw from twin.keras"]
    assert "found beside the file" not in capsys.readouterr().out
    assert command(file, *ATTACKS, "--twin", "none") == 2
    assert "has no gradients" in capsys.readouterr().err


def test_a_twin_of_what_has_gradients_is_refused(place, capsys):
    assert command(place / "1", *ATTACKS, "--twin", place / "twin.keras") == 2
    assert "`--twin` is for a classifier without gradients" in capsys.readouterr().err
    assert command(place / "digits-1.tflite", *ATTACKS, "--twin", place / "nothing") == 2
    assert "There is no model here" in capsys.readouterr().err
