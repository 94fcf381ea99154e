import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.attacks import EFGSM, FGSM
from keras_efgsm.data import with_sample_ids
from keras_efgsm.objectives import AdversarialCrossEntropy, JointReconstruction
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer


@pytest.fixture(scope="module")
def one_trainer(new_trainer):
    return new_trainer()


@pytest.fixture
def refused(one_trainer):
    """Calls `fit` and checks that it raises before any step and without a change."""

    def check(error, message, *data, trainer=None, **options):
        trainer = trainer or one_trainer
        before, momentum = trainer.get_weights(), trainer.momentum
        with pytest.raises(error, match=message) as caught:
            trainer.fit(*data, verbose=0, **options)
        assert "Received: " in str(caught.value).rpartition(". ")[2]
        assert int(trainer.optimizer.iterations) == 0
        assert trainer.momentum is momentum
        for a, b in zip(before, trainer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    return check


def batches(x, y, ids, size=20):
    return tf.data.Dataset.from_tensor_slices(({"image": x, "id": ids}, y)).batch(size)


# Images and labels.


def changed(images, value):
    images = images.copy()
    images[3, 2, 1, 0] = value
    return images


BAD_IMAGES = {
    "bytes": (lambda x: (x * 255).astype("uint8"), "floating-point pixels.*dtype=uint8"),
    "0..255 floats": (lambda x: x * 255, r"divide 0\.\.255 pixels by 255"),
    "NaN": (lambda x: changed(x, np.nan), "finite"),
    "infinity": (lambda x: changed(x, np.inf), "finite"),
    "just above one": (lambda x: changed(x, 1.01), r"pixels in \[0, 1\].*x\.max\(\)=1\.01"),
    "negative": (lambda x: changed(x, -0.5), r"pixels in \[0, 1\].*x\.min\(\)=-0\.5"),
    "another size": (lambda x: x[:, 1:], r"shape \(8, 8, 1\).*x\.shape=\(100, 7, 8, 1\)"),
    "three channels": (lambda x: np.repeat(x, 3, -1), r"\(8, 8, 1\).*x\.shape=\(100, 8, 8, 3\)"),
    "no channels": (lambda x: x[..., 0], r"\(n, height, width, channels\)"),
    "none": (lambda x: x[:0], "non-empty"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_images_that_are_no_pixels_for_the_classifier_are_refused(refused, small, case):
    change, message = BAD_IMAGES[case]
    refused(ValueError, message, change(small[0]), small[1])


@pytest.mark.parametrize("case", ["bytes", "0..255 floats", "NaN", "another size"])
def test_images_of_a_dataset_are_refused_alike(refused, small, case):
    change, message = BAD_IMAGES[case]
    message = message.replace("(100,", "(20,")
    refused(ValueError, message, batches(change(small[0]), small[1], np.arange(100)))


BAD_LABELS = {
    "too few": (lambda y: y[:99], r"one label per image\. Received: y\.shape=\(99,\)"),
    "two columns": (lambda y: np.stack([y, y], 1), r"y\.shape=\(100, 2\)"),
    "eleven": (lambda y: np.where(y == 3, 10, y), r"lie in \[0, 10\).*y\.max\(\)=10"),
    "negative": (lambda y: y - 1, r"lie in \[0, 10\).*y\.min\(\)=-1"),
    "halves": (lambda y: y + 0.5, "whole numbers"),
    "rows that are no probabilities": (lambda y: np.ones((100, 10)), "row of probabilities"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_labels_that_the_classifier_does_not_have_are_refused(refused, small, case):
    change, message = BAD_LABELS[case]
    refused(ValueError, message, small[0], change(small[1]))


def test_labels_of_a_dataset_are_refused_alike(refused, small):
    refused(ValueError, r"lie in \[0, 10\)", batches(small[0], small[1] + 5, np.arange(100)))


def test_images_without_labels_are_refused(refused, small):
    refused(ValueError, r"`y`.*Received: y=None$", small[0])


# Sample ids.


def test_a_dataset_without_ids_is_welcome_to_an_attack_without_momentum(new_trainer, small):
    trainer = new_trainer(FGSM(epsilon=0.1))
    plain = tf.data.Dataset.from_tensor_slices(small).batch(50)
    trainer.fit(plain, shuffle=False, verbose=0)
    assert int(trainer.optimizer.iterations) == 2


def test_a_dataset_of_something_else_is_refused(refused, small):
    x, y = small
    refused(ValueError, "must yield", tf.data.Dataset.from_tensor_slices(x).batch(20))
    unnamed = tf.data.Dataset.from_tensor_slices(({"pixels": x}, y)).batch(20)
    refused(ValueError, "with_sample_ids", unnamed)


BAD_IDS = {
    "repeated": (np.arange(100) // 2, r"once in a pass.*id=\[0, 1, 2, 3, 4\]"),
    "negative": (np.arange(100) - 1, r"id\.min\(\)=-1"),
    "floats": (np.arange(100.0), "vector of integers"),
    "strings": (np.array([f"cat-{i}" for i in range(100)]), "vector of integers"),
}


@pytest.mark.parametrize("case", BAD_IDS)
@pytest.mark.parametrize("source", ["arrays", "dataset"])
def test_ids_that_do_not_name_each_sample_once_are_refused(refused, small, case, source):
    (x, y), (ids, message) = small, BAD_IDS[case]
    if source == "arrays":
        refused(ValueError, message, {"image": x, "id": ids}, y)
    else:
        refused(ValueError, message, batches(x, y, ids))


def test_ids_beyond_the_given_number_of_samples_are_refused(refused, new_trainer, small):
    x, y = small
    trainer = new_trainer(num_samples=100)
    beyond = r"\[0, 100\).*id\.max\(\)=10[0-9]"
    refused(ValueError, beyond, {"image": x, "id": np.arange(100) + 1}, y, trainer=trainer)
    refused(ValueError, beyond, batches(x, y, np.arange(100)[::-1] + 1), trainer=trainer)


def test_more_samples_than_the_momentum_has_are_refused_until_it_is_reset(new_trainer, small):
    x, y = small
    trainer = new_trainer()
    trainer.fit(x[:50], y[:50], verbose=0)
    more = r"50 training samples; call `reset_momentum\(\)`.*Received: 100 samples$"
    with pytest.raises(ValueError, match=more):
        trainer.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"id\.max\(\)=99$"):
        trainer.fit(batches(x, y, np.arange(100)), verbose=0)
    assert trainer.momentum.num_samples == 50
    trainer.fit(x[50:80], y[50:80], verbose=0)
    trainer.reset_momentum()
    trainer.fit(x, y, verbose=0)
    assert trainer.momentum.num_samples == 100


# Datasets as a whole.


def test_an_unbatched_dataset_is_refused(refused, small):
    dataset = with_sample_ids(tf.data.Dataset.from_tensor_slices(small))
    refused(ValueError, r"\.batch\(batch_size\)", dataset)


def test_an_empty_dataset_is_refused(refused, small):
    refused(ValueError, "at least one batch", batches(*small, np.arange(100)).take(0))


def test_an_endless_dataset_needs_the_number_of_samples(refused, new_trainer, small):
    endless = batches(*small, np.arange(100)).repeat()
    refused(ValueError, "pass `num_samples=`.*num_samples=None$", endless, steps_per_epoch=2)
    trainer = new_trainer(num_samples=100)
    trainer.fit(endless, steps_per_epoch=2, shuffle=False, verbose=0)
    assert int(trainer.optimizer.iterations) == 2


def test_a_generator_needs_the_number_of_samples(refused, small):
    generator = iter([({"image": small[0], "id": np.arange(100)}, small[1])])
    refused(ValueError, "pass `num_samples=`", generator)
    next(generator)  # It was not used up.


# The parts of a trainer.


def test_momentum_that_cannot_fit_is_refused(new_trainer, small, monkeypatch, refused):
    monkeypatch.setattr("keras_efgsm.sample_memory.momentum.available_memory", lambda: 6_399)
    trainer = new_trainer()
    refused(MemoryError, r"6\.4 kB as int8.*Received: num_samples=100$", *small, trainer=trainer)
    monkeypatch.setattr("keras_efgsm.sample_memory.momentum.available_memory", lambda: 6_400)
    trainer.make_momentum(100, verbose=False)
    wide = new_trainer(momentum_dtype="float32")
    refused(MemoryError, 'store it as "int8"', *small, trainer=wide)


def classifier(*layers):
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *layers])


def lambda_outputs():
    inputs = keras.Input((8, 8, 1))
    logits = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Lambda(lambda z: keras.ops.softmax(z))(logits))


BAD_CLASSIFIERS = {
    "ends in a softmax activation": (
        lambda: classifier(keras.layers.Dense(10, activation="softmax")),
        "must return logits, but ends in softmax",
    ),
    "ends in a softmax layer": (
        lambda: classifier(keras.layers.Dense(10), keras.layers.Softmax()),
        "must return logits, but ends in softmax",
    ),
    "ends in a sigmoid": (
        lambda: classifier(keras.layers.Dense(10, activation="sigmoid")),
        "must return logits, but ends in sigmoid",
    ),
    "gives probabilities": (lambda_outputs, "outputs are probabilities"),
    "gives one number": (lambda: classifier(keras.layers.Dense(1)), "num_classes >= 2"),
    "gives images": (
        lambda: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3)]),
        r"logits of shape \(batch, num_classes\)",
    ),
    "takes vectors": (
        lambda: keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)]),
        r"one input of shape \(batch, height, width, channels\)",
    ),
    "takes any size": (
        lambda: keras.Sequential(
            [
                keras.Input((None, None, 1)),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(10),
            ]
        ),
        "one input of shape",
    ),
    "is not built": (lambda: keras.Sequential([keras.layers.Dense(10)]), "must be built"),
    "is a function": (lambda: lambda x: x, "functional or sequential Keras model"),
}


