import csv
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import EFGSM, FGSM, PGD
from keras_efgsm.data import with_sample_ids
from keras_efgsm.networks import digits_classifier, digits_reconstructor
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import AdversarialCrossEntropy, JointReconstruction
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

# No noise: an adversarial image depends on its sample and the weights alone.
QUIET = {"epsilon": 0.2, "sigma": 0.0}


def weights_of(trainer):
    return trainer.get_weights()


def assert_same(first, second, **tolerance):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 0, "atol": 1e-6}))


def plain_options(trainer):
    networks = ("classifier", "reconstructor")
    return {k: v for k, v in trainer.get_config().items() if k not in networks}


def moved(before, after):
    return np.concatenate([(b - a).ravel() for a, b in zip(before, after, strict=True)])


# Training on the digits.


@pytest.fixture(scope="module")
def trained(digits):
    (x, y), _ = digits
    keras.utils.set_random_seed(0)
    trainer = AdversarialTrainer(digits_classifier(), EFGSM(epsilon=0.2), digits_reconstructor())
    trainer.compile(keras.optimizers.Adam(3e-3))
    history = trainer.fit(x, y, batch_size=64, epochs=8, verbose=0).history
    return trainer, history


def test_training_on_arrays_makes_a_network_robust_that_ordinary_training_does_not(trained, digits):
    (x, y), (x_test, y_test) = digits
    keras.utils.set_random_seed(0)
    ordinary = digits_classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ordinary.compile(keras.optimizers.Adam(3e-3), loss)
    ordinary.fit(x, y, batch_size=64, epochs=8, verbose=0)
    attack = PGD(epsilon=0.2, steps=20, step_size=0.02)

    def accuracy(classifier, images):
        return np.mean(np.argmax(classifier(images), axis=1) == y_test)

    robust = trained[0].classifier
    assert accuracy(ordinary, x_test) > 0.93
    assert accuracy(robust, x_test) > 0.93
    gain = accuracy(robust, attack(robust, x_test, y_test)) - accuracy(
        ordinary, attack(ordinary, x_test, y_test)
    )
    assert gain > 0.3


def test_the_history_tells_of_losses_accuracy_and_margins(trained):
    history = trained[1]
    assert set(history) == {
        "loss",
        "classification_loss",
        "reconstruction_loss",
        "accuracy",
        "margin_robust_accuracy",
    }
    np.testing.assert_allclose(
        history["loss"],
        np.array(history["reconstruction_loss"]) + 0.1 * np.array(history["classification_loss"]),
        rtol=1e-4,
    )
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert 0.2 < history["margin_robust_accuracy"][-1] < history["accuracy"][-1] < 1.0
    assert history["margin_robust_accuracy"][-1] > history["margin_robust_accuracy"][0]


