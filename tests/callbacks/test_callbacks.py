import json

import keras
import numpy as np
import pytest

import keras_efgsm.callbacks.overfitting_stop
from keras_efgsm.attacks import EFGSM, FGSM, PGD
from keras_efgsm.callbacks import OverfittingStop, WeightAveraging
from keras_efgsm.callbacks.probe import Probe, ProbeAccuracies
from keras_efgsm.evaluation import evaluate_robustness


def assert_same(first, second, atol=0.0):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


# WeightAveraging.


class Witness(keras.callbacks.Callback):
    """Writes down the classifier's weights at each hook; stops training where it is told to."""

    def __init__(self, stop_at_batch=None, stop_at_epoch=None):
        super().__init__()
        self.stop_at_batch, self.stop_at_epoch = stop_at_batch, stop_at_epoch
        self.batches, self.epoch_begins, self.epoch_ends, self.tests = [], [], [], []

    def weights(self):
        return self.model.classifier.get_weights()

    def on_train_begin(self, logs=None):
        self.start = self.weights()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_begins.append(self.weights())

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.weights())
        if len(self.batches) == self.stop_at_batch:
            self.model.stop_training = True

    def on_test_begin(self, logs=None):
        self.tests.append(self.weights())

    def on_epoch_end(self, epoch, logs=None):
        self.epoch_ends.append(self.weights())
        if epoch == self.stop_at_epoch:
            self.model.stop_training = True


def averages_by_hand(start, raw, momentum, steps=1, before=0):
    """The average after each of the recorded weights, with `steps` steps between them."""
    average, result = start, []
    for n, weights in enumerate(raw, start=1):
        count = before + n * steps
        past = min(momentum, (1 + count) / (10 + count)) ** steps
        average = [past * a + (1 - past) * w for a, w in zip(average, weights, strict=True)]
        result.append(average)
    return result


def fit_averaged(new_trainer, small, witness, *, epochs=2, steps=1, averaging=None, **options):
    averaging = averaging or WeightAveraging(0.8)
    trainer = new_trainer(
        batch_norm=True,
        optimizer=keras.optimizers.Adam(0.01),
        compiled={"steps_per_execution": steps},
    )
    trainer.fit(
        *small, batch_size=25, epochs=epochs, callbacks=[averaging, witness], verbose=0, **options
    )
    return trainer


@pytest.fixture(scope="module", params=[1, 2], ids=["step by step", "2 steps per execution"])
def averaged(request, new_trainer, small):
    witness = Witness()
    x, y = small
    trainer = fit_averaged(
        new_trainer,
        small,
        witness,
        steps=request.param,
        validation_data=(x[:20], y[:20]),
        shuffle=False,
    )
    expected = averages_by_hand(witness.start, witness.batches, 0.8, request.param)
    return trainer, witness, expected


def test_the_average_with_batch_norm_statistics_is_in_place_at_the_end_of_an_epoch(averaged):
    _, witness, expected = averaged
    per_epoch = len(expected) // 2
    for epoch in (0, 1):
        assert_same(witness.epoch_ends[epoch], expected[per_epoch * (epoch + 1) - 1], atol=1e-6)
    # It is not the raw weights, in any of the variables.
    for average, raw in zip(witness.epoch_ends[1], witness.batches[-1], strict=True):
        assert np.abs(average - raw).max() > 1e-5


def test_the_average_is_in_place_for_validation_and_after_training(averaged):
    trainer, witness, _ = averaged
    assert len(witness.tests) == 2
    for validated, epoch_end in zip(witness.tests, witness.epoch_ends, strict=True):
        assert_same(validated, epoch_end)
    assert_same(trainer.classifier.get_weights(), witness.epoch_ends[-1])


