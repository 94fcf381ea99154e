"""The outcome of an evaluation: per image in memory, as JSON, and as tables."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.table import Table

from keras_efgsm.checks import check_choice
from keras_efgsm.evaluation.adversarial import AdversarialImages, first_to_turn, remove_state
from keras_efgsm.evaluation.attack_result import AttackResult
from keras_efgsm.evaluation.tables import class_table, robustness_table
from keras_efgsm.printing import Printed
from keras_efgsm.records import ClassAccuracy, ClassesPart, EvaluationRecord, SingleDraws
from keras_efgsm.records.classes import confusion_matrix
from keras_efgsm.records.intervals import Interval, wilson_interval

__all__ = ["AttackResult", "RobustnessReport"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False, repr=False)
class RobustnessReport(Printed):
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
        labels: true classes `(n,)`. Defaults to none, without which classes are not told apart.
        clean_classes: what `(n,)` the clean images are classified as. Defaults to none, likewise.
        num_classes: the number K of classes. Defaults to none, likewise.
        class_names: in the order of the labels. Defaults to none, which numbers them.
        adversarial: the adversarial images that were found, with `keep_adversarial`. They stay on
            the disk until `write_json`. Defaults to none.

    Example:

    ```python
    report = evaluate_robustness(classifier, (x, y), [PGD(epsilon=0.3)], progress=False)
    print(report)
    report.worst_case_accuracy, report.interval, np.flatnonzero(~report.robust)
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
    labels: np.ndarray | None = None
    clean_classes: np.ndarray | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] | None = None
    adversarial: AdversarialImages | None = None

    @property
    def robust(self) -> np.ndarray:
        """Whether `(n,)` each image withstood every attack."""
        held = [self.correct, *(attack.robust for attack in self.attacks)]
        robust: np.ndarray = np.logical_and.reduce(held)
        return robust

    @property
    def norm(self) -> str:
        """The norm of the ball, the same for all attacks."""
        return self.attacks[0].norm

    @property
    def natural_accuracy(self) -> float:
        """Share of the clean images in [0, 1] that are classified correctly."""
        return float(self.correct.mean())

    @property
    def worst_case_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood every attack: the figure to report."""
        return float(self.robust.mean())

    @property
    def natural_interval(self) -> Interval:
        """The 95 % Wilson interval of `natural_accuracy`, see `wilson_interval`."""
        return wilson_interval(int(self.correct.sum()), len(self.correct))

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of `worst_case_accuracy`, as far as chance in the images goes.

        What a stronger attack would find is beyond it.
        """
        return wilson_interval(int(self.robust.sum()), len(self.robust))

    @property
    def classes(self) -> np.ndarray | None:
        """What `(n,)` each image is classified as in the worst case, integers.

        Of an image that was turned the class that the first attack to do so turned it to, -1 where
        its logits were not finite. None if the report does not know.
        """
        by_attack = [attack.classes for attack in self.attacks]
        known = [classes for classes in by_attack if classes is not None]
        if self.clean_classes is None or len(known) < len(by_attack):
            return None
        first = first_to_turn(np.stack([a.robust for a in self.attacks]), self.correct)
        found = np.stack(known)[np.maximum(first, 0), np.arange(len(first))]
        return np.where(first < 0, self.clean_classes, found)

    def per_class(self) -> tuple[ClassAccuracy, ...]:
        """Accuracy of each class, natural and in the worst case, in the order of the labels.

        Raises:
            ValueError: if the report does not know what images were classified as.
        """
        return self._known(self.classes_part).per_class()

    def confusion(self, attack: str | None = None) -> np.ndarray:
        """How many images `(K, K)` of each true class (rows) were classified as each (columns).

        Images whose logits were not finite are counted nowhere.

        Args:
            attack: name of an attack, after which; `"none"` for the clean images. Defaults to the
                worst case, see `classes`.

        Raises:
            ValueError: if there is no such attack, or the report does not know what images were
                classified as.

        Example:

        ```python
        report = evaluate_robustness(classifier, (x, y), PGD(epsilon=0.3), progress=False)
        bool(np.trace(report.confusion()) == report.robust.sum())  # True
        ```
        """
        by_name = {"none": self.clean_classes} | {a.name: a.classes for a in self.attacks}
        if attack is not None:
            check_choice(attack, "attack", tuple(by_name))
        classes = self._known(self.classes if attack is None else by_name[attack])
        return confusion_matrix(self._known(self.labels), classes, self._known(self.num_classes))

    def class_table(self) -> Table:
        """Accuracy of each class and what its images were turned to, as a `rich` table.

        Raises:
            ValueError: if the report does not know what images were classified as.
        """
        return class_table(self._known(self.classes_part))

    @property
    def classes_part(self) -> ClassesPart | None:
        """What tells the classes apart, as `evaluation.json` holds it; None if it is not known."""
        classes, clean = self.classes, self.clean_classes
        if self.labels is None or clean is None or classes is None or self.num_classes is None:
            return None
        return ClassesPart.of(self.labels, clean, classes, self.num_classes, self.class_names)

    def _known(self, value: _Value | None) -> _Value:
        if value is None:
            raise ValueError(
                "A report tells classes apart if it has `labels`, `clean_classes`, `num_classes` "
                "and the `classes` of each attack, as that of `evaluate_robustness`. "
                f"Received: model={self.model!r}, without one of these"
            )
        return value

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
            natural_interval=self.natural_interval,
            cascade=self.cascade,
            attacks=tuple(attack.record for attack in self.attacks),
            worst_case_accuracy=self.worst_case_accuracy,
            worst_case_interval=self.interval,
            classes=self.classes_part,
            versions=dict(self.versions),
            hardware=self.hardware,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The report without the per-image outcome, ready for JSON (schema 2)."""
        return self.record.to_dict()

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_dict()` as JSON; a reader finds the old file or the whole new one.

        With the figures in place the evaluation's `state` has done its service and is removed, with
        the adversarial images beside it: write those before.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)
        if self.state is not None:
            remove_state(self.state)

    def table(self) -> Table:
        """The figures as a `rich` table, headed by the worst case over all attacks."""
        return robustness_table(self.record, self.missing)

    def _told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "num_images": len(self.correct),
            "attacks": [attack.name for attack in self.attacks],
            "epsilon": self.attacks[0].epsilon,
            "natural_accuracy": self.natural_accuracy,
            "worst_case_accuracy": self.worst_case_accuracy,
        }