@pytest.mark.parametrize("case", BAD_CLASSIFIERS)
def test_a_classifier_is_refused_that(case):
    make, message = BAD_CLASSIFIERS[case]
    with pytest.raises(ValueError, match=f"{message}(.|\n)*Received: "):
        AdversarialTrainer(make(), EFGSM(epsilon=0.1))


@pytest.mark.parametrize(
    ("shapes", "received"),
    [
        ({"classes": 9}, r"input_shape=\(None, 9\)"),
        ({"shape": (8, 7, 1)}, r"output_shape=\(None, 8, 7, 1\)"),
    ],
)
def test_a_reconstructor_of_other_shapes_is_refused(
    new_classifier, new_reconstructor, shapes, received
):
    with pytest.raises(ValueError, match=rf"from \(None, 10\) to \(None, 8, 8, 1\).*{received}"):
        AdversarialTrainer(new_classifier(), EFGSM(epsilon=0.1), new_reconstructor(**shapes))


def test_objective_and_reconstructor_must_fit_together(new_classifier, new_reconstructor):
    attack = EFGSM(epsilon=0.1)
    with pytest.raises(ValueError, match="JointReconstruction needs a .*reconstructor=None$"):
        AdversarialTrainer(new_classifier(), attack, objective=JointReconstruction())
    with pytest.raises(ValueError, match="does not use a re-constructor.*Received: reconstructor="):
        AdversarialTrainer(new_classifier(), attack, new_reconstructor(), AdversarialCrossEntropy())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attack": "efgsm"}, "must be an attack object.*Received: attack='efgsm'$"),
        ({"seed": -1}, "whole number >= 0. Received: seed=-1$"),
        ({"seed": 1.5}, "whole number >= 0. Received: seed=1.5$"),
        ({"num_samples": 0}, "whole number >= 1. Received: num_samples=0$"),
        ({"momentum_dtype": "int4"}, "one of 'int8', .*Received: momentum_dtype='int4'$"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_option_out_of_range_is_refused_on_construction(new_classifier, options, message):
    options = {"attack": EFGSM(epsilon=0.1), **options}
    with pytest.raises(ValueError, match=message):
        AdversarialTrainer(new_classifier(), **options)
