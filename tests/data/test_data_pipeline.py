"""Pipelines: each element names its sample, and the order of an epoch can be had again."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.data import (
    ImageData,
    evaluation_dataset,
    load_digits,
    steps_per_epoch,
    training_dataset,
    with_sample_ids,
)

# 22 images in batches of 8: the last batch of an epoch holds 6.
SIZE, BATCH, STEPS = 22, 8, 3


@pytest.fixture
def data():
    # Each image is told by its pixels.
    images = np.arange(SIZE, dtype="uint8").reshape(-1, 1, 1, 1) * np.ones((1, 4, 4, 1), "uint8")
    return ImageData(images, np.arange(SIZE) % 3, ("a", "b", "c"))


def ids_of(dataset, batches):
    return [x["id"].numpy().tolist() for x, *_ in dataset.take(batches)]


def epochs_of(dataset, count):
    ids = ids_of(dataset, count * STEPS)
    return [
        [number for batch in ids[i * STEPS : (i + 1) * STEPS] for number in batch]
        for i in range(count)
    ]


# training_dataset


def test_an_element_is_a_batch_of_pixels_and_ids_with_their_labels(data):
    dataset = training_dataset(data, BATCH, seed=0)
    inputs, labels = next(iter(dataset))
    assert inputs["image"].dtype == tf.float32 and inputs["image"].shape == (BATCH, 4, 4, 1)
    assert inputs["id"].dtype == tf.int32 and labels.dtype == tf.int32
    assert dataset.element_spec[0]["image"].shape.as_list() == [None, 4, 4, 1]
    ids = inputs["id"].numpy()
    np.testing.assert_array_equal(inputs["image"].numpy(), data.pixels(ids))
    np.testing.assert_array_equal(labels.numpy(), data.labels[ids])


def test_each_epoch_holds_each_sample_once_in_an_order_of_its_own(data):
    epochs = epochs_of(training_dataset(data, BATCH, seed=0), 3)
    for epoch in epochs:
        assert sorted(epoch) == list(range(SIZE))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


def test_the_last_partial_batch_of_an_epoch_is_kept(data):
    sizes = [len(ids) for ids in ids_of(training_dataset(data, BATCH, seed=0), 6)]
    assert sizes == [8, 8, 6, 8, 8, 6]
    assert steps_per_epoch(data, BATCH) == STEPS
    assert steps_per_epoch(data, 22) == 1 and steps_per_epoch(data, 100) == 1


def test_the_order_is_a_function_of_seed_and_epoch(data):
    four = epochs_of(training_dataset(data, BATCH, seed=7), 4)
    assert epochs_of(training_dataset(data, BATCH, seed=7), 4) == four
    assert epochs_of(training_dataset(data, BATCH, seed=8), 4) != four
    resumed = epochs_of(training_dataset(data, BATCH, seed=7, initial_epoch=2), 2)
    assert resumed == four[2:]


def test_the_order_does_not_depend_on_the_batch_size(data):
    whole = epochs_of(training_dataset(data, BATCH, seed=7), 1)[0]
    assert ids_of(training_dataset(data, SIZE, seed=7), 1) == [whole]


def test_tensorflows_own_seed_changes_nothing(data):
    before = epochs_of(training_dataset(data, BATCH, seed=7), 2)
    keras.utils.set_random_seed(123)
    assert epochs_of(training_dataset(data, BATCH, seed=7), 2) == before


def test_a_training_dataset_says_that_it_is_endless(data):
    dataset = training_dataset(data, BATCH, seed=0)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 0}, {"batch_size": 2.5}, {"seed": -1}, {"initial_epoch": -1}]
)
def test_numbers_that_make_no_sense_are_refused(data, arguments):
    name = next(iter(arguments))
    with pytest.raises(ValueError, match=f"Received: {name}="):
        training_dataset(data, **{"batch_size": BATCH, "seed": 0, **arguments})


class Recorder(keras.Model):
    """Trains nothing and writes down which samples each step saw."""

    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(3)
        self.seen = []

    def call(self, inputs):
        return self.layer(keras.ops.reshape(inputs["image"], (-1, 16)))

    def train_step(self, data):
        inputs, _ = data
        tf.py_function(lambda ids: self.seen.append(ids.numpy().tolist()), [inputs["id"]], [])
        return {"loss": tf.constant(0.0)}


def fit_and_record(dataset, epochs, initial_epoch=0, **compile_arguments):
    model = Recorder()
    model.compile(loss="mse", optimizer="sgd", **compile_arguments)
    model.fit(
        dataset,
        epochs=epochs,
        initial_epoch=initial_epoch,
        steps_per_epoch=STEPS,
        shuffle=False,
        verbose=0,
    )
    return model.seen


@pytest.mark.parametrize("steps_per_execution", [1, STEPS])
def test_fit_walks_through_the_epochs_in_order(data, steps_per_execution):
    seen = fit_and_record(
        training_dataset(data, BATCH, seed=5), 4, steps_per_execution=steps_per_execution
    )
    assert seen == ids_of(training_dataset(data, BATCH, seed=5), 4 * STEPS)


def test_a_resumed_fit_sees_what_an_uninterrupted_one_sees(data):
    uninterrupted = fit_and_record(training_dataset(data, BATCH, seed=5), 4)
    first = fit_and_record(training_dataset(data, BATCH, seed=5), 2)
    resumed = fit_and_record(
        training_dataset(data, BATCH, seed=5, initial_epoch=2), 4, initial_epoch=2
    )
    assert first + resumed == uninterrupted


# evaluation_dataset


def test_evaluation_goes_once_through_the_data_in_order(data):
    dataset = evaluation_dataset(data, BATCH)
    batches = list(dataset)
    assert [len(labels) for _, labels in batches] == [8, 8, 6]
    assert dataset.cardinality() == STEPS
    images = np.concatenate([x.numpy() for x, _ in batches])
    labels = np.concatenate([y.numpy() for _, y in batches])
    np.testing.assert_array_equal(images, data.pixels())
    np.testing.assert_array_equal(labels, data.labels)
    assert labels.dtype == np.int32


def test_evaluation_feeds_keras_evaluate():
    data = load_digits("test")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    _, accuracy = model.evaluate(evaluation_dataset(data, 100), verbose=0)
    expected = np.mean(data.pixels().reshape(len(data), -1).argmax(1) == data.labels)
    assert accuracy == pytest.approx(expected, abs=1e-6)


# with_sample_ids


def pairs(n=10):
    return tf.data.Dataset.from_tensor_slices((tf.zeros((n, 4, 4, 1)), tf.range(n)))


def dicts(n=10):
    names = tf.strings.as_string(tf.range(n))
    return tf.data.Dataset.from_tensor_slices(
        {"image": tf.zeros((n, 4, 4, 1), tf.uint8), "label": tf.range(n), "id": names}
    )


@pytest.mark.parametrize("make", [pairs, dicts])
def test_single_samples_are_numbered_in_order(make):
    numbered = with_sample_ids(make())
    elements = list(numbered)
    assert [int(x["id"]) for x, _ in elements] == list(range(10))
    assert [int(y) for _, y in elements] == list(range(10))
    assert numbered.element_spec[0]["id"] == tf.TensorSpec((), tf.int32)
    assert numbered.cardinality() == 10


@pytest.mark.parametrize("make", [pairs, dicts])
def test_samples_of_batches_are_numbered_through(make):
    numbered = with_sample_ids(make().batch(4))
    assert ids_of(numbered, 9) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert numbered.element_spec[0]["id"] == tf.TensorSpec((None,), tf.int32)
    assert numbered.cardinality() == 3


def test_every_epoch_numbers_anew():
    numbered = with_sample_ids(pairs().batch(4))
    assert ids_of(numbered, 9) == ids_of(numbered, 9)


def test_sample_weights_are_kept():
    weighted = pairs().map(lambda x, y: (x, y, tf.cast(y, tf.float32) / 2))
    *_, (x, y, weight) = with_sample_ids(weighted)
    assert (int(x["id"]), int(y), float(weight)) == (9, 9, 4.5)


def test_an_image_in_a_dict_is_numbered_too():
    named = pairs().map(lambda x, y: ({"image": x}, y))
    assert [int(x["id"]) for x, _ in with_sample_ids(named)] == list(range(10))


def test_a_number_stays_with_its_sample_through_a_later_shuffle():
    shuffled = with_sample_ids(pairs()).shuffle(10).batch(4)
    for _ in range(2):
        for x, y in shuffled:
            np.testing.assert_array_equal(x["id"], y)


def test_a_dataset_of_unknown_length_is_numbered():
    some = pairs().filter(lambda x, y: y % 2 == 0)
    assert [int(x["id"]) for x, _ in with_sample_ids(some)] == [0, 1, 2, 3, 4]


def test_a_shuffle_upstream_is_refused():
    for dataset in (
        pairs().shuffle(10),
        pairs().shuffle(10, seed=1).batch(4).prefetch(1),
        pairs().shuffle(10).map(lambda x, y: (x, y)).cache(),
    ):
        with pytest.raises(ValueError, match=r"before `\.shuffle\(\.\.\.\)`.*Received"):
            with_sample_ids(dataset)


def test_a_shuffle_into_one_order_for_all_epochs_is_no_obstacle():
    fixed = pairs().shuffle(10, seed=1, reshuffle_each_iteration=False)
    order = [[int(y) for _, y in with_sample_ids(fixed)] for _ in range(2)]
    assert order[0] == order[1] != list(range(10))


def test_an_endless_dataset_is_refused():
    with pytest.raises(ValueError, match=r"finite.*Received: dataset.cardinality"):
        with_sample_ids(pairs().repeat())


def test_a_dataset_with_ids_is_refused(data):
    for dataset in (with_sample_ids(pairs()), training_dataset(data, BATCH, seed=0)):
        with pytest.raises(ValueError, match=r"ids already.*Received: dataset"):
            with_sample_ids(dataset)


@pytest.mark.parametrize("value", [None, np.zeros((4, 8, 8, 1)), [1, 2], (1, 2)])
def test_what_is_no_dataset_is_refused(value):
    with pytest.raises(ValueError, match=r"tf.data.Dataset.*Received: dataset="):
        with_sample_ids(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: x,
        lambda x, y: {"image": x},
        lambda x, y: ({"image": x, "mask": x}, y),
        lambda x, y: (x, y, y, y),
        lambda x, y: (tf.reshape(x, (-1,)), y),
    ],
)
def test_elements_of_another_form_are_refused(change):
    with pytest.raises(ValueError, match="Received: "):
        with_sample_ids(pairs().map(change))
