"""keras-tuner's loop over the trials, with what long searches need."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.callbacks.remaining_time import describe_duration, seconds_left
from keras_efgsm.checks import raise_interrupt_behind
from keras_efgsm.progress_bar import titled
from keras_efgsm.records import StopRecord, TrialMeasurementRecord, read_json
from keras_efgsm.records.wording import percent, seconds
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.tuning.hypermodel import RobustHyperModel
from keras_efgsm.tuning.oracles import make_oracle
from keras_efgsm.tuning.search_failed import SearchFailed

# Once so many have failed and none was completed, the rest would fail as well.
_HOPELESS = 3


class RobustTuner(keras_tuner.Tuner):  # type: ignore[misc]  # keras-tuner has no types
    """Runs the trials of a search, each into a folder of its own below `out`.

    `trial_N` holds keras-tuner's `trial.json`, `measured.json` with the attack and what it left,
    `checkpoint.weights.h5` with the networks and the optimizer, or `failure.txt` with the error.
    A trial that failed is written down and the search goes on. The momentum Gamma is in none of
    these files.

    Args:
        hypermodel: what is trained and measured.
        out: the search's folder. A search that is there is continued.
        verbose: as in `keras.Model.fit`. Defaults to `"auto"`.

    Raises:
        SearchFailed: if the first trials all fail.
    """

    def __init__(self, hypermodel: RobustHyperModel, out: str | Path, verbose: str | int = "auto"):
        out = Path(out)
        self._verbose = verbose
        self._trial_seconds: list[float] = []
        super().__init__(
            make_oracle(hypermodel.options),
            hypermodel,
            directory=str(out),
            project_name="trials",
            overwrite=False,
        )

    # The oracle's file is all the state there is: keras-tuner's own file of the tuner comes into
    # being after the first trial only, and has another name with workers than without.

    def _get_tuner_fname(self) -> str:
        name = "no-file-of-a-worker" if self._is_worker() else "oracle.json"
        return os.path.join(str(self.project_dir), name)

    def save(self) -> None:
        if not self._is_worker():
            self.oracle.save()

    def reload(self) -> None:
        self.oracle.reload()

    def on_search_begin(self) -> None:
        self.save()

    def on_trial_begin(self, trial: Trial) -> None:
        values = trial.hyperparameters.values
        chosen = ", ".join(f"{name} {values[name]:.4g}" for name in self._names)
        epochs = values.get("tuner/epochs", self.hypermodel.options.epochs)
        print(f"trial {trial.trial_id}: {chosen}; epochs {epochs}", flush=True)

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> dict[str, float]:
        folder = Path(self.get_trial_dir(trial.trial_id))
        folder.mkdir(parents=True, exist_ok=True)
        failure = folder / "failure.txt"
        failure.unlink(missing_ok=True)
        hp = trial.hyperparameters
        began = time.perf_counter()
        try:
            trainer = self._try_build(hp)
            if hp.values.get("tuner/trial_id"):
                self._go_on_from(hp.values["tuner/trial_id"], trainer)
                trainer.reset_momentum()
            with titled(f"trial {trial.trial_id}{self._of_all('/')}"):
                metrics: dict[str, float] = self.hypermodel.fit(hp, trainer, verbose=self._verbose)
            self._save_weights(trainer, folder)
            self._write_measured(folder, hp)
        except Exception as error:
            raise_interrupt_behind(error)
            # The message of a worker's trial is not handed on to the chief.
            write_atomically(failure, f"{type(error).__name__}: {error}\n")
            raise
        self._trial_seconds.append(time.perf_counter() - began)
        print(
            f"trial {trial.trial_id}: robust {percent(metrics['robust_accuracy'])}, natural "
            f"{percent(metrics['natural_accuracy'])}, {seconds(metrics['training_seconds'])} of "
            f"training, {seconds(metrics['attack_seconds'])} of attack",
            flush=True,
        )
        return metrics

    def on_trial_end(self, trial: Trial) -> None:
        super().on_trial_end(trial)
        reason = (trial.message or "").strip().splitlines()[-1:]
        if trial.status != TrialStatus.COMPLETED:
            print(f"trial {trial.trial_id} failed: {''.join(reason)}", flush=True)
        scores, failed = self._outcomes()
        best = f"; best {percent(max(scores))}" if scores else ""
        done = len(scores) + failed
        print(f"{done}{self._of_all(' of ')} trials done{best}{self._left(done)}", flush=True)
        if failed >= _HOPELESS and not scores:
            raise SearchFailed(f"The first {failed} trials all failed; the last one: {reason[-1]}")

    def _of_all(self, between: str) -> str:
        """How many trials there will be; nothing where that is not known, as of Hyperband."""
        trials = self.hypermodel.options.trials
        return f"{between}{trials}" if trials else ""

    def _left(self, done: int) -> str:
        """How long the other trials will take, by those of this process."""
        left = (self.hypermodel.options.trials or 0) - done
        seconds_of_all = seconds_left(self._trial_seconds, left)
        return f"; about {describe_duration(seconds_of_all)} left" if seconds_of_all else ""

    def _outcomes(self) -> tuple[list[float], int]:
        """Scores of the completed trials and the number of failed ones, those of others too."""
        scores, failed = [], 0
        for path in Path(self.project_dir).glob("trial_*/trial.json"):
            trial = read_json(path)
            if not isinstance(trial, dict) or not {"status", "score"} <= trial.keys():
                raise ValueError(
                    f"A trial.json must be as keras-tuner wrote it. Received: path={str(path)!r}"
                )
            failed += trial["status"] == TrialStatus.FAILED
            if trial["status"] == TrialStatus.COMPLETED:
                scores.append(trial["score"])
        return scores, failed

    @property
    def _names(self) -> list[str]:
        return list(self.hypermodel.options.ranges)

    def _checkpoint(self, trial_id: str) -> Path:
        return Path(self.get_trial_dir(trial_id)) / "checkpoint.weights.h5"

    def _save_weights(self, trainer: AdversarialTrainer, folder: Path) -> None:
        partial = folder / "partial.weights.h5"
        try:
            trainer.save_weights(partial)
            os.replace(partial, folder / "checkpoint.weights.h5")
        finally:
            partial.unlink(missing_ok=True)

    def _go_on_from(self, trial_id: str, trainer: AdversarialTrainer) -> None:
        """Takes over weights, Adam's averages and the step counter; the momentum stays empty."""
        trainer.optimizer.build(trainer.trainable_variables)
        trainer.load_weights(self._checkpoint(trial_id))

    def _write_measured(self, folder: Path, hp: keras_tuner.HyperParameters) -> None:
        measured = self.hypermodel.measured
        record = TrialMeasurementRecord(
            values={name: hp.values[name] for name in self._names},
            metrics=measured.metrics,
            stop=StopRecord.from_dict(measured.stop) if measured.stop else None,
            evaluation=measured.report.record,
        )
        record.write(folder / "measured.json")

    def load_model(self, trial: Trial) -> AdversarialTrainer:
        trainer: AdversarialTrainer = self._try_build(trial.hyperparameters)
        self._go_on_from(trial.trial_id, trainer)
        return trainer


def remove_partial_files(out: Path) -> None:
    """Removes what a kill left under temporary names.

    Args:
        out: the search's folder.
    """
    for partial in out.glob("trials/trial_*/partial.weights.h5"):
        partial.unlink(missing_ok=True)
    for folder in out.glob("trials/trial_*"):
        if folder.is_dir() and not any(folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
