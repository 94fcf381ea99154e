import itertools
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import PGD, Attack
from keras_efgsm.evaluation import EvaluatedModel, attacking, evaluate_robustness, load_classifier
from keras_efgsm.evaluation.image_set import even_batch_size, shrunk_batch_size
from keras_efgsm.evaluation.tally import Tally

EPSILON = 0.06


def network(seed=0, size=6, num_classes=4):
    """A network, images, and its own answers as labels: natural accuracy 1."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((size, size, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu", bias_initializer="normal"),
            keras.layers.Dense(num_classes),
        ]
    )
    x = np.random.default_rng(seed).random((60, size, size, 1), dtype="float32")
    return model, x, np.argmax(model(x), axis=1)


class Rounds(PGD):
    """PGD whose round r moves along noise of its own: three rounds of one attack."""

    name = "rounds"
    rounds = 3


WEAK = PGD(epsilon=EPSILON, steps=1, step_size=0.03)
STRONG = PGD(epsilon=EPSILON, steps=3, step_size=0.03, loss="cw")
ROUNDS = Rounds(epsilon=EPSILON, steps=2, step_size=0.03)


class Interrupted(Exception):
    pass


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of the native engine and can interrupt one: (attack, step, ids)."""
    made = []
    compile_native = attacking.ENGINES["native"]

    def compile_counting(attack, logits_fn, seed, reads):
        run = compile_native(attack, logits_fn, seed, reads)

        def counted(x, labels, ids, step):
            made.append((attack.name, int(step), np.asarray(ids).tolist()))
            x_adv = run(x, labels, ids, step)
            if made.interrupt_at == len(made):
                raise Interrupted  # as late as can be: the batch is done, its outcome not known
            return x_adv

        return counted

    class Calls(list):
        interrupt_at = None

    made = Calls()
    monkeypatch.setitem(attacking.ENGINES, "native", compile_counting)
    return made


def evaluate(model, data, attacks, **options):
    options = {"progress": False, "batch_size": 8, **options}
    return evaluate_robustness(model, data, attacks, **options)


def figures(report):
    """The report without times."""
    found = report.to_dict()
    for entry in (found, *found["attacks"]):
        assert entry.pop("seconds") >= 0.0
    return found


@pytest.mark.parametrize("cascade", [False, True])
def test_an_interrupted_evaluation_repeats_at_most_one_batch_and_ends_the_same(
    calls, tmp_path, cascade
):
    model, x, y = network()
    data, attacks, state = (x, y), [ROUNDS, STRONG], tmp_path / "state.npz"
    options = {"cascade": cascade, "restarts": 2, "seed": 3}
    whole = evaluate(model, data, attacks, **options)
    expected = list(calls)
    assert 0.0 < whole.worst_case_accuracy < whole.attacks[0].robust_accuracy < 1.0
    calls.clear()
    # In the first batch of all, and within a later round.
    at = [1, [call[:2] for call in expected].index(("rounds", 2)) + 4]
    for interrupt_at in at:
        calls.interrupt_at = interrupt_at
        with pytest.raises(Interrupted):
            evaluate(model, data, attacks, state=state, **options)
        assert len(calls) == interrupt_at and state.exists()
    calls.interrupt_at = None
    report = evaluate(model, data, attacks, state=state, **options)
    assert len(calls) == len(expected) + len(at)
    # The batch that was interrupted comes again, and no other does.
    assert all(calls[i] == calls[i - 1] for i in at)
    assert [call for i, call in enumerate(calls) if i not in at] == expected
    assert figures(report) == figures(whole)
    for mine, other in zip(report.attacks, whole.attacks, strict=True):
        assert mine.robust.tolist() == other.robust.tolist()
        assert mine.seconds > 0.0
    assert report.seconds > sum(attack.seconds for attack in report.attacks)


