"""Epoch times of eFGSM and of every other method over ordinary training, taken in turn."""

import statistics
import time

import keras
import numpy as np
from rich.table import Table

from keras_efgsm import EFGSM, AdversarialTrainer
from keras_efgsm.data import load_data
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS, image_shape_of
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from reporting.result_table import ResultTable

BATCH = 128


def make_classifier(preset: TrainingConfig) -> keras.Model:
    """The classifier of the preset."""
    return CLASSIFIERS[preset.classifier](
        image_shape_of(preset.dataset), 10, activation=preset.activation
    )


def make_reconstructor(preset: TrainingConfig) -> keras.Model:
    """The re-constructor of the preset."""
    return RECONSTRUCTORS[preset.reconstructor](image_shape_of(preset.dataset), 10)


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


class EpochWatch(keras.callbacks.Callback):
    """Seconds of the epoch alone: the checks of `fit` are made once, not once an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self.begun


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


def ratios_of(seconds: dict[str, list[float]]) -> dict[str, float]:
    """The median epoch of each model over that of ordinary training."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {name: median / medians["ordinary fit"] for name, median in medians.items()}


def epoch_table(seconds: dict[str, list[float]], rounds: int) -> Table:
    """For the terminal."""
    ratios = ratios_of(seconds)
    rows = [
        [
            name,
            *(
                f"{v:.2f}"
                for v in (statistics.median(values), min(values), max(values), ratios[name])
            ),
        ]
        for name, values in seconds.items()
    ]
    headings = ("training", "seconds", "min", "max", "over ordinary")
    return ResultTable(headings, rows, f"epoch time, median of {rounds}, in turn").rich()
