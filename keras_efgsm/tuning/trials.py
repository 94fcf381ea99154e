"""All trials of a search: read from their folders, ranked, as JSON and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from keras_efgsm.checks import visible
from keras_efgsm.printing import ResultTable
from keras_efgsm.records import EvaluationRecord, TrialMeasurementRecord, TrialsRecord
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.records.search import TrialRow
from keras_efgsm.records.wording import number, percent, radius, seconds
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.search_options import SearchOptions
from keras_efgsm.tuning.search_space import values_of


@dataclass(frozen=True)
class TrialRecord:
    """A trial, read from its folder.

    Args:
        number: its name, such as `"07"`.
        status: keras-tuner's: `"COMPLETED"`, `"FAILED"`, or `"RUNNING"` if it was cut off.
        values: value by name of the hyperparameters.
        metrics: `robust_accuracy`, `natural_accuracy`, `training_seconds`, `attack_seconds`,
            `epochs`; empty unless completed.
        evaluation: the attack and its budget; None unless completed.
        stop: when and why the overfitting stop fired.
        failure: what went wrong; None unless it failed.
        goes_on_from: the trial of Hyperband whose weights it began with; None for a fresh one.
    """

    number: str
    status: str
    values: dict[str, float]
    metrics: dict[str, float]
    evaluation: EvaluationRecord | None = None
    stop: dict[str, Any] | None = None
    failure: str | None = None
    goes_on_from: str | None = None

    @property
    def completed(self) -> bool:
        """Whether it has a result."""
        return self.status == "COMPLETED"

    @property
    def robust_accuracy(self) -> float:
        """Share of the validation images that withstood, in [0, 1]."""
        return self.metrics["robust_accuracy"]

    @property
    def natural_accuracy(self) -> float:
        """Share of the clean validation images that are classified correctly, in [0, 1]."""
        return self.metrics["natural_accuracy"]


def read_trials(folder: SearchFolder, options: SearchOptions) -> list[TrialRecord]:
    """The trials that lie in a search's folder, in their order.

    Args:
        folder: the search's folder.
        options: the search.
    """
    records = []
    for path in folder.path.glob("trials/trial_*/trial.json"):
        try:
            records.append(_read_trial(folder, path, options))
        except (KeyError, TypeError, IndexError, AttributeError, UnicodeError) as error:
            raise ValueError(
                "A trial.json must be as keras-tuner wrote it; remove the folder of the trial "
                f"({type(error).__name__}: {error}). Received: path={str(path)!r}"
            ) from error
    return sorted(records, key=lambda record: int(record.number))


def _read_trial(folder: SearchFolder, path: Path, options: SearchOptions) -> TrialRecord:
    trial = folder.read_json(path)
    file = path.with_name("measured.json")
    measured = TrialMeasurementRecord.read(file) if file.exists() else None
    failure = path.with_name("failure.txt")
    values = trial["hyperparameters"]["values"]
    completed = trial["status"] == "COMPLETED"
    metrics = {
        name: metric["observations"][-1]["value"][0]
        for name, metric in trial["metrics"]["metrics"].items()
    }
    reason = None
    if trial["status"] == "FAILED":
        reason = failure.read_text().strip() if failure.exists() else trial["message"]
    int(trial["trial_id"])
    return TrialRecord(
        number=trial["trial_id"],
        status=trial["status"],
        values={name: values[name] for name in options.ranges},
        metrics=metrics if completed else {},
        evaluation=measured.evaluation if completed and measured else None,
        stop=measured.stop.to_dict() if completed and measured and measured.stop else None,
        failure=visible(reason) if reason else reason,
        goes_on_from=values.get("tuner/trial_id"),
    )


def best_first(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Completed trials by robust accuracy, then natural accuracy."""
    completed = [trial for trial in trials if trial.completed]
    return sorted(
        completed, key=lambda trial: (-trial.robust_accuracy, -trial.natural_accuracy, trial.number)
    )