def test_the_state_stays_until_the_report_is_written_and_a_finished_one_attacks_nothing(
    calls, tmp_path
):
    model, x, y = network()
    state = tmp_path / "state.npz"
    report = evaluate(model, (x, y), [WEAK, STRONG], state=state)
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]
    calls.clear()
    again = evaluate(model, (x, y), [WEAK, STRONG], state=state)
    assert calls == [] and figures(again) == figures(report)
    with pytest.raises(OSError, match="missing"):
        again.write_json(tmp_path / "missing" / "report.json")
    assert state.exists()
    again.write_json(tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == 2


def changed_weights(model, x, y):
    model.layers[-1].bias.assign_add([0.0, 0.0, 0.0, 1e-6])
    return {}


def changed_activation(model, x, y):
    same = keras.Sequential.from_config(model.get_config())
    same.layers[1].activation = keras.activations.silu
    same.set_weights(model.get_weights())
    return {"model": same}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda model, x, y: {"seed": 1}, "seed"),
        (lambda model, x, y: {"batch_size": 9}, "batch size"),
        (lambda model, x, y: {"restarts": 2}, "restarts"),
        (lambda model, x, y: {"cascade": True}, "cascade"),
        (lambda model, x, y: {"attacks": [WEAK]}, "attacks"),
        (lambda model, x, y: {"attacks": [STRONG, WEAK]}, "attacks"),
        (lambda model, x, y: {"num_images": 59}, "data"),
        (lambda model, x, y: {"data": (x, np.where(np.arange(60) == 7, 0, y))}, "data"),
        (lambda model, x, y: {"data": (np.where(x == x[0, 0, 0], 0.5, x), y)}, "data"),
        (changed_weights, "model"),
        (changed_activation, "model"),
    ],
)
def test_the_state_of_another_evaluation_is_refused_and_kept(tmp_path, change, named):
    model, x, y = network()
    assert y[7] != 0
    state = tmp_path / "state.npz"
    evaluate(model, (x, y), [WEAK, STRONG], state=state)
    before = state.read_bytes()
    options = {"model": model, "data": (x, y), "attacks": [WEAK, STRONG], "state": state}
    options |= change(model, x, y)
    with pytest.raises(ValueError, match=rf"differ in: {named}\. Received: state="):
        evaluate(options.pop("model"), options.pop("data"), options.pop("attacks"), **options)
    assert state.read_bytes() == before


def test_a_state_of_another_version_is_refused(tmp_path, monkeypatch):
    model, x, y = network()
    evaluate(model, (x, y), WEAK, state=tmp_path / "state.npz")
    monkeypatch.setattr(attacking, "versions", lambda *extra: {"keras_efgsm": "0.0.1"})
    with pytest.raises(ValueError, match="differ in: versions"):
        evaluate(model, (x, y), WEAK, state=tmp_path / "state.npz")


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b"not a state", lambda b: b""])
def test_a_damaged_state_is_refused_and_kept(tmp_path, damage):
    model, x, y = network()
    state = tmp_path / "state.npz"
    evaluate(model, (x, y), WEAK, state=state)
    state.write_bytes(damage(state.read_bytes()))
    before = state.read_bytes()
    with pytest.raises(ValueError, match=r"must be readable; remove it.*Received: state="):
        evaluate(model, (x, y), WEAK, state=state)
    assert state.read_bytes() == before


def test_a_state_that_cannot_be_written_is_an_error_before_any_attack(calls, tmp_path):
    model, x, y = network()
    with pytest.raises(OSError, match="nowhere"):
        evaluate(model, (x, y), WEAK, state=tmp_path / "nowhere" / "state.npz")
    assert calls == []