def test_training_goes_on_from_the_raw_weights(averaged):
    _, witness, _ = averaged
    last_of_first_epoch = witness.batches[len(witness.batches) // 2 - 1]
    assert_same(witness.epoch_begins[1], last_of_first_epoch)


def test_averaging_leaves_the_training_itself_as_it_is(averaged, new_trainer, small):
    _, witness, _ = averaged
    plain = Witness()
    trainer = new_trainer(
        batch_norm=True,
        optimizer=keras.optimizers.Adam(0.01),
        compiled={"steps_per_execution": 8 // len(witness.batches)},
    )
    trainer.fit(*small, batch_size=25, epochs=2, shuffle=False, callbacks=[plain], verbose=0)
    assert_same(plain.batches[-1], witness.batches[-1], atol=1e-5)


@pytest.mark.parametrize("where", [{"stop_at_batch": 6}, {"stop_at_epoch": 1}], ids=str)
def test_the_average_is_in_place_when_training_is_stopped_early(new_trainer, small, where):
    witness = Witness(**where)
    trainer = fit_averaged(new_trainer, small, witness, epochs=9)
    assert len(witness.batches) == where.get("stop_at_batch", 8)
    expected = averages_by_hand(witness.start, witness.batches, 0.8)[-1]
    assert_same(trainer.classifier.get_weights(), expected, atol=1e-6)


def test_a_last_execution_of_fewer_steps_counts_only_those(new_trainer, small):
    averaging = WeightAveraging(0.8)
    trainer = fit_averaged(new_trainer, small, Witness(), epochs=1, steps=3, averaging=averaging)
    assert int(trainer.optimizer.iterations) == 4
    assert averaging.get_state()["steps"] == 4


def test_in_a_second_fit_the_same_averaging_starts_from_the_weights_it_finds(new_trainer, small):
    averaging, witness = WeightAveraging(0.8), Witness()
    trainer = fit_averaged(new_trainer, small, Witness(), epochs=1, averaging=averaging)
    trainer.classifier.set_weights([w + 0.1 for w in trainer.classifier.get_weights()])
    found = trainer.classifier.get_weights()
    trainer.fit(*small, batch_size=25, callbacks=[averaging, witness], verbose=0)
    assert_same(witness.epoch_begins[0], found)
    expected = averages_by_hand(found, witness.batches, 0.8)[-1]
    assert_same(trainer.classifier.get_weights(), expected, atol=1e-6)


def test_the_state_of_an_averaging_continues_it(new_trainer, small):
    first, witness = WeightAveraging(0.8), Witness()
    trainer = fit_averaged(new_trainer, small, witness, averaging=first)
    state, raw = first.get_state(), witness.batches[-1]
    assert state["steps"] == 8
    assert_same(state["averages"], trainer.classifier.get_weights())
    second, later = WeightAveraging(0.8), Witness()
    second.set_state(state)
    trainer.fit(
        *small, batch_size=25, initial_epoch=2, epochs=3, callbacks=[second, later], verbose=0
    )
    assert_same(later.epoch_begins[0], raw)
    expected = averages_by_hand(state["averages"], later.batches, 0.8, before=8)[-1]
    assert second.get_state()["steps"] == 12
    assert_same(trainer.classifier.get_weights(), expected, atol=1e-6)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, np.nan, "0.9"])
def test_a_momentum_outside_zero_to_one_is_refused(momentum):
    with pytest.raises(ValueError, match="`momentum` must be.*Received: momentum="):
        WeightAveraging(momentum)


# OverfittingStop.


@pytest.fixture(scope="module")
def trainer(new_trainer):
    return new_trainer()


def mark(trainer, value):
    trainer.set_weights([np.full_like(w, value) for w in trainer.get_weights()])


def marked(trainer):
    (value,) = {float(v) for w in trainer.get_weights() for v in np.unique(w)}
    return value


def drive(stop, trainer, epochs, end=True):
    """Runs the hooks with made-up logs; each epoch's weights are its number. Epoch it stops in."""
    trainer.stop_training = False
    stop.set_model(trainer)
    mark(trainer, 0)
    stop.on_train_begin()
    for epoch, logs in enumerate(epochs):
        stop.on_epoch_begin(epoch)
        mark(trainer, epoch + 1)
        stop.on_epoch_end(epoch, logs)
        if trainer.stop_training:
            break
    if end:
        stop.on_train_end()
    return epoch + 1 if trainer.stop_training else None


def robust(*values):
    return [{"margin_robust_accuracy": value} for value in values]


def shortfalls(*values, robust=0.5):
    return [{"margin_robust_accuracy": robust, "attack_shortfall": value} for value in values]


@pytest.fixture
def probe(monkeypatch):
    """Puts a list of accuracies, that before training first, in place of the probe's."""

    def plan(*accuracies, **options):
        class Planned:
            def __init__(self, *args):
                self.left, self.chance = list(accuracies), 0.1

            def accuracies(self):
                return ProbeAccuracies(natural=1.0, robust=self.left.pop(0))

        monkeypatch.setattr(keras_efgsm.callbacks.overfitting_stop, "Probe", Planned)
        return OverfittingStop(probe=("images", "labels"), verbose=False, **options)

    return plan