def test_evaluate_and_predict_need_no_ids_and_answer_for_clean_images(trained, digits):
    trainer, (_, (x, y)) = trained[0], digits
    logits = np.asarray(trainer.classifier(x))
    np.testing.assert_allclose(trainer.predict(x, verbose=0), logits, rtol=1e-4, atol=1e-4)
    measured = trainer.evaluate(x, y, verbose=0, return_dict=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(y, logits)
    assert measured.keys() == {"loss", "accuracy"}
    assert measured["accuracy"] == pytest.approx(np.mean(np.argmax(logits, 1) == y), abs=1e-6)
    assert measured["loss"] == pytest.approx(float(loss), rel=1e-4)
    with_ids = {"image": x, "id": np.arange(len(x))}
    np.testing.assert_allclose(trainer.predict(with_ids, verbose=0), logits, rtol=1e-4, atol=1e-4)


def test_evaluate_leaves_weights_and_momentum_alone(trained, digits):
    trainer, (_, (x, y)) = trained[0], digits
    before, momentum = weights_of(trainer), trainer.momentum.numpy()
    trainer.evaluate(x, y, verbose=0)
    trainer.predict(x, verbose=0)
    assert_same(before, weights_of(trainer), rtol=0, atol=0)
    np.testing.assert_array_equal(trainer.momentum.numpy(), momentum)


def test_a_saved_trainer_comes_back_without_its_momentum_and_trains_on(trained, digits, tmp_path):
    (trainer, _), ((x, y), (x_test, _)) = trained, digits
    path = tmp_path / "trainer.keras"
    trainer.save(path)
    assert not any(len(x) in shape for shape in stored_shapes(path))
    loaded = keras.models.load_model(path)
    np.testing.assert_allclose(
        loaded.predict(x_test, verbose=0), trainer.predict(x_test, verbose=0), atol=1e-6
    )
    assert plain_options(loaded) == plain_options(trainer)
    assert loaded.momentum is None
    loaded.compile(keras.optimizers.SGD(0.01))
    before = weights_of(loaded)
    history = loaded.fit(x, y, batch_size=256, epochs=1, verbose=0).history
    assert history["accuracy"][0] > 0.7
    assert np.abs(moved(before, weights_of(loaded))).max() > 0
    assert np.any(loaded.momentum.numpy())


# Configuration.


def test_every_option_comes_back_from_the_config(new_classifier, new_reconstructor):
    trainer = AdversarialTrainer(
        new_classifier(),
        EFGSM(
            epsilon=0.3,
            sigma=0.2,
            decay=0.9,
            rivals=3,
            momentum_from="perturbation",
            first_visit="corner",
            step_size=0.1,
            memory="universal",
        ),
        new_reconstructor(),
        JointReconstruction(0.05, 0.3),
        num_samples=70,
        momentum_dtype="float16",
        seed=5,
        epsilon_warmup_steps=6,
        regularizer_warmup_steps=7,
        attack_in_training_mode=False,
        name="mine",
    )
    config = json.loads(json.dumps(trainer.get_config()))
    again = AdversarialTrainer.from_config(config)
    assert plain_options(again) == plain_options(trainer)
    assert again.attack.get_config() == trainer.attack.get_config()
    assert again.objective.get_config() == trainer.objective.get_config()
    assert (again.name, again.num_samples, again.momentum_dtype, again.seed) == (
        "mine",
        70,
        "float16",
        5,
    )
    assert (again.epsilon_warmup_steps, again.regularizer_warmup_steps) == (6, 7)
    assert not again.attack_in_training_mode
    for part in ("classifier", "reconstructor"):
        first, second = getattr(trainer, part), getattr(again, part)
        assert [w.shape for w in second.weights] == [w.shape for w in first.weights]


def test_without_a_reconstructor_the_objective_is_cross_entropy(new_trainer, small):
    trainer = new_trainer()
    assert isinstance(trainer.objective, AdversarialCrossEntropy)
    history = trainer.fit(*small, verbose=0).history
    assert set(history) == {"loss", "classification_loss", "accuracy", "margin_robust_accuracy"}
    assert history["loss"] == history["classification_loss"]


@pytest.mark.tensorflow("JAX compiles anew where the layout of an argument changes")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_step_is_traced_once(new_trainer, small, optimizer, monkeypatch):
    traced, step = [], AdversarialTrainer.training_step
    monkeypatch.setattr(
        AdversarialTrainer, "training_step", lambda self, data: traced.append(1) or step(self, data)
    )
    trainer = new_trainer(optimizer=keras.optimizers.get(optimizer))
    trainer.fit(*small, batch_size=25, epochs=2, verbose=0)
    trainer.fit(*small, batch_size=25, verbose=0)
    assert len(traced) == 1


def test_a_compiled_loss_is_refused(new_trainer, small):
    trainer = new_trainer(compiled={"loss": "mse"})
    with pytest.raises(ValueError, match=r"no loss to `compile`\. Received: loss='mse'$"):
        trainer.fit(*small, verbose=0)
    assert trainer.momentum is None


def test_an_attack_without_a_margin_gradient_shows_its_shortfall(new_trainer, small):
    trainer = new_trainer(FGSM(epsilon=0.2))
    history = trainer.fit(*small, epochs=2, verbose=0).history
    assert set(history) - {"loss", "classification_loss", "accuracy"} == {
        "margin_robust_accuracy",
        "attack_shortfall",
    }
    assert trainer.momentum is None


def test_metrics_of_the_user_see_the_logits_of_the_adversarial_images(new_trainer, small):
    metric = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="plain")
    objective = AdversarialCrossEntropy(label_smoothing=0.0)
    trainer = new_trainer(objective=objective, compiled={"metrics": [metric]})
    history = trainer.fit(*small, validation_data=small, verbose=0).history
    np.testing.assert_allclose(history["plain"], history["classification_loss"], rtol=1e-4)
    np.testing.assert_allclose(history["val_plain"], history["val_loss"], rtol=1e-4)


