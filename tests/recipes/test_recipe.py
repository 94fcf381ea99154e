"""The pieces of the recipe as options of a run: schedule, decay, reset, consistency, views."""

import argparse
import dataclasses
import json
import shlex

import keras
import numpy as np
import pytest
from keras import ops

import keras_efgsm.callbacks.overfitting_stop
from keras_efgsm import MomentumReset, SampleMomentum, train
from keras_efgsm.attacks import EFGSM, PGD
from keras_efgsm.cli import train as train_command
from keras_efgsm.cli.config_options import read_config
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.objectives import (
    AdversarialCrossEntropy,
    Examples,
    JointReconstruction,
    LogitConsistency,
)
from keras_efgsm.recipes.building import build_trainer, hold_out_probe, stateful_callbacks
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.optimizers import L2SGD
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.schedules import OneCycle
from keras_efgsm.runs.folder import RunFolder
from support.process_state import put_back

DIGITS = dataclasses.replace(
    PRESETS["digits"], epochs=4, batch_size=32, overfitting_stop=False, warmup_epochs=0.0
)


@pytest.fixture(scope="module")
def data():
    """A hundred training and fifty test digits."""
    return load_data("digits", "train").take(100), load_data("digits", "test").take(50)


# Learning rate and weight decay.


def test_one_cycle_rises_to_its_peak_and_falls_to_zero_linearly():
    schedule = OneCycle(0.4, steps=10, peak_step=3)
    rates = [float(schedule(step)) for step in range(12)]
    by_hand = [0.1, 0.2, 0.3, 0.4, 0.4 * 6 / 7, 0.4 * 5 / 7, 0.4 * 4 / 7, 0.4 * 3 / 7, 0.4 * 2 / 7]
    np.testing.assert_allclose(rates, [*by_hand, 0.4 / 7, 0.0, 0.0], rtol=1e-6)


def test_one_cycle_survives_a_round_trip_within_its_optimizer():
    optimizer = L2SGD(OneCycle(0.4, steps=10, peak_step=3), momentum=0.8, l2=0.01)
    made = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(json.loads(json.dumps(made)))
    assert (again.l2, again.momentum, again.nesterov) == (0.01, 0.8, True)
    assert float(again.learning_rate) == pytest.approx(0.1)


@pytest.mark.parametrize("peak_step", [-1, 10, 2.5])
def test_a_peak_outside_the_training_is_refused(peak_step):
    with pytest.raises(ValueError, match=r"Received: peak_step="):
        OneCycle(0.4, steps=10, peak_step=peak_step)


def learning_rates(data, **changes):
    """At each update of a run of 4 epochs of 4 steps."""
    config = dataclasses.replace(DIGITS, learning_rate=0.8, **changes)
    trainer = build_trainer(config, data[0])
    rates = []
    for step in range(17):
        trainer.optimizer.iterations.assign(step)
        rates.append(float(trainer.optimizer.learning_rate))
    return rates


def test_the_schedules_of_a_run_cover_all_its_updates(data):
    one_cycle = learning_rates(data, schedule="one-cycle", peak_share=0.5)
    assert one_cycle.index(max(one_cycle)) == 8
    assert max(one_cycle) == pytest.approx(0.8)
    assert one_cycle[15] > one_cycle[16] == 0.0
    last = learning_rates(data, schedule="one-cycle", peak_share=1.0)
    assert last.index(max(last)) == 15
    piecewise = learning_rates(data, schedule="piecewise")
    np.testing.assert_allclose(piecewise[:9], 0.8, rtol=1e-6)
    np.testing.assert_allclose(piecewise[9:13], 0.08, rtol=1e-6)
    np.testing.assert_allclose(piecewise[13:], 0.008, rtol=1e-6)
    cosine = learning_rates(data)
    np.testing.assert_allclose(cosine, 0.4 + 0.4 * np.cos(np.pi * np.arange(17) / 16), atol=1e-6)


def test_weight_decay_of_sgd_is_part_of_the_gradient_and_goes_through_the_momentum():
    weight, bias = keras.Variable([2.0, -1.0], name="kernel"), keras.Variable([0.5], name="bias")
    optimizer = L2SGD(0.1, momentum=0.9, nesterov=True, l2=0.2)
    optimizer.build([weight, bias])
    values, velocity = np.array([2.0, -1.0, 0.5]), np.zeros(3)
    for gradient in (np.array([0.3, 0.0, 0.0]), np.array([-0.1, 0.2, 0.0])):
        optimizer.apply_gradients(
            [(ops.convert_to_tensor(gradient[:2], "float32"), weight), (ops.zeros(1), bias)]
        )
        full = gradient + 0.2 * values
        velocity = 0.9 * velocity - 0.1 * full
        values = values + 0.9 * velocity - 0.1 * full
    np.testing.assert_allclose([*weight.numpy(), *bias.numpy()], values, rtol=1e-6)