def test_an_interrupted_write_leaves_the_state_before_it(tmp_path, monkeypatch):
    tally = Tally(tmp_path / "state.npz", {"seed": 0}, 1)
    tally.begin(np.array([True, False]), np.zeros(2, int))
    before = (tmp_path / "state.npz").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    tally.step = 5
    with pytest.raises(OSError, match="killed"):
        tally.save()
    assert (tmp_path / "state.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_the_engine_of_cleverhans_cannot_be_resumed(tmp_path):
    model, x, y = network()
    with pytest.raises(ValueError, match=r"native engine.*Received: state="):
        evaluate(model, (x, y), WEAK, state=tmp_path / "state.npz", engine="cleverhans")


def test_a_model_is_known_again_by_its_weights_whatever_it_is_called(tmp_path):
    model, _, _ = network()
    twin, _, _ = network()
    assert model.name != twin.name
    assert load_classifier(model).identity() == load_classifier(twin).identity()
    model.save(tmp_path / "model.keras")
    assert load_classifier(tmp_path / "model.keras").identity() == load_classifier(model).identity()
    bare = [
        EvaluatedModel(lambda x, f=f: f * ops.reshape(x, (-1, 36))[:, :4], (6, 6, 1), 4, "bare")
        for f in (1.0, 1.0, 2.0)
    ]
    assert bare[0].identity() == bare[1].identity() != bare[2].identity()


# A cascade.


def test_a_cascade_ends_with_the_worst_case_of_all_attacks_and_attacks_less(calls):
    model, x, y = network()
    attacks = [WEAK, ROUNDS, STRONG]
    each = evaluate(model, (x, y), attacks)
    calls.clear()
    cascade = evaluate(model, (x, y), attacks, cascade=True)
    assert cascade.robust.tolist() == each.robust.tolist()
    assert cascade.worst_case_accuracy == cascade.attacks[-1].robust_accuracy
    left = np.ones(60, bool)
    for alone, joined in zip(each.attacks, cascade.attacks, strict=True):
        assert joined.num_attacked == left.sum()
        assert alone.num_attacked == 60 and alone.num_turned == (~alone.robust).sum()
        turned = left & ~alone.robust
        assert joined.num_turned == turned.sum() > 0
        # The ids that the attack's first round was given, fillers of the last batch aside.
        first = [ids for name, step, ids in calls if (name, step) == (joined.name, 0)]
        assert sorted({i for ids in first for i in ids}) == np.flatnonzero(left).tolist()
        left &= alone.robust
        assert joined.robust.tolist() == left.tolist()
    assert cascade.to_dict()["cascade"] is True


def test_the_rounds_of_an_attack_follow_each_other_and_restarts_are_counted_on(calls):
    model, x, y = network()
    report = evaluate(model, (x, y), ROUNDS, restarts=2, batch_size=60)
    assert [step for _, step, _ in calls] == [0, 1, 2, 3, 4, 5]
    attacked = [set(ids) for _, _, ids in calls]
    assert all(later <= earlier for earlier, later in itertools.pairwise(attacked))
    assert len(attacked[-1]) < len(attacked[0])
    (result,) = report.attacks
    assert (result.rounds, result.restarts, result.name) == (3, 2, "rounds")
    assert result.budget == "2 steps of 0.03 x 3 targets x 2 restarts"


def test_no_round_attacks_when_nothing_is_left(calls):
    model, x, y = network()
    strongest = Rounds(epsilon=1.0, steps=20, step_size=0.2, loss="cw")
    report = evaluate(model, (x, y), [strongest, PGD(epsilon=1.0)], cascade=True, batch_size=60)
    assert report.worst_case_accuracy == 0.0
    assert [call[:2] for call in calls] == [("rounds", 0)]
    last = report.attacks[1]
    assert (last.num_attacked, last.num_turned, last.robust_accuracy) == (0, 0, 0.0)


def test_rounds_are_not_traced_again(monkeypatch):
    model, x, y = network()
    logits_fn = load_classifier(model).logits_fn
    traces = []

    def counting(images):
        traces.append(images.shape)
        return logits_fn(images)

    counted = EvaluatedModel(counting, (6, 6, 1), 4, "counted")
    # It is asked once about random images.
    assert counted.answers.num_classes == 4 and len(traces) == 2
    traces.clear()
    one = Rounds(epsilon=EPSILON, steps=2, step_size=0.03)
    one.rounds = 1
    evaluate(counted, (x, y), one)
    once = len(traces)
    evaluate(counted, (x, y), ROUNDS, restarts=2)
    assert len(traces) == 2 * once > 0


def test_batches_share_the_images_evenly_and_shrink_when_few_are_left():
    assert [even_batch_size(count, 250) for count in (1, 250, 251, 260, 988)] == [
        1,
        250,
        126,
        130,
        247,
    ]
    assert [shrunk_batch_size(256, count) for count in (256, 65, 64, 17, 16, 1)] == [
        256,
        256,
        64,
        64,
        16,
        16,
    ]
    assert shrunk_batch_size(8, 1) == 8


class Outside(Attack):
    stays_in_ball = False

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        raise AssertionError("refused before it is asked")


def test_an_attack_that_need_not_stay_in_the_ball_is_refused():
    model, x, y = network()
    with pytest.raises(ValueError, match=r"keep their images in the ball.*Received: .*attack"):
        evaluate(model, (x, y), [WEAK, Outside(epsilon=EPSILON)])
