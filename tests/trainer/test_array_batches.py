import keras
import numpy as np
import pytest

from keras_efgsm import EFGSM, AdversarialTrainer, digits_classifier
from keras_efgsm.data import load_digits, steps_per_epoch
from keras_efgsm.data.array_batches import evaluation_dataset, training_dataset

SIZE, BATCH = 50, 16
STEPS = 4


@pytest.fixture(scope="module")
def data():
    return load_digits("train").take(SIZE)


def ids_of(dataset, steps):
    batches = [next(dataset) for _ in range(steps)]
    return [inputs["id"].tolist() for inputs, _ in batches]


def test_an_epoch_has_each_sample_once_with_its_label(data):
    dataset = training_dataset(data, BATCH, seed=0)
    batches = [next(dataset) for _ in range(STEPS)]
    ids = np.concatenate([inputs["id"] for inputs, _ in batches])
    labels = np.concatenate([y for _, y in batches])
    assert sorted(ids) == list(range(SIZE))
    np.testing.assert_array_equal(labels, data.labels[ids])


def test_each_epoch_has_its_own_order_and_can_be_begun_at_any_step(data):
    whole = ids_of(training_dataset(data, BATCH, seed=3), 3 * STEPS)
    assert len({tuple(whole[epoch * STEPS]) for epoch in range(3)}) == 3
    for epoch in range(3):
        for step in range(STEPS + 1):
            begun = training_dataset(data, BATCH, seed=3, initial_epoch=epoch, initial_step=step)
            left = 3 * STEPS - epoch * STEPS - step
            assert ids_of(begun, left) == whole[3 * STEPS - left :]


def test_a_step_after_the_last_is_refused(data):
    with pytest.raises(ValueError, match="initial_step"):
        training_dataset(data, BATCH, seed=0, initial_step=STEPS + 1)


def test_the_evaluation_goes_through_all_images_in_order(data):
    dataset = evaluation_dataset(data, BATCH)
    batches = [dataset[i] for i in range(len(dataset))]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), data.pixels())
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), data.labels)


def trained(data):
    keras.utils.set_random_seed(0)
    trainer = AdversarialTrainer(digits_classifier(), EFGSM(epsilon=0.1), num_samples=len(data))
    trainer.compile(optimizer="adam")
    return trainer, lambda x: trainer.fit(
        x, steps_per_epoch=STEPS, epochs=2, verbose=0, shuffle=False
    )


def test_training_on_kept_images_is_training_on_the_images(data):
    kept, fit_kept = trained(data)
    kept.keep_images(data.images)
    fit_kept(training_dataset(data, BATCH, seed=1))
    sent, fit_sent = trained(data)
    fit_sent(
        ({"id": inputs["id"], "image": data.pixels(inputs["id"])}, y)
        for inputs, y in training_dataset(data, BATCH, seed=1)
    )
    np.testing.assert_array_equal(kept.momentum.numpy(), sent.momentum.numpy())
    for a, b in zip(kept.classifier.get_weights(), sent.classifier.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_numbers_without_images_are_refused(data):
    _, fit = trained(data)
    with pytest.raises(ValueError, match="keep_images"):
        fit(training_dataset(data, BATCH, seed=1))


def test_images_of_another_type_are_not_kept(data):
    trainer, _ = trained(data)
    with pytest.raises(ValueError, match=r"uint8.*Received: images.dtype=float32"):
        trainer.keep_images(data.pixels())


def test_steps_of_an_epoch_count_the_last_partial_batch(data):
    assert steps_per_epoch(data, BATCH) == STEPS
