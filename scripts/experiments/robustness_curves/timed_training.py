"""Trains for given seconds, and keeps the averaged weights at parts of them."""

import dataclasses
import io
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.data import ImageData, training_dataset
from keras_efgsm.recipes.building import build_trainer, make_optimizer
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import read_json
from keras_efgsm.records.environment import hardware, versions

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long a method trains, by which clock, and when its weights are kept.

    Args:
        seconds: of training.
        clock: a name in `CLOCKS`.
        marks: parts of the training, in (0, 1], after each of which the weights are kept.
        warmup: share of the training over which epsilon rises.
        rise: share over which the learning rate rises before it falls to zero.
    """

    seconds: float
    clock: str
    marks: tuple[float, ...]
    warmup: float
    rise: float


class Trained:
    """A training that was made, in two files of its folder: what it was, and its weights.

    Args:
        folder: of trainings.
        label: of this one, `METHOD-seedN`.
    """

    def __init__(self, folder: Path, label: str):
        self.facts, self.weights = folder / f"{label}.json", folder / f"{label}.npz"

    def read(self, expected: dict[str, Any]) -> dict[str, Any] | None:
        """What it was; None if it has not been made.

        Raises:
            ValueError: if it was made with another recipe or for another time.
        """
        if not self.facts.exists():
            return None
        facts: dict[str, Any] = read_json(self.facts)
        # Through JSON, which has no tuples.
        if any(facts[key] != value for key, value in json.loads(json.dumps(expected)).items()):
            raise ValueError(
                "The folder holds a training with other options; give another `--runs`. "
                f"Received: runs={str(self.facts.parent)!r}, training there={self.facts.name!r}"
            )
        return facts

    def write(self, facts: dict[str, Any], snapshots: list[dict[str, Any]]) -> None:
        """Keeps it; the weights first, as the facts say that they are there."""
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        arrays = {
            f"{mark}-{number}": array
            for mark, taken in enumerate(snapshots)
            for number, array in enumerate(taken["weights"])
        }
        np.savez(buffer, **arrays)
        write_atomically(self.weights, buffer.getvalue())
        write_atomically(self.facts, json.dumps(facts, indent=2) + "\n")

    def weights_at(self, mark: int) -> list[np.ndarray]:
        """The averaged weights at a mark, by its number."""
        with np.load(self.weights) as arrays:
            own = [name for name in arrays.files if name.startswith(f"{mark}-")]
            return [arrays[name] for name in own]


class Snapshots(keras.callbacks.Callback):
    """Keeps the averaged weights after given steps, with the training seconds until then."""

    def __init__(self, averaging: WeightAveraging, steps: list[int], clock: str):
        super().__init__()
        self.clock = CLOCKS[clock]
        self.averaging = averaging
        self.steps = steps
        self.taken: list[dict[str, Any]] = []
        self._aside = 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = self.clock()
        if batch == 0:
            # The first step was traced; count it as long as the others.
            self._begun = now
            return
        if batch + 1 in self.steps:
            seconds = (now - self._begun - self._aside) * (batch + 1) / batch
            weights = self.averaging.get_state()["averages"]
            self.taken.append({"step": batch + 1, "seconds": seconds, "weights": weights})
            self._aside += self.clock() - now


def train_in_time(
    config: TrainingConfig, timing: Timing, data: ImageData
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Trains a configuration for its time.

    Args:
        config: what is trained; its epochs and schedule are the timing's.
        timing: how long.
        data: what it is trained on.

    Returns:
        A point for each mark, with seconds, steps and epochs, and its snapshot with the weights.
    """
    keras.utils.set_random_seed(config.seed)
    each = _seconds_per_step(config, data, min(5.0, timing.seconds / 10), timing.clock)
    total = max(len(timing.marks) + 1, round(timing.seconds / each))
    keras.utils.set_random_seed(config.seed)
    trainer = _make_trainer(config, data, total, timing.warmup, timing.rise)
    averaging = WeightAveraging(config.weight_averaging)
    marks = sorted({max(2, round(mark * total)) for mark in timing.marks})
    snapshots = Snapshots(averaging, marks, timing.clock)
    _fit(trainer, data, config, total, [averaging, snapshots])
    points = [
        {
            "seconds": taken["seconds"],
            "steps": taken["step"],
            "epochs": taken["step"] * config.batch_size / len(data),
        }
        for taken in snapshots.taken
    ]
    return points, snapshots.taken


def facts_of(config: TrainingConfig, timing: Timing) -> dict[str, Any]:
    """What a training is known by."""
    return {"config": config.to_dict(), "timing": dataclasses.asdict(timing)}


def measured_on_this_machine() -> dict[str, Any]:
    """Hardware and versions, beside seconds that hold on this machine alone."""
    return {"hardware": hardware(), "versions": versions()}


def _make_trainer(config: TrainingConfig, data: ImageData, steps: int, warmup: float, rise: float):
    """The method's trainer, its learning rate and epsilon laid out over so many steps."""
    trainer = build_trainer(config, data)
    updates = steps * trainer.attack.replays
    rise = min(max(1, round(rise * updates)), updates - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, updates - rise), warmup_target=config.learning_rate, warmup_steps=rise
    )
    trainer.epsilon_warmup_steps = round(warmup * updates)
    trainer.compile(make_optimizer(config, schedule))
    return trainer


def _fit(trainer, data: ImageData, config: TrainingConfig, steps: int, callbacks: list) -> None:
    """Trains for so many steps."""
    dataset = training_dataset(data, config.batch_size, seed=config.seed).repeat()
    trainer.fit(
        dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=callbacks
    )


def _seconds_per_step(
    config: TrainingConfig, data: ImageData, at_least: float, clock: str
) -> float:
    """Measured over at least so many seconds, on a trainer that is thrown away."""
    trainer = _make_trainer(config, data, 1000, 0.0, 0.5)
    steps = 3
    while True:
        watch = Snapshots(WeightAveraging(config.weight_averaging), [steps], clock)
        _fit(trainer, data, config, steps, [watch.averaging, watch])
        seconds = watch.taken[0]["seconds"]
        if seconds >= at_least:
            return seconds / steps
        steps = max(2 * steps, round(1.2 * steps * at_least / seconds))