def test_regularisers_of_the_network_count_once(new_trainer, small):
    keras.utils.set_random_seed(0)
    classifier = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(
                10, kernel_regularizer=keras.regularizers.L2(0.1), activity_regularizer="l1"
            ),
        ]
    )
    x, y = small
    attack = EFGSM(**QUIET)
    logits = np.asarray(classifier(attack(classifier, x, y)))
    expected = 0.1 * np.sum(np.asarray(classifier.layers[-1].kernel) ** 2)
    expected += 0.01 * np.sum(np.abs(logits)) / len(x)
    trainer = new_trainer(attack, classifier=classifier)
    history = trainer.fit(x, y, batch_size=100, verbose=0).history
    assert history["loss"][0] - history["classification_loss"][0] == pytest.approx(
        expected, rel=1e-3
    )


# Momentum and sample ids.


@pytest.mark.tensorflow("tf.data")
def test_arrays_and_a_shuffled_dataset_give_each_sample_the_same_momentum(new_trainer, small):
    import tensorflow as tf

    # With a linear network that stays as it is, a sample's momentum depends on the sample alone.
    def momentum(*data, **options):
        trainer = new_trainer(EFGSM(**QUIET), hidden=0, optimizer=keras.optimizers.SGD(0.0))
        trainer.fit(*data, epochs=2, verbose=0, **options)
        return trainer.momentum.numpy()

    dataset = tf.data.Dataset.from_tensor_slices(small)
    from_arrays = momentum(*small, batch_size=30)
    from_dataset = momentum(with_sample_ids(dataset).shuffle(100, seed=7).batch(16), shuffle=False)
    np.testing.assert_array_equal(from_dataset, from_arrays)
    assert len(np.unique(from_arrays, axis=0)) > 10


def test_momentum_moves_only_for_the_ids_seen(new_trainer, small):
    x, y = small
    trainer = new_trainer(num_samples=50)
    ids = np.arange(10, 20)
    trainer.fit({"image": x[:10], "id": ids}, y[:10], verbose=0)
    moved_ids = np.flatnonzero(np.any(trainer.momentum.numpy() != 0, axis=(1, 2, 3)))
    np.testing.assert_array_equal(moved_ids, ids)


def test_momentum_goes_on_in_a_second_fit_and_starts_anew_after_a_reset(new_trainer, small):
    x, y = small
    trainer = new_trainer(EFGSM(**QUIET), hidden=0, optimizer=keras.optimizers.SGD(0.0))
    trainer.momentum_dtype = "float32"
    trainer.fit(x, y, verbose=0)
    once = trainer.momentum.numpy()
    trainer.fit(x, y, verbose=0)
    assert np.abs(once).max() == 1.0
    assert np.abs(trainer.momentum.numpy()).max() == pytest.approx(1.95)
    trainer.reset_momentum()
    trainer.fit(np.concatenate([x, x]), np.concatenate([y, y]), verbose=0)
    np.testing.assert_array_equal(trainer.momentum.numpy()[100:], once)


def test_a_universal_memory_is_one_row_that_all_batches_read_and_write(new_trainer, small):
    x, y = small
    attack = EFGSM(**QUIET, memory="universal", decay=0.8)
    options = {"hidden": 0, "optimizer": keras.optimizers.SGD(0.0), "momentum_dtype": "float32"}
    trainer = new_trainer(attack, **options)
    trainer.fit(x, y, batch_size=30, epochs=2, shuffle=False, verbose=0)
    assert trainer.momentum.shape == (1, 8, 8, 1)
    assert not trainer.needs_ids
    row = np.zeros((1, 8, 8, 1), "float32")
    for first in (0, 30, 60, 90) * 2:
        rows = slice(first, first + 30)
        own = EFGSM(**QUIET, decay=0.8).perturb(
            trainer.classifier,
            ops.convert_to_tensor(x[rows]),
            ops.convert_to_tensor(y[rows].astype("int32")),
            Noise(0, 0, np.arange(len(x[rows]), dtype="int32")),
            ops.convert_to_tensor(np.repeat(row, len(x[rows]), axis=0)),
        )
        votes = np.asarray(own.momentum) - 0.8 * row
        row = 0.8 * row + votes.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(trainer.momentum.numpy(), row, atol=1e-4)
    assert np.abs(row).max() > 1.0


