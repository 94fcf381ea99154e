"""What a bad batch in the middle of a training, an evaluation or a prediction leads to."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import EFGSM, FGSM
from keras_efgsm.data import with_sample_ids
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

SIZE = 16
# In the third batch of that size, as are all that follow.
SAMPLE = 40


@pytest.fixture(scope="module")
def one_trainer(new_trainer):
    return new_trainer(hidden=0)


@pytest.fixture(scope="module")
def without_momentum(new_trainer):
    return new_trainer(FGSM(epsilon=0.1), hidden=0)


def weights_of(trainer):
    return [*trainer.get_weights(), np.asarray(int(trainer.optimizer.iterations))]


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def refused():
    """Calls `fit` and checks that it ends at a batch, before which the weights are."""

    def check(trainer, message, data, good, *, batch=3, **options):
        """`good` are the data without what is bad from this batch on."""
        begun = trainer.get_weights()
        before = int(trainer.optimizer.iterations)
        with pytest.raises(ValueError, match=message) as caught:
            trainer.fit(data, verbose=0, shuffle=False, **options)
        assert str(caught.value).startswith(f"Batch {batch} of epoch 1 was refused, and the weigh")
        assert "Received: " in str(caught.value).rpartition(". ")[2]
        assert int(trainer.optimizer.iterations) == before + batch - 1
        if good is None:
            return
        found = weights_of(trainer)
        momentum = None if trainer.momentum is None else trainer.momentum.numpy()
        # The same, stopped by the end of its data.
        trainer.set_weights(begun)
        trainer.optimizer.iterations.assign(before)
        if trainer.momentum is not None:
            trainer.momentum.reset()
        trainer.fit(good.take(batch - 1), verbose=0, shuffle=False)
        assert_same(found, weights_of(trainer))
        if momentum is not None:
            np.testing.assert_array_equal(momentum, trainer.momentum.numpy())

    return check


def numbered(x, y, *more):
    return with_sample_ids(tf.data.Dataset.from_tensor_slices((x, y, *more))).batch(SIZE)


def changed(values, value, kind=None):
    values = values.astype(kind or values.dtype)
    values[SAMPLE] = value
    return values


BAD_PIXELS = {
    "NaN": (np.nan, "finite, but holds NaN"),
    "infinity": (np.inf, "finite"),
    "0..255": (200.0, r"divide 0\.\.255 pixels by 255.*x\.max\(\)=200"),
    "below zero": (-1e-3, r"x\.min\(\)=-0\.001"),
}


@pytest.mark.parametrize("case", BAD_PIXELS)
def test_pixels_are_looked_at_in_every_batch(one_trainer, refused, small, case):
    x, y = small
    value, message = BAD_PIXELS[case]
    one_trainer.reset_momentum()
    refused(one_trainer, message, numbered(changed(x, value), y), numbered(x, y))


BAD_LABELS = {
    "beyond the classes": (lambda y: changed(y, 99), r"lie in \[0, 10\).*y\.max\(\)=99"),
    "negative": (lambda y: changed(y, -1), r"y\.min\(\)=-1"),
    "halves": (lambda y: changed(y, 2.5, "float32"), "whole numbers"),
    "narrow": (lambda y: changed(y, 99, "uint8"), r"y\.max\(\)=99"),
    "no probabilities": (lambda y: changed(np.eye(10)[y], 0.3), "row of probabilities"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_are_looked_at_in_every_batch(new_trainer, refused, small, case):
    x, y = small
    change, message = BAD_LABELS[case]
    refused(new_trainer(hidden=0), message, numbered(x, change(y)), None)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sample_weights_are_looked_at_in_every_batch(new_trainer, refused, small, value):
    weights = changed(np.ones(100, "float32"), value)
    refused(
        new_trainer(hidden=0), "`sample_weight` must be finite", numbered(*small, weights), None
    )


def with_ids(x, y, ids):
    return tf.data.Dataset.from_tensor_slices(({"image": x, "id": ids}, y)).batch(SIZE)


BAD_IDS = {
    "beyond the samples": (100, r"lie in \[0, 100\).*id\.max\(\)=100"),
    "negative": (-1, r"id\.min\(\)=-1"),
    "there twice": (41, r"once in a pass.*id=\[41\]"),
    "beyond int32": (2**32, r"id\.max\(\)=4294967296"),
}


@pytest.mark.parametrize("case", BAD_IDS)
def test_ids_are_looked_at_in_every_batch(new_trainer, refused, small, case):
    value, message = BAD_IDS[case]
    ids = changed(np.arange(100), value)
    # Of endless data nothing but the first batch can be seen before.
    trainer = new_trainer(hidden=0, num_samples=100)
    endless = with_ids(*small, ids).repeat()
    refused(trainer, message, endless, None, steps_per_epoch=6)


def generated(make, image=(None, None, None, 1), **more):
    """Batches `make(i)` of images, labels and the like, from the first sample of each on."""
    signature = (tf.TensorSpec(image), tf.TensorSpec((None,), tf.int64))
    signature += tuple(tf.TensorSpec(spec) for spec in more.values())
    return tf.data.Dataset.from_generator(
        lambda: map(make, range(0, 96, SIZE)), output_signature=signature
    )


def test_a_batch_of_another_size_is_refused(without_momentum, refused, small):
    x, y = small

    def make(i):
        return (x[i : i + SIZE] if i < 32 else x[i : i + SIZE, 1:]), y[i : i + SIZE]

    message = r"images of shape \(8, 8, 1\).*x\.shape=\(16, 7, 8, 1\)"
    refused(without_momentum, message, generated(make), None)
    with pytest.raises(ValueError, match=f"^Batch 3 of the evaluation was refused: .*{message}"):
        without_momentum.evaluate(generated(make), verbose=0)


def test_a_batch_without_all_of_its_labels_is_refused(without_momentum, refused, small):
    x, y = small
    data = generated(lambda i: (x[i : i + SIZE], y[i : i + SIZE - (i >= 32)]))
    refused(without_momentum, r"one label per image.*y\.shape=\(15,\)", data, None)


def test_an_empty_batch_is_refused(without_momentum, refused, small):
    x, y = small
    data = generated(lambda i: (x[i : i + SIZE * (i < 32)], y[i : i + SIZE * (i < 32)]))
    refused(without_momentum, "non-empty", data, None)


# Keras says so at the end of the first pass, of data whose length nobody knows.
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_data_that_grow_after_two_epochs_are_refused(new_trainer, small, storage):
    x, y = small
    passes = []

    def batches():
        passes.append(1)
        # Looked at, counted, and read by Keras before the first epoch.
        for i in range(0, 48 if len(passes) < 5 else 64, SIZE):
            ids = np.arange(i, i + SIZE, dtype="int32")
            yield {"image": x[i : i + SIZE], "id": ids}, y[i : i + SIZE]

    inputs = {"image": tf.TensorSpec((None, 8, 8, 1)), "id": tf.TensorSpec((None,), tf.int32)}
    data = tf.data.Dataset.from_generator(
        batches, output_signature=(inputs, tf.TensorSpec((None,), tf.int64))
    )
    trainer = new_trainer(hidden=0, momentum_storage=storage)
    message = r"^Batch 4 of epoch 3 was refused.*\[0, 48\).*id\.min\(\)=48, id\.max\(\)=63$"
    with pytest.raises(ValueError, match=message):
        trainer.fit(data, epochs=6, verbose=0, shuffle=False)
    assert int(trainer.optimizer.iterations) == 9


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self._x, self._y = x, y

    def __len__(self):
        return 6

    def __getitem__(self, i):
        chosen = slice(i * SIZE, (i + 1) * SIZE)
        ids = np.arange(100, dtype="int32")[chosen]
        return {"image": self._x[chosen], "id": ids}, self._y[chosen]


@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_batches_that_nothing_is_known_of_before_are_looked_at(new_trainer, small, kind):
    x, y = changed(small[0], np.nan), small[1]
    source = Batches(x, y)
    data = source if kind == "PyDataset" else (source[i] for i in range(6))
    trainer = new_trainer(hidden=0, num_samples=100)
    with pytest.raises(ValueError, match="^Batch 3 of epoch 1 was refused.*finite"):
        trainer.fit(data, verbose=0, shuffle=False)
    assert int(trainer.optimizer.iterations) == 2


WAYS = {"eagerly": {"run_eagerly": True}, "by XLA": {"jit_compile": True}}


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_batch_stops_a_step_that_is_compiled_otherwise(new_trainer, refused, small, way):
    trainer = new_trainer(hidden=0, compiled=WAYS[way])
    refused(trainer, "finite", numbered(changed(small[0], np.nan), small[1]), numbered(*small))


def test_of_several_steps_at_once_those_before_the_bad_batch_are_taken(new_trainer, small):
    trainer = new_trainer(hidden=0, compiled={"steps_per_execution": 4})
    message = "^One of the batches 1 to 4 of epoch 1 was refused.*finite"
    with pytest.raises(ValueError, match=message):
        trainer.fit(numbered(changed(small[0], np.nan), small[1]), verbose=0, shuffle=False)
    assert int(trainer.optimizer.iterations) == 2


def test_a_trainer_goes_on_after_a_bad_batch(new_trainer, small):
    trainer = new_trainer(hidden=0)
    with pytest.raises(ValueError, match="refused"):
        trainer.fit(numbered(changed(small[0], np.nan), small[1]), verbose=0, shuffle=False)
    trainer.fit(numbered(*small), verbose=0, shuffle=False)
    assert int(trainer.optimizer.iterations) == 2 + 7


# Validation, evaluation, prediction.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x, y + 30), r"In `validation_data`, `y` must lie in \[0, 10\)"),
        (lambda x, y: ((x * 255).astype("uint8"), y), "floating-point pixels"),
        (lambda x, y: (changed(x, np.nan), y), "finite"),
        (lambda x, y: (x[:, 1:], y), "images of shape"),
        (lambda x, y: (x, y, changed(np.ones(100), np.nan)), "`sample_weight` must be finite"),
        (lambda x, y: numbered(x, y + 30), r"`y` must lie in \[0, 10\)"),
    ],
    ids=["labels", "bytes", "NaN", "another size", "weights", "dataset"],
)
def test_bad_validation_data_are_refused_before_the_training(one_trainer, small, change, message):
    before = weights_of(one_trainer)
    with pytest.raises(ValueError, match=f"{message}(.|\n)*Received: "):
        one_trainer.fit(*small, validation_data=change(*small), verbose=0)
    assert_same(before, weights_of(one_trainer))


def test_validation_data_are_looked_at_in_every_batch(without_momentum, small):
    data = tf.data.Dataset.from_tensor_slices((small[0], changed(small[1], 99))).batch(SIZE)
    with pytest.raises(ValueError, match=r"^Batch 3 of the evaluation was refused: .*\(\)=99$"):
        without_momentum.fit(*small, validation_data=data, verbose=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: ((x * 255).astype("uint8"), y), "floating-point pixels"),
        (lambda x, y: (x * 255, y), r"divide 0\.\.255 pixels"),
        (lambda x, y: (changed(x, np.nan), y), "Batch 3 of the evaluation was refused: .*finite"),
        (lambda x, y: (x, changed(y, 10)), r"Batch 3 .*lie in \[0, 10\)"),
        (lambda x, y: (x, None), "must hold the labels"),
    ],
    ids=["bytes", "0..255", "NaN", "labels", "no labels"],
)
def test_an_evaluation_refuses_what_a_training_does(one_trainer, small, change, message):
    with pytest.raises(ValueError, match=f"{message}(.|\n)*Received: "):
        one_trainer.evaluate(*change(*small), batch_size=SIZE, verbose=0)


def test_an_evaluation_asks_for_no_ids_of_the_training(one_trainer, small):
    ids = np.arange(100) // 2 + 5000
    loss, accuracy = one_trainer.evaluate(with_ids(*small, ids), verbose=0)
    assert [loss, accuracy] == one_trainer.evaluate(*small, batch_size=SIZE, verbose=0)


def test_a_prediction_asks_for_pixels_alone(one_trainer, small):
    assert one_trainer.predict(small[0], verbose=0).shape == (100, 10)
    for change in (lambda x: (x * 255).astype("uint8"), lambda x: changed(x, np.nan)):
        with pytest.raises(ValueError, match="^Batch . of the prediction was refused: .*Received:"):
            one_trainer.predict(change(small[0]), verbose=0)


def test_training_attacks_images_are_no_pixels_and_are_refused(one_trainer, small):
    with pytest.raises(ValueError, match=r"x\.max\(\)=1\.1"):
        one_trainer.evaluate(small[0] + 0.1, small[1], verbose=0)


# What a trainer shows, and what callbacks make of it.


def test_evaluate_returns_each_metric_once(new_trainer, small):
    trainer = new_trainer(hidden=0)
    loss, accuracy = trainer.evaluate(*small, verbose=0)
    named = trainer.evaluate(*small, verbose=0, return_dict=True)
    assert named == {"loss": loss, "accuracy": accuracy}
    top = keras.metrics.SparseTopKCategoricalAccuracy(3, name="top3")
    trainer.compile(
        "sgd", metrics=["accuracy", top], weighted_metrics=["sparse_categorical_crossentropy"]
    )
    values = trainer.evaluate(*small, verbose=0)
    named = trainer.evaluate(*small, verbose=0, return_dict=True)
    assert values == [
        named[n] for n in ("loss", "accuracy", "top3", "sparse_categorical_crossentropy")
    ]
    assert len(named) == 4
    assert values[:2] == [loss, accuracy]
    assert trainer.metrics_names.count("loss") == 1


def test_steps_by_themselves_look_at_their_batch_and_return_each_metric_once(new_trainer, small):
    trainer = new_trainer(FGSM(epsilon=0.1), hidden=0)
    with pytest.raises(ValueError, match="^Batch 1 of the training was refused.*finite"):
        trainer.train_on_batch(changed(small[0], np.nan), small[1])
    values = trainer.train_on_batch(*small)
    assert values == [trainer.get_metrics_result()[name] for name in trainer.metrics_names]
    assert len(trainer.test_on_batch(*small)) == 2


@pytest.mark.parametrize("make", ["EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"])
def test_every_metric_that_is_shown_has_a_direction(without_momentum, small, tmp_path, make):
    shown = without_momentum.fit(*small, validation_data=small, verbose=0).history
    assert {"val_accuracy", "margin_robust_accuracy", "attack_shortfall"} <= shown.keys()
    given = {"ModelCheckpoint": (tmp_path / "best.keras",)}.get(make, ())
    options = {"save_best_only": True} if make == "ModelCheckpoint" else {}
    callbacks = [getattr(keras.callbacks, make)(*given, monitor=name, **options) for name in shown]
    without_momentum.fit(*small, validation_data=small, verbose=0, callbacks=callbacks)
    better = {callback.monitor: callback.mode for callback in callbacks}
    for name, mode in better.items():
        assert mode == ("max" if name.endswith("accuracy") else "min"), name


def test_early_stopping_by_accuracy_keeps_the_highest(new_trainer, small):
    trainer = new_trainer(hidden=0, optimizer=keras.optimizers.SGD(5.0))
    stop = keras.callbacks.EarlyStopping(
        monitor="val_accuracy", patience=3, restore_best_weights=True
    )
    # By place, as `fit` takes them.
    shown = trainer.fit(*small, 20, 6, 0, stop, 0.0, small).history
    best = trainer.evaluate(*small, verbose=0)[1]
    assert best == pytest.approx(max(shown["val_accuracy"]))


def test_a_direction_that_was_given_stays(without_momentum, small):
    stop = keras.callbacks.EarlyStopping(monitor="accuracy", mode="min")
    without_momentum.fit(*small, verbose=0, callbacks=[stop])
    assert stop.mode == "min"


# A momentum that is new where the training is not.

LOST = r"momentum is new.*train --resume.*Checkpoint\(path\)"


def test_a_loaded_trainer_says_that_its_momentum_is_new(new_trainer, small, tmp_path):
    trainer = new_trainer(hidden=0)
    trainer.fit(*small, verbose=0)
    trainer.fit(*small, verbose=0)  # An ordinary second one, in silence.
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    with pytest.warns(UserWarning, match=LOST):
        loaded.fit(*small, verbose=0)
    loaded.fit(*small, verbose=0)


@pytest.mark.parametrize("way", ["weights", "backup", "room made before"])
def test_restored_weights_with_their_optimizer_say_so_too(new_trainer, small, tmp_path, way):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    begun = new_trainer(hidden=0)
    begun.fit(*small, verbose=0, callbacks=[backup])
    begun.save_weights(tmp_path / "begun.weights.h5")
    trainer = new_trainer(hidden=0)
    if way == "room made before":
        trainer.make_momentum(100, verbose=False)
    if way != "backup":
        trainer.load_weights(tmp_path / "begun.weights.h5")
    callbacks = [backup] if way == "backup" else []
    with pytest.warns(UserWarning, match=LOST):
        trainer.fit(*small, epochs=2, verbose=0, callbacks=callbacks)


def test_what_lost_no_momentum_says_nothing(new_trainer, small, tmp_path):
    trainer = new_trainer(FGSM(epsilon=0.1), hidden=0)
    trainer.fit(*small, verbose=0)
    trainer.save(tmp_path / "trainer.keras")
    keras.saving.load_model(tmp_path / "trainer.keras").fit(*small, verbose=0)
    # Forgotten on purpose, for other data.
    trainer = new_trainer(EFGSM(epsilon=0.1), hidden=0)
    trainer.fit(*small, verbose=0)
    trainer.reset_momentum()
    trainer.fit(*small, verbose=0)
    # A new optimizer begins anew.
    again = AdversarialTrainer(trainer.classifier, EFGSM(epsilon=0.1))
    again.fit(*small, verbose=0)
