"""The outcome of an evaluation: per image in memory, as JSON, and as a table."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from rich.table import Table

from keras_efgsm.attacks import Attack
from keras_efgsm.records import AttackRecord, EvaluationRecord, SingleDraws, wording
from keras_efgsm.records.wording import percent


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What one attack achieved.

    Args:
        name: the attack and its loss, such as `"pgd-cw"`.
        engine: whose implementation ran.
        loss: what it maximised; None for an attack without a choice.
        epsilon: L-infinity radius in pixels of [0, 1].
        steps: gradient steps of a round; None for an attack that takes none.
        step_size: in pixels of [0, 1]; None for an attack that chooses its own.
        rounds: how many runs make the attack, one for each target class.
        queries: how many candidates it asks for; None for an attack that goes by gradients.
        restarts: how often it started; 1 for an attack without randomness.
        random_start: whether it starts at a random point.
        seed: seed of its noise.
        robust: whether `(n,)` each image was classified correctly, clean and under every restart;
            in a cascade under the attacks before it as well.
        num_attacked: how many images it saw: in a cascade those that withstood the ones before.
        num_turned: how many of these it turned.
        seconds: wall-clock time, compilation included.
    """

    name: str
    engine: str
    loss: str | None
    epsilon: float
    steps: int | None
    step_size: float | None
    rounds: int
    queries: int | None
    restarts: int
    random_start: bool
    seed: int
    robust: np.ndarray
    num_attacked: int
    num_turned: int
    seconds: float

    @classmethod
    def of(
        cls,
        attack: Attack,
        *,
        name: str,
        engine: str,
        restarts: int,
        seed: int,
        start: np.ndarray,
        robust: np.ndarray,
        seconds: float,
    ) -> Self:
        """The result of an attack with its own settings.

        Args:
            attack: which was run.
            name: what the report calls it.
            engine: whose implementation ran.
            restarts: how often it started.
            seed: seed of its noise.
            start: whether `(n,)` each image was attacked.
            robust: whether `(n,)` each withstood.
            seconds: wall-clock time.
        """
        spent = attack.budget
        return cls(
            name=name,
            engine=engine,
            loss=attack.chosen_loss,
            epsilon=attack.epsilon,
            steps=spent.steps,
            step_size=spent.step_size,
            rounds=spent.rounds,
            queries=spent.queries,
            restarts=restarts,
            random_start=attack.starts_at_random,
            seed=seed,
            robust=robust,
            num_attacked=int(start.sum()),
            num_turned=int(start.sum() - robust.sum()),
            seconds=seconds,
        )

    @property
    def robust_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood; in a cascade, all attacks so far."""
        return float(self.robust.mean())

    @property
    def budget(self) -> str:
        """What it could spend on an image, such as `"100 steps x 9 targets"`."""
        return wording.budget(self)

    @property
    def record(self) -> AttackRecord:
        """The figures of this attack, as a file holds them."""
        return AttackRecord(
            name=self.name,
            engine=self.engine,
            loss=self.loss,
            epsilon=self.epsilon,
            steps=self.steps,
            step_size=self.step_size,
            rounds=self.rounds,
            queries=self.queries,
            restarts=self.restarts,
            random_start=self.random_start,
            num_images=len(self.robust),
            num_attacked=self.num_attacked,
            num_turned=self.num_turned,
            seed=self.seed,
            robust_accuracy=self.robust_accuracy,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures of this attack, ready for JSON."""
        return self.record.to_dict()


