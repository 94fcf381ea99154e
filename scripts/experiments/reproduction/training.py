"""Trains the rows of the tables, each into a run folder; a finished one is left alone."""

import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.reproduction.rows import Row, Scale
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.training import train


@dataclasses.dataclass(frozen=True)
class TrainedRow:
    """A row trained with one seed.

    Args:
        row: the row.
        seed: of its weights, order and noise.
        folder: its run folder.
    """

    row: Row
    seed: int
    folder: RunFolder

    @property
    def config(self) -> TrainingConfig:
        """How it is trained."""
        return dataclasses.replace(self.row.config, seed=self.seed)

    @property
    def name(self) -> str:
        """As its results are called."""
        return f"{self.row.name}-seed{self.seed}"

    def metrics(self) -> dict[str, Any]:
        """How its training ended."""
        return self.folder.read_metrics()


def load_both(dataset: str, scale: Scale) -> tuple[ImageData, ImageData]:
    """Training and test images at a scale."""
    training, test = load_data(dataset, "train"), load_data(dataset, "test")
    if scale.train_images is not None:
        training = training.take(scale.train_images)
    return training, test


def plan_rows(rows: list[Row], scale: Scale, runs: Path) -> list[TrainedRow]:
    """The rows with their seeds and run folders, before anything is trained.

    Raises:
        ValueError: if a folder holds a run of another configuration.
    """
    planned = [
        TrainedRow(row, seed, RunFolder(runs / f"{row.name}-seed{seed}"))
        for row in rows
        for seed in row.seeds(scale)
    ]
    for one in planned:
        if one.folder.config.exists() and one.folder.read_config() != one.config:
            raise ValueError(
                "The run folder holds a run of another configuration; give other --runs, or "
                f"remove it. Received: {one.folder.path}"
            )
    return planned


def train_rows(
    planned: list[TrainedRow], data: tuple[ImageData, ImageData], console: Console
) -> None:
    """Trains what is not trained yet; an interrupted run is resumed at its last whole epoch."""
    for number, one in enumerate(planned, 1):
        if one.folder.metrics.exists():
            continue
        console.print(f"[{number}/{len(planned)}] training {one.name}: {one.config.method}")
        result = train(
            one.config,
            one.folder.path,
            resume=one.folder.config.exists(),
            train_data=data[0],
            test_data=data[1],
            verbose=0,
        )
        console.print(
            f"    natural {result.metrics['natural_accuracy']:.2%}, "
            f"{result.metrics['training_seconds']:.0f} s"
        )
