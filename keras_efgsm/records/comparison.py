"""`comparison.json`: several models under the same attacks on the same images, ranked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from keras_efgsm.records.evaluation import EvaluationRecord
from keras_efgsm.records.intervals import Interval, interval_of
from keras_efgsm.records.json_text import RecordError
from keras_efgsm.records.part import Count, Part, Share
from keras_efgsm.records.record import Record

WHITE_BOX, TWIN, BLACK_BOX = "white-box", "twin", "black-box"
ACCESSES = (WHITE_BOX, TWIN, BLACK_BOX)
"""What attacks knew of a model, in the order of the ranking.

- `"white-box"`: all of it; those by gradients went by its own.
- `"twin"`: those by gradients went by the gradients of the float model that it was made from, and
  every attack was also transferred from that one.
- `"black-box"`: its answers; attacks by gradients were left out.
"""


@dataclass(frozen=True, kw_only=True)
class AskedAttackPart(Part):
    """An attack that all models were to see.

    Args:
        name: such as `"pgd-cw"`.
        budget: what it may spend on an image, in words; empty where nothing is known of it.
    """

    name: str
    budget: str

    @property
    def in_words(self) -> str:
        """Name and budget, such as `"apgd-t (100 steps x 9 targets)"`."""
        return f"{self.name} ({self.budget})" if self.budget else self.name


@dataclass(frozen=True, kw_only=True)
class ComparedPart(Part):
    """One model of a comparison.

    Args:
        name: unlike that of any other.
        path: where it lies, as it was given; None for a model in memory.
        digest: SHA-256 of what it answers by, by which a kept result is known to be of it.
        access: what the attacks knew of it, one of `ACCESSES`.
        rank: 1 for the highest worst case of its access, the same for equal ones; None for a
            model whose figures are not to be trusted.
        doubts: sentences on why they are not; none for most.
        worst_case_interval: lower and upper bound of the 95 % Wilson interval of the worst case.
        natural_interval: the same of the natural accuracy.
        accuracies: of each attack that was asked for the share of the images in [0, 1] that
            withstood it, in a cascade all so far; None for one that the model did not see.
        parameters: how many numbers it has; None if that is not known.
        size: of its files in bytes; None for a model in memory.
        command: what makes its figures alone again; None if that is not known.
        evaluation: its figures.
    """

    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"doubts"})

    name: str
    path: str | None = None
    digest: str
    access: str
    rank: Count | None = None
    doubts: tuple[str, ...] | None = None
    worst_case_interval: tuple[Share, ...]
    natural_interval: tuple[Share, ...]
    accuracies: tuple[Share | None, ...]
    parameters: Count | None = None
    size: Count | None = None
    command: str | None = None
    evaluation: EvaluationRecord

    def check(self) -> None:
        """Checks that access and intervals are those of the figures."""
        if self.access not in ACCESSES:
            raise RecordError(
                f"it must have an access out of {', '.join(ACCESSES)}", f"access={self.access!r}"
            )
        if self.evaluation.worst_case_accuracy is None:
            raise RecordError("it must have models that were attacked", "attacks=[]")
        if (self.access == TWIN) != (self.evaluation.twin is not None):
            raise RecordError(
                "it must have a twin where the access says so, and only there",
                f"access={self.access!r}, twin={self.evaluation.twin!r}",
            )
        found = (self.worst_case_interval, self.natural_interval)
        for bounds, expected in zip(found, self._intervals(), strict=True):
            near = len(bounds) == 2 and all(
                math.isclose(a, b, abs_tol=1e-6) for a, b in zip(bounds, expected, strict=True)
            )
            if not near:
                raise RecordError(
                    "it must have intervals of its accuracies", f"interval={list(bounds)}"
                )

    def _intervals(self) -> tuple[Interval, Interval]:
        figures = self.evaluation
        worst = interval_of(figures.worst_case_accuracy, figures.num_images)
        natural = interval_of(figures.natural_accuracy, figures.num_images)
        assert worst is not None and natural is not None
        return worst, natural

    @property
    def worst_case_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood every attack that the model saw."""
        assert self.evaluation.worst_case_accuracy is not None  # since `check`
        return self.evaluation.worst_case_accuracy

    @property
    def natural_accuracy(self) -> float:
        """Share of the images in [0, 1] that are classified correctly unattacked."""
        return self.evaluation.natural_accuracy

    @property
    def saw_all(self) -> bool:
        """Whether no attack was left out."""
        return None not in self.accuracies