def test_it_stops_when_the_attack_falls_short_and_puts_the_good_weights_back(trainer):
    stop = OverfittingStop()
    assert drive(stop, trainer, shortfalls(0.4, 0.05, 0.03, 0.12, 0.14, 0.9)) == 5
    assert marked(trainer) == 3
    assert stop.report() == {
        "fired": True,
        "epoch": 5,
        "reason": "the attack falls short of its gradient on 14.0% of the samples",
        "restored_epoch": 3,
    }


def test_in_the_first_two_epochs_it_goes_back_to_the_weights_before_training(trainer):
    stop = OverfittingStop(verbose=False)
    assert drive(stop, trainer, shortfalls(0.01, 0.5)) == 2
    assert stop.report()["restored_epoch"] == 0
    assert marked(trainer) == 0


def test_it_says_where_the_probe_is_when_the_margins_alone_turned(trainer, probe, capsys):
    stop = probe(0.1, 0.5, 0.52, 0.48)
    stop.verbose = True
    drive(stop, trainer, robust(0.6, 0.6, 0.3))
    assert capsys.readouterr().out.strip() == (
        "epoch 3: the margin-robust accuracy fell to 0.300 from 0.600; training goes on, as the "
        "PGD probe is at 0.480, its best 0.520"
    )


@pytest.mark.parametrize(
    ("accuracies", "epochs", "said"),
    [
        ((0.02, 0.03, 0.1, 0.08, 0.1, 0.09), 8, "epoch 4: the PGD probe has not been above 0.100"),
        ((0.02, 0.03, 0.1, 0.08, 0.1), 4, "epoch 3: the PGD probe"),
        ((0.02, 0.03, 0.11, 0.08, 0.1), 4, ""),  # more than guessing, once
        ((0.02, 0.03, 0.1, 0.08, 0.1), 20, ""),  # not half-way yet
        ((0.02, 0.03, 0.1), 2, ""),  # over before
    ],
)
def test_it_says_once_half_way_that_nothing_withstands_the_probe(
    trainer, probe, capsys, accuracies, epochs, said
):
    stop = probe(*accuracies)
    stop.verbose = True
    stop.set_params({"epochs": epochs})
    drive(stop, trainer, robust(*[0.0] * (len(accuracies) - 1)))
    printed = capsys.readouterr().out.strip()
    assert printed.startswith(said) and bool(printed) == bool(said)
    assert printed.count("\n") == 0


def test_it_says_when_it_stops_and_why(trainer, capsys):
    drive(OverfittingStop(), trainer, robust(0.6, 0.6, 0.3))
    line = capsys.readouterr().out.strip()
    assert line == (
        "epoch 3: training stops, as the margin-robust accuracy fell to 0.300 from 0.600; "
        "the weights of epoch 1 are put back"
    )
    drive(OverfittingStop(verbose=False), trainer, robust(0.6, 0.6, 0.3))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ((0.3, 0.5, 0.6, 0.39), None),  # 0.5 was held for two epochs: 0.11 is not enough,
        ((0.3, 0.6, 0.6, 0.41), None),  # nor is 0.19,
        ((0.3, 0.6, 0.6, 0.55, 0.50, 0.45, 0.39), 7),  # but a slow fall counts in the end.
        ((0.9, 0.3, 0.35, 0.4), None),  # The first epoch alone can be high by chance,
        ((0.3, 0.9, 0.35, 0.4), None),  # and so can any one.
        ((0.9, 0.85, 0.3), 3),
    ],
)
def test_it_stops_when_margins_fall_below_what_two_epochs_in_a_row_reached(trainer, values, epoch):
    stop = OverfittingStop(verbose=False)
    assert drive(stop, trainer, robust(*values)) == epoch
    assert stop.report()["fired"] == (epoch is not None)


def test_thresholds_are_the_users(trainer):
    assert (
        drive(OverfittingStop(max_drop=0.05, verbose=False), trainer, robust(0.6, 0.6, 0.54)) == 3
    )
    assert (
        drive(OverfittingStop(max_drop=0.5, verbose=False), trainer, robust(0.6, 0.6, 0.2)) is None
    )
    steep = shortfalls(0.1, 0.1, 0.5)
    assert drive(OverfittingStop(max_shortfall=0.5, verbose=False), trainer, steep) is None
    assert drive(OverfittingStop(max_shortfall=0.3, verbose=False), trainer, steep) == 3