def test_without_decay_it_is_sgd_of_keras():
    ours, theirs = keras.Variable([2.0, -1.0]), keras.Variable([2.0, -1.0])
    for variable, optimizer in (
        (ours, L2SGD(0.1, 0.9, l2=0.0)),
        (theirs, keras.optimizers.SGD(0.1, 0.9, nesterov=True)),
    ):
        for _ in range(3):
            optimizer.apply_gradients([(ops.convert_to_tensor([0.3, -0.7]), variable)])
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weight_decay_of_a_run_reaches_every_weight(data, optimizer):
    weights = []
    for decay in (0.0, 0.1):
        config = dataclasses.replace(
            DIGITS, optimizer=optimizer, weight_decay=decay, learning_rate=0.1, method="efgsm",
            method_options={},
        )  # fmt: skip
        keras.utils.set_random_seed(0)
        trainer = build_trainer(config, data[0])
        ones = [np.ones(v.shape, "float32") for v in trainer.trainable_weights]
        for variable, value in zip(trainer.trainable_weights, ones, strict=True):
            variable.assign(value)
        zeros = [ops.zeros(v.shape) for v in trainer.trainable_weights]
        trainer.current_step().apply_gradients(zeros)
        weights.append([v.numpy() for v in trainer.trainable_weights])
    for without, with_decay in zip(*weights, strict=True):
        np.testing.assert_array_equal(without, np.ones_like(without))
        # Nesterov's first step is 1 + momentum times as long.
        expected = 1 - 0.1 * 0.1 * (1.9 if optimizer == "sgd" else 1.0)
        np.testing.assert_allclose(with_decay, np.full_like(with_decay, expected), rtol=1e-6)


# Resetting the momentum.


class MomentumWitness(keras.callbacks.Callback):
    """How much momentum there is when each epoch's first step begins and when the epoch ends."""

    def __init__(self):
        super().__init__()
        self.before, self.after = {}, {}

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.before.setdefault(self._epoch, np.abs(self.model.momentum.numpy()).max())

    def on_epoch_end(self, epoch, logs=None):
        self.after[epoch] = np.abs(self.model.momentum.numpy()).max()


@pytest.mark.parametrize(("every", "empty"), [(1, {0, 1, 2, 3, 4}), (2, {0, 2, 4}), (3, {0, 3})])
def test_the_momentum_is_zero_at_the_start_of_every_nth_epoch_and_of_no_other(
    new_trainer, small, every, empty
):
    witness, trainer = MomentumWitness(), new_trainer()
    trainer.fit(
        *small, batch_size=50, epochs=5, verbose=0, callbacks=[MomentumReset(every), witness]
    )
    assert {epoch for epoch, most in witness.before.items() if most == 0} == empty
    assert all(most > 0 for most in witness.after.values())


def test_a_reset_of_an_attack_without_momentum_is_nothing(new_trainer, small):
    trainer = new_trainer(PGD(epsilon=0.2, steps=1))
    trainer.fit(*small, batch_size=50, epochs=2, verbose=0, callbacks=[MomentumReset(1)])


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_momentum_that_was_reset_is_as_a_new_one(dtype):
    momentum = SampleMomentum(3, (2, 2, 1), dtype)
    momentum.write(np.array([0, 2]), np.full((2, 2, 2, 1), 1.5, "float32"))
    assert np.abs(momentum.numpy()).max() > 0
    momentum.reset()
    np.testing.assert_array_equal(momentum.numpy(), np.zeros((3, 2, 2, 1), dtype))
    assert momentum.numpy().dtype == dtype


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_a_reset_that_is_no_whole_number_of_epochs_is_refused(every):
    with pytest.raises(ValueError, match="Received: every="):
        MomentumReset(every)


class Cut(Exception):
    """Ends a run where a kill would."""


