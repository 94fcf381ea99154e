"""keras-tuner's oracles, their files safe against a kill at any moment."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner
from keras_tuner.engine.trial import TrialStatus

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.records import read_json
from keras_efgsm.tuning.hypermodel import OBJECTIVE
from keras_efgsm.tuning.search_options import SearchOptions

_FINISHED = (TrialStatus.COMPLETED, TrialStatus.FAILED)


# `_SafeFiles` stands before an oracle among the bases of a class.
_Oracle: Any = keras_tuner.Oracle if TYPE_CHECKING else object


class _SafeFiles(_Oracle):  # type: ignore[misc]  # keras-tuner has no types
    """Writes whole files or none, and mends what a kill between two of them leaves.

    keras-tuner writes `trial.json` and `oracle.json` in turn and in place. Killed within a file it
    cannot be read; between the two, a finished trial would be run again, or a new one would be
    counted and never run. The first trial takes the run's own values, as what is to be beaten.
    """

    _retry_queue: list[str]

    def save(self) -> None:
        _write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        _write_json(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def reload(self) -> None:
        path = Path(self._get_oracle_fname())
        try:
            # keras-tuner takes what it finds.
            if path.exists() and not isinstance(read_json(path), dict):
                raise ValueError("it must be an object")
            super().reload()
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(
                f"The search cannot be continued: {path.name} or a trial.json of it is damaged "
                f"({type(error).__name__}: {error}); put back a copy, or search anew in another "
                f"folder. Received: path={str(path)!r}"
            ) from error
        waiting = set(self._retry_queue)
        for trial_id, trial in list(self.trials.items()):
            if trial.status in _FINISHED:
                waiting.discard(trial_id)
                if trial_id not in self.end_order:
                    self.end_order.append(trial_id)
            elif trial_id not in waiting:
                # Its number is given to the next one.
                del self.trials[trial_id]
        self._retry_queue = sorted(waiting, reverse=True)

    def _random_values(self) -> dict[str, Any] | None:
        if self.trials:
            values: dict[str, Any] | None = super()._random_values()
            return values
        return {hp.name: hp.default for hp in self.hyperparameters.space}


class RandomOracle(_SafeFiles, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]  # keras-tuner has no types
    """Values at random."""


class BayesianOracle(_SafeFiles, keras_tuner.oracles.BayesianOptimizationOracle):  # type: ignore[misc]  # keras-tuner has no types
    """Values where a Gaussian process over the trials so far expects, or cannot exclude, more."""


class HyperbandOracle(_SafeFiles, keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]  # keras-tuner has no types
    """Many short trials at random, of which the better ones are trained on for longer."""


def make_oracle(options: SearchOptions) -> keras_tuner.Oracle:
    """The oracle of a search.

    Args:
        options: the search.
    """
    shared = {
        "objective": OBJECTIVE,
        # keras-tuner takes 0 for none given and draws one.
        "seed": options.seed + 1,
        # It would end without writing down the last of them; `RobustTuner` counts by itself.
        "max_consecutive_failed_trials": 10**9,
    }
    if options.tuner == "hyperband":
        oracle = HyperbandOracle(max_epochs=options.epochs, factor=options.factor, **shared)
    else:
        kind = RandomOracle if options.tuner == "random" else BayesianOracle
        oracle = kind(max_trials=options.trials, **shared)
    oracle.verbose = 0
    return oracle


def _write_json(path: str | Path, state: dict[str, Any]) -> None:
    write_atomically(Path(path), json.dumps(state))
