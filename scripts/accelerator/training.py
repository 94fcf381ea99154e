"""A training that writes no checkpoints and ends in time, and the measurement of its steps."""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from accelerator.estimates import Rates
from benchmarks.step_times import Fitted, random_data, step_operations
from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.data import ImageData, steps_per_epoch, training_dataset
from keras_efgsm.recipes.building import (
    build_trainer,
    hold_out_probe,
    momentum_callbacks,
    stateful_callbacks,
)
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer


@dataclasses.dataclass
class Trained:
    """A training that is over.

    Args:
        trainer: with the weights that are kept.
        rows: history, a dict for each epoch.
        stop: report of the overfitting stop, None without one.
        images: how many were trained on.
    """

    trainer: AdversarialTrainer
    rows: list[dict[str, Any]]
    stop: dict[str, Any] | None
    images: int


def with_epochs(config: TrainingConfig, epochs: int) -> TrainingConfig:
    """The run with another number of epochs, and in proportion what is counted in epochs.

    Args:
        config: the run.
        epochs: how many it shall have.
    """
    share = epochs / config.epochs
    reset = config.momentum_reset_epochs
    return dataclasses.replace(
        config,
        epochs=epochs,
        epsilon_warmup_epochs=config.epsilon_warmup_epochs * share,
        regularizer_warmup_epochs=config.regularizer_warmup_epochs * share,
        momentum_reset_epochs=max(round(reset * share), 1) if reset else 0,
    )


def whole_batches(config: TrainingConfig, data: ImageData) -> tuple[ImageData, Any]:
    """The images to train on, in batches of one size, and those of the probe.

    Up to a batch less one of the last images are left out, as a smaller batch would be another
    step to compile.

    Args:
        config: the run.
        data: the images of the train split.
    """
    rest, probe = hold_out_probe(config, data)
    return rest.take(_rounded_down(len(rest), config.batch_size)), probe


def images_an_epoch(config: TrainingConfig, count: int) -> int:
    """How many images `whole_batches` leaves to train on, nearly: without looking at them.

    Args:
        config: the run.
        count: images of the train split.
    """
    count = min(config.train_images or count, count)
    probe = min(config.probe_images, count // 10) if config.overfitting_stop else 0
    return _rounded_down(count - probe, config.batch_size)


def _rounded_down(count: int, batch_size: int) -> int:
    return max(count // batch_size, 1) * batch_size


def train(
    config: TrainingConfig,
    data: ImageData,
    *,
    end: float,
    tell: Callable[[list[dict[str, Any]]], None],
) -> Trained:
    """Trains as `keras_efgsm.runs.training.train` does, without its files.

    A checkpoint of all that a resume needs would take as long to write as an epoch to train.

    Args:
        config: the run.
        data: the images of the train split.
        end: when the last epoch must be over, as `time.perf_counter` has it: no epoch is begun
            that would end later.
        tell: called with the history after each epoch.

    Raises:
        ValueError: if the loss is not a number.
    """
    keras.utils.set_random_seed(config.seed)
    data, probe = whole_batches(config, data)
    trainer = build_trainer(config, data)
    stateful = stateful_callbacks(config, probe, verbose=False)
    history = History(tell)
    trainer.fit(
        training_dataset(data, config.batch_size, seed=config.seed),
        steps_per_epoch=steps_per_epoch(data, config.batch_size),
        epochs=config.epochs,
        shuffle=False,
        verbose=0,
        callbacks=[*stateful.values(), *momentum_callbacks(config), EndInTime(end), history],
    )
    stop = stateful["stop"].report() if "stop" in stateful else None
    return Trained(trainer, history.rows, stop, len(data))


class History(keras.callbacks.Callback):
    """Keeps a row for each epoch, as a run's `history.csv` has them.

    Args:
        tell: called with all rows after each epoch.
    """

    def __init__(self, tell: Callable[[list[dict[str, Any]]], None]):
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self._tell = tell
        self._begun = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        if logs["loss"] != logs["loss"]:
            raise ValueError(
                f"The training diverged in epoch {epoch + 1}: its loss is not a number. "
                f"Received: loss={logs['loss']}"
            )
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        seconds = round(time.perf_counter() - self._begun, 3)
        row = {"epoch": epoch + 1, "seconds": seconds, "learning_rate": rate, **logs}
        self.rows.append(row)
        self._tell(self.rows)


class EndInTime(keras.callbacks.Callback):
    """Ends training before an epoch that would not end in time.

    Args:
        end: as `time.perf_counter` has it.
    """

    def __init__(self, end: float):
        super().__init__()
        self.end = end
        self._begun = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        now = time.perf_counter()
        if now + (now - self._begun) > self.end:
            self.model.stop_training = True


def history_csv(rows: list[dict[str, Any]]) -> bytes:
    """The content of a run's `history.csv`."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        folder.write_history(rows)
        return folder.history.read_bytes()


def metrics_of(
    config: TrainingConfig,
    trained: Trained,
    natural_accuracy: float,
    test_images: int,
    class_names: tuple[str, ...],
) -> dict[str, Any]:
    """What a run's `metrics.json` holds.

    Args:
        config: the run.
        trained: its training.
        natural_accuracy: of the weights that come back.
        test_images: of how many images.
        class_names: names of the classes.
    """
    trainer = trained.trainer
    return {
        "natural_accuracy": natural_accuracy,
        "test_images": test_images,
        "train_images": trained.images,
        "epochs": len(trained.rows),
        "training_seconds": round(sum(row["seconds"] for row in trained.rows), 1),
        "stop": trained.stop,
        "parameters": {
            "classifier": trainer.classifier.count_params(),
            "reconstructor": trainer.reconstructor.count_params() if trainer.reconstructor else 0,
        },
        "momentum_bytes": trainer.momentum.nbytes if trainer.momentum else 0,
        "class_names": list(class_names),
        "versions": versions(),
        "hardware": hardware(),
        "seed": config.seed,
    }


def measure_step(config: TrainingConfig, steps: int, rates: Rates) -> Fitted:
    """Times steps of `fit` on random images, averaging of the weights included.

    Args:
        config: the run.
        steps: of a round.
        rates: learn what a step takes, and what it takes to compile the first one.

    Returns:
        The trainer, for more measurements.
    """
    begun = time.perf_counter()
    fitted = Fitted(config, random_data(config, max(2, steps) * config.batch_size), steps)
    first = time.perf_counter() - begun
    fitted.measure()
    averaging = [WeightAveraging(config.weight_averaging)] if config.weight_averaging else []
    # The first of these compiles the average.
    seconds = [fitted.run(averaging) for _ in range(2)]
    rates.learn("training", step_operations(fitted.trainer, config), seconds[1:])
    compiling = max(first - steps * fitted.step_seconds, 0.0)
    rates.learn_fixed("first step", compiling)
    # The next ones know its convolutions.
    rates.learn_fixed("step", min(compiling, rates.fixed["step"]))
    return fitted


def learn_start(rows: list[dict[str, Any]], rates: Rates) -> None:
    """Takes from a history what its first epoch took more than the others: compilation.

    Args:
        rows: of four epochs or more; from fewer, which vary by chance, nothing is learned.
        rates: learn it.
    """
    if len(rows) > 3:
        usual = statistics.median(row["seconds"] for row in rows[1:])
        rates.learn_fixed("step", rows[0]["seconds"] - usual)
