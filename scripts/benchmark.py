"""What training costs: epoch time over ordinary training, and the momentum's storage.

    python scripts/benchmark.py [--images 12800] [--rounds 9] [--json benchmark.json]
    python scripts/benchmark.py --methods all --images 2560 --rounds 3 [--json methods.json]

The first compares eFGSM with ordinary `fit`, and the memory and accuracy of each storage of its
momentum; the second times every training method. The networks are those of `--preset`.

Times are of whole epochs on the same machine, taken in turn (ordinary, eFGSM, eFGSM with the
re-constructor, ordinary, ...), so that a machine that slows down slows all of them; the ratio is
that of the medians. MNIST is used if it is prepared or can be downloaded, random images of the same
shape otherwise: time and memory do not depend on what the images show, the accuracies do and are
left out then.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_efgsm import EFGSM, AdversarialTrainer, SampleMomentum
from keras_efgsm.attacks import PGD
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.config import PRESETS, TrainingConfig
from keras_efgsm.data import load_data
from keras_efgsm.environment import hardware, versions
from keras_efgsm.memory import format_bytes
from keras_efgsm.methods import METHODS
from keras_efgsm.momentum import STORAGE_DTYPES
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS

BATCH = 128


def make_classifier(preset: TrainingConfig) -> keras.Model:
    """The classifier of the preset."""
    return CLASSIFIERS[preset.classifier](10, activation=preset.activation)


def make_reconstructor(preset: TrainingConfig) -> keras.Model:
    """The re-constructor of the preset."""
    return RECONSTRUCTORS[preset.reconstructor](10)


def read_images(count: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Images, labels, and whether they are MNIST."""
    try:
        data = load_data("mnist", "train").take(count)
        return data.pixels(), data.labels, True
    except (ValueError, OSError):
        rng = np.random.default_rng(0)
        return rng.random((count, 28, 28, 1), dtype="float32"), rng.integers(0, 10, count), False