def test_a_universal_memory_lies_in_the_frame_of_the_views(new_trainer, small):
    """There is no image whose pixels it could follow."""
    rows = []
    for aligned in (True, False):
        views = Augmentation(padding=2, flip=True, aligned=aligned)
        trainer = new_trainer(EFGSM(**QUIET, memory="universal"), augmentation=views)
        trainer.fit(*small, batch_size=25, epochs=2, shuffle=False, verbose=0)
        rows.append(trainer.momentum.numpy())
    np.testing.assert_array_equal(*rows)
    assert rows[0].shape == (1, 8, 8, 1)
    assert np.any(rows[0])


def test_a_generator_with_ids_trains_where_the_number_of_samples_is_given(new_trainer, small):
    x, y = small

    def batches():
        for i in range(4):
            rows = slice(25 * i, 25 * i + 25)
            yield {"image": x[rows], "id": np.arange(100)[rows]}, y[rows]

    arrays, generator = new_trainer(), new_trainer(num_samples=100)
    arrays.fit(x, y, batch_size=25, shuffle=False, verbose=0)
    generator.fit(batches(), steps_per_epoch=4, shuffle=False, verbose=0)
    assert_same(weights_of(generator), weights_of(arrays))


def test_the_noise_of_a_sample_depends_on_seed_step_and_id_but_not_on_its_batch():
    shape = (8, 8, 1)
    whole = np.asarray(Noise(3, 5, np.arange(40)).normal(shape))
    np.testing.assert_array_equal(Noise(3, 5, np.array([7, 31])).normal(shape), whole[[7, 31]])
    for other in (Noise(4, 5, [7]), Noise(3, 6, [7]), Noise(3, 5, [8])):
        assert abs(np.corrcoef(np.ravel(other.normal(shape)), whole[7].ravel())[0, 1]) < 0.5
    assert np.std(whole) == pytest.approx(1.0, abs=0.05)


def test_training_draws_new_noise_in_each_step(new_trainer, small):
    x, y = small
    trainer = new_trainer(num_samples=100)
    trainer.make_momentum(verbose=False)
    data = ({"image": x, "id": np.arange(100)}, y)

    def images(step):
        trainer.optimizer.iterations.assign(step)
        trainer.momentum.assign(np.zeros_like(trainer.momentum.numpy()))
        return np.asarray(trainer.perturb(trainer.unpack_training_batch(data)).images)

    np.testing.assert_array_equal(images(1), images(1))
    assert np.mean(images(1) != images(2)) > 0.1


# What a training step does.


