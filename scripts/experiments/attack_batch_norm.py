"""Which mode should batch norm be in while examples are made? A residual network and a backbone.

    python scripts/experiments/attack_batch_norm.py [--dataset cifar10_jpeg75] \
        [--train-images 5000] [--epochs 3] [--seeds 0,1] [--networks residual,backbone] \
        [--out results/...]

Trains each network from scratch with the examples made in training mode (by the statistics of the
batch, which do not move by it) and in evaluation mode, all else the same: eFGSM, epsilon 8/255,
crops and flips, SGD with a one-cycle schedule. After each epoch held-out training images are
attacked with PGD-20 on the margin. What the training itself shows, accuracy on its own examples,
stands beside it: where it lies above that on clean images, the network was not attacked at all.
Writes `batch_norm.json` and `batch_norm.md` into `--out`.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from rich.console import Console

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.attacks import EFGSM, PGD
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.networks import cifar10_strided
from keras_efgsm.recipes.optimizers import L2SGD
from keras_efgsm.recipes.schedules import OneCycle
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from reporting.result_table import ResultTable

EPSILON = 8 / 255
BATCH_SIZE = 128
MODES = {"training": True, "evaluation": False}


def backbone(num_classes: int) -> keras.Model:
    """MobileNetV3Small without weights on images of 64 x 64, its batch norm at Keras's momentum."""
    inputs = keras.Input((32, 32, 3), name="image")
    x = keras.layers.UpSampling2D(interpolation="bilinear")(inputs)
    # It takes pixels of 0 to 255.
    x = keras.layers.Rescaling(255.0)(x)
    features = keras.applications.MobileNetV3Small(
        input_shape=(64, 64, 3), include_top=False, weights=None, pooling="avg"
    )(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)
    return keras.Model(inputs, logits, name="backbone")


NETWORKS: dict[str, Callable[[int], keras.Model]] = {
    "residual": cifar10_strided,
    "backbone": backbone,
}


class Held(keras.callbacks.Callback):
    """Accuracy on held-out images, clean and attacked, after each epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        super().__init__()
        self._data = images, labels
        self.rows: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        classifier, (images, labels) = self.model.classifier, self._data
        attack = PGD(epsilon=EPSILON, steps=20, step_size=EPSILON / 8, loss="cw")
        natural = np.argmax(classifier.predict(images, verbose=0), axis=1) == labels
        self.rows.append(
            {
                "own_examples": float((logs or {})["accuracy"]),
                "natural": float(natural.mean()),
                "pgd_20": Probe(classifier, attack, images, labels).accuracy(),
            }
        )


def train_one(
    name: str, in_training_mode: bool, seed: int, data: tuple[ImageData, ImageData], epochs: int
) -> list[dict[str, float]]:
    """Trains a network and gives its figures after each epoch."""
    train, held = data
    keras.utils.set_random_seed(seed)
    steps = epochs * -(-len(train) // BATCH_SIZE)
    trainer = AdversarialTrainer(
        NETWORKS[name](train.num_classes),
        EFGSM(epsilon=EPSILON, sigma=EPSILON / 3, first_visit="corner"),
        seed=seed,
        augmentation=Augmentation(padding=4, flip=True),
        attack_in_training_mode=in_training_mode,
    )
    trainer.compile(optimizer=L2SGD(OneCycle(0.1, steps, round(0.3 * steps))))
    watch = Held(held.pixels(), held.labels)
    trainer.fit(
        train.pixels(),
        train.labels,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        verbose=0,
        callbacks=[watch],
    )
    return watch.rows


def compare(options: argparse.Namespace) -> None:
    """Trains all, shows and writes the figures as they come."""
    networks = [check_choice(n, "networks", tuple(NETWORKS)) for n in options.networks.split(",")]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    check_count(options.epochs, "epochs")
    whole = load_data(options.dataset, "train")
    wanted = check_count(options.train_images, "train_images") + options.held_out
    part = whole if wanted >= len(whole) else whole.split(wanted / len(whole))[1]
    data = part.split(options.held_out / len(part))
    console, out = Console(), Path(options.out)
    results: list[dict[str, Any]] = []
    table = None
    for name in networks:
        for seed in seeds:
            for mode, in_training_mode in MODES.items():
                epochs = train_one(name, in_training_mode, seed, data, options.epochs)
                results.append({"network": name, "mode": mode, "seed": seed, "epochs": epochs})
                content = {
                    "dataset": options.dataset,
                    "epsilon": EPSILON,
                    "train_images": len(data[0]),
                    "held_out": len(data[1]),
                    "hardware": hardware(),
                    "versions": versions(),
                    "runs": results,
                }
                out.mkdir(parents=True, exist_ok=True)
                write_atomically(out / "batch_norm.json", json.dumps(content, indent=2) + "\n")
                table = table_of(results, content)
                write_atomically(out / "batch_norm.md", table.markdown())
                console.print(f"{name}, {mode} mode, seed {seed}: {epochs[-1]}", markup=False)
    console.print(table.rich())


def table_of(results: list[dict[str, Any]], content: dict[str, Any]) -> ResultTable:
    """A row for each training, at its last epoch."""
    rows = [
        (
            run["network"],
            run["mode"],
            str(run["seed"]),
            *(f"{run['epochs'][-1][key]:.1%}" for key in ("own_examples", "natural", "pgd_20")),
        )
        for run in results
    ]
    title = (
        f"{content['dataset']}, {content['train_images']:,} training images, "
        f"{len(results[0]['epochs'])} epochs, {content['held_out']} held-out images, eFGSM 8/255"
    )
    headings = ("network", "examples made in", "seed", "own examples", "natural", "PGD-20")
    return ResultTable(headings, rows, title, words=2)


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10_jpeg75")
    parser.add_argument("--train-images", type=int, default=5000)
    parser.add_argument("--held-out", type=int, default=500, help="images that are attacked")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="comma-separated")
    parser.add_argument("--out", default="results/cifar10_jpeg75/batch_norm")
    try:
        compare(parser.parse_args())
    except (ValueError, OSError) as error:
        print(f"attack_batch_norm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
