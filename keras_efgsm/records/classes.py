"""The part of a result that tells the classes apart: accuracy of each, and what they turned to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import numpy as np

from keras_efgsm.limits import limits
from keras_efgsm.records.intervals import Interval, interval_of
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Part

NO_CLASS = -1
"""In place of a class where the logits were not finite."""

Counts = dict[str, dict[str, Count]]
"""How many images of a class, the outer number, were classified as another, the inner one."""


class ClassAccuracy(NamedTuple):
    """How the images of one class fared.

    Attributes:
        name: of the class; its number where the names are not known.
        num_images: how many images it has.
        natural_accuracy: share of them in [0, 1] that are classified correctly unattacked; None
            of no images.
        robust_accuracy: share of them in [0, 1] that withstood every attack; None likewise.
        interval: the 95 % Wilson interval of `robust_accuracy`; None likewise.
    """

    name: str
    num_images: int
    natural_accuracy: float | None
    robust_accuracy: float | None
    interval: Interval | None


@dataclass(frozen=True, kw_only=True)
class ClassesPart(Part):
    """What the images of each class were classified as, clean and in the worst case.

    In the worst case an image counts for the class that the first attack turned it to, for its own
    if it withstood all. Pairs of classes without an image are left out; so is an image whose
    logits an attack drove to NaN or infinity, of the worst case.

    Args:
        num_classes: the number K of classes.
        class_names: in the order of the labels; None if they are not known.
        clean: by true class and class of the clean image, how many.
        attacked: by true class and class in the worst case, how many.

    Example:

    ```python
    classes = ClassesPart.of(np.array([0, 0, 1]), np.array([0, 0, 0]), np.array([0, 1, 0]), 2)
    classes.per_class()[0].robust_accuracy  # 0.5
    classes.confusion().tolist()  # [[1, 1], [1, 0]]
    ```
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"class_names"})

    num_classes: Count
    class_names: tuple[str, ...] | None = None
    clean: Counts
    attacked: Counts

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        clean: np.ndarray,
        attacked: np.ndarray,
        num_classes: int,
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """Counts the classes of images.

        Args:
            labels: true classes `(n,)`.
            clean: classes `(n,)` of the clean images.
            attacked: classes `(n,)` in the worst case, `NO_CLASS` for none.
            num_classes: the number K of classes.
            class_names: in the order of the labels. Defaults to none.
        """
        return cls(
            num_classes=num_classes,
            class_names=None if class_names is None else tuple(class_names),
            clean=_counts(labels, clean),
            attacked=_counts(labels, attacked),
        )

    def check(self) -> None:
        """Checks that every class is one, and that an attack makes no image right."""
        if self.num_classes > limits().max_classes:
            raise RecordError(
                f"it must have at most {limits().max_classes} num_classes",
                f"num_classes={self.num_classes}",
            )
        for name in ("clean", "attacked"):
            counts: Counts = getattr(self, name)
            found = {*counts, *(inner for row in counts.values() for inner in row)}
            wrong = sorted(key for key in found if not self._is_class(key))
            if wrong:
                raise RecordError(
                    f"it must have {name} classes in [0, {self.num_classes})", f"{name}={wrong[:5]}"
                )
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise RecordError(
                f"it must have {self.num_classes} class_names",
                f"class_names={len(self.class_names)} names",
            )
        for key, row in self.attacked.items():
            clean = self.clean.get(key, {})
            if row.get(key, 0) > clean.get(key, 0) or sum(row.values()) > sum(clean.values()):
                raise RecordError(
                    "it must have no class with more images, or more right, under attack than "
                    "clean",
                    f"class={key}",
                )

    def _is_class(self, key: str) -> bool:
        # Compared as text first: a number of a million digits takes long to read.
        is_short = len(key) <= len(str(self.num_classes))
        return is_short and key.isdecimal() and int(key) < self.num_classes

    def name(self, number: int) -> str:
        """The name of a class; its number where the names are not known."""
        return self.class_names[number] if self.class_names else str(number)

    @property
    def classes_with_images(self) -> list[int]:
        """The numbers of the classes that have images."""
        return sorted(int(number) for number, row in self.clean.items() if sum(row.values()))

    def per_class(self) -> tuple[ClassAccuracy, ...]:
        """Accuracy of each class, in the order of the labels."""
        rows = []
        for number in range(self.num_classes):
            key = str(number)
            clean, attacked = self.clean.get(key, {}), self.attacked.get(key, {})
            count = sum(clean.values())
            robust = attacked.get(key, 0) / count if count else None
            rows.append(
                ClassAccuracy(
                    self.name(number),
                    count,
                    clean.get(key, 0) / count if count else None,
                    robust,
                    interval_of(robust, count),
                )
            )
        return tuple(rows)

    def turned_to(self, number: int) -> list[tuple[int, int]]:
        """The other classes that images of a class ended as, the most frequent first.

        Args:
            number: of the class.

        Returns:
            Pairs of a class and how many images.
        """
        row = self.attacked.get(str(number), {})
        others = [(int(other), count) for other, count in row.items() if int(other) != number]
        return sorted(others, key=lambda pair: (-pair[1], pair[0]))

    def confusion(self) -> np.ndarray:
        """How many images `(K, K)` of each true class (rows) ended as each class (columns)."""
        matrix = np.zeros((self.num_classes, self.num_classes), int)
        for truth, row in self.attacked.items():
            for found, count in row.items():
                matrix[int(truth), int(found)] = count
        return matrix


def confusion_matrix(labels: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """How many images `(K, K)` of each true class (rows) were classified as each (columns).

    Args:
        labels: true classes `(n,)`.
        classes: what the images were classified as, `(n,)`; `NO_CLASS` is counted nowhere.
        num_classes: the number K of classes.

    Example:

    ```python
    confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, -1]), 2).tolist()  # [[1, 1], [0, 0]]
    ```
    """
    matrix = np.zeros((num_classes, num_classes), int)
    known = classes != NO_CLASS
    np.add.at(matrix, (labels[known], classes[known]), 1)
    return matrix


def _counts(labels: np.ndarray, classes: np.ndarray) -> Counts:
    known = classes != NO_CLASS
    pairs, counts = np.unique(
        np.stack([labels[known], classes[known]], axis=1), axis=0, return_counts=True
    )
    found: Counts = {}
    for (truth, other), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        found.setdefault(str(truth), {})[str(other)] = count
    return found