def test_batch_norm_statistics_are_those_of_one_training_pass_per_step(new_trainer, small):
    x, y = small
    attack = EFGSM(**QUIET)
    trainer = new_trainer(attack, batch_norm=True, reconstructor=True)
    # Batch norm is the first layer, so it sees the adversarial images; in the attack it normalises
    # by the batch as well.
    twin = new_trainer(attack, batch_norm=True).classifier
    seen = np.asarray(attack(lambda images: twin(images, training=True), x, y))
    norm = trainer.classifier.layers[0]
    trainer.fit(x, y, batch_size=100, verbose=0)
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    np.testing.assert_allclose(mean, 0.01 * seen.mean(axis=(0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(variance, 0.99 + 0.01 * seen.var(axis=(0, 1, 2)), rtol=1e-5)


def one_step(trainer, x, y, **options):
    trainer.fit(x, y, batch_size=len(x), shuffle=False, verbose=0, **options)
    return weights_of(trainer)


@pytest.mark.parametrize("reconstructor", [False, True])
def test_samples_of_weight_zero_do_not_count(new_trainer, small, reconstructor):
    x, y = small
    options = {"reconstructor": reconstructor}
    start = weights_of(new_trainer(EFGSM(**QUIET), **options))
    none = one_step(new_trainer(EFGSM(**QUIET), **options), x, y, sample_weight=np.zeros(100))
    assert_same(none, start, rtol=0, atol=0)
    # The mean over 100 samples, half of them twice and half not at all, is the mean over that half.
    half = np.repeat([2.0, 0.0], 50)
    weighted = one_step(new_trainer(EFGSM(**QUIET), **options), x, y, sample_weight=half)
    alone = one_step(new_trainer(EFGSM(**QUIET), **options), x[:50], y[:50])
    assert_same(weighted, alone, rtol=0, atol=1e-6)
    assert np.abs(moved(start, alone)).max() > 1e-4


@pytest.mark.tensorflow("tf.data")
def test_class_weights_and_weights_in_a_dataset_are_sample_weights(new_trainer, small):
    import tensorflow as tf

    x, y = small
    per_class = {c: float(c) for c in range(10)}
    by_sample = one_step(new_trainer(), x, y, sample_weight=y.astype("float32"))
    by_class = one_step(new_trainer(), x, y, class_weight=per_class)
    triples = tf.data.Dataset.from_tensor_slices((x, y, y.astype("float32")))
    trainer = new_trainer()
    trainer.fit(with_sample_ids(triples).batch(100), shuffle=False, verbose=0)
    assert_same(by_class, by_sample)
    assert_same(weights_of(trainer), by_sample)
    assert np.abs(moved(one_step(new_trainer(), x, y), by_sample)).max() > 1e-3


def test_one_hot_and_column_labels_train_as_integer_labels_do(new_trainer, small):
    x, y = small
    integers = one_step(new_trainer(reconstructor=True), x, y)
    one_hot = one_step(new_trainer(reconstructor=True), x, keras.utils.to_categorical(y, 10))
    column = one_step(new_trainer(reconstructor=True), x, y[:, None].astype("int64"))
    # XLA compiles a step for each kind of labels, and may add in another order.
    rounding = 0 if keras.backend.backend() == "tensorflow" else 1e-7
    assert_same(one_hot, integers, rtol=0, atol=rounding)
    assert_same(column, integers, rtol=0, atol=rounding)


@pytest.mark.parametrize(
    "compiled", [{"steps_per_execution": 4}, {"run_eagerly": True}], ids=["4 steps", "eager"]
)
def test_several_steps_per_execution_and_eager_steps_train_the_same(new_trainer, small, compiled):
    plain, other = new_trainer(), new_trainer(compiled=compiled)
    for trainer in (plain, other):
        trainer.fit(*small, batch_size=10, epochs=2, shuffle=False, verbose=0)
    assert int(other.optimizer.iterations) == 20
    assert_same(weights_of(other), weights_of(plain), rtol=1e-4, atol=1e-4)
    assert np.mean(other.momentum.numpy() == plain.momentum.numpy()) > 0.99


def test_validation_is_on_clean_images(new_trainer, small):
    x, y = small
    trainer = new_trainer()
    history = trainer.fit(x, y, validation_data=(x[:30], y[:30]), verbose=0).history
    after = trainer.evaluate(x[:30], y[:30], verbose=0, return_dict=True)
    assert history["val_accuracy"] == [after["accuracy"]]
    np.testing.assert_allclose(history["val_loss"], after["loss"], rtol=1e-5)


def test_a_validation_split_is_kept_out_of_training(new_trainer, small):
    x, y = small
    split, first = new_trainer(), new_trainer()
    history = split.fit(x, y, validation_split=0.2, shuffle=False, verbose=0).history
    first.fit(x[:80], y[:80], shuffle=False, verbose=0)
    assert {"val_loss", "val_accuracy"} <= set(history)
    assert_same(weights_of(split), weights_of(first))


# Keras's own callbacks.


def stored_shapes(path):
    shapes = []
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".h5"))
        with archive.open(name) as file, h5py.File(file) as stored:
            stored.visititems(
                lambda _, item: shapes.append(item.shape) if hasattr(item, "shape") else None
            )
    return shapes


def test_early_stopping_restores_the_best_weights_and_never_holds_the_momentum(new_trainer, small):
    x, y = small[0][:97], small[1][:97]
    by_epoch = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: by_epoch.append(weights_of(trainer))
    )
    # A loss that should rise never gets better than in the first epoch.
    stop = keras.callbacks.EarlyStopping(
        "val_loss", mode="max", patience=2, restore_best_weights=True
    )
    trainer = new_trainer()
    trainer.fit(x, y, epochs=9, validation_data=(x, y), callbacks=[keep, stop], verbose=0)
    assert len(by_epoch) == 3
    assert_same(weights_of(trainer), by_epoch[0], rtol=0, atol=0)
    assert not any(97 in w.shape for w in stop.best_weights)
    assert np.abs(moved(by_epoch[0], by_epoch[2])).max() > 0


