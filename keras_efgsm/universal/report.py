"""How a classifier answers under one perturbation for all images."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from keras_efgsm.pictures.png import png_text, signed_colours
from keras_efgsm.printing import Printed, ResultTable
from keras_efgsm.records import wording
from keras_efgsm.records.universal import UniversalRecord
from keras_efgsm.records.wording import percent
from keras_efgsm.universal.perturbation import UniversalPerturbation

_NORM_WORDS = {"linf": "L-infinity", "l2": "L2"}


@dataclass(frozen=True, eq=False, repr=False)
class UniversalReport(Printed):
    """What one perturbation does to the images that it was made on, and to others.

    Args:
        model: what was attacked.
        dataset: name of the data set.
        split: which part of it.
        maker: how the perturbation was made.
        engine: whose implementation made it.
        perturbation: `(H, W, C)`, within the ball.
        random: one of the same size in a random direction, same shape.
        made_on: fooled `(n_1,)` of the images that it was made on.
        fooled: which `(n_2,)` of the others are classified otherwise than clean.
        fooled_by_random: likewise under `random`.
        labels: true classes `(n_2,)` of the others.
        clean: classes `(n_2,)` that their clean images are given.
        predicted: classes `(n_2,)` that they are given under the perturbation.
        examples: a few of the others, clean, `(m, H, W, C)`; the first of them.
        seed: of the halves, the order and the random direction.
        versions: versions of the packages that decide a result.
        hardware: the processor, its cores and the GPUs.
        seconds: wall-clock time.
        selection: how the images were chosen of the data set. Defaults to the first ones.
        images: SHA-256 of the images and labels. Defaults to none.
        missing: a warning of the classes that are not among the images. Defaults to none.
        eot: over how many draws every pass averaged; None for one. Defaults to none.
        doubts: sentences on why the figures are not to be trusted. Defaults to none.

    Example:

    ```python
    maker = UniversalPerturbation(epsilon=0.3, steps=20)
    report = measure_universal(classifier, (x_test, y_test), maker, progress=False)
    report.fooling_rate, report.perturbation.shape
    ```
    """

    model: str
    dataset: str
    split: str
    maker: UniversalPerturbation
    engine: str
    perturbation: np.ndarray
    random: np.ndarray
    made_on: np.ndarray
    fooled: np.ndarray
    fooled_by_random: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    predicted: np.ndarray
    examples: np.ndarray
    seed: int
    versions: dict[str, str]
    hardware: str
    seconds: float
    selection: str = "first"
    images: str | None = None
    missing: str = ""
    eot: int | None = None
    doubts: tuple[str, ...] = ()

    @property
    def fooling_rate(self) -> float:
        """Share in [0, 1] of images it was not made on that are classified otherwise than clean."""
        return float(self.fooled.mean())

    @property
    def clean_accuracy(self) -> float:
        """Share of these in [0, 1] that are classified correctly clean."""
        return float((self.clean == self.labels).mean())

    @property
    def accuracy(self) -> float:
        """Share of these in [0, 1] that are classified correctly under the perturbation."""
        return float((self.predicted == self.labels).mean())

    @property
    def record(self) -> UniversalRecord:
        """The figures and the picture, as `universal.json` holds them."""
        channels = self.perturbation.shape[-1]
        picture = None
        if channels in (1, 3):
            picture = png_text(signed_colours(self.perturbation, np.abs(self.perturbation).max()))
        return UniversalRecord(
            model=self.model,
            dataset=self.dataset,
            split=self.split,
            engine=self.engine,
            norm=self.maker.norm,
            epsilon=self.maker.epsilon,
            options=self.maker.get_config(),
            seed=self.seed,
            num_made_on=len(self.made_on),
            num_images=len(self.fooled),
            selection=self.selection,
            images=self.images,
            fooling_rate_made_on=float(self.made_on.mean()),
            fooling_rate=self.fooling_rate,
            fooling_rate_random=float(self.fooled_by_random.mean()),
            clean_accuracy=self.clean_accuracy,
            accuracy=self.accuracy,
            size=tuple(self.perturbation.shape[:2]),
            png=picture,
            eot=self.eot,
            doubts=self.doubts or None,
            versions=dict(self.versions),
            hardware=self.hardware,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        return self.record.to_dict()

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_dict()` as JSON; a reader finds the old file or the whole new one.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)

    def table(self) -> Table:
        """The figures as a `rich` table, headed by the fooling rate of the other half."""
        norm = _NORM_WORDS[self.maker.norm]
        draws = f"Each answer is the mean over {self.eot} draws. " if self.eot else ""
        engine = "" if self.engine == "native" else f", made by {self.engine}"
        table = ResultTable(
            title=(
                f"Fooling rate {percent(self.fooling_rate)}: one perturbation for all images, "
                f"{norm} epsilon {wording.radius(self.maker.epsilon)}{engine}"
            ),
            caption=(
                f"{self.model} on {wording.data_name(self.dataset, self.split)}, "
                f"{wording.selected(len(self.made_on) + len(self.fooled), self.selection)}, halved "
                f"with seed {self.seed}. An image is fooled that is given another class than "
                f"clean. {draws}Took {wording.seconds(self.seconds)}."
                f"{wording.warnings(self.missing, self.doubts)}"
            ),
        )
        table.add_column("perturbation")
        for name in ("images", "fooled", "accuracy"):
            table.add_column(name, justify="right")
        others = wording.number(len(self.fooled))
        random = percent(float(self.fooled_by_random.mean()))
        table.add_row("none", others, percent(0.0), percent(self.clean_accuracy))
        table.add_row("random, of the same size", others, random, "")
        made_on = percent(float(self.made_on.mean()))
        table.add_row("on the half it was made on", wording.number(len(self.made_on)), made_on, "")
        table.add_row(
            "on the other half",
            others,
            percent(self.fooling_rate),
            percent(self.accuracy),
            style="bold",
        )
        return table

    def _told(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "epsilon": self.maker.epsilon,
            "norm": self.maker.norm,
            "num_images": len(self.fooled),
            "fooling_rate": self.fooling_rate,
        }
