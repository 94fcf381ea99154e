"""Times training steps of a method, and counts their arithmetic.

Two operations for each multiply-add of the convolutional and dense layers, a forward pass once, an
update three times, as many passes as the method makes.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.backend import BACKEND, compiled
from keras_efgsm.data import ImageData, training_dataset
from keras_efgsm.networks import image_shape_of, multiply_adds
from keras_efgsm.recipes.building import build_trainer
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

# Of the method that is named, at the options that the comparison asks for.
COMPARED = {
    "standard": {},
    "fgsm-rs": {},
    "efgsm": {},
    "combined": {},
    "free": {"replays": 8},
    "pgd": {"steps": 10},
    "trades": {"steps": 10, "beta": 6.0},
}


EPOCH_IMAGES = 50_000


def step_operations(trainer: AdversarialTrainer, config: TrainingConfig) -> float:
    """Floating-point operations of a training step, as this module counts them."""
    passes = METHODS[config.method].passes(config.method_options)
    # A pass of an ordinary step is a forward and two backward ones.
    operations = passes * 3 * 2 * multiply_adds(trainer.classifier)
    if trainer.reconstructor is not None:
        operations += 3 * 2 * multiply_adds(trainer.reconstructor)
    return operations * config.batch_size


def matrix_peak(dtype: str) -> float:
    """Operations per second of a product of two matrices, so large that it takes 50 ms."""
    # Only one number of the product leaves the device.
    product = compiled(lambda a, b: ops.sum(ops.cast(ops.matmul(a, b), "float32")))
    size, seconds = 1024, 0.0
    while seconds < 0.05 and size < 2**15:
        size *= 2
        factors = [ops.cast(np.random.default_rng(i).random((size, size)), dtype) for i in range(2)]
        seconds = median_seconds(lambda: product(*factors), rounds=5)  # noqa: B023
    return 2.0 * size**3 / seconds


def median_seconds(run: Callable[[], Any], rounds: int) -> float:
    """Median seconds of a call until its result is there; the first one, which compiles, aside."""
    seconds = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        ops.convert_to_numpy(run())
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])


def random_data(config: TrainingConfig, count: int) -> ImageData:
    """Random images of the shape of the preset's data set."""
    shape = image_shape_of(config.dataset)
    rng = np.random.default_rng(0)
    return ImageData(
        rng.integers(0, 256, (count, *shape), dtype="uint8"),
        np.arange(count) % 10,
        tuple("0123456789"),
        name="random",
    )


class Fitted:
    """A method's trainer, whose `fit` goes on where it was.

    Args:
        config: the run.
        data: the images.
        steps: steps of a round.
    """

    def __init__(self, config: TrainingConfig, data: ImageData, steps: int):
        keras.utils.set_random_seed(config.seed)
        self.config, self.steps = config, steps
        self.trainer = build_trainer(config, data)
        self._data = data
        self.seconds: list[float] = []
        self.run()  # compiles

    def run(self, callbacks: Sequence[keras.callbacks.Callback] = ()) -> float:
        """Seconds of a step, from a round of them.

        Args:
            callbacks: what else is called in it. Defaults to nothing.
        """
        watch = _EpochWatch()
        self.trainer.fit(
            training_dataset(self._data, self.config.batch_size, seed=0),
            steps_per_epoch=self.steps,
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, watch],
        )
        return watch.seconds / self.steps

    def measure(self) -> None:
        """Times one more round."""
        self.seconds.append(self.run())

    @property
    def step_seconds(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


class _EpochWatch(keras.callbacks.Callback):
    """Seconds of the steps of an epoch; `fit`'s checks of the data come before it."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        # Keras has waited for the metrics of the last step.
        self.seconds = time.perf_counter() - self._begun


def compared_config(config: TrainingConfig, method: str) -> TrainingConfig:
    """The run with another method, at the options that the comparison asks for.

    Args:
        config: the run.
        method: one of `COMPARED`, or the run's own.
    """
    # What only some methods have, and a short measurement has no use for.
    config = dataclasses.replace(
        config,
        momentum_reset_epochs=0,
        regularizer_warmup_epochs=0.0,
        overfitting_stop=False,
        keep_best=False,
    )
    its_own = config if method == config.method else config.with_method(method)
    options = {**its_own.method_options, **COMPARED.get(method, {})}
    return dataclasses.replace(its_own, method_options=options)


def method_rows(fitted: dict[str, Fitted], peak: float) -> dict[str, dict[str, Any]]:
    """The figures of each method.

    Args:
        fitted: the measured trainers by method.
        peak: of the machine, operations a second.
    """
    rows = {}
    for method, run in fitted.items():
        operations = step_operations(run.trainer, run.config)
        rows[method] = {
            "options": run.config.method_options,
            "step_ms": 1e3 * run.step_seconds,
            "epoch_seconds": run.step_seconds * EPOCH_IMAGES / run.config.batch_size,
            "operations": operations,
            "share_of_peak": operations / run.step_seconds / peak,
        }
    return rows


def profile_facts(config: TrainingConfig, steps: int, rounds: int) -> dict[str, Any]:
    """What a profile was measured on.

    Args:
        config: the run.
        steps: of a round.
        rounds: how many.
    """
    return {
        "classifier": config.classifier,
        "reconstructor": config.reconstructor,
        "batch_size": config.batch_size,
        "dtype_policy": config.dtype_policy,
        "backend": BACKEND,
        "steps": steps,
        "rounds": rounds,
    }
