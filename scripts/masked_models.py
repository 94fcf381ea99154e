"""Plants masked models, makes honest ones, and shows what the diagnosis says of each.

    python scripts/masked_models.py [--dataset digits|mnist] [--only NAME ...] [--json FILE]

A masked model is an ordinarily trained network with something in front of it or behind it that
keeps attacks by gradients from seeing what a small change does, or one trained until it overfitted
to its own one-step attack. The honest ones are trained in ways that do no such thing. Exit status
1 if any verdict is not the expected one.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from keras_efgsm import (
    EFGSM,
    FGSM,
    PGD,
    AdversarialTrainer,
    Attack,
    ImageData,
    digits_classifier,
    load_data,
    mnist_classifier,
)
from keras_efgsm.diagnosis import diagnose
from keras_efgsm.evaluation import EvaluatedModel, load_classifier

MASKED, CLEAR, NOTHING = "gradients are masked", "no sign of masking", "nothing to attack"


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


def quantise(images, levels=4):
    """Rounds pixels to a few levels; `tf.round` has no gradient."""
    return tf.round(images * levels) / levels


def median_filter(images):
    """The median of each pixel and its four neighbours, in NumPy: no gradient passes."""

    def filtered(pixels):
        edge = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        middle, up, down = edge[:, 1:-1, 1:-1], edge[:, :-2, 1:-1], edge[:, 2:, 1:-1]
        left, right = edge[:, 1:-1, :-2], edge[:, 1:-1, 2:]
        return np.median([middle, up, down, left, right], axis=0).astype("float32")

    return tf.numpy_function(filtered, [images], tf.float32)


def threshold(images):
    """Black or white: a comparison has no gradient."""
    return tf.cast(images > 0.5, tf.float32)


def add_noise(images):
    """Other noise at every call."""
    return images + 0.2 * tf.random.normal(tf.shape(images))


def shift_at_random(images):
    """Moves the images up or down by a pixel or not at all, by chance at every call."""
    return tf.roll(images, tf.random.uniform((), -1, 2, tf.int32), 1)


def drop_pixels(images):
    """Dropout that is active in evaluation as well."""
    return tf.nn.dropout(images, 0.2)


@tf.custom_gradient
def wrong_gradient(images):
    """Leaves the images as they are and gives back a gradient with its signs scrambled."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=images.shape[1:]).astype("float32")
    return tf.identity(images), lambda upstream: upstream * signs


def ripple(images):
    """A ripple too small to change an answer, and steep enough to rule the gradient."""
    return images + 0.003 * tf.sin(2000.0 * images)


@tf.custom_gradient
def straight_through(images):
    """Rounds pixels and passes the gradient straight through: quantised, and nothing hidden."""
    return quantise(images, 16), lambda upstream: upstream


class Case(NamedTuple):
    """A model, what is to be said of it, and whether it is attacked at the larger epsilon."""

    expected: str
    make: Callable[[Workshop], EvaluatedModel | keras.Model]
    after_overfitting: bool = False


def _wrapped(before: Callable | None = None, after: Callable | None = None) -> Callable:
    return lambda shop: shop.wrapped((before or after).__name__, before, after)


def huge_logits(logits):
    """So large that the softmax has no gradient left in float32."""
    return 1e4 * logits


def saturated_logits(logits):
    """A tanh that is flat nearly everywhere but between the two largest logits."""
    between = tf.reduce_mean(tf.math.top_k(logits, 2).values, axis=1, keepdims=True)
    return 20.0 * tf.tanh(30.0 * (logits - between))


def confident_logits(logits):
    """Very sure of itself, as after a long training: the gradients are tiny and right."""
    return 3.0 * logits