def ranked(models: Sequence[ComparedPart]) -> tuple[ComparedPart, ...]:
    """The models in the order of the ranking, each with its rank.

    A worst case over other attacks, or with other knowledge of the model, is another measure, so
    each access has a ranking of its own.

    Args:
        models: in any order.

    Example:

    ```python
    best = ranked(ComparisonRecord.read("comparison.json").models)[0]
    best.name, best.rank  # the name, 1
    ```
    """

    def place(model: ComparedPart) -> tuple[Any, ...]:
        natural = -model.natural_accuracy
        access = ACCESSES.index(model.access)
        return access, bool(model.doubts), -model.worst_case_accuracy, natural, model.name

    return tuple(replace(m, rank=_rank(m, models)) for m in sorted(models, key=place))


def _rank(model: ComparedPart, models: Sequence[ComparedPart]) -> int | None:
    if model.doubts:
        return None
    alike = [other for other in models if other.access == model.access and not other.doubts]
    return 1 + sum(other.worst_case_accuracy > model.worst_case_accuracy for other in alike)


@dataclass(frozen=True, kw_only=True)
class ComparisonRecord(Record):
    """Several models under the same attacks on the same images.

    Args:
        dataset: name of the data set.
        split: which part of it.
        num_images: how many images each model was evaluated on.
        selection: how these were chosen of the split, see `EvaluationRecord`.
        images: SHA-256 of the images and labels, in the order of the evaluations.
        missing: a warning of the classes that are not among them; None if all are.
        epsilon: radius of the ball in pixels of [0, 1].
        norm: of the ball; None for L-infinity.
        cascade: whether each attack saw only the images that withstood those before it.
        seed: of all noise.
        eot: over how many draws of a randomised model every pass averaged.
        attacks: those that were asked for.
        models: in the order of their ranks, by access.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs of this process.

    Example:

    ```python
    record = ComparisonRecord.read("comparison.json")
    [(model.rank, model.name, model.worst_case_accuracy) for model in record.models]
    ```
    """

    NAME: ClassVar[str] = "comparison.json"
    LEFT_OUT: ClassVar[frozenset[str]] = frozenset({"missing", "norm"})

    dataset: str
    split: str
    num_images: Count
    selection: str
    images: str
    missing: str | None = None
    epsilon: Annotated[float, (1e-12, math.inf)]
    norm: str | None = None
    cascade: bool
    seed: Count
    eot: Count
    attacks: tuple[AskedAttackPart, ...]
    models: tuple[ComparedPart, ...]
    versions: dict[str, str]
    hardware: str

    def check(self) -> None:
        """Checks that the models were measured alike, and that the ranking follows from that."""
        if len(self.models) < 2 or not self.attacks:
            raise RecordError(
                "it must have two models or more, and an attack", f"models={len(self.models)}"
            )
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise RecordError("it must have models of different names", f"models={len(names)}")
        for model in self.models:
            figures = model.evaluation
            if (figures.num_images, figures.images) != (self.num_images, self.images):
                raise RecordError("it must have models measured on its images", f"{model.name!r}")
            if len(model.accuracies) != len(self.attacks) or not (
                model.saw_all or model.access == BLACK_BOX
            ):
                raise RecordError("it must have an accuracy of each attack", f"{model.name!r}")
        ranks = [(model.name, model.rank) for model in self.models]
        if ranks != [(model.name, model.rank) for model in ranked(self.models)]:
            raise RecordError(
                "it must have models in the order of their ranks", f"models={len(ranks)}"
            )

    @property
    def accesses(self) -> tuple[str, ...]:
        """What attacks knew of the models; of each there is a ranking of its own."""
        return tuple(dict.fromkeys(model.access for model in self.models))


@dataclass(frozen=True, kw_only=True)
class ComparisonStateRecord(Record):
    """The finished models of a comparison that is not complete, see `ComparisonRecord`.

    Args:
        settings: everything that decides an outcome but the model.
        models: those that are finished; without rank and command.

    Example:

    ```python
    ComparisonStateRecord(settings={"seed": 0}, models=()).write("comparison.partial.json")
    ```
    """

    NAME: ClassVar[str] = "The state of a comparison"

    settings: dict[str, Any]
    models: tuple[ComparedPart, ...]
