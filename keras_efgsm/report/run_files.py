"""What a report is made of: the files of a run that was trained and evaluated."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_efgsm.report.markup import is_number
from keras_efgsm.runs.folder import RunFolder

_SCHEMAS = (1, 2)


@dataclass(frozen=True)
class ReportedRun:
    """A run as the report sees it.

    Args:
        name: what the page calls it.
        path: its folder.
        config: its options, as in `config.json`.
        metrics: how training ended, as in `metrics.json`.
        evaluation: what was measured, as in `evaluation.json`.
        history: one dict of numbers per epoch; empty if there is no `history.csv`.
        diagnosis: the verdict on gradient masking; None if there is none.
        measured: what `measure_run` gave; None to leave its sections out.
    """

    name: str
    path: Path
    config: dict[str, Any]
    metrics: dict[str, Any]
    evaluation: dict[str, Any]
    history: list[dict[str, float]]
    diagnosis: dict[str, Any] | None = None
    measured: dict[str, Any] | None = None

    @property
    def strongest(self) -> dict[str, Any]:
        """The attack of the lowest accuracy."""
        return min(self.evaluation["attacks"], key=lambda attack: attack["robust_accuracy"])

    @property
    def worst_is_one_attack(self) -> bool:
        """Whether one attack, on fewer images, found more than all on all images did."""
        return self.strongest["robust_accuracy"] < self.evaluation["worst_case_accuracy"]

    @property
    def robust_accuracy(self) -> float:
        """The headline: the lowest share of images in [0, 1] that was found to withstand."""
        return min(self.strongest["robust_accuracy"], self.evaluation["worst_case_accuracy"])

    @property
    def epsilon(self) -> float:
        """Radius of the headline."""
        return self.strongest["epsilon"]

    @property
    def headline_attacks(self) -> list[dict[str, Any]]:
        """The attacks that the headline is the worst case of."""
        if self.worst_is_one_attack:
            return [self.strongest]
        count = self.evaluation["num_images"]
        return [a for a in self.evaluation["attacks"] if a.get("num_images", count) == count]


def read_run(path: str | Path, name: str | None = None) -> ReportedRun:
    """Reads the files of a run folder.

    Args:
        path: the folder.
        name: what the page calls the run. Defaults to the folder's name.

    Raises:
        ValueError: if it is no run, is not finished or not evaluated, or a file is damaged; the
            message names the command to run.
    """
    folder = RunFolder(path)
    received = f"Received: path={str(path)!r}"
    if not folder.path.is_dir() or not folder.config.exists():
        raise ValueError(
            "A report is made of run folders, as `keras-efgsm train` writes them, with a "
            f"config.json. {received}"
        )
    # Not as a `TrainingConfig`: a report is also made of runs of other versions of the library.
    config = _read_json(folder.config, "A run folder must hold a readable config.json", received)
    if not isinstance(config.get("dataset"), str):
        raise ValueError(f"config.json must name the run's dataset. {received}")
    if not folder.classifier.exists() or not folder.metrics.exists():
        raise ValueError(
            "The run must be finished; continue it with `keras-efgsm train PRESET --resume --out "
            f"{folder.path}` and the options it was begun with. {received}"
        )
    again = f"`keras-efgsm evaluate {folder.path}`"
    if not folder.evaluation.exists():
        raise ValueError(f"The run must be evaluated; run {again} first. {received}")
    metrics = _read_json(folder.metrics, "metrics.json must be as training wrote it", received)
    evaluation = _read_json(folder.evaluation, f"evaluation.json is damaged; run {again}", received)
    _check_evaluation(evaluation, f"Run {again} again. {received}")
    diagnosis_path = folder.path / "diagnosis.json"
    diagnosis = None
    if diagnosis_path.exists():
        diagnosis = _read_json(
            diagnosis_path,
            f"diagnosis.json is damaged; run `keras-efgsm diagnose {folder.path}`",
            received,
        )
    return ReportedRun(
        name=name or folder.path.resolve().name,
        path=folder.path,
        config=config,
        metrics=metrics,
        evaluation=evaluation,
        history=_read_history(folder, received),
        diagnosis=diagnosis,
    )


def _read_json(path: Path, expected: str, received: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{expected} ({error}). {received}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{expected} (it holds no JSON object). {received}")
    return content


def _check_evaluation(evaluation: dict[str, Any], advice: str) -> None:
    """Checks what the headline depends on; a report must not be more certain than its figures."""

    def check(is_right: bool, what: str) -> None:
        if not is_right:
            raise ValueError(f"evaluation.json must have {what}. {advice}")

    def is_share(value: Any) -> bool:
        return is_number(value) and 0 <= value <= 1

    check(evaluation.get("schema") in _SCHEMAS, f"a schema of {_SCHEMAS}")
    check(is_share(evaluation.get("natural_accuracy")), "a natural_accuracy in [0, 1]")
    check(is_share(evaluation.get("worst_case_accuracy")), "a worst_case_accuracy in [0, 1]")
    count = evaluation.get("num_images")
    check(isinstance(count, int) and count > 0, "a num_images above 0")
    attacks = evaluation.get("attacks")
    check(isinstance(attacks, list) and len(attacks) > 0, "one attack or more")
    for attack in attacks:
        check(isinstance(attack, dict) and isinstance(attack.get("name"), str), "named attacks")
        check(is_share(attack.get("robust_accuracy")), "a robust_accuracy in [0, 1] of each attack")
        check(
            is_number(attack.get("epsilon")) and attack["epsilon"] > 0, "an epsilon of each attack"
        )
    same = [a["robust_accuracy"] for a in attacks if a.get("num_images", count) == count]
    check(
        evaluation["worst_case_accuracy"] <= min(same, default=1.0) + 1e-6,
        "a worst_case_accuracy no higher than that of an attack on the same images",
    )


def _read_history(folder: RunFolder, received: str) -> list[dict[str, float]]:
    try:
        return folder.read_history() if folder.history.exists() else []
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise ValueError(
            f"history.csv must hold one line of numbers per epoch ({error}). {received}"
        ) from error
