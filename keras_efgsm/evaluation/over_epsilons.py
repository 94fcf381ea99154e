"""How robust accuracy falls as the radius of the attacks grows."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from rich.table import Table

from keras_efgsm.attacks import Attack
from keras_efgsm.evaluation.adversarial import AdversarialImages, remove_state
from keras_efgsm.evaluation.attack_result import AttackResult
from keras_efgsm.evaluation.attacking import (
    Attacking,
    check_attacks,
    check_gradients,
    check_options,
)
from keras_efgsm.evaluation.drawing import draw_robustness_curve
from keras_efgsm.evaluation.expectation import with_eot
from keras_efgsm.evaluation.image_set import EvaluationData, check_data, shape_of_images
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.tables import curve_table
from keras_efgsm.printing import Printed, brief, drawn
from keras_efgsm.records import RadiusPart, RobustnessCurveRecord
from keras_efgsm.records.intervals import Interval, wilson_interval


class RadiusResult(NamedTuple):
    """What the attacks of one radius found.

    Attributes:
        epsilon: the radius, in pixels of [0, 1].
        robust: whether `(n,)` each image withstood every attack at this radius and those below.
        attacks: one result for each attack at this radius.
    """

    epsilon: float
    robust: np.ndarray
    attacks: tuple[AttackResult, ...]

    def __repr__(self) -> str:
        return brief(self, epsilon=self.epsilon, robust_accuracy=self.robust_accuracy)

    @property
    def robust_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood every attack up to this radius."""
        return float(self.robust.mean())

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of `robust_accuracy`."""
        return wilson_interval(int(self.robust.sum()), len(self.robust))

    @property
    def part(self) -> RadiusPart:
        """The figures of this radius, as a file holds them."""
        return RadiusPart(
            epsilon=self.epsilon,
            robust_accuracy=self.robust_accuracy,
            robust_interval=self.interval,
            attacks=tuple(attack.record for attack in self.attacks),
        )


@dataclass(frozen=True, eq=False, repr=False)
class RobustnessCurve(Printed):
    """How a classifier withstood attacks of several radii, on the same images.

    Args:
        model: what was evaluated.
        dataset: name of the data set.
        split: which part of it.
        correct: whether `(n,)` each clean image was classified correctly.
        cascade: whether each attack of a radius saw only what withstood those before it.
        radii: what was found at each radius, rising.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time of all.
        state: the file by which it could be continued, which `write_json` removes. Defaults to
            none.
        twin: as in `RobustnessReport`. Defaults to none.
        twin_agreement: likewise.
        selection: likewise. Defaults to the first images.
        images: SHA-256 of the images and labels. Defaults to none.
        missing: a warning of the classes that are not among the images. Defaults to none.
        eot: over how many draws every pass averaged; None for one. Defaults to none.
        doubts: sentences on why the figures are not to be trusted. Defaults to none.
        adversarial: of each image that was turned the adversarial one of the smallest radius, with
            `keep_adversarial`. Defaults to none.
    """

    model: str
    dataset: str
    split: str
    correct: np.ndarray
    cascade: bool
    radii: tuple[RadiusResult, ...]
    versions: dict[str, str]
    hardware: str
    seconds: float
    state: Path | None = None
    twin: str | None = None
    twin_agreement: float | None = None
    selection: str = "first"
    images: str = ""
    missing: str = ""
    eot: int | None = None
    doubts: tuple[str, ...] = ()
    adversarial: AdversarialImages | None = None

    @property
    def natural_accuracy(self) -> float:
        """Share of the clean images in [0, 1] that are classified correctly: radius 0."""
        return float(self.correct.mean())

    @property
    def record(self) -> RobustnessCurveRecord:
        """The figures, as `robustness_curve.json` holds them."""
        return RobustnessCurveRecord(
            model=self.model,
            twin=self.twin,
            twin_agreement=self.twin_agreement,
            eot=self.eot,
            doubts=self.doubts or None,
            dataset=self.dataset,
            split=self.split,
            num_images=len(self.correct),
            selection=self.selection,
            images=self.images,
            cascade=self.cascade,
            points=tuple(
                radius.part for radius in (RadiusResult(0.0, self.correct, ()), *self.radii)
            ),
            versions=dict(self.versions),
            hardware=self.hardware,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        return self.record.to_dict()

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes the figures, and removes the `state`, see `RobustnessReport.write_json`.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)
        if self.state is not None:
            remove_state(self.state)

    def table(self) -> Table:
        """The figures as a `rich` table, a row for each radius."""
        return curve_table(self.record, self.missing)

    def _told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "num_images": len(self.correct),
            "natural_accuracy": self.natural_accuracy,
            "radii": list(self.radii),
        }

    def _picture(self) -> bytes:
        return drawn(lambda path: draw_robustness_curve(self.record, path))


def evaluate_over_epsilons(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: EvaluationData,
    attacks: Sequence[Attack],
    *,
    cascade: bool = False,
    engine: str = "native",
    batch_size: int = 250,
    seed: int = 0,
    num_images: int | None = None,
    restarts: int = 1,
    eot: int = 1,
    dataset: str | None = None,
    split: str = "test",
    state: str | os.PathLike[str] | None = None,
    keep_adversarial: bool = False,
    progress: bool = True,
) -> RobustnessCurve:
    """Attacks a classifier at several radii, the smallest first, on the same images.

    An image that was turned at a smaller radius counts as turned at a larger one and is not
    attacked again: the ball of the larger radius holds the image that was found. So the curve never
    rises, and the accuracy at a radius is the worst case over all attacks up to it; it can be lower
    than that of `evaluate_robustness` at this radius alone, never by an image that withstands.

    Args:
        model: a classifier or where one lies, see `load_classifier`.
        data: as of `evaluate_robustness`.
        attacks: of one epsilon or several, those of the same epsilon in the order in which they
            are to run.
        cascade: whether an attack sees only what withstood those of the same radius before it.
            Defaults to `False`.
        engine: as of `evaluate_robustness`. Defaults to `"native"`.
        batch_size: likewise. Defaults to `250`.
        seed: likewise. Defaults to `0`.
        num_images: likewise. Defaults to all.
        restarts: likewise. Defaults to `1`.
        eot: likewise. Defaults to `1`.
        dataset: name for the report. Defaults to that of the data.
        split: which part of the data set this is. Defaults to `"test"`.
        state: as of `evaluate_robustness`: one file for all radii. Defaults to none.
        keep_adversarial: likewise; of each image the one of the smallest radius. Defaults to
            `False`.
        progress: whether to show a progress bar. Defaults to `True`.

    Raises:
        ImportError: if the engine's package is not installed.
        OSError: if the state cannot be written.
        ValueError: if an argument is not as above, see `evaluate_robustness`.
        RuntimeError: if an attack leaves its ball or [0, 1].

    Example:

    ```python
    attacks = [
        attack for epsilon in (0.1, 0.2, 0.3) for attack in make_attacks("pgd-ce", epsilon, steps=5)
    ]
    curve = evaluate_over_epsilons(classifier, (x, y), attacks, progress=False)
    [radius.robust_accuracy for radius in curve.radii]
    draw_robustness_curve(curve.record, "curve.png")
    ```
    """
    # Stable: within a radius the order stays.
    attacks = sorted(check_attacks(attacks), key=lambda attack: attack.epsilon)
    check_options(engine, batch_size, seed, restarts, state)
    model = with_eot(model, eot, shape_of_images(data))
    check_gradients(attacks, model)
    images = check_data(data, model, num_images, seed)
    groups = [
        [number for number, _ in group]
        for _, group in itertools.groupby(enumerate(attacks), key=lambda pair: pair[1].epsilon)
    ]
    after = [
        (number - 1,) if cascade and number else tuple(before)
        for before, group in zip([[], *groups], groups, strict=False)
        for number in group
    ]
    attacking = Attacking(
        model,
        images,
        attacks,
        cascade=cascade,
        engine=engine,
        batch_size=batch_size,
        seed=seed,
        restarts=restarts,
        state=state,
        keep_adversarial=keep_adversarial,
    )
    results = attacking.run(after, progress=progress)
    correct = attacking.tally.correct
    assert correct is not None  # since `Attacking`
    radii = []
    for group in groups:
        found = tuple(results[number] for number in group)
        robust = np.logical_and.reduce([result.robust for result in found])
        radii.append(RadiusResult(found[0].epsilon, robust, found))
    return RobustnessCurve(
        dataset=dataset or images.name,
        split=split,
        correct=correct,
        cascade=bool(cascade),
        radii=tuple(radii),
        adversarial=attacking.adversarial(results),
        **attacking.about(),
    )
