"""Targeted success: how often attacks have an image classified as a given class."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from rich.table import Table

from keras_efgsm.attacks import Attack
from keras_efgsm.backend import compiled_once
from keras_efgsm.evaluation.adversarial import AdversarialImages, remove_state
from keras_efgsm.evaluation.attack_result import AttackResult
from keras_efgsm.evaluation.attacking import (
    Attacking,
    check_attacks,
    check_gradients,
    check_one_radius,
    check_options,
)
from keras_efgsm.evaluation.digests import digest_of_arrays
from keras_efgsm.evaluation.expectation import with_eot
from keras_efgsm.evaluation.image_set import (
    EvaluationData,
    ImageSet,
    batches,
    check_data,
    even_batch_size,
    shape_of_images,
)
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.tables import targeted_table
from keras_efgsm.evaluation.towards import targeted
from keras_efgsm.printing import Printed
from keras_efgsm.records import TargetedRecord
from keras_efgsm.records.intervals import Interval, wilson_interval

LEAST_LIKELY = "least-likely"
"""In place of a target class: of each image the class of its smallest logit."""


@dataclass(frozen=True, eq=False, repr=False)
class TargetedReport(Printed):
    """How often attacks had images classified as the target.

    Args:
        model: what was evaluated.
        dataset: name of the data set.
        split: which part of it.
        target: name of the class, or `"least-likely"`.
        withstood_clean: whether `(n,)` each clean image is classified as another class.
        cascade: whether each attack saw only the images that those before had not taken there.
        attacks: one result for each attack; what is robust there was not taken to the target.
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
        adversarial: the images that were taken to the target, with `keep_adversarial`. Defaults to
            none.
    """

    model: str
    dataset: str
    split: str
    target: str
    withstood_clean: np.ndarray
    cascade: bool
    attacks: tuple[AttackResult, ...]
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
    def reached(self) -> np.ndarray:
        """Whether `(n,)` each image is classified as the target, clean or after an attack."""
        held = np.logical_and.reduce([attack.robust for attack in self.attacks])
        reached: np.ndarray = ~(held & self.withstood_clean)
        return reached

    @property
    def success_rate(self) -> float:
        """Share of the images in [0, 1] that one of the attacks or more took to the target."""
        return float(self.reached.mean())

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of `success_rate`."""
        return wilson_interval(int(self.reached.sum()), len(self.reached))

    @property
    def record(self) -> TargetedRecord:
        """The figures, as `targeted.json` holds them."""
        return TargetedRecord(
            model=self.model,
            twin=self.twin,
            twin_agreement=self.twin_agreement,
            eot=self.eot,
            doubts=self.doubts or None,
            dataset=self.dataset,
            split=self.split,
            target=self.target,
            num_images=len(self.reached),
            selection=self.selection,
            images=self.images,
            clean_rate=1.0 - float(self.withstood_clean.mean()),
            cascade=self.cascade,
            attacks=tuple(attack.record for attack in self.attacks),
            success_rate=self.success_rate,
            success_interval=self.interval,
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
        """The figures as a `rich` table."""
        return targeted_table(self.record, self.missing)

    def _told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "target": self.target,
            "num_images": len(self.reached),
            "attacks": [attack.name for attack in self.attacks],
            "success_rate": self.success_rate,
        }


