"""The attack sees the network as the update does, and leaves it to the update to change it."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import EFGSM, FGSM, PGD
from keras_efgsm.attacks.logits import batch_statistics_logits, evaluation_logits
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import LogitConsistency
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

# No noise: an adversarial image depends on its sample and the network alone.
QUIET = {"epsilon": 0.2, "sigma": 0.0}


def network(dropout=0.0, seed=0):
    """Convolutions with batch norm whose running statistics are those of no data yet."""
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((8, 8, 1))]
    for channels in (8, 16):
        layers += [
            keras.layers.Conv2D(channels, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    layers.append(keras.layers.Flatten())
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=5))
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def trainer_of(attack, classifier=None, rate=0.0, **options):
    trainer = AdversarialTrainer(classifier or network(), attack, num_samples=100, **options)
    trainer.compile(keras.optimizers.SGD(rate))
    trainer.make_momentum(verbose=False)
    return trainer


def batch_of(trainer, small):
    x, y = small
    return trainer.unpack_training_batch(({"image": x, "id": np.arange(len(x))}, y))


def one_step(trainer, small, **options):
    return trainer.fit(*small, batch_size=100, shuffle=False, verbose=0, **options).history


def array_of(variable):
    """What it holds now, whatever becomes of it."""
    return np.asarray(variable).copy()


def state(classifier):
    """Weights, running statistics, and where its random layers stand."""
    return [array_of(variable) for variable in classifier.variables]


def running(classifier):
    return [array_of(variable) for variable in classifier.non_trainable_variables]


def images_in_training_mode(attack, small):
    """The examples of a network that is called in training mode outright, and then thrown away."""
    classifier, (x, y) = network(), small
    return attack.perturb(
        lambda images: classifier(images, training=True),
        ops.convert_to_tensor(x),
        ops.convert_to_tensor(y.astype("int32")),
        Noise(0, 0, np.arange(len(x), dtype="int32")),
        ops.zeros_like(x),
    ).images


@pytest.mark.parametrize(
    "attack", [EFGSM(**QUIET), FGSM(epsilon=0.2), PGD(epsilon=0.2, steps=3)], ids=lambda a: a.name
)
def test_the_running_statistics_are_those_that_the_update_alone_leaves(small, attack):
    trainer, by_hand = trainer_of(attack), network()
    before = running(by_hand)
    by_hand(images_in_training_mode(attack, small), training=True)
    expected = running(by_hand)
    one_step(trainer, small)
    for old, ours, theirs in zip(before, running(trainer.classifier), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
        assert np.abs(theirs - old).max() > 1e-4


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_making_examples_leaves_the_network_and_its_random_layers_as_they_were(small, dropout):
    trainer = trainer_of(EFGSM(**QUIET), network(dropout))
    before = state(trainer.classifier)
    first = np.asarray(trainer.perturb(batch_of(trainer, small)).start_logits)
    for old, new in zip(before, state(trainer.classifier), strict=True):
        np.testing.assert_array_equal(old, new)
    logits_of = batch_statistics_logits(trainer.classifier)
    # The same once more, as nothing has changed: the same masks too.
    np.testing.assert_array_equal(logits_of(small[0]), logits_of(small[0]))
    expected = np.asarray(trainer.classifier(small[0], training=True))
    np.testing.assert_allclose(first, expected, atol=1e-5)
    assert any(np.any(a != b) for a, b in zip(before, state(trainer.classifier), strict=True))


def test_the_attack_normalises_by_the_batch_or_by_what_the_network_keeps(small):
    x, y = small
    ids = np.arange(len(x), dtype="int32")
    images = {}
    for mode, logits_of in ((True, batch_statistics_logits), (False, evaluation_logits)):
        trainer = trainer_of(EFGSM(**QUIET), attack_in_training_mode=mode)
        found = trainer.perturb(batch_of(trainer, small))
        expected = trainer.attack.perturb(
            logits_of(trainer.classifier),
            ops.convert_to_tensor(x),
            ops.convert_to_tensor(y.astype("int32")),
            Noise(0, 0, ids),
            ops.zeros_like(x),
        )
        np.testing.assert_allclose(found.images, expected.images, atol=1e-6)
        images[mode] = np.asarray(found.images)
    assert np.mean(np.abs(images[True] - images[False]) > 1e-3) > 0.1
    assert AdversarialTrainer(network(), EFGSM(**QUIET)).attack_in_training_mode


def test_attack_and_update_share_their_dropout_masks(small):
    """A step of no length: logits differ by their masks alone."""

    def consistency(**options):
        attack = FGSM(epsilon=0.2, step_size=1e-9)
        objective = LogitConsistency(1.0)
        trainer = trainer_of(attack, network(dropout=0.5), objective=objective, **options)
        history = one_step(trainer, small, epochs=3)
        return history["consistency_loss"], history["classification_loss"], trainer

    shared, losses, trainer = consistency()
    assert max(shared) < 1e-6
    # New masks in each step, as many as one pass a step draws.
    assert len(set(losses)) == 3
    by_hand = network(dropout=0.5)
    for _ in range(3):
        by_hand(small[0], training=True)
    seeds, expected = (
        [array_of(v) for v in model.variables if v.path not in named(model)]
        for model in (trainer.classifier, by_hand)
    )
    assert len(seeds) == 1
    np.testing.assert_array_equal(seeds, expected)
    apart, _, _ = consistency(attack_in_training_mode=False)
    assert min(apart) > 0.01


def named(model):
    return {weight.path for weight in model.weights}


# A network whose running statistics lag behind.


def deep_network(seed):
    """Six convolutions with batch norm, from weights that are the same on every backend."""
    layers = [keras.Input((8, 8, 1))]
    for _ in range(6):
        layers += [
            keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(10)])
    random = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        if weight.path.endswith("kernel"):
            scale = np.sqrt(1.0 / np.prod(weight.shape[:-1]))
            weight.assign(scale * random.normal(size=weight.shape))
    return model


def accuracies(digits, mode):
    """On clean and on adversarial images as the updates of the first six steps see them."""
    (x, y), _ = digits
    clean, attacked = [], []
    for seed in (0, 1):
        trainer = AdversarialTrainer(
            deep_network(seed), FGSM(epsilon=0.1), attack_in_training_mode=mode
        )
        trainer.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        for first in range(0, 600, 100):
            images, labels = x[first : first + 100], y[first : first + 100]
            natural = np.asarray(batch_statistics_logits(trainer.classifier)(images))
            clean.append(np.mean(natural.argmax(axis=1) == labels))
            logs = trainer.fit(images, labels, batch_size=100, verbose=0).history
            attacked.append(logs["accuracy"][0])
    return np.array(clean), np.array(attacked)


@pytest.mark.slow(reason="traces the training of four networks of six convolutions")
def test_a_fresh_network_is_attacked_from_the_first_step_on_and_in_evaluation_mode_hardly(digits):
    clean, attacked = accuracies(digits, mode=True)
    assert clean.mean() > 0.2
    assert (attacked < clean).all()
    kept = attacked.mean() / clean.mean()
    clean, attacked = accuracies(digits, mode=False)
    assert clean.mean() > 0.2
    lagging = attacked.mean() / clean.mean()
    print(f"\naccuracy left by the attack: {kept:.0%}, in evaluation mode {lagging:.0%}")
    assert kept < 0.55
    assert lagging > 0.7
