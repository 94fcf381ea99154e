"""Attacks in an L2 ball where the exact answer is known, and beside other libraries."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm.attacks import (
    APGD,
    EFGSM,
    FGSM,
    PGD,
    RandomSampling,
    Square,
    TargetedFAB,
)
from keras_efgsm.evaluation import Transfer, evaluate_robustness, make_attacks

SHAPE = (5, 4, 1)
NUM_CLASSES = 3
EPSILON = 0.045


@pytest.fixture(scope="module")
def linear():
    """A linear classifier with images away from 0 and 1, the nearest boundaries up to 0.12 away."""
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(20, NUM_CLASSES)).astype("float32")
    model = keras.Sequential(
        [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(NUM_CLASSES)]
    )
    x = rng.uniform(0.45, 0.55, (80, *SHAPE)).astype("float32")
    bias = -(0.5 * weights.sum(axis=0)) + np.array([0.6, 0.3, 0.0])
    model.set_weights([weights, bias.astype("float32")])
    labels = np.argmax(model(x), axis=1).astype("int32")
    logits = np.asarray(model(x), "float64")
    distances = np.full((80, NUM_CLASSES), np.inf)
    for b, label in enumerate(labels):
        for rival in set(range(NUM_CLASSES)) - {int(label)}:
            normal = weights[:, label].astype("float64") - weights[:, rival]
            distances[b, rival] = (logits[b, label] - logits[b, rival]) / np.linalg.norm(normal)
    return model, x, labels, distances.min(axis=1)


ATTACKS = [
    PGD(epsilon=EPSILON, steps=30, norm="l2", loss="cw"),
    APGD(epsilon=EPSILON, steps=30, norm="l2", loss="cw"),
    TargetedFAB(epsilon=EPSILON, steps=10, targets=2, norm="l2"),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_linear_classifier_is_robust_exactly_where_its_boundary_is_further_than_epsilon(
    linear, attack
):
    model, x, labels, distances = linear
    report = evaluate_robustness(model, (x, labels), attack, progress=False)
    near = np.abs(distances - EPSILON) < 0.03 * EPSILON
    wanted = distances > EPSILON
    assert 10 < wanted.sum() < 70
    np.testing.assert_array_equal(report.robust[~near], wanted[~near])


def test_the_images_of_a_linear_classifier_go_straight_to_the_boundary_of_the_ball(linear):
    model, x, labels, distances = linear
    attack = PGD(epsilon=0.02, steps=10, loss="cw", random_start=False, norm="l2")
    far = distances > 0.05
    images = np.asarray(attack(model, x[far], labels[far]))
    change = (images - x[far]).reshape(far.sum(), -1)
    np.testing.assert_allclose(np.linalg.norm(change, axis=1), 0.02, rtol=1e-4)
    logits, attacked = (np.asarray(model(each), "float64") for each in (x[far], images))
    rows = np.arange(far.sum())

    def margins(z):
        others = z.copy()
        others[rows, labels[far]] = -np.inf
        return z[rows, labels[far]] - others.max(axis=1), others.argmax(axis=1)

    before, rival = margins(logits)
    kernel = np.asarray(model.layers[-1].kernel, "float64")
    steepness = np.linalg.norm(kernel[:, labels[far]] - kernel[:, rival], axis=0)
    same = margins(attacked)[1] == rival
    assert same.sum() > 5
    expected = before - 0.02 * steepness
    np.testing.assert_allclose(margins(attacked)[0][same], expected[same], atol=1e-4)


@pytest.mark.tensorflow("cleverhans is for TensorFlow")
def test_pgd_makes_the_images_of_cleverhans():
    pytest.importorskip("cleverhans")
    from keras_efgsm.evaluation.cleverhans_engine import compile_cleverhans
    from keras_efgsm.evaluation.native_engine import compile_native

    rng = np.random.default_rng(0)
    w1, w2 = (tensor(rng.normal(size=s), "float32") for s in ((20, 12), (12, NUM_CLASSES)))

    def logits_fn(x):
        return ops.tanh(ops.reshape(x - 0.5, (-1, 20)) @ w1) @ w2

    x = tensor(rng.uniform(-0.2, 1.2, (40, *SHAPE)).clip(0, 1), "float32")
    labels = ops.cast(ops.argmax(logits_fn(x), axis=1), "int32")
    attack = PGD(epsilon=0.6, steps=8, step_size=0.15, random_start=False, loss="cw", norm="l2")
    ids, restart = ops.arange(40, dtype="int32"), tensor(0)
    native, theirs = (
        np.asarray(engine(attack, logits_fn, 0)(x, labels, ids, restart))
        for engine in (compile_native, compile_cleverhans)
    )
    np.testing.assert_allclose(native, theirs, atol=2e-5)
    assert np.abs(native - np.asarray(x)).max() > 0.1


def test_the_sets_have_their_attacks_in_l2_and_one_that_knows_none_is_refused_by_name():
    for name in ("standard", "adp", "quick", "black-box"):
        attacks, others = make_attacks(name, 2.0, norm="l2"), make_attacks(name, 0.3)
        assert [a.name for a in attacks] == [a.name for a in others]
        assert {(a.norm, a.epsilon) for a in attacks} == {("l2", 2.0)}
        assert [a.budget for a in attacks] == [a.budget for a in others]
    assert make_attacks("pgd-ce", 3.0, norm="l2")[0].step_size == pytest.approx(0.1)
    able = "pgd-ce, pgd-cw, apgd-ce, apgd-cw, apgd-dlr, apgd-t, fab-t, random-sampling"
    with pytest.raises(ValueError) as error:
        make_attacks("apgd-ce,spsa", 2.0, norm="l2")
    for word in (*able.split(", "), "and not to spsa", "Received: norm='l2'"):
        assert word in str(error.value)
    with pytest.raises(ValueError, match="`norm` must be one of 'linf', 'l2'"):
        make_attacks("apgd-ce", 0.3, norm="l1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(epsilon=2.0), "divide one given on the 0..255 scale"),
        (lambda: PGD(epsilon=0.0, norm="l2"), "`epsilon` must be"),
        (lambda: APGD(epsilon=0.1, norm="l1"), "`norm` must be one of 'linf', 'l2'"),
        (lambda: RandomSampling(epsilon=0.1, corners=True, norm="l2"), "`corners` is for"),
    ],
)
def test_bad_options_of_a_ball_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_radius_is_held_against_the_images_before_an_attack(linear):
    model, x, labels, _ = linear
    with pytest.raises(ValueError, match=r"more than 4\.47214; .*Received: epsilon=4\.5"):
        PGD(epsilon=4.5, norm="l2")(model, x, labels)
    with pytest.raises(ValueError, match="no two images of shape"):
        evaluate_robustness(model, (x, labels), PGD(epsilon=4.5, norm="l2"), progress=False)


def test_an_attack_beyond_its_l2_ball_is_an_error_and_norms_are_not_mixed(linear):
    model, x, labels, _ = linear

    class Leaves(PGD):
        def perturb(self, logits_fn, x, *_):
            made = super().perturb(logits_fn, x, *_)
            return made._replace(images=ops.clip(x + 1.01 * (made.images - x), 0.0, 1.0))

    attack = Leaves(epsilon=EPSILON, steps=5, norm="l2")
    with pytest.raises(RuntimeError, match=r"within epsilon=0\.045 \(L2\).*change=0\.0454"):
        evaluate_robustness(model, (x, labels), attack, progress=False)
    both = [PGD(epsilon=EPSILON, norm="l2"), PGD(epsilon=EPSILON)]
    with pytest.raises(ValueError, match=r"must share one norm.*norms=\['l2', 'linf'\]"):
        evaluate_robustness(model, (x, labels), both, progress=False)


def test_the_report_says_the_norm_in_its_table_and_its_file_and_that_of_linf_stays_as_it_was(
    linear, tmp_path
):
    from keras_efgsm.records import EvaluationRecord

    model, x, labels, _ = linear
    transfer = Transfer(PGD(epsilon=1.5, steps=2, norm="l2"), model)
    report = evaluate_robustness(model, (x, labels), transfer, progress=False)
    assert report.norm == "l2"
    assert "epsilon 1.5 (L2)" in str(report.table().title)
    report.write_json(tmp_path / "l2.json")
    record = EvaluationRecord.read(tmp_path / "l2.json")
    assert (record.norm, record.attacks[0].norm) == ("l2", "l2")
    assert record.to_dict()["attacks"][0]["norm"] == "l2"
    other = evaluate_robustness(
        model, (x, labels), PGD(epsilon=0.1, steps=2), progress=False
    ).record
    assert other.norm == "linf"
    assert "norm" not in other.to_dict()["attacks"][0]
    mixed = {**record.to_dict(), "worst_case_accuracy": 0.0}
    mixed["attacks"] = [record.attacks[0].to_dict(), other.attacks[0].to_dict()]
    with pytest.raises(ValueError, match=r"attacks of one norm.*norms=\['l2', 'linf'\]"):
        EvaluationRecord.from_dict(mixed)
    for norm, epsilon in ((None, 1.5), ("linf", 1.5), ("l3", 0.5)):
        damaged = {**record.attacks[0].to_dict(), "norm": norm, "epsilon": epsilon}
        with pytest.raises(ValueError, match="epsilon|norm"):
            EvaluationRecord.from_dict({**record.to_dict(), "attacks": [damaged]})


def test_what_is_kept_of_an_attack_names_no_norm_where_earlier_versions_had_none():
    assert "norm" not in PGD(epsilon=0.3).on_file()[1]
    assert PGD(epsilon=0.3, norm="l2").on_file()[1]["norm"] == "l2"
    assert EFGSM(epsilon=0.3).on_file() == ("EFGSM", EFGSM(epsilon=0.3).get_config())
    assert Square(epsilon=0.3, norm="l2").ball is not FGSM(epsilon=0.3).ball