def ordinary_model(preset: TrainingConfig) -> keras.Model:
    """The classifier compiled for ordinary training."""
    model = make_classifier(preset)
    model.compile(
        keras.optimizers.Adam(2e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def efgsm_model(preset: TrainingConfig, with_reconstructor: bool, **options) -> AdversarialTrainer:
    """The same classifier compiled for eFGSM."""
    reconstructor = make_reconstructor(preset) if with_reconstructor else None
    trainer = AdversarialTrainer(
        make_classifier(preset), EFGSM(epsilon=0.3), reconstructor, **options
    )
    trainer.compile(keras.optimizers.Adam(2e-3))
    return trainer


class EpochWatch(keras.callbacks.Callback):
    """Seconds of the epoch alone: the checks of `fit` are made once, not once an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.begun


def method_model(preset: TrainingConfig, name: str, **options) -> AdversarialTrainer:
    """The same classifier compiled for a method at its own options."""
    method = METHODS[name]
    own = method.complete({})
    trainer = AdversarialTrainer(
        make_classifier(preset),
        method.attack(0.3, own),
        make_reconstructor(preset) if method.has_reconstructor else None,
        method.objective(method.label_smoothing, own),
        **options,
    )
    trainer.compile(keras.optimizers.Adam(2e-3))
    return trainer


def time_epochs(
    models: dict[str, keras.Model], images: np.ndarray, labels: np.ndarray, rounds: int
) -> dict[str, list[float]]:
    """Seconds of each epoch, by model, after one epoch of warm-up."""
    seconds = {name: [] for name in models}
    for turn in range(rounds + 1):
        for name, model in models.items():
            watch = EpochWatch()
            model.fit(images, labels, batch_size=BATCH, epochs=1, verbose=0, callbacks=[watch])
            if turn:
                seconds[name].append(watch.seconds)
    return seconds


class StorageComparison:
    """Feeds the directions of one training to a momentum of each storage and compares signs.

    Stands in for the trainer's `SampleMomentum`: training goes by the float32 one.
    """

    storage = "memory"

    def __init__(self, num_samples: int, decay: float):
        self.decay = decay
        self.num_samples = num_samples
        self.stores = {
            dtype: SampleMomentum(num_samples, (28, 28, 1), dtype) for dtype in STORAGE_DTYPES
        }

    def gather(self, ids):
        return self.stores["float32"].gather(ids)

    def write(self, ids, values):
        direction = keras.ops.round(values - self.decay * self.gather(ids))
        for store in self.stores.values():
            store.write(ids, self.decay * store.gather(ids) + direction)

    def differing_signs(self) -> dict[str, float]:
        """Share of the entries whose sign is not that of float32."""
        reference = np.sign(self.stores["float32"].numpy())
        return {
            dtype: float(np.mean(np.sign(store.numpy()) != reference))
            for dtype, store in self.stores.items()
        }


def compare_signs(
    preset: TrainingConfig, images: np.ndarray, labels: np.ndarray, epochs: int
) -> dict[str, float]:
    """Share of signs that each storage gets wrong over a real training."""
    trainer = efgsm_model(preset, False)
    trainer.momentum = StorageComparison(len(images), trainer.attack.decay)
    trainer.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    return trainer.momentum.differing_signs()


def measure_storage(preset: TrainingConfig, dtype: str, count: int, epochs: int, seed: int) -> dict:
    """Peak memory of a training with one storage, and the accuracies it reaches."""
    images, labels, is_real = read_images(count)
    keras.utils.set_random_seed(seed)
    trainer = efgsm_model(preset, False, momentum_dtype=dtype, seed=seed)
    trainer.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    result = {
        "momentum_bytes": trainer.momentum.nbytes,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if is_real:
        test = load_data("mnist", "test").take(1000)
        attack = PGD(epsilon=0.3, steps=40, step_size=0.02, loss="cw")
        probe = Probe(trainer.classifier, attack, test.pixels(), test.labels)
        natural = trainer.evaluate(test.pixels(), test.labels, verbose=0, return_dict=True)
        result |= {"natural_accuracy": natural["accuracy"], "pgd_accuracy": probe.accuracy()}
    return result


def main() -> None:
    """Runs the benchmark and prints its tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--preset",
        choices=[name for name in PRESETS if name.startswith("mnist")],
        default="mnist",
        help="whose networks are timed",
    )
    parser.add_argument("--images", type=int, default=12800)
    parser.add_argument("--rounds", type=int, default=9, help="timed epochs of each model")
    parser.add_argument("--methods", help="time these instead, comma-separated, or 'all'")
    parser.add_argument(
        "--momentum-dtype", choices=STORAGE_DTYPES, default="int8", help="storage that is timed"
    )
    parser.add_argument("--storage-epochs", type=int, default=10, help="0: no storage part")
    parser.add_argument("--storage-seeds", type=int, default=3)
    parser.add_argument("--json", help="where the figures go")
    parser.add_argument("--storage", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    preset = PRESETS[options.preset]
    if options.storage:
        # A process of its own, as peak memory is that of a whole process.
        figures = measure_storage(
            preset, options.storage, options.images, options.storage_epochs, options.seed
        )
        print(json.dumps(figures))
        return
    console = Console()
    images, labels, is_real = read_images(options.images)
    kind = "MNIST" if is_real else "random"
    console.print(f"{hardware()}; {len(images):,} {kind} images, batch {BATCH}")
    storage = {"momentum_dtype": options.momentum_dtype}
    if options.methods:
        names = list(METHODS) if options.methods == "all" else options.methods.split(",")
        models = {name: method_model(preset, name, **storage) for name in names}
    else:
        models = {
            "eFGSM": efgsm_model(preset, False, **storage),
            "eFGSM with re-constructor": efgsm_model(preset, True, **storage),
        }
    models = {"ordinary fit": ordinary_model(preset), **models}
    seconds = time_epochs(models, images, labels, options.rounds)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    table = Table(title=f"epoch time, median of {options.rounds}, in turn")
    for heading in ("training", "seconds", "min", "max", "over ordinary"):
        table.add_column(heading, justify="left" if heading == "training" else "right")
    for name, values in seconds.items():
        ratio = medians[name] / medians["ordinary fit"]
        times = (medians[name], min(values), max(values))
        table.add_row(name, *(f"{value:.2f}" for value in times), f"{ratio:.2f}")
    console.print(table)
    result = {"hardware": hardware(), "versions": versions(), "images": len(images), "data": kind}
    result |= {"preset": options.preset, "momentum_dtype": options.momentum_dtype}
    result["seconds"] = seconds
    result["ratios"] = {name: m / medians["ordinary fit"] for name, m in medians.items()}
    if options.storage_epochs and not options.methods:
        result["storage"] = compare_storages(console, options, images, labels)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(result, file, indent=2)
        console.print(f"figures: {options.json}")


def compare_storages(console, options, images, labels) -> dict:
    """Table of memory, signs and accuracies by storage."""
    preset = PRESETS[options.preset]
    signs = compare_signs(preset, images, labels, options.storage_epochs)
    table = Table(
        title=f"momentum storage, {options.storage_epochs} epochs, "
        f"{options.storage_seeds} seeds: mean (spread); PGD-40 CW on 1,000 test images"
    )
    for heading in ("storage", "momentum", "peak memory", "signs unlike float32", "natural", "PGD"):
        table.add_column(heading, justify="left" if heading == "storage" else "right")
    result = {}
    for dtype in STORAGE_DTYPES:
        runs = []
        for seed in range(options.storage_seeds):
            words = [sys.executable, __file__, "--preset", options.preset]
            words += ["--storage", dtype, "--seed", str(seed)]
            words += ["--images", str(options.images)]
            words += ["--storage-epochs", str(options.storage_epochs)]
            output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(output.splitlines()[-1]))
        result[dtype] = {"differing_signs": signs[dtype], "runs": runs}
        accuracies = []
        for name in ("natural_accuracy", "pgd_accuracy"):
            values = [run[name] for run in runs if name in run]
            if values:
                spread = max(values) - min(values)
                accuracies.append(f"{statistics.mean(values):.1%} ({spread:.1%})")
            else:
                accuracies.append("-")
        table.add_row(
            dtype,
            format_bytes(runs[0]["momentum_bytes"]),
            f"{statistics.median(run['peak_bytes'] for run in runs) / 1e6:,.0f} MB",
            f"{signs[dtype]:.3%}",
            *accuracies,
        )
    console.print(table)
    return result


if __name__ == "__main__":
    main()
