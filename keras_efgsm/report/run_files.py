"""The files that a report reads from a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_efgsm.checks import NORMS, check_norm, visible
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.records import (
    DiagnosisRecord,
    EvaluationRecord,
    HistoryRecord,
    MetricsRecord,
    NewerSchemaError,
    RecordError,
    RobustnessCurveRecord,
    UniversalRecord,
    read_json,
)
from keras_efgsm.records.part import Part
from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.records.wording import data_name, number
from keras_efgsm.runs.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class _ConfigPart(Part):
    """What a report reads of config.json, of whichever version of the library."""

    dataset: str
    epsilon: float | None = None
    norm: str | None = None
    method: str | None = None
    reconstructor: str | None = None
    data_dir: str | None = None
    image_size: tuple[int, ...] | None = None
    channels: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class ReportedRun:
    """A run as the report sees it.

    Args:
        name: what the page calls it.
        path: its folder.
        config: its options, as in `config.json`.
        metrics: how training ended.
        evaluation: what was measured, under one attack or more.
        history: one dict of numbers per epoch; empty if there is no `history.csv`.
        diagnosis: the verdict on gradient masking; None if there is none.
        measured: what `measure_run` gave; None to leave its sections out.
        universal: one perturbation for all images; None if there is none.
        curve: what was evaluated at several radii; None if there is none.
    """

    name: str
    path: Path
    config: dict[str, Any]
    metrics: MetricsRecord
    evaluation: EvaluationRecord
    history: Sequence[dict[str, float]]
    diagnosis: DiagnosisRecord | None = None
    measured: MeasuredPart | None = None
    universal: UniversalRecord | None = None
    curve: RobustnessCurveRecord | None = None

    @property
    def norm(self) -> str:
        """The norm of the ball of the headline."""
        return self.evaluation.norm

    @property
    def epsilon(self) -> float:
        """Radius of the headline."""
        epsilon = self.evaluation.strongest.epsilon
        assert epsilon is not None, "checked by `read_run`"
        return epsilon

    @property
    def data(self) -> str:
        """The data set and split of the evaluation."""
        figures = self.evaluation
        return data_name(figures.dataset or self.config["dataset"], figures.split or "test")

    @property
    def method(self) -> str:
        """The training method in words."""
        name = self.config.get("method")
        if name is None:
            # A run of before there were others.
            return "eFGSM with re-constructor" if self.config.get("reconstructor") else "eFGSM"
        return METHODS[name].title if name in METHODS else str(name)

    @property
    def has_reconstructor(self) -> bool:
        """Whether one was trained, as far as the method is known."""
        name = self.config.get("method")
        return METHODS[name].has_reconstructor if name in METHODS else True

    @property
    def seeds(self) -> str:
        """The seeds of the headline's attacks, each once."""
        attacks = self.evaluation.headline_attacks
        return ", ".join(dict.fromkeys(number(attack.seed) for attack in attacks))


def read_run(path: str | Path, name: str | None = None, norm: str | None = None) -> ReportedRun:
    """Reads the files of a run folder.

    Args:
        path: the folder.
        name: what the page calls the run. Defaults to the folder's name.
        norm: of the figures, see `checks.NORMS`: those of another than the training's lie beside
            its own. Defaults to that of the training.

    Raises:
        ValueError: if it is not a run, is not finished or not evaluated, or a file is damaged; the
            message names the command to run.
    """
    if norm is not None:
        check_norm(norm)
    folder = RunFolder(path)
    received = f"Received: path={str(path)!r}"
    if not folder.path.is_dir() or not folder.config.exists():
        raise ValueError(
            "A report is made of run folders, as `keras-efgsm train` writes them, with a "
            f"config.json. {received}"
        )
    # Not as a `TrainingConfig`: a report is also made of runs of other versions of the library.
    config = _read(read_json, folder.config, "A run folder must hold a readable config.json", path)
    if not isinstance(config, dict) or not isinstance(config.get("dataset"), str):
        raise ValueError(f"config.json must name the run's dataset. {received}")
    try:
        _ConfigPart.from_dict(config)
    except RecordError as error:
        raise ValueError(f"config.json is damaged ({error.reason}). {received}") from error
    if not folder.classifier.exists() or not folder.metrics.exists():
        raise ValueError(
            "The run must be finished; continue it with `keras-efgsm train PRESET --resume --out "
            f"{folder.path}` and the options it was begun with. {received}"
        )
    own = norm_of(config)
    options = "" if norm in (None, own) else f" --norm {norm} --epsilon RADIUS"

    def file_of(path: Path) -> Path:
        return path if norm in (None, own) else RunFolder.of_norm(path, str(norm))

    again = f"`keras-efgsm evaluate {folder.path}{options}`"
    figures = file_of(folder.evaluation)
    if not figures.exists():
        raise ValueError(f"The run must be evaluated; run {again} first. {received}")
    damaged = f"{figures.name} is damaged; run {again}"
    evaluation = _read(EvaluationRecord.read, figures, damaged, path)
    if not evaluation.attacks or any(attack.epsilon is None for attack in evaluation.attacks):
        raise ValueError(
            f"{figures.name} must have one attack or more, each with its epsilon; run {again} "
            f"again. {received}"
        )
    if norm not in (None, evaluation.norm):
        raise ValueError(
            f"{figures.name} must hold figures of the norm {norm}, but holds those of "
            f"{evaluation.norm}; run {again} again. {received}, norm={norm!r}"
        )
    file = file_of(folder.path / "diagnosis.json")
    damaged = f"{file.name} is damaged; run `keras-efgsm diagnose {folder.path}{options}`"
    diagnosis = _read(DiagnosisRecord.read, file, damaged, path) if file.exists() else None
    file = folder.path / "universal.json"
    damaged = f"universal.json is damaged; run `keras-efgsm universal {folder.path}`"
    universal = _read(UniversalRecord.read, file, damaged, path) if file.exists() else None
    file = file_of(folder.path / RobustnessCurveRecord.NAME)
    damaged = f"{file.name} is damaged; run `keras-efgsm evaluate {folder.path} --epsilon 0,A,B`"
    curve = _read(RobustnessCurveRecord.read, file, damaged, path) if file.exists() else None
    history = HistoryRecord(rows=())
    if folder.history.exists():
        damaged = "history.csv must hold one line of numbers per epoch"
        history = _read(HistoryRecord.read, folder.history, damaged, path)
    damaged = "metrics.json must be as training wrote it"
    return ReportedRun(
        name=visible(name or folder.path.resolve().name),
        path=folder.path,
        config=config,
        metrics=_read(MetricsRecord.read, folder.metrics, damaged, path),
        evaluation=evaluation,
        history=history.rows,
        diagnosis=diagnosis,
        universal=universal,
        curve=curve,
    )


def norm_of(config: Mapping[str, Any]) -> str:
    """The norm of a training's ball, of whichever version of the library.

    Args:
        config: its options, as in `config.json`.
    """
    options = config.get("method_options")
    given = config.get("norm") or (options.get("norm") if isinstance(options, dict) else None)
    return given if given in NORMS else "linf"


def _read(read: Callable[[Path], Any], file: Path, damaged: str, path: str | Path) -> Any:
    received = f"Received: path={str(path)!r}"
    try:
        return read(file)
    except NewerSchemaError as error:
        raise ValueError(f"{error.reason}. {received}") from error
    except RecordError as error:
        raise ValueError(f"{damaged} ({error.reason}). {received}") from error
    except OSError as error:
        raise ValueError(f"{damaged} ({error}). {received}") from error