def test_healthy_training_keeps_its_last_weights(trainer):
    stop = OverfittingStop()
    assert drive(stop, trainer, shortfalls(0.9, 0.3, 0.1, 0.1, 0.12)) is None
    assert marked(trainer) == 5
    assert stop.report() == {
        "fired": False,
        "epoch": None,
        "reason": None,
        "restored_epoch": None,
    }


def test_the_probe_overrules_a_shortfall_that_leaves_robustness_alone(trainer, probe):
    stop = probe(0.1, 0.5, 0.6, 0.6, 0.55)
    assert drive(stop, trainer, shortfalls(0.1, 0.1, 0.6, 0.9)) is None
    assert not stop.report()["fired"]


def test_a_fall_of_the_probe_alone_stops_training_at_the_best_weights(trainer, probe):
    stop = probe(0.1, 0.4, 0.6, 0.5, 0.45, 0.39)
    logs = robust(0.5, 0.5, 0.5, 0.5, 0.5)
    assert drive(stop, trainer, logs) == 5
    assert marked(trainer) == 2
    assert stop.report()["reason"] == (
        "the PGD probe fell to 0.390 from 0.600, unseen by the margins"
    )
    assert [row["probe_accuracy"] for row in logs] == [0.4, 0.6, 0.5, 0.45, 0.39]


def test_where_there_is_little_to_lose_a_smaller_fall_is_a_collapse(trainer, probe):
    # Half of 0.3 is three quarters of 0.4, at which the whole drop of 0.2 counts.
    assert drive(probe(0.1, 0.3, 0.16), trainer, shortfalls(0.1, 0.1)) is None
    stop = probe(0.1, 0.3, 0.14)
    assert drive(stop, trainer, shortfalls(0.1, 0.1)) == 2
    assert stop.report()["restored_epoch"] == 1


def test_whoever_answered_with_one_class_at_first_has_lost_nothing(trainer, probe):
    stop = probe(0.18, 0.02, 0.05, 0.3)
    assert drive(stop, trainer, shortfalls(0.1, 0.1, 0.1)) is None


def test_slow_overfitting_ends_with_the_best_weights_though_nothing_fired(trainer, probe):
    stop = probe(0.1, 0.4, 0.6, 0.58, 0.54)
    assert drive(stop, trainer, robust(0.5, 0.5, 0.5, 0.5)) is None
    assert marked(trainer) == 2
    assert stop.report() == {
        "fired": False,
        "epoch": None,
        "reason": "the PGD probe ended at 0.540, its best was 0.600",
        "restored_epoch": 2,
    }


def test_a_probe_that_ends_near_its_best_keeps_the_last_weights(trainer, probe):
    stop = probe(0.1, 0.4, 0.6, 0.5, 0.56)
    assert drive(stop, trainer, robust(0.5, 0.5, 0.5, 0.5)) is None
    assert marked(trainer) == 4
    assert stop.report()["restored_epoch"] is None


def test_where_the_probe_decides_the_best_epoch_is_kept_though_it_ended_a_point_lower(
    trainer, probe
):
    planned = (0.1, 0.4, 0.6, 0.5, 0.59)
    plain = probe(*planned)
    assert drive(plain, trainer, robust(0.5, 0.5, 0.5, 0.5)) is None
    assert (marked(trainer), plain.report()["restored_epoch"]) == (4, None)
    stop = probe(*planned, final_drop=0.0)
    assert drive(stop, trainer, robust(0.5, 0.5, 0.5, 0.5)) is None
    assert marked(trainer) == 2
    assert stop.report() == {
        "fired": False,
        "epoch": None,
        "reason": "the PGD probe ended at 0.590, its best was 0.600",
        "restored_epoch": 2,
    }


def test_where_the_probe_decides_a_best_last_epoch_is_left_as_it_is(trainer, probe):
    for planned in ((0.1, 0.4, 0.5, 0.6), (0.1, 0.6, 0.4, 0.6), (0.1, 0.1, 0.1, 0.1)):
        stop = probe(*planned, final_drop=0.0)
        assert drive(stop, trainer, robust(0.5, 0.5, 0.5)) is None
        assert marked(trainer) == 3
        assert stop.report()["restored_epoch"] is None
        assert stop.report()["reason"] is None