class CutAfter(keras.callbacks.Callback):
    """Ends the run after some steps of all, once the checkpoint of the step before is written."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_begin(self, batch, logs=None):
        if self.left == 0:
            raise Cut
        self.left -= 1


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    """A run of 4 epochs of 4 steps with a reset after 2, and one that never resets."""

    def weights(**changes):
        folder = tmp_path_factory.mktemp("unbroken") / "run"
        with put_back():  # determinism is of the whole process
            result = train(
                dataclasses.replace(DIGITS, **changes),
                folder,
                train_data=data[0],
                test_data=data[1],
                verbose=0,
                deterministic=True,
            )
        return result.trainer.classifier.get_weights(), result.trainer.momentum.numpy()

    return weights(momentum_reset_epochs=2), weights()


def is_same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_reset_changes_the_training(unbroken):
    with_reset, without = unbroken
    assert not is_same(with_reset[0], without[0])
    assert not np.array_equal(with_reset[1], without[1])


@pytest.mark.parametrize("steps", [8, 9], ids=lambda steps: f"after {steps} of 16 steps")
@put_back()
def test_a_run_with_resets_ends_the_same_however_it_was_interrupted(
    data, unbroken, tmp_path, steps
):
    config = dataclasses.replace(DIGITS, momentum_reset_epochs=2)
    options = {"train_data": data[0], "test_data": data[1], "verbose": 0, "deterministic": True}
    with pytest.raises(Cut):
        train(
            config, tmp_path / "run", callbacks=[CutAfter(steps)], checkpoint_minutes=0, **options
        )
    resumed = train(config, tmp_path / "run", resume=True, **options).trainer
    assert is_same(resumed.classifier.get_weights(), unbroken[0][0])
    np.testing.assert_array_equal(resumed.momentum.numpy(), unbroken[0][1])


# The consistency term.

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]])
START = LOGITS + np.array([[0.5, -0.5, 1.0], [0.0, 2.0, 0.0]])
# (0.25 + 0.25 + 1) / 3 and 4 / 3.
CONSISTENCY = np.array([0.5, 4 / 3])


def losses(objective, sample_weight=None):
    return objective.losses(
        lambda images: ops.convert_to_tensor(LOGITS, "float32"),
        lambda p: ops.full((2, 2, 2, 1), 0.25),
        Examples(
            ops.zeros((2, 2, 2, 1)),
            ops.zeros((2, 2, 2, 1)),
            ops.one_hot([0, 2], 3),
            None if sample_weight is None else ops.convert_to_tensor(sample_weight, "float32"),
            ops.convert_to_tensor(START, "float32"),
        ),
    )


@pytest.mark.parametrize("sample_weight", [None, [2.0, 0.5]])
def test_the_joint_loss_has_the_consistency_within_lambda(sample_weight):
    result = losses(JointReconstruction(0.05, 0.0, consistency_weight=10.0), sample_weight)
    w = np.ones(2) if sample_weight is None else np.array(sample_weight)
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    classification = -(w * log_p[[0, 1], [0, 2]]).mean()
    reconstruction, consistency = (w * 0.0625).mean(), (w * CONSISTENCY).mean()
    assert {name: float(value) for name, value in result.parts.items()} == {
        "classification_loss": pytest.approx(classification, rel=1e-5),
        "reconstruction_loss": pytest.approx(reconstruction, rel=1e-5),
        "consistency_loss": pytest.approx(consistency, rel=1e-5),
    }
    expected = reconstruction + 0.05 * (classification + 10.0 * consistency)
    assert float(result.loss) == pytest.approx(expected, rel=1e-5)


def test_the_consistency_of_the_joint_loss_has_a_gradient_to_both_logits(gradients):
    images = ops.zeros((2, 2, 2, 1))

    def consistency(start, logits):
        examples = Examples(images, images, ops.one_hot([0, 2], 3), None, start * 1.0)
        objective = JointReconstruction(0.05, 0.0, 10.0)
        result = objective.losses(lambda x: logits * 1.0, lambda p: images, examples)
        return result.loss - 0.05 * result.parts["classification_loss"]

    to_start, to_logits = gradients(consistency, START, LOGITS)
    expected = 0.05 * 10.0 * 2 * (LOGITS - START) / 3 / 2
    np.testing.assert_allclose(to_start, -expected, atol=1e-6)
    np.testing.assert_allclose(to_logits, expected, atol=1e-6)


def test_without_a_weight_the_objectives_are_those_without_the_term():
    plain = JointReconstruction(0.05, 0.1)
    assert not plain.needs_start_logits
    assert plain.part_names == ("classification_loss", "reconstruction_loss")
    weighted = JointReconstruction(0.05, 0.1, 10.0)
    assert weighted.needs_start_logits
    assert weighted.part_names[-1] == "consistency_loss"
    again = JointReconstruction.from_config(weighted.get_config())
    assert again.get_config() == weighted.get_config()
    old = {"classification_weight": 0.05, "label_smoothing": 0.1}
    assert JointReconstruction.from_config(old).consistency_weight == 0.0
    efgsm = PRESETS["mnist"].with_method("efgsm")
    assert type(efgsm.make_objective()) is AdversarialCrossEntropy
    weighted = PRESETS["mnist"].with_method("efgsm", consistency_weight=3.0).make_objective()
    assert type(weighted) is LogitConsistency
    assert weighted.consistency_weight == 3.0


@pytest.mark.parametrize("method", ["combined", "efgsm"])
def test_a_run_with_the_consistency_term_shows_it(data, tmp_path, method):
    config = DIGITS.with_method(method, consistency_weight=10.0)
    config = dataclasses.replace(config, epochs=1)
    result = train(config, tmp_path / "run", train_data=data[0], test_data=data[1], verbose=0)
    assert result.folder.read_history()[0]["consistency_loss"] > 0


# The options of a run.

CHANGES = {
    "train_images": 500,
    "activation": "silu",
    "optimizer": "sgd",
    "optimizer_momentum": 0.8,
    "weight_decay": 5e-4,
    "schedule": "one-cycle",
    "peak_share": 0.3,
    "crop_padding": 2,
    "flip": True,
    "cutout": 3,
    "align_momentum": False,
    "momentum_reset_epochs": 5,
    "attack_in_training_mode": False,
    "keep_best": True,
    "dtype_policy": "auto",
    "method_options": {"consistency_weight": 10.0},
}


def parsed(line):
    parser = argparse.ArgumentParser()
    train_command.add_command(parser.add_subparsers())
    return read_config(parser.parse_args(shlex.split(line)[1:]))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_each_piece_is_an_option_of_the_command_line_and_of_the_file(preset):
    pieces = [{name: value} for name, value in CHANGES.items()] + [CHANGES]
    rising = {"method_options": {"consistency_weight": 5.0}, "regularizer_warmup_epochs": 2.5}
    other = {"optimizer": "adam", "schedule": "piecewise"}
    opposite = {"attack_in_training_mode": True, "keep_best": False, "dtype_policy": "float32"}
    for changes in [*pieces, {"flip": False}, other, opposite, rising]:
        config = dataclasses.replace(PRESETS[preset], **changes)
        assert parsed(command_line(config)) == config
        stored = json.loads(json.dumps(config.to_dict()))
        assert TrainingConfig.from_dict(stored) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train_images", 0),
        ("train_images", 2.5),
        ("activation", "rleu"),
        ("activation", None),
        ("optimizer", "SGD"),
        ("optimizer_momentum", 1.0),
        ("weight_decay", -5e-4),
        ("schedule", "linear"),
        ("peak_share", 1.5),
        ("crop_padding", -1),
        ("crop_padding", 1.5),
        ("flip", "yes"),
        ("cutout", -2),
        ("align_momentum", None),
        ("momentum_reset_epochs", -1),
        ("momentum_reset_epochs", 0.5),
        ("attack_in_training_mode", 2),
        ("regularizer_warmup_epochs", -1.0),
        ("keep_best", "yes"),
        ("dtype_policy", "fastest"),
    ],
)
def test_a_piece_out_of_range_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=f"`{name}`") as error:
        dataclasses.replace(DIGITS, **{name: value})
    assert str(error.value).endswith(f"Received: {name}={value!r}")


def test_pieces_that_do_not_fit_the_method_are_refused():
    with pytest.raises(ValueError, match="no momentum"):
        dataclasses.replace(DIGITS.with_method("pgd"), momentum_reset_epochs=2)
    with pytest.raises(ValueError, match="consistency_weight"):
        dataclasses.replace(DIGITS, method_options={"consistency_weight": -1.0})
    with pytest.raises(ValueError, match="consistency_weight"):
        DIGITS.with_method("efgsm-trades", consistency_weight=1.0)


@pytest.mark.parametrize("method", ["combined", "efgsm", "rec", "pgd", "fgsm"])
def test_a_warm_up_of_a_regulariser_that_is_not_there_is_refused(method):
    with pytest.raises(ValueError, match=f"{method}.*Received: regularizer_warmup_epochs=2.0$"):
        dataclasses.replace(DIGITS.with_method(method), regularizer_warmup_epochs=2.0)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("combined", {"consistency_weight": 10.0}),
        ("efgsm", {"consistency_weight": 10.0}),
        ("efgsm", {"nuclear_weight": 4.0}),
        ("fgsm-pgi", {}),
        ("trades", {}),
        ("alp", {}),
        ("efgsm-trades", {}),
        ("gradient-regularisation", {}),
    ],
)
def test_the_warm_up_of_a_regulariser_is_in_updates_of_the_run(data, method, options):
    """Of 4 an epoch."""
    config = DIGITS.with_method(method, **options)
    assert build_trainer(config, data[0]).regularizer_warmup_steps == 0
    config = dataclasses.replace(config, regularizer_warmup_epochs=1.5)
    assert build_trainer(config, data[0]).regularizer_warmup_steps == 6


@pytest.mark.parametrize(
    "without", [{"overfitting_stop": False}, {"probe_images": 0}], ids=lambda w: next(iter(w))
)
def test_to_keep_the_best_epoch_takes_the_probe(without):
    config = dataclasses.replace(PRESETS["digits"], keep_best=True)
    assert config.keep_best
    ((name, value),) = without.items()
    with pytest.raises(ValueError, match=f"`keep_best` needs the probe.*{name}={value}"):
        dataclasses.replace(config, **without)


def test_keep_best_reaches_the_stop_of_the_run(data):
    drops = [
        stateful_callbacks(dataclasses.replace(PRESETS["digits"], keep_best=keep), data)[
            "stop"
        ].final_drop
        for keep in (True, False)
    ]
    assert drops == [0.0, 0.05]


def test_a_run_that_keeps_its_best_ends_with_the_weights_of_that_epoch(tmp_path, monkeypatch):
    """The probe says that the second of three epochs was best, if by a hundredth."""
    accuracies = iter([0.1, 0.3, 0.5, 0.49])
    monkeypatch.setattr(
        keras_efgsm.callbacks.overfitting_stop.Probe, "accuracy", lambda self: next(accuracies)
    )
    by_epoch = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: by_epoch.append(keep.model.classifier.get_weights())
    )
    config = dataclasses.replace(
        DIGITS, epochs=3, overfitting_stop=True, probe_images=20, keep_best=True
    )
    train_data = load_data("digits", "train").take(220)
    test_data = load_data("digits", "test").take(50)
    result = train(
        config,
        tmp_path / "run",
        train_data=train_data,
        test_data=test_data,
        callbacks=[keep],
        verbose=0,
    )
    assert is_same(result.trainer.classifier.get_weights(), by_epoch[1])
    assert not is_same(by_epoch[1], by_epoch[2])
    assert result.metrics["stop"]["restored_epoch"] == 2


@pytest.mark.parametrize("memory", ["sample", "universal"])
@put_back()
def test_a_run_with_another_start_step_and_memory_is_resumed_to_the_same_end(
    data, tmp_path, memory
):
    options = {"first_visit": "corner", "step_size": 0.1, "memory": memory}
    config = dataclasses.replace(
        DIGITS.with_method("efgsm", **options), epochs=2, crop_padding=1, flip=True
    )
    arguments = {"train_data": data[0], "test_data": data[1], "verbose": 0, "deterministic": True}
    whole = train(config, tmp_path / "whole", **arguments).trainer
    with pytest.raises(Cut):
        train(config, tmp_path / "cut", callbacks=[CutAfter(5)], checkpoint_minutes=0, **arguments)
    resumed = train(config, tmp_path / "cut", resume=True, **arguments).trainer
    assert is_same(resumed.get_weights(), whole.get_weights())
    np.testing.assert_array_equal(resumed.momentum.numpy(), whole.momentum.numpy())
    assert len(whole.momentum.numpy()) == (100 if memory == "sample" else 1)


def test_a_configuration_written_before_there_were_these_options_is_read(tmp_path):
    folder = RunFolder(tmp_path)
    options = PRESETS["mnist-joint"].method_options
    old = {
        "dataset": "mnist",
        "classifier": "mnist",
        "reconstructor": "mnist",
        "epsilon": 0.3,
        "data_dir": None,
        "method": "combined",
        "method_options": {k: v for k, v in options.items() if k != "consistency_weight"},
        "momentum_dtype": "int8",
        "label_smoothing": 0.1,
        "epochs": 40,
        "batch_size": 128,
        "learning_rate": 0.002,
        "warmup_epochs": 0.5,
        "epsilon_warmup_epochs": 0.0,
        "weight_averaging": 0.999,
        "overfitting_stop": True,
        "probe_images": 256,
        "seed": 0,
    }
    folder.config.write_text(json.dumps(old))
    assert folder.read_config() == PRESETS["mnist-joint"]
    folder.prepare(PRESETS["mnist-joint"], resume=True)


def test_the_training_may_attack_in_a_larger_ball_than_is_evaluated():
    config = dataclasses.replace(DIGITS, epsilon=0.2, epsilon_factor=1.2)
    assert config.make_attack().epsilon == pytest.approx(0.24)
    assert config.epsilon == 0.2
    data = load_data("digits", "train").take(64)
    assert build_trainer(config, data).attack.epsilon == pytest.approx(0.24)
    for factor in (0.0, -1.0, 5.1):
        with pytest.raises(ValueError, match="`epsilon_factor` must"):
            dataclasses.replace(DIGITS, epsilon=0.2, epsilon_factor=factor)


def test_the_pieces_reach_the_trainer(data):
    plain = build_trainer(DIGITS, data[0])
    assert plain.augmentation is None
    assert plain.attack_in_training_mode
    assert type(plain.optimizer) is keras.optimizers.Adam
    assert plain.optimizer.weight_decay is None
    aside = ("train_images", "activation", "keep_best", "dtype_policy")
    changes = {k: v for k, v in CHANGES.items() if k not in aside}
    trainer = build_trainer(dataclasses.replace(DIGITS, **changes), data[0])
    assert trainer.augmentation.get_config() == {
        "padding": 2,
        "flip": True,
        "cutout": 3,
        "aligned": False,
    }
    assert not trainer.attack_in_training_mode
    assert isinstance(trainer.optimizer, L2SGD)
    assert (trainer.optimizer.l2, trainer.optimizer.momentum) == (5e-4, 0.8)
    assert trainer.objective.consistency_weight == 10.0
    smooth = build_trainer(dataclasses.replace(DIGITS, activation="silu"), data[0])
    images = data[0].pixels(slice(0, 5))
    smooth.classifier.set_weights(plain.classifier.get_weights())
    assert not np.allclose(smooth.classifier(images), plain.classifier(images))


def test_a_run_on_part_of_the_data_has_each_class_and_the_same_images_each_time():
    everything = load_data("digits", "train")
    config = dataclasses.replace(DIGITS, train_images=200)
    part, probe = hold_out_probe(config, everything)
    assert probe is None
    assert abs(len(part) - 200) <= 5
    shares = [np.bincount(some.labels) / len(some) for some in (part, everything)]
    np.testing.assert_allclose(*shares, atol=0.01)
    np.testing.assert_array_equal(part.images, hold_out_probe(config, everything)[0].images)
    other = hold_out_probe(dataclasses.replace(config, seed=1), everything)[0]
    assert not np.array_equal(part.images[:50], other.images[:50])
    with pytest.raises(ValueError, match="Received: train_images=9999"):
        hold_out_probe(dataclasses.replace(config, train_images=9999), everything)
    stopping = dataclasses.replace(config, overfitting_stop=True, probe_images=20)
    rest, (pixels, _) = hold_out_probe(stopping, everything)
    assert len(rest) + len(pixels) == len(part)


# The presets for CIFAR-10.


def cifar10_like(count=2):
    images = np.zeros((count, 32, 32, 3), "uint8")
    return ImageData(images, np.arange(count), tuple("abcdefghij"), name="cifar10")


@pytest.mark.parametrize("preset", ["cifar10-paper", "cifar10-small"])
def test_the_presets_for_cifar10_have_the_papers_choices_and_known_networks(preset):
    config = PRESETS[preset]
    assert config.epsilon == 8 / 255
    assert config.method == "combined"
    assert config.method_options["lambda"] == 0.05
    assert config.classifier in CLASSIFIERS
    assert config.reconstructor in RECONSTRUCTORS
    assert (config.optimizer, config.schedule) == ("sgd", "one-cycle")
    assert (config.crop_padding, config.flip, config.align_momentum) == (4, True, True)


def test_the_preset_cifar10_builds_the_papers_networks():
    assert PRESETS["cifar10-paper"].epochs == 50
    trainer = build_trainer(PRESETS["cifar10-paper"], cifar10_like())
    assert trainer.classifier.count_params() == pytest.approx(6.70e6, rel=0.01)
    assert trainer.reconstructor.count_params() == pytest.approx(5.1e6, abs=0.1e6)
    assert isinstance(trainer.attack, EFGSM)