CASES = {
    "quantised input": Case(MASKED, _wrapped(quantise)),
    "thresholded input": Case(MASKED, _wrapped(threshold)),
    "median filter in NumPy": Case(MASKED, _wrapped(median_filter)),
    "huge logits": Case(MASKED, _wrapped(after=huge_logits)),
    "saturated logits": Case(MASKED, _wrapped(after=saturated_logits)),
    "noise at every call": Case(MASKED, _wrapped(add_noise)),
    "random shift": Case(MASKED, _wrapped(shift_at_random)),
    "dropout in evaluation": Case(MASKED, _wrapped(drop_pixels)),
    "wrong custom gradient": Case(MASKED, _wrapped(wrong_gradient)),
    "rippled input": Case(MASKED, _wrapped(ripple)),
    "catastrophic overfitting": Case(MASKED, Workshop.overfitted, after_overfitting=True),
    "ordinary training": Case(CLEAR, lambda shop: shop.ordinary),
    "ordinary, at the larger epsilon": Case(
        CLEAR, lambda shop: shop.ordinary, after_overfitting=True
    ),
    "label smoothing": Case(CLEAR, lambda shop: shop.train(label_smoothing=0.2)),
    "confident": Case(CLEAR, _wrapped(after=confident_logits)),
    "quantised, straight-through": Case(CLEAR, _wrapped(straight_through)),
    "linear": Case(CLEAR, Workshop.linear),
    "PGD training": Case(
        CLEAR,
        lambda shop: shop.train_on(
            PGD(epsilon=shop.setting.epsilon, steps=7), shop.setting.robust_epochs
        ),
    ),
    "eFGSM training": Case(
        CLEAR,
        lambda shop: shop.train_on(EFGSM(epsilon=shop.setting.epsilon), shop.setting.robust_epochs),
    ),
    "random weights": Case(NOTHING, lambda shop: shop.setting.network()),
}


def run(names: list[str], dataset: str, num_images: int, seed: int, console: Console) -> list[dict]:
    """Diagnoses the models named and tells of each as it comes."""
    shop, test, rows = Workshop(dataset, seed), load_data(dataset, "test"), []
    for name in names:
        case, began = CASES[name], time.perf_counter()
        keras.utils.set_random_seed(seed)
        model = case.make(shop)
        made = time.perf_counter() - began
        setting = shop.setting
        epsilon = setting.overfitting_epsilon if case.after_overfitting else setting.epsilon
        diagnosis = diagnose(model, test, epsilon, num_images=num_images, seed=seed)
        rows.append(
            {
                "name": name,
                "expected": case.expected,
                "seconds_to_make": made,
                **diagnosis.to_dict(),
                "model": name,
            }
        )
        console.print(f"{name}: {diagnosis.verdict} ({made:.0f} + {diagnosis.seconds:.0f} s)")
    return rows


def table(rows: list[dict]) -> Table:
    """Models, verdicts and signs."""
    first = rows[0]
    made = Table(
        title=f"{first['dataset']}, {first['num_images']} images, seed {first['seed']}",
    )
    for heading in ("model", "epsilon", "right", "lowest", "verdict", "signs", "as expected"):
        made.add_column(heading)
    for row in rows:
        signs = [f["name"].replace("_", " ") for f in row["findings"] if f["flagged"]]
        made.add_row(
            row["name"],
            f"{row['epsilon']:g}",
            f"{row['num_correct'] / row['num_images']:.1%}",
            f"{row['lowest_accuracy']:.1%}",
            row["verdict"],
            ", ".join(signs),
            "yes" if row["verdict"] == row["expected"] else f"NO: {row['expected']}",
        )
    return made


def main() -> int:
    """Diagnoses all models; exit status 1 if a verdict is not the expected one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=sorted(SETTINGS), default="digits")
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), metavar="NAME")
    parser.add_argument("--num-images", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="where all figures go; default: nowhere")
    options = parser.parse_args()
    console = Console()
    names = options.only or list(CASES)
    rows = run(names, options.dataset, options.num_images, options.seed, console)
    console.print(table(rows))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
    return 0 if all(row["verdict"] == row["expected"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
