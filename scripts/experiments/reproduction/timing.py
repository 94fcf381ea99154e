"""Seconds of an epoch of Madry's and TRADES's training on the networks of their own papers."""

import dataclasses
import statistics
import time
from typing import Any

import keras

from experiments.reproduction.measuring import Measurements
from experiments.reproduction.rows import Row
from keras_efgsm.data import ImageData, steps_per_epoch, training_dataset
from keras_efgsm.networks import CLASSIFIERS
from keras_efgsm.recipes.building import build_trainer

# By row; those of CIFAR-10 are timed by `profile_step.py`, as one step of Madry's on WRN-34-10
# takes a CPU longer than all the rest.
OWN_NETWORKS = {
    "mnist": {"ours": "mnist", "madry": "mnist-madry", "trades": "mnist-trades"},
    "cifar10": {},
}


class StepWatch(keras.callbacks.Callback):
    """Seconds of every step."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch, logs=None):
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self._begun)


def time_own_networks(
    measurements: Measurements, rows: list[Row], data: ImageData, dataset: str, steps: int
) -> dict[str, Any]:
    """Epoch time of each row on its own paper's network, from the median of a few steps.

    Args:
        measurements: the results folder.
        rows: all rows.
        data: the training images.
        dataset: `"mnist"` or `"cifar10"`.
        steps: how many steps are timed, after two that are not.
    """
    configs = {
        row.name: dataclasses.replace(row.config, classifier=OWN_NETWORKS[dataset][row.name])
        for row in rows
        if row.name in OWN_NETWORKS[dataset]
    }

    def seconds_per_epoch(config) -> float:
        keras.utils.set_random_seed(config.seed)
        trainer = build_trainer(config, data)
        watch = StepWatch()
        trainer.fit(
            training_dataset(data, config.batch_size, seed=config.seed).repeat(),
            steps_per_epoch=steps + 2,
            shuffle=False,
            verbose=0,
            callbacks=[watch],
        )
        return statistics.median(watch.seconds[2:]) * steps_per_epoch(data, config.batch_size)

    def measure() -> dict[str, Any]:
        return {
            name: {
                "classifier": config.classifier,
                "parameters": CLASSIFIERS[config.classifier](
                    data.image_shape, data.num_classes
                ).count_params(),
                "seconds_per_epoch": seconds_per_epoch(config),
            }
            for name, config in configs.items()
        }

    key = {
        "steps": steps,
        "images": len(data),
        "options": {name: config.method_options for name, config in configs.items()},
    }
    return measurements.get("own-networks", key, measure)
