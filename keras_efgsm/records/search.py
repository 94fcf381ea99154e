"""The files of a search: its options, its trials and its finalists."""

from dataclasses import dataclass
from typing import Any, ClassVar

from keras_efgsm.records.data import DataRecord
from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.metrics import StopRecord
from keras_efgsm.records.part import Count, Part, Share
from keras_efgsm.records.record import Record


@dataclass(frozen=True, kw_only=True)
class SearchRecord(Record):
    """`search.json`: everything that the trials depend on; see `SearchOptions`.

    Args:
        config: the run whose hyperparameters are searched.
        ranges: ends and scale of each range, by hyperparameter.
        tuner: `"random"`, `"bayesian"` or `"hyperband"`.
        trials: how many are tried; None for Hyperband, which counts its own.
        epochs: of a trial.
        factor: of Hyperband.
        train_images: how many are trained on; None for all.
        validation_images: how many are held out and attacked; None for the default.
        attacks: what they are attacked with.
        attack_options: of `make_attacks`.
        seed: of all.
        data: what the images are known again by, `"train"` and `"validation"`. Not in files of
            earlier versions.
    """

    NAME: ClassVar[str] = "search.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"data"})

    config: dict[str, Any]
    ranges: dict[str, dict[str, Any]]
    tuner: str
    trials: Count | None
    epochs: Count
    factor: Count
    train_images: Count | None
    validation_images: Count | None
    attacks: str
    attack_options: dict[str, Any]
    seed: int
    data: dict[str, DataRecord] | None = None


@dataclass(frozen=True, kw_only=True)
class TrialMeasurementRecord(Record):
    """`measured.json` of a trial: the attack and what it left. The file has no schema number.

    Args:
        values: value by name of the hyperparameters.
        metrics: accuracies, seconds and epochs.
        stop: what the overfitting stop did; None without it.
        evaluation: of the attacks on the validation images.
    """

    NAME: ClassVar[str] = "measured.json"
    HAS_SCHEMA: ClassVar[bool] = False

    values: dict[str, float]
    metrics: dict[str, float]
    stop: StopRecord | None
    evaluation: EvaluationRecord


@dataclass(frozen=True, kw_only=True)
class TrialRow(Part):
    """A trial in `trials.json`.

    Args:
        trial: its name, such as `"07"`.
        status: keras-tuner's, such as `"COMPLETED"`.
        values: value by name of the hyperparameters.
        robust_accuracy: share of the validation images that withstood; None unless completed.
        natural_accuracy: share of the clean ones that are classified correctly.
        training_seconds: wall-clock time of the training.
        attack_seconds: wall-clock time of the attack.
        epochs: how many were trained.
        attacks: accuracy after each attack.
        on_pareto_front: whether no other trial beats it in one accuracy without losing in the
            other.
        is_preset: whether it has the values that the search began with.
        goes_on_from: the trial of Hyperband whose weights it began with.
        stop: what the overfitting stop did.
        failure: what went wrong.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset(
        {"robust_accuracy", "natural_accuracy", "training_seconds", "attack_seconds", "epochs"}
    )

    trial: str
    status: str
    values: dict[str, float]
    robust_accuracy: Share | None = None
    natural_accuracy: Share | None = None
    training_seconds: float | None = None
    attack_seconds: float | None = None
    epochs: float | None = None
    attacks: dict[str, Share]
    on_pareto_front: bool
    is_preset: bool
    goes_on_from: str | None
    stop: StopRecord | None
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class TrialsRecord(Record):
    """`trials.json`: all trials of a search.

    Args:
        search: the options of the search.
        measured_by: what was the same for all trials: attacks, budget, images and seed.
        trials: one row for each.
        best: the name of the best one; None if none was completed.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.

    Example:

    ```python
    TrialsRecord.read("searches/mnist/trials.json").best
    ```
    """

    NAME: ClassVar[str] = "trials.json"

    search: dict[str, Any]
    measured_by: dict[str, Any] | None
    trials: tuple[TrialRow, ...]
    best: str | None
    versions: dict[str, str]
    hardware: str


@dataclass(frozen=True, kw_only=True)
class FinalistRun(Part):
    """One training of a finalist.

    Args:
        trial: the trial that it repeats.
        seed: of this training.
        epochs: how many it was to have.
        values: value by name of the hyperparameters, to three digits.
        robust_accuracy: share of the validation images that withstood; 0 if it failed.
        natural_accuracy: share of the clean ones that are classified correctly; 0 if it failed.
        training_seconds: wall-clock time of the training; None if it failed.
        attack_seconds: wall-clock time of the attack; None if it failed.
        stop: what the overfitting stop did.
        failure: what went wrong.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"training_seconds", "attack_seconds"})

    trial: str
    seed: int
    epochs: Count
    values: dict[str, float]
    robust_accuracy: Share
    natural_accuracy: Share
    training_seconds: float | None = None
    attack_seconds: float | None = None
    stop: StopRecord | None = None
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class FinalistRow(Part):
    """The mean over the trainings of a finalist.

    Args:
        trial: the trial that was repeated.
        is_preset: whether it has the values that the search began with.
        values: value by name of the hyperparameters, to three digits.
        runs: how many trainings.
        robust_accuracy: their mean, in [0, 1].
        robust_accuracy_deviation: their standard deviation; None for one training.
        natural_accuracy: their mean, in [0, 1].
        robust_accuracy_in_search: what the trial had.
    """

    trial: str
    is_preset: bool
    values: dict[str, float]
    runs: Count
    robust_accuracy: Share
    robust_accuracy_deviation: float | None
    natural_accuracy: Share
    robust_accuracy_in_search: Share


@dataclass(frozen=True, kw_only=True)
class FinalistsRecord(Record):
    """`finalists.json`: the best trials again with other seeds.

    Args:
        epochs: of each training.
        seeds: of the trainings.
        runs: every training there is.
        finalists: their means, best first.
        best: the trial of the best mean.

    Example:

    ```python
    FinalistsRecord.read("searches/mnist/finalists.json").finalists[0].robust_accuracy
    ```
    """

    NAME: ClassVar[str] = "finalists.json"

    epochs: Count
    seeds: tuple[int, ...]
    runs: tuple[FinalistRun, ...]
    finalists: tuple[FinalistRow, ...]
    best: str | None
