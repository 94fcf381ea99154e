"""The training run as a model of keras-tuner."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import keras_tuner
import numpy as np

from keras_efgsm.data import ImageData, steps_per_epoch, training_dataset
from keras_efgsm.evaluation import RobustnessReport, evaluate_robustness
from keras_efgsm.recipes.building import (
    build_trainer,
    hold_out_probe,
    momentum_callbacks,
    stateful_callbacks,
)
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.tuning.search_options import SearchOptions
from keras_efgsm.tuning.search_space import values_of, with_values

OBJECTIVE = keras_tuner.Objective("robust_accuracy", "max")
"""What a search maximises: the share of validation images that withstood every attack."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A training that was run and attacked.

    Args:
        metrics: `robust_accuracy` and `natural_accuracy` of the validation images in [0, 1],
            `training_seconds`, `attack_seconds` and `epochs`.
        report: the attack, with its budget, images and seed.
        stop: when and why the overfitting stop fired; None without one.
    """

    metrics: dict[str, float]
    report: RobustnessReport
    stop: dict[str, Any] | None


class RobustHyperModel(keras_tuner.HyperModel):  # type: ignore[misc]  # keras-tuner has no types
    """Trains as a run does and gives keras-tuner the robust accuracy that a real attack left.

    Hyperparameters are declared in `build`, which returns a compiled `AdversarialTrainer`. `fit`
    trains it through `AdversarialTrainer.fit` with the run's own data pipeline, weight averaging
    and overfitting stop, then attacks images that were held out of the train split. Neither the
    test split nor the images of the stop's probe are among them, and the margins of the training,
    which a bad choice of hyperparameters can raise, are not asked.

    The learning rate falls to zero over the epochs of a trial. The per-sample momentum Gamma
    begins at zero in each trial and is in none of its files. So it does where a trial of Hyperband
    goes on from the weights of an earlier one: weights, Adam's averages and the step counter, and
    with it learning rate and order of the data, go on; Gamma starts anew and needs an epoch
    until every sample has a sign again.

    Args:
        options: what is searched and how it is measured.
        train: images to train on. Defaults to those of `options.load_data()`.
        validation: images to attack. Defaults to those of `options.load_data()`.
        callbacks: Keras callbacks of every training. Defaults to none.

    Example:

    ```python
    config = PRESETS["digits"]
    model = RobustHyperModel(SearchOptions(config, make_ranges(config, ["lambda", "sigma"])))
    keras_tuner.RandomSearch(model, objective=OBJECTIVE, max_trials=5).search()
    ```
    """

    def __init__(
        self,
        options: SearchOptions,
        train: ImageData | None = None,
        validation: ImageData | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ):
        super().__init__(name="robust", tunable=True)
        if train is None or validation is None:
            train, validation = options.load_data()
        self.options = options
        self.train = train
        self.validation = validation
        self.callbacks = list(callbacks)
        self.measured: Measured | None = None

    def config_for(
        self, values: Mapping[str, Any], epochs: int | None = None, seed: int | None = None
    ) -> TrainingConfig:
        """The training run of some hyperparameters.

        Args:
            values: value by name; names of keras-tuner's own are left out.
            epochs: Defaults to `tuner/epochs` of Hyperband, else to those of the search.
            seed: Defaults to that of the search.
        """
        chosen = {name: values[name] for name in self.options.ranges if name in values}
        return replace(
            with_values(self.options.config, chosen),
            epochs=epochs or values.get("tuner/epochs") or self.options.trial_epochs,
            seed=self.options.seed if seed is None else seed,
        )

    def build(self, hp: keras_tuner.HyperParameters) -> AdversarialTrainer:
        """Declares the hyperparameters and builds the trainer of their values."""
        presets = values_of(self.options.config, self.options.ranges)
        for name, bounds in self.options.ranges.items():
            hp.Float(
                name,
                bounds.low,
                bounds.high,
                sampling="log" if bounds.log else "linear",
                default=min(max(presets[name], bounds.low), bounds.high),
            )
        return self.make_trainer(self.config_for(hp.values))

    def make_trainer(self, config: TrainingConfig) -> AdversarialTrainer:
        """A fresh trainer of a run, its momentum empty.

        Args:
            config: the run.
        """
        keras.utils.set_random_seed(config.seed)
        return build_trainer(config, hold_out_probe(config, self.train)[0])

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: AdversarialTrainer,
        *args: Any,
        callbacks: list[keras.callbacks.Callback] | None = None,
        initial_epoch: int | None = None,
        verbose: str | int = "auto",
        **kwargs: Any,
    ) -> dict[str, float]:
        """Trains and attacks; gives the metrics of `Measured`."""
        if initial_epoch is None:
            initial_epoch = hp.values.get("tuner/initial_epoch") or 0
        self.measured = self.measure(
            self.config_for(hp.values), model, initial_epoch, callbacks or [], verbose
        )
        return self.measured.metrics

    def measure(
        self,
        config: TrainingConfig,
        trainer: AdversarialTrainer,
        initial_epoch: int = 0,
        callbacks: list[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
    ) -> Measured:
        """Trains a run and attacks the validation images.

        Args:
            config: the run.
            trainer: its trainer, as `build` gives it.
            initial_epoch: where training goes on. Defaults to the start.
            callbacks: more of them. Defaults to none.
            verbose: as in `keras.Model.fit`. Defaults to `"auto"`.

        Raises:
            keras_tuner.errors.FailedTrialError: if training ends in numbers that are not finite.
        """
        train, probe = hold_out_probe(config, self.train)
        own = stateful_callbacks(config, probe, verbose=verbose != 0)
        begun = time.perf_counter()
        history = trainer.fit(
            training_dataset(
                train, config.batch_size, seed=config.seed, initial_epoch=initial_epoch
            ),
            epochs=config.epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch(train, config.batch_size),
            callbacks=[
                *own.values(),
                *momentum_callbacks(config),
                keras.callbacks.TerminateOnNaN(),
                *self.callbacks,
                *(callbacks or []),
            ],
            shuffle=False,
            verbose=verbose,
        )
        seconds = time.perf_counter() - begun
        if not _is_finite(trainer, history.history.get("loss", [])):
            raise keras_tuner.errors.FailedTrialError(
                "The training ended in numbers that are not finite."
            )
        report = evaluate_robustness(
            trainer.classifier,
            self.validation,
            self.options.make_attacks(),
            cascade=self.options.cascade,
            seed=self.options.seed,
            split="validation",
            progress=verbose != 0,
        )
        metrics = {
            "robust_accuracy": report.worst_case_accuracy,
            "natural_accuracy": report.natural_accuracy,
            "training_seconds": round(seconds, 2),
            "attack_seconds": round(report.seconds, 2),
            "epochs": float(len(history.epoch)),
        }
        return Measured(metrics, report, own["stop"].report() if "stop" in own else None)


def _is_finite(trainer: AdversarialTrainer, losses: list[float]) -> bool:
    weights = trainer.classifier.get_weights()
    return all(map(math.isfinite, losses)) and all(np.isfinite(w).all() for w in weights)
