"""The outcome of a comparison: its table, picture, page and JSON."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.comparison.drawing import draw_comparison
from keras_efgsm.comparison.page import render_page
from keras_efgsm.comparison.tables import rich_table
from keras_efgsm.printing import Printed, drawn
from keras_efgsm.records import ComparisonRecord
from keras_efgsm.report.templates import check_page


@dataclass(frozen=True, repr=False)
class Comparison(Printed):
    """Several models under the same attacks on the same images.

    Args:
        record: the figures, the best model of each access first.
        state: the file by which the comparison could be continued, which `write_json` removes.
            Defaults to none.

    Example:

    ```python
    comparison = Comparison(ComparisonRecord.read("comparison.json"))
    [(model.rank, model.name) for model in comparison.record.models]
    comparison.write_page("comparison.html")
    ```
    """

    record: ComparisonRecord
    state: Path | None = None

    def table(self) -> Table:
        """The figures as a `rich` table, ranked by the worst case over all attacks."""
        return rich_table(self.record)

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes the figures as JSON, after which the `state` has done its service and is removed.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if the file cannot be written.
        """
        self.record.write(path)
        if self.state is not None:
            self.state.unlink(missing_ok=True)

    def write_page(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes one self-contained HTML page: table, picture and commands.

        Args:
            path: the page; an older one is replaced.
            overwrite: whether something else there is replaced as well. Defaults to `False`.

        Raises:
            ValueError: if something else is there.
            OSError: if the page cannot be written.
        """
        check_page(Path(path), overwrite, "path")
        write_atomically(Path(path), render_page(self.record))

    def write_picture(self, path: str | os.PathLike[str]) -> None:
        """Writes natural against robust accuracy as PNG.

        Args:
            path: the file, replaced if it exists.

        Raises:
            OSError: if the file cannot be written.
        """
        draw_comparison(self.record, Path(path))

    def _told(self) -> dict[str, Any]:
        return {
            "dataset": self.record.dataset,
            "epsilon": self.record.epsilon,
            "num_images": self.record.num_images,
            "worst_case_accuracy": {
                model.name: round(model.worst_case_accuracy, 4) for model in self.record.models
            },
        }

    def _picture(self) -> bytes:
        return drawn(self.write_picture)