def test_checkpoints_and_logs_of_keras_work_and_hold_no_momentum(new_trainer, small, tmp_path):
    x, y = small[0][:97], small[1][:97]
    best, log, board = tmp_path / "best.keras", tmp_path / "log.csv", tmp_path / "board"
    callbacks = [
        keras.callbacks.ModelCheckpoint(best, monitor="val_loss", mode="min", save_best_only=True),
        keras.callbacks.CSVLogger(log),
        keras.callbacks.TensorBoard(board),
    ]
    trainer = new_trainer(optimizer=keras.optimizers.Adam(0.01))
    history = trainer.fit(
        x, y, epochs=2, validation_data=(x, y), callbacks=callbacks, verbose=0
    ).history
    rows = list(csv.DictReader(log.read_text().splitlines()))
    assert [float(row["margin_robust_accuracy"]) for row in rows] == pytest.approx(
        history["margin_robust_accuracy"]
    )
    assert list(board.rglob("events.out.tfevents.*"))
    shapes = stored_shapes(best)
    assert (64, 16) in shapes
    assert not any(97 in shape for shape in shapes)
    loaded = keras.models.load_model(best)
    measured = loaded.evaluate(x, y, verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-4)


# Mixed precision.


@pytest.fixture
def policy():
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_moves_the_weights_about_as_float32_does(new_trainer, small, policy, name):
    def change():
        trainer = new_trainer(EFGSM(**QUIET), reconstructor=True)
        before = weights_of(trainer)
        trainer.fit(*small, batch_size=20, epochs=2, shuffle=False, verbose=0)
        return trainer, moved(before, weights_of(trainer))

    _, full = change()
    policy(name)
    trainer, half = change()
    assert trainer.classifier.layers[-1].compute_dtype == name.removeprefix("mixed_")
    assert all(w.dtype == "float32" for w in trainer.trainable_weights)
    assert int(trainer.optimizer.iterations) == 10
    assert np.linalg.norm(half - full) < 0.3 * np.linalg.norm(full)


def test_input_gradients_of_a_float16_network_do_not_underflow(new_trainer, small, policy):
    x, y = small
    policy("mixed_float16")
    network = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Dense(10)]
    classifier = keras.Sequential([keras.Input((8, 8, 1)), *network])
    signs = np.random.default_rng(0).choice([-1e-4, 1e-4], size=(64, 4))
    # A gradient of 4e-8 at most, less than the smallest number of float16.
    classifier.set_weights([signs, np.zeros(4), 1e-4 * np.eye(4, 10), np.linspace(1.0, 2.0, 10)])
    trainer = new_trainer(EFGSM(**QUIET), classifier=classifier, num_samples=100)
    trainer.make_momentum(verbose=False)
    trainer.perturb(trainer.unpack_training_batch(({"image": x, "id": np.arange(100)}, y)))
    in_use = y < 4  # The other classes' logits do not depend on the image.
    assert np.all(trainer.momentum.numpy()[in_use] != 0)


# Repeatability; determinism is switched on for a whole process, so it gets one of its own.


def test_the_same_seed_gives_bit_identical_weights_and_another_does_not(fresh):
    script = """
        import hashlib, json
        import keras, numpy as np
        from keras_efgsm.attacks import EFGSM
        from keras_efgsm.backend import enable_determinism
        enable_determinism()
        from keras_efgsm.data import load_digits
        from keras_efgsm.networks import digits_classifier, digits_reconstructor
        from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
        data = load_digits("train")
        def digest(seed):
            keras.utils.set_random_seed(0)
            trainer = AdversarialTrainer(
                digits_classifier(), EFGSM(epsilon=0.2), digits_reconstructor(), seed=seed
            )
            trainer.compile(keras.optimizers.Adam(1e-3))
            trainer.fit(data.pixels(), data.labels, batch_size=128, epochs=1, verbose=0)
            arrays = [*trainer.get_weights(), trainer.momentum.numpy()]
            return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()
        print(json.dumps([digest(0), digest(0), digest(1)]))
    """
    done = fresh.run(code=script)
    assert done.returncode == 0, done.stderr
    first, again, other = json.loads(done.stdout.splitlines()[-1])
    assert first == again
    assert first != other