@dataclass(frozen=True, eq=False)
class RobustnessReport:
    """How a classifier withstood a set of attacks of one radius.

    Args:
        model: what was evaluated.
        dataset: name of the data set.
        split: which part of it.
        correct: whether `(n,)` each clean image was classified correctly.
        cascade: whether each attack saw only the images that withstood those before it.
        attacks: one result for each attack, over the same n images.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of the whole evaluation, before an interruption as well.
        state: the file by which it could be continued, which `write_json` removes. Defaults to
            none.
        twin: the classifier whose gradients stood in, see `StraightThrough`. Defaults to none.
        twin_agreement: the share of clean images that it and the model class alike. Defaults to
            none.
        selection: how the images were chosen of the data set: `"first"`, or `"by class, seed 0"`.
            Defaults to the first ones.
        images: SHA-256 of the images and labels. Defaults to none.
        missing: a warning of the classes that are not among the images. Defaults to none.
        eot: over how many draws every pass averaged; None for one. Defaults to none.
        doubts: sentences on why the figures are not to be trusted. Defaults to none.
        single_draws: how single draws of a randomised classifier decide on the images found, see
            `Spread`. Defaults to none.

    Example:

    ```python
    report = evaluate_robustness(classifier, (x, y), [PGD(epsilon=0.3)], progress=False)
    report.worst_case_accuracy, np.flatnonzero(~report.robust)
    ```
    """

    model: str
    dataset: str
    split: str
    correct: np.ndarray
    cascade: bool
    attacks: tuple[AttackResult, ...]
    versions: dict[str, str]
    hardware: str
    seconds: float
    state: Path | None = None
    twin: str | None = None
    twin_agreement: float | None = None
    selection: str = "first"
    images: str | None = None
    missing: str = ""
    eot: int | None = None
    doubts: tuple[str, ...] = ()
    single_draws: SingleDraws | None = None

    @property
    def robust(self) -> np.ndarray:
        """Whether `(n,)` each image withstood every attack."""
        held = [self.correct, *(attack.robust for attack in self.attacks)]
        robust: np.ndarray = np.logical_and.reduce(held)
        return robust

    @property
    def natural_accuracy(self) -> float:
        """Share of the clean images in [0, 1] that are classified correctly."""
        return float(self.correct.mean())

    @property
    def worst_case_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood every attack: the figure to report."""
        return float(self.robust.mean())

    @property
    def record(self) -> EvaluationRecord:
        """The report without the outcome of each image, as `evaluation.json` holds it."""
        return EvaluationRecord(
            model=self.model,
            twin=self.twin,
            twin_agreement=self.twin_agreement,
            eot=self.eot,
            doubts=self.doubts or None,
            single_draws=self.single_draws,
            dataset=self.dataset,
            split=self.split,
            num_images=len(self.correct),
            selection=self.selection,
            images=self.images,
            natural_accuracy=self.natural_accuracy,
            cascade=self.cascade,
            attacks=tuple(attack.record for attack in self.attacks),
            worst_case_accuracy=self.worst_case_accuracy,
            versions=dict(self.versions),
            hardware=self.hardware,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The report without the per-image outcome, ready for JSON (schema 2)."""
        return self.record.to_dict()

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_dict()` as JSON; a reader finds the old file or the whole new one.

        With the figures in place the evaluation's `state` has done its service and is removed.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)
        if self.state is not None:
            self.state.unlink(missing_ok=True)

    def table(self) -> Table:
        """The figures as a `rich` table, headed by the worst case over all attacks."""
        count = len(self.attacks)
        order = (
            "Each attack saw only the images that withstood those above it; its accuracy is that "
            "of all so far. "
            if self.cascade and count > 1
            else ""
        )
        twin = (
            f"Straight-through gradients are those of {self.twin}, which gives "
            f"{percent(self.twin_agreement)} of the clean images the same class. "
            if self.twin
            else ""
        )
        draws = f"Each answer is the mean over {self.eot} draws. " if self.eot else ""
        if self.single_draws is not None:
            draws += f"{self.single_draws.in_words} "
        table = Table(
            title=(
                f"Robust accuracy {percent(self.worst_case_accuracy)}: the worst case over "
                f"{wording.count(count, 'attack')}, epsilon "
                f"{wording.radius(self.attacks[0].epsilon)}"
            ),
            caption=(
                f"{self.model} on {self.dataset} ({self.split}), "
                f"{wording.selected(len(self.correct), self.selection)}. "
                f"{order}{twin}{draws}An upper bound: a stronger attack can only lower it."
                f"{wording.warnings(self.missing, self.doubts)}"
            ),
        )
        table.add_column("attack")
        table.add_column("budget")
        for name in ("attacked", "turned", "accuracy", "time"):
            table.add_column(name, justify="right")
        table.add_row("none (clean images)", "", "", "", percent(self.natural_accuracy), "")
        for attack in self.attacks:
            table.add_row(
                attack.name if attack.engine == "native" else f"{attack.name} ({attack.engine})",
                attack.budget,
                wording.number(attack.num_attacked),
                wording.number(attack.num_turned),
                percent(attack.robust_accuracy),
                wording.seconds(attack.seconds),
            )
        table.add_section()
        table.add_row(
            "worst case",
            *("",) * 3,
            percent(self.worst_case_accuracy),
            wording.seconds(self.seconds),
            style="bold",
        )
        return table