def evaluate_targeted(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: EvaluationData,
    attacks: Attack | Sequence[Attack],
    target: int | str,
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
) -> TargetedReport:
    """Attacks a classifier to have images taken for a class, and counts those that are.

    Every attack becomes a targeted one, see `Towards`. Images that have the target as their true
    class are left out; of the others those that are classified as it already count as reached, and
    it does not matter whether the rest are classified correctly.

    Args:
        model: a classifier or where one lies, see `load_classifier`.
        data: as of `evaluate_robustness`.
        attacks: an attack or several of the same epsilon.
        target: number of the class, its name where the data have names, or `"least-likely"`: of
            each image the class of its smallest logit, the hardest target as in Kurakin, Goodfellow
            & Bengio, "Adversarial Machine Learning at Scale".
        cascade: whether an attack sees only the images that those before it did not take to the
            target. Defaults to `False`.
        engine: as of `evaluate_robustness`; `"native"` alone can be targeted. Defaults to it.
        batch_size: as of `evaluate_robustness`. Defaults to `250`.
        seed: likewise. Defaults to `0`.
        num_images: likewise, those of the target class included. Defaults to all.
        restarts: likewise. Defaults to `1`.
        eot: likewise. Defaults to `1`.
        dataset: name for the report. Defaults to that of the data.
        split: which part of the data set this is. Defaults to `"test"`.
        state: as of `evaluate_robustness`. Defaults to none.
        keep_adversarial: likewise; `label` of the `AdversarialImages` is the target. Defaults to
            `False`.
        progress: whether to show a progress bar. Defaults to `True`.

    Raises:
        OSError: if the state cannot be written.
        ValueError: if there is no such class, every image has or is classified as it, or an
            argument is not as above, see `evaluate_robustness`.
        RuntimeError: if an attack leaves the ball or [0, 1].

    Example:

    ```python
    attacks = make_attacks("apgd-t", 0.3, steps=5)
    report = evaluate_targeted(classifier, (x, y), attacks, target=3, progress=False)
    report.success_rate, report.interval
    ```
    """
    attacks = [targeted(attack) for attack in check_attacks(attacks)]
    check_one_radius(attacks)
    check_options(engine, batch_size, seed, restarts, state)
    if engine != "native":
        raise ValueError(
            f"Targeted attacks are those of the native engine. Received: engine={engine!r}"
        )
    model = with_eot(model, eot, shape_of_images(data))
    check_gradients(attacks, model)
    every = check_data(data, model, num_images, seed)
    name, targets = _targets(target, every, model, batch_size)
    images = _towards(every, targets)
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
    after = [(number - 1,) if cascade and number else () for number in range(len(attacks))]
    results = attacking.run(after, progress=progress)
    withstood = attacking.tally.correct
    assert withstood is not None  # since `Attacking`
    return TargetedReport(
        dataset=dataset or images.name,
        split=split,
        target=name,
        withstood_clean=withstood,
        cascade=bool(cascade),
        attacks=results,
        adversarial=attacking.adversarial(results),
        **attacking.about(),
    )


def _targets(
    target: int | str, images: ImageSet, model: EvaluatedModel, batch_size: int
) -> tuple[str, np.ndarray]:
    """The name of the target, and the class `(n,)` that each image is to be taken for."""
    names, count = images.class_names, len(images.labels)
    if target == LEAST_LIKELY:
        logits_of = compiled_once(model.logits_fn, model.variables)
        targets = np.zeros(count, "int32")
        for chosen, padded in batches(np.arange(count), even_batch_size(count, batch_size)):
            logits = np.asarray(logits_of(ops.convert_to_tensor(images.pixels(padded))))
            targets[chosen] = logits[: len(chosen)].argmin(axis=1)
        return LEAST_LIKELY, targets
    number: Any = target
    if isinstance(target, str):
        # A name before a number: a class may be called 7 and not be the seventh.
        is_name = names is not None and target in names
        number = names.index(target) if names and is_name else target
        number = int(number) if str(number).isdecimal() else None
    is_number = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
    if not is_number or not 0 <= number < model.num_classes:
        known = f", the name of one ({', '.join(names[:5])}, ...)" if names else ""
        raise ValueError(
            f"`target` must be the number of a class from 0 to {model.num_classes - 1}{known}, or "
            f"{LEAST_LIKELY!r}. Received: target={target!r}"
        )
    return names[number] if names else str(number), np.full(count, number, "int32")


def _towards(images: ImageSet, targets: np.ndarray) -> ImageSet:
    """The images that are not of their target, with the targets in place of labels."""
    kept = np.flatnonzero(images.labels != targets)
    if not len(kept):
        raise ValueError(
            "At least one image must be of another class than the target. Received: images of "
            f"another class=0 of {len(targets)}"
        )
    return images._replace(
        pixels=lambda chosen: images.pixels(kept[chosen]),
        labels=targets[kept],
        indices=images.indices[kept],
        digest=lambda: f"{images.digest()} towards {digest_of_arrays(targets)}",
        towards=True,
    )