def test_the_last_score_of_the_probe_survives_a_resume(trainer, probe):
    stop = probe(0.1, 0.6, 0.5)
    drive(stop, trainer, robust(0.5, 0.5))
    resumed = probe()
    resumed.set_state(stop.get_state())
    resumed.set_model(trainer)
    resumed.on_train_begin()
    resumed.on_train_end()
    assert resumed.report()["restored_epoch"] == 1


def test_a_robust_network_that_collapses_at_once_gets_its_first_weights_back(trainer, probe):
    stop = probe(0.7, 0.2)
    assert drive(stop, trainer, robust(0.5, 0.5)) == 1
    assert marked(trainer) == 0
    assert stop.report()["restored_epoch"] == 0


def test_the_reason_names_both_signals_where_both_turned(trainer, probe):
    stop = probe(0.1, 0.6, 0.6, 0.1)
    drive(stop, trainer, shortfalls(0.1, 0.1, 0.6))
    assert stop.report()["reason"] == (
        "the PGD probe fell to 0.100 from 0.600, and the attack falls short of its gradient on "
        "60.0% of the samples"
    )


def test_the_same_stop_starts_afresh_in_a_second_fit(trainer):
    stop = OverfittingStop(verbose=False)
    assert drive(stop, trainer, robust(0.6, 0.6, 0.3)) == 3
    # Of the first fit neither the levels nor the report nor the good weights remain.
    assert drive(stop, trainer, robust(0.3, 0.3, 0.3)) is None
    assert not stop.report()["fired"]
    assert marked(trainer) == 3


def test_its_state_continues_it_in_another_process(trainer):
    before, after = OverfittingStop(verbose=False), OverfittingStop(verbose=False)
    drive(before, trainer, shortfalls(0.3, 0.05, robust=0.6), end=False)
    state = before.get_state()
    arrays = {name: state.pop(name) for name in ("good_weights", "latest_weights")}
    after.set_state({**json.loads(json.dumps(state)), **arrays})
    # Alone, these two epochs would be no reason to stop.
    assert drive(after, trainer, shortfalls(0.2, robust=0.6)) == 1
    assert marked(trainer) == 1
    assert after.report()["restored_epoch"] == 1
    # Margins are remembered as well, with the epoch before.
    after = OverfittingStop(verbose=False)
    drive(before, trainer, robust(0.3, 0.6), end=False)
    after.set_state(before.get_state())
    assert drive(after, trainer, robust(0.6, 0.39)) == 2


def test_a_stop_that_fired_puts_the_good_weights_back_after_a_resume_too(trainer):
    before, after = OverfittingStop(verbose=False), OverfittingStop(verbose=False)
    drive(before, trainer, robust(0.6, 0.6, 0.3), end=False)
    assert marked(trainer) == 3
    after.set_state(before.get_state())
    after.set_model(trainer)
    after.on_train_begin()
    after.on_train_end()
    assert marked(trainer) == 1
    assert after.report() == before.report()


@pytest.mark.parametrize("option", ["max_shortfall", "max_drop", "probe_drop", "final_drop"])
@pytest.mark.parametrize("value", [0.0, 1.1, -0.2])
def test_a_threshold_out_of_range_is_refused(option, value):
    if (option, value) == ("final_drop", 0.0):  # the probe decides the epoch
        assert OverfittingStop(final_drop=0.0).final_drop == 0.0
        return
    with pytest.raises(ValueError, match=f"`{option}` must be.*Received: {option}={value}$"):
        OverfittingStop(**{option: value})


# In `fit`.


