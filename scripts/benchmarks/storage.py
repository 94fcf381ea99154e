"""What each storage of the momentum costs in memory, and what it does to signs and accuracies."""

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.epochs import BATCH, efgsm_model, read_images
from keras_efgsm import SampleMomentum
from keras_efgsm.attacks import PGD
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.data import load_data
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.wording import size as format_bytes
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES


class StorageComparison:
    """Feeds the directions of one training to a momentum of each storage and compares signs.

    Stands in for the trainer's `SampleMomentum`: training goes by the float32 one.
    """

    storage = "memory"
    fresh = False

    def __init__(self, num_samples: int, decay: float):
        self.decay = decay
        self.num_samples = num_samples
        self.stores = {
            dtype: SampleMomentum(num_samples, (28, 28, 1), dtype) for dtype in STORAGE_DTYPES
        }
        self.table = self.stores["float32"].table

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


def compare_storages(
    console: Console, command: Sequence[str], signs: dict[str, float], epochs: int, seeds: int
) -> dict:
    """Shows and returns memory, signs and accuracies by storage.

    Args:
        console: the terminal.
        command: prints the figures of `measure_storage` when `--storage` and `--seed` are added.
        signs: see `compare_signs`.
        epochs: of each training.
        seeds: how many.
    """
    table = Table(
        title=f"momentum storage, {epochs} epochs, "
        f"{seeds} seeds: mean (spread); PGD-40 CW on 1,000 test images"
    )
    for heading in ("storage", "momentum", "peak memory", "signs unlike float32", "natural", "PGD"):
        table.add_column(heading, justify="left" if heading == "storage" else "right")
    result = {}
    for dtype in STORAGE_DTYPES:
        runs = []
        for seed in range(seeds):
            # A process of its own, as peak memory is that of a whole process.
            words = [sys.executable, *command, "--storage", dtype, "--seed", str(seed)]
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
