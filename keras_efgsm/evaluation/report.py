"""The outcome of an evaluation: per image in memory, as JSON, and as a table."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What one attack achieved.

    Args:
        name: the attack and its loss, such as `"pgd-cw"`.
        engine: whose implementation ran.
        loss: what it maximised; None for an attack without a choice.
        epsilon: L-infinity radius in pixels of [0, 1].
        steps: gradient steps.
        step_size: in pixels of [0, 1]; None for an attack that chooses its own.
        restarts: how often it started; 1 for an attack without randomness.
        random_start: whether it starts at a random point.
        seed: seed of its noise.
        robust: whether `(n,)` each image was classified correctly, clean and under every restart.
        seconds: wall-clock time, compilation included.
    """

    name: str
    engine: str
    loss: str | None
    epsilon: float
    steps: int
    step_size: float | None
    restarts: int
    random_start: bool
    seed: int
    robust: np.ndarray
    seconds: float

    @property
    def robust_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood this attack."""
        return float(self.robust.mean())

    def to_dict(self) -> dict[str, Any]:
        """The figures of this attack, ready for JSON."""
        return {
            "name": self.name,
            "engine": self.engine,
            "loss": self.loss,
            "epsilon": self.epsilon,
            "steps": self.steps,
            "step_size": self.step_size,
            "restarts": self.restarts,
            "random_start": self.random_start,
            "num_images": len(self.robust),
            "seed": self.seed,
            "robust_accuracy": self.robust_accuracy,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, eq=False)
class RobustnessReport:
    """How a classifier withstood a set of attacks of one radius.

    Args:
        model: what was evaluated.
        dataset: name of the data set.
        split: which part of it.
        correct: whether `(n,)` each clean image was classified correctly.
        attacks: one result for each attack, over the same n images.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of the whole evaluation.

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
    attacks: tuple[AttackResult, ...]
    versions: dict[str, str]
    hardware: str
    seconds: float

    @property
    def robust(self) -> np.ndarray:
        """Whether `(n,)` each image withstood every attack."""
        return np.logical_and.reduce([self.correct, *(attack.robust for attack in self.attacks)])

    @property
    def natural_accuracy(self) -> float:
        """Share of the clean images in [0, 1] that are classified correctly."""
        return float(self.correct.mean())

    @property
    def worst_case_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood every attack: the figure to report."""
        return float(self.robust.mean())

    def to_dict(self) -> dict[str, Any]:
        """The report without the per-image outcome, ready for JSON (schema 1)."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "num_images": len(self.correct),
            "natural_accuracy": self.natural_accuracy,
            "attacks": [attack.to_dict() for attack in self.attacks],
            "worst_case_accuracy": self.worst_case_accuracy,
            "versions": dict(self.versions),
            "hardware": self.hardware,
            "seconds": self.seconds,
        }

    def write_json(self, path: str | os.PathLike) -> None:
        """Writes `to_dict()` as JSON; a reader finds the old file or the whole new one.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        path = Path(path)
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        # In the same folder, as a rename is atomic within one file system only.
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            # mkstemp makes private files; a report is to be read by others.
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(partial, 0o666 & ~umask)
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def table(self) -> Table:
        """The figures as a `rich` table, headed by the worst case over all attacks."""
        count = len(self.attacks)
        table = Table(
            title=(
                f"Robust accuracy {_percent(self.worst_case_accuracy)}: the worst case over "
                f"{count} attack{'s' if count > 1 else ''}, epsilon {self.attacks[0].epsilon:.4g}"
            ),
            caption=(
                f"{self.model} on {self.dataset} ({self.split}), {len(self.correct)} images. "
                "An upper bound: a stronger attack can only lower it."
            ),
        )
        table.add_column("attack")
        table.add_column("engine")
        for name in ("steps", "step size", "restarts", "accuracy", "seconds"):
            table.add_column(name, justify="right")
        table.add_row("none (clean images)", "", "", "", "", _percent(self.natural_accuracy), "")
        for attack in self.attacks:
            table.add_row(
                attack.name,
                attack.engine,
                str(attack.steps),
                "" if attack.step_size is None else f"{attack.step_size:.4g}",
                str(attack.restarts),
                _percent(attack.robust_accuracy),
                f"{attack.seconds:.1f}",
            )
        table.add_section()
        table.add_row(
            "worst case, image by image",
            *("",) * 4,
            _percent(self.worst_case_accuracy),
            f"{self.seconds:.1f}",
            style="bold",
        )
        return table


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