def pareto_front(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Completed trials that no other beats in one accuracy without losing in the other.

    Returns:
        The front, from the most robust to the most accurate.
    """
    front: list[TrialRecord] = []
    for trial in best_first(trials):
        if not front or trial.natural_accuracy > front[-1].natural_accuracy:
            front.append(trial)
    return front


def is_preset(trial: TrialRecord, options: SearchOptions) -> bool:
    """Whether a trial has the values of the run that the search began with."""
    return trial.values == values_of(options.config, options.ranges)


def write_trials(folder: SearchFolder, options: SearchOptions) -> list[TrialRecord]:
    """Writes `trials.json`: every trial, the attack that measured it, versions and hardware.

    Args:
        folder: the search's folder.
        options: the search.

    Returns:
        The trials.
    """
    trials = read_trials(folder, options)
    front = {trial.number for trial in pareto_front(trials)}
    ranked = best_first(trials)
    evaluations = [trial.evaluation for trial in ranked if trial.evaluation]
    record = TrialsRecord(
        search=options.to_dict(),
        measured_by=evaluations[0].measured_with() if evaluations else None,
        trials=tuple(_row(trial, options, trial.number in front) for trial in trials),
        best=ranked[0].number if ranked else None,
        versions=versions("keras-tuner", "scikit-learn"),
        hardware=hardware(),
    )
    record.write(folder.trials)
    return trials


def _row(trial: TrialRecord, options: SearchOptions, on_front: bool) -> TrialRow:
    attacks = trial.evaluation.attacks if trial.evaluation else ()
    return TrialRow.from_dict(
        {
            "trial": trial.number,
            "status": trial.status,
            "values": trial.values,
            **trial.metrics,
            "attacks": {attack.name: attack.robust_accuracy for attack in attacks},
            "on_pareto_front": on_front,
            "is_preset": is_preset(trial, options),
            "goes_on_from": trial.goes_on_from,
            "stop": trial.stop,
            "failure": trial.failure,
        }
    )


def attacks_in_words(evaluation: EvaluationRecord) -> str:
    """The attacks, their budget, the images and the seed of an evaluation, in a line.

    Args:
        evaluation: of a trial.
    """
    first = evaluation.attacks[0]
    return (
        f"{', '.join(attack.in_words for attack in evaluation.attacks)}, epsilon "
        f"{radius(first.epsilon, first.norm)}, {number(evaluation.num_images)} "
        f"{evaluation.split} images, attack seed {first.seed}"
    )


def trials_table(trials: Sequence[TrialRecord], options: SearchOptions) -> Table:
    """The trials as a `rich` table, best first.

    Args:
        trials: all of them.
        options: the search.
    """
    front = {trial.number for trial in pareto_front(trials)}
    ranked = best_first(trials)
    others = [trial for trial in trials if not trial.completed]
    measured = next((attacks_in_words(t.evaluation) for t in ranked if t.evaluation), "")
    table = ResultTable(
        title=f"{len(ranked)} trials of {options.config.method} on {options.config.dataset}",
        caption=f"robust: {measured}. * on the Pareto front of robust and natural accuracy.",
    )
    table.add_column("trial", justify="right")
    for name in (*(n.replace("_", " ") for n in options.ranges), "robust", "natural", "time"):
        table.add_column(name, justify="right")
    table.add_column("")
    for trial in (*ranked, *others):
        values = [f"{trial.values[name]:.4g}" for name in options.ranges]
        marks = ["preset"] if is_preset(trial, options) else []
        if trial.goes_on_from:
            marks.append(f"from {trial.goes_on_from}")
        if trial.stop and trial.stop["fired"]:
            marks.append(f"stopped in epoch {trial.stop['epoch']}")
        if trial.completed:
            figures = [
                f"{percent(trial.robust_accuracy)}{'*' if trial.number in front else ' '}",
                percent(trial.natural_accuracy),
                seconds(trial.metrics["training_seconds"] + trial.metrics["attack_seconds"]),
            ]
        else:
            figures = ["", "", ""]
            marks.append(f"{trial.status.lower()}: {trial.failure}"[:60] if trial.failure else
                         "not finished")  # fmt: skip
        table.add_row(trial.number, *values, *figures, "; ".join(marks))
    return table
