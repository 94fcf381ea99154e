"""Random image layers inside a classifier: trained where the attack sees their draw."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.attacks import EFGSM, FGSM, FreeReplay
from keras_efgsm.objectives import LogitConsistency, Trades
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.trainer.trained_classifier import check_trained, random_image_layers

SHAPE, CLASSES = (8, 8, 3), 4


def network(*first):
    ends = [layers.Flatten(), layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input(SHAPE), *first, *ends])


class Unseen(layers.Layer):
    """Stands for a layer of another library, which draws with a generator of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.generator = np.random.default_rng(0)

    def call(self, images, training=None):
        if not training:
            return images
        return keras.ops.roll(images, int(self.generator.integers(1, 7)), axis=2)


class RandomRoll(Unseen):
    pass


class Block(layers.Layer):
    """Holds a random layer."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.RandomTranslation(0.3, 0.3)

    def call(self, images, training=None):
        return self.inner(images, training=training)


def trainer(*first, attack=None, **options):
    return AdversarialTrainer(network(*first), attack or EFGSM(epsilon=0.1), **options)


SHIFT = (0.3, 0.3)
REFUSED = {
    "an attack in evaluation mode": (
        lambda: trainer(layers.RandomTranslation(*SHIFT), attack_in_training_mode=False),
        "attack_in_training_mode=False.*'random_translation",
    ),
    "colours and an attack in evaluation mode": (
        lambda: trainer(
            layers.RandomBrightness(0.2, value_range=(0, 1)), attack_in_training_mode=False
        ),
        "attack_in_training_mode=False.*RandomBrightness",
    ),
    "an objective that passes the clean images first": (
        lambda: trainer(layers.RandomTranslation(*SHIFT), objective=Trades()),
        "Trades passes the adversarial images under another draw.*RandomTranslation",
    ),
    "the same, in a model within": (
        lambda: trainer(keras.Sequential([layers.RandomZoom(0.3)]), objective=Trades()),
        "Trades passes.*RandomZoom",
    ),
    "the same, in a layer within": (
        lambda: trainer(Block(), objective=Trades()),
        "Trades passes.*RandomTranslation",
    ),
    "several updates a batch": (
        lambda: trainer(layers.RandomRotation(0.1), attack=FreeReplay(epsilon=0.1)),
        "FreeReplayUpdates passes the images again.*RandomRotation",
    ),
    "a layer with a generator of its own": (
        lambda: trainer(RandomRoll()),
        "AdversarialCrossEntropy passes.*RandomRoll",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_random_layer_is_refused_as_training_begins_with(case):
    make, message = REFUSED[case]
    made = make()
    weights = [w.copy() for w in made.classifier.get_weights()]
    with pytest.raises(ValueError, match=message) as refusal:
        made.fit(np.zeros((4, *SHAPE), "float32"), np.arange(4), verbose=0)
    assert "\n" not in str(refusal.value)
    assert "augmentation=Augmentation(" in str(refusal.value)
    for before, after in zip(weights, made.classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "make",
    [
        lambda: trainer(layers.RandomTranslation(*SHIFT)),
        lambda: trainer(layers.RandomFlip(), layers.RandomRotation(0.1), attack=FGSM(epsilon=0.1)),
        lambda: trainer(Block()),
        lambda: trainer(layers.RandomTranslation(*SHIFT), objective=LogitConsistency()),
        # No image moves: ordinary regularisers, as they always were.
        lambda: trainer(layers.Dropout(0.2), attack_in_training_mode=False),
        lambda: trainer(layers.GaussianNoise(0.1), objective=Trades()),
    ],
    ids=["shift", "flip and turn", "in a layer", "consistency", "dropout", "noise"],
)
def test_a_random_layer_is_trained_whose_draw_attack_and_update_share(make):
    made = make()
    state = [np.array(variable) for variable in made.classifier.variables]
    check_trained(made)
    # The trial moves neither statistics nor seeds: a training draws what it drew before.
    for before, after in zip(state, made.classifier.variables, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_layers_that_are_looked_for_are_all_of_keras():
    # `Random...` and the mixtures of them that Keras has; a deterministic one is none.
    found = random_image_layers(
        network(layers.RandomCrop(8, 8), layers.Resizing(8, 8), layers.RandomFlip())
    )
    assert [type(layer).__name__ for layer in found] == ["RandomCrop", "RandomFlip"]
