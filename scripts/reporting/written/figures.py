"""Figures of results for the tables of the documentation, read from the committed files."""

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from keras_efgsm.records import EvaluationRecord, RobustModelRecord

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results"

DATA_SETS = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_jpeg75": "CIFAR-10 as JPEG",
}
"""Those that results are on, by their names here, as they are called."""


@cache
def load(path: str) -> Any:
    """The JSON of a file below `results/`.

    Args:
        path: such as `"mnist-threshold/adp/ablation.json"`.
    """
    return json.loads((RESULTS / path).read_text("utf-8"))


def summary(path: str, variant: str = "base") -> dict[str, Any]:
    """Means over seeds of a variant, of a file that `ablate.py` wrote.

    Args:
        path: below `results/`.
        variant: of its table. Defaults to `"base"`.
    """
    found = load(path)
    rows = found["summary"] if isinstance(found, dict) else found
    return next(row for row in rows if row["variant"] == variant)


def seeds(path: str, value: str) -> list[float]:
    """A value of each run that `ablate.py` made, by seed.

    Args:
        path: below `results/`.
        value: its name in the file.
    """
    return [run[value] for _, run in sorted(load(path)["runs"].items())]


class Run(NamedTuple):
    """What one training reached.

    Attributes:
        metrics: its `metrics.json`.
        evaluation: its `evaluation.json`.
    """

    metrics: dict[str, Any]
    evaluation: EvaluationRecord


def run(path: str) -> Run:
    """The run whose figures are in a folder below `results/`."""
    return Run(load(f"{path}/metrics.json"), evaluation(f"{path}/evaluation.json"))


def evaluation(path: str) -> EvaluationRecord:
    """An evaluation below `results/`."""
    return EvaluationRecord.read(RESULTS / path)


def packaged(name: str) -> RobustModelRecord:
    """The record of a robust model that comes with the package."""
    return RobustModelRecord.read(ROOT / "keras_efgsm/pretrained/models" / name / "model.json")


def accuracy_after(record: EvaluationRecord, attack: str) -> float:
    """The worst case over an attack of a cascade and those before it."""
    return next(found.robust_accuracy for found in record.attacks if found.name == attack)