def test_in_fit_the_stop_ends_training_and_the_history_shows_the_probe(new_trainer, small):
    x, y = small
    stop, witness = OverfittingStop(probe=(x, y), verbose=False), Witness()
    trainer = new_trainer(FGSM(epsilon=0.05), optimizer=keras.optimizers.Adam(0.01))

    class Collapse(keras.callbacks.Callback):
        """From the sixth epoch on the network says 0 of every image."""

        def on_epoch_end(self, epoch, logs=None):
            if epoch >= 5:
                *rest, bias = self.model.get_weights()
                self.model.set_weights([*rest, bias + 1e6 * np.eye(10)[0]])

    callbacks = [Collapse(), witness, stop]
    history = trainer.fit(
        x, y, epochs=9, batch_size=10, callbacks=callbacks, verbose=0, shuffle=False
    ).history
    assert len(history["probe_accuracy"]) == len(history["loss"]) == 6
    assert stop.report()["epoch"] == 6
    best = stop.report()["restored_epoch"]
    assert history["probe_accuracy"][best - 1] == max(history["probe_accuracy"]) > 0.4
    assert_same(trainer.classifier.get_weights(), witness.epoch_ends[best - 1])
    attack = PGD(epsilon=0.05, steps=20, step_size=0.05 / 8, loss="cw")
    measured = Probe(trainer.classifier, attack, x, y).accuracy()
    assert measured == pytest.approx(history["probe_accuracy"][best - 1])


def test_after_averaging_the_stop_keeps_and_restores_averages(new_trainer, small):
    witness = Witness()
    stop = OverfittingStop(verbose=False)

    class Fall(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["margin_robust_accuracy"] = (0.6, 0.6, 0.1)[epoch]

    trainer = new_trainer()
    callbacks = [Fall(), WeightAveraging(0.8), witness, stop]
    trainer.fit(*small, epochs=5, batch_size=25, callbacks=callbacks, verbose=0)
    assert stop.report()["epoch"] == 3
    assert_same(trainer.classifier.get_weights(), witness.epoch_ends[0])
    assert np.abs(witness.epoch_ends[0][0] - witness.epoch_begins[1][0]).max() > 0


# The probe.


@pytest.fixture(scope="module")
def probed(new_trainer, small):
    trainer = new_trainer(EFGSM(epsilon=0.1), optimizer=keras.optimizers.Adam(0.01))
    trainer.fit(*small, batch_size=25, epochs=10, verbose=0)
    return trainer.classifier


ATTACK = PGD(epsilon=0.1, steps=5, step_size=0.03)


def test_the_probe_measures_what_an_evaluation_measures(probed, small):
    x, y = small
    accuracy = Probe(probed, ATTACK, x, y).accuracy()
    report = evaluate_robustness(probed, (x, y), ATTACK, progress=False)
    assert accuracy == pytest.approx(report.attacks[0].robust_accuracy)
    clean = np.argmax(probed(x), axis=1) == y
    attacked = np.argmax(probed(ATTACK(probed, x, y)), axis=1) == y
    assert accuracy == pytest.approx(np.mean(clean & attacked))
    assert 0.1 < accuracy < np.mean(clean)


def test_the_probe_repeats_itself_and_follows_the_weights(probed, small):
    probe, before = Probe(probed, ATTACK, *small), probed.get_weights()
    first = probe.accuracy()
    assert probe.accuracy() == first
    probed.set_weights([np.zeros_like(w) for w in before])
    assert probe.accuracy() < first
    probed.set_weights(before)
    assert probe.accuracy() == first


def test_bad_probe_images_and_labels_are_refused(probed, small):
    x, y = small
    with pytest.raises(ValueError, match="`probe images` must be floating-point"):
        Probe(probed, ATTACK, (255 * x).astype("uint8"), y)
    with pytest.raises(ValueError, match="`probe labels` must lie in"):
        Probe(probed, ATTACK, x, y + 1)


def test_one_hot_and_column_labels_probe_as_integer_labels_do(probed, small):
    x, y = small
    expected = Probe(probed, ATTACK, x, y).accuracy()
    for labels in (keras.utils.to_categorical(y, 10), y[:, None]):
        assert Probe(probed, ATTACK, x, labels).accuracy() == expected


def test_the_same_stop_probes_the_network_of_the_fit_it_is_in(new_trainer, small):
    x, y = small
    # With the last weights in any case, wherever the probe was best.
    options = {"probe_attack": ATTACK, "probe_drop": 1.0, "final_drop": 1.0, "verbose": False}
    stop = OverfittingStop(probe=(x, y), **options)
    for epochs in (1, 10):
        trainer = new_trainer(optimizer=keras.optimizers.Adam(0.01))
        options = {"batch_size": 25, "epochs": epochs, "callbacks": [stop], "verbose": 0}
        last = trainer.fit(x, y, **options).history["probe_accuracy"][-1]
        assert last == pytest.approx(Probe(trainer.classifier, ATTACK, x, y).accuracy())
