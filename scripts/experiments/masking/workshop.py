"""Networks trained for the planted and the honest models, each once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_efgsm import (
    EFGSM,
    FGSM,
    AdversarialTrainer,
    Attack,
    ImageData,
    digits_classifier,
    load_data,
    mnist_classifier,
)
from keras_efgsm.evaluation import EvaluatedModel, load_classifier


class Setting(NamedTuple):
    """How networks are trained and attacked on a data set."""

    network: Callable[[], keras.Model]
    images: int
    epochs: int
    epsilon: float
    robust_epochs: int
    overfitting_epsilon: float
    overfitting_epochs: int
    # FGSM alone does not start on MNIST: a robust network is trained on with it.
    overfitting_after_robust: bool


SETTINGS = {
    "digits": Setting(digits_classifier, 1437, 15, 0.2, 20, 0.5, 30, False),
    "mnist": Setting(mnist_classifier, 20_000, 3, 0.2, 8, 0.3, 4, True),
}


class Workshop:
    """Trains each network once.

    Args:
        dataset: `"digits"` or `"mnist"`.
        seed: of weights, order and attacks. Defaults to 0.
    """

    def __init__(self, dataset: str, seed: int = 0):
        self.dataset, self.seed, self.setting = dataset, seed, SETTINGS[dataset]

    @functools.cached_property
    def training_data(self) -> ImageData:
        """The images to train on."""
        return load_data(self.dataset, "train").take(self.setting.images)

    @functools.cached_property
    def ordinary(self) -> keras.Model:
        """A network trained on clean images."""
        return self.train()

    def train(self, label_smoothing: float = 0.0, network: keras.Model | None = None):
        """Trains a network on clean images."""
        keras.utils.set_random_seed(self.seed)
        network = network or self.setting.network()
        loss = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        )
        network.compile(keras.optimizers.Adam(2e-3), loss)
        data = self.training_data
        one_hot = keras.utils.to_categorical(data.labels, data.num_classes)
        epochs = self.setting.epochs
        network.fit(data.pixels(), one_hot, batch_size=64, epochs=epochs, verbose=0)
        return network

    def train_on(self, attack: Attack, epochs: int, network: keras.Model | None = None):
        """Trains a network on an attack's images."""
        keras.utils.set_random_seed(self.seed)
        network = network or self.setting.network()
        trainer = AdversarialTrainer(network, attack, seed=self.seed)
        trainer.compile(keras.optimizers.Adam(2e-3))
        data = self.training_data
        trainer.fit(data.pixels(), data.labels, batch_size=64, epochs=epochs, verbose=0)
        return network

    def linear(self) -> keras.Model:
        """A linear classifier."""
        shape = self.training_data.images.shape[1:]
        layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(10)]
        return self.train(network=keras.Sequential(layers))

    def overfitted(self) -> keras.Model:
        """Catastrophic overfitting: FGSM training without a random start at a large epsilon."""
        setting, network = self.setting, None
        epsilon = setting.overfitting_epsilon
        if setting.overfitting_after_robust:
            network = self.train_on(EFGSM(epsilon=epsilon), setting.robust_epochs)
        return self.train_on(FGSM(epsilon=epsilon), setting.overfitting_epochs, network)

    def wrapped(
        self, name: str, before: Callable | None = None, after: Callable | None = None
    ) -> EvaluatedModel:
        """The ordinary network with functions of its images and of its logits around it."""
        inner = load_classifier(self.ordinary)

        def logits_fn(images: Any) -> Any:
            shape = images.shape
            logits = inner.logits_fn(tf.ensure_shape(before(images), shape) if before else images)
            return after(logits) if after else logits

        return EvaluatedModel(logits_fn, inner.image_shape, inner.num_classes, name)
