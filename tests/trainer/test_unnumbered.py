"""Datasets without sample ids: numbered if they come in order, else trained on without memory."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

pytestmark = pytest.mark.tensorflow("tf.data")

SHAPE = (6, 6, 1)


@pytest.fixture(scope="module")
def pairs():
    x = np.random.default_rng(0).random((20, *SHAPE), dtype="float32")
    return x, np.arange(20) % 2


def trainer():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2)]
    made = AdversarialTrainer(keras.Sequential([keras.Input(SHAPE), *layers]), epsilon=0.1)
    # No graph: it is traced for longer than these few updates take.
    made.compile(run_eagerly=True)
    return made


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two classes of ten small images each."""
    root = tmp_path_factory.mktemp("folder")
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for i in range(10):
            pixels = random.integers(0, 256, SHAPE[:2], dtype="uint8")
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def folder(root, **options):
    return keras.utils.image_dataset_from_directory(
        root, image_size=SHAPE[:2], color_mode="grayscale", verbose=False, **options
    )


def scaled(dataset):
    return dataset.map(lambda x, y: (x / 255.0, y))


def test_samples_in_order_are_numbered_and_have_their_momentum(pairs):
    plain, numbered = trainer(), trainer()
    dataset = tf.data.Dataset.from_tensor_slices(pairs).batch(8)
    plain.fit(dataset, shuffle=False, verbose=0)
    x, y = pairs
    numbered.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert plain.momentum.num_samples == 20
    rows = np.arange(20, dtype="int32")
    np.testing.assert_array_equal(plain.momentum.gather(rows), numbered.momentum.gather(rows))
    assert np.any(np.array(plain.momentum.gather(rows)))
    named = tf.data.Dataset.from_tensor_slices(({"image": x}, y)).batch(20)
    again = trainer()
    again.fit(named, shuffle=False, verbose=0)
    assert again.momentum.num_samples == 20


@pytest.mark.parametrize("label_mode", ["binary", "categorical"])
def test_a_shuffled_folder_is_trained_on_with_one_sentence(root, label_mode):
    train = trainer()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dataset = scaled(folder(root, label_mode=label_mode, batch_size=8))
        train.fit(dataset, epochs=2, shuffle=False, verbose=0)
    (warning,) = [w for w in said if w.category is UserWarning]
    assert "without the momentum of each sample" in str(warning.message)
    assert train.momentum is None and int(train.optimizer.iterations) == 6


def test_a_folder_in_order_has_ids_and_is_said_to_be_of_one_class_at_a_time(root):
    train = trainer()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        train.fit(scaled(folder(root, shuffle=False, batch_size=8)), shuffle=False, verbose=0)
    (warning,) = [w for w in said if w.category is UserWarning]
    assert "are of one class" in str(warning.message) and train.momentum.num_samples == 20


def test_pixels_of_0_to_255_are_refused_with_the_line_that_scales_them(root):
    with pytest.raises(ValueError, match=r"dataset\.map\(lambda x, y: .* / 255.*Received: images"):
        trainer().fit(folder(root, shuffle=False, batch_size=8), shuffle=False, verbose=0)


def test_samples_that_change_are_not_taken_for_ones_in_order(pairs):
    changing = tf.data.Dataset.from_tensor_slices(pairs).batch(20)
    generator = tf.random.Generator.from_seed(0)
    changing = changing.map(lambda x, y: (x * generator.uniform(()), y))
    endless = tf.data.Dataset.from_tensor_slices(pairs).batch(20).repeat()
    for dataset in (changing, endless):
        train = trainer()
        with pytest.warns(UserWarning, match="without the momentum"):
            train.fit(dataset, steps_per_epoch=1, shuffle=False, verbose=0)
        assert train.momentum is None


def test_a_forgetting_training_begins_each_time_as_on_samples_not_seen_before(pairs):
    x, y = pairs
    forgetting, fresh = trainer(), trainer()
    # One update: whatever the memory, it is empty.
    forgetting.samples.forget(True)
    dataset = tf.data.Dataset.from_tensor_slices(pairs).batch(20)
    shuffled = dataset.shuffle(1)  # of one batch, so that its order stays
    with pytest.warns(UserWarning, match="without the momentum"):
        forgetting.fit(shuffled, shuffle=False, verbose=0)
    fresh.fit(x, y, batch_size=20, shuffle=False, verbose=0)
    for a, b in zip(forgetting.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    # Then with ids it remembers again.
    forgetting.fit(x, y, batch_size=20, shuffle=False, verbose=0)
    assert forgetting.momentum is not None and np.any(
        np.array(forgetting.momentum.gather(np.arange(20, dtype="int32")))
    )
