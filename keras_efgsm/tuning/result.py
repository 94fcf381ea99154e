"""What a search found, in memory."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from keras_efgsm.printing import Printed, as_html, as_text
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import EvaluationRecord
from keras_efgsm.records.wording import with_interval
from keras_efgsm.tuning.finalists import finalists_table
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.trials import TrialRecord, trials_table


@dataclass(frozen=True, eq=False, repr=False)
class TuningResult(Printed):
    """The result of a search.

    Args:
        config: the best run at its full epochs.
        trials: all trials.
        finalists: as in `finalists.json`.
        evaluation: the best run on the test split, as in its `evaluation.json`.
        folder: the search's folder; the best run lies in its `best`.
    """

    config: TrainingConfig
    trials: list[TrialRecord]
    finalists: dict[str, Any]
    evaluation: dict[str, Any]
    folder: SearchFolder

    def table(self) -> Table:
        """The trials as a `rich` table, best first."""
        return trials_table(self.trials, self.folder.read())

    def __str__(self) -> str:
        tables = as_text(self.table()), as_text(finalists_table(self.finalists))
        return "\n\n".join([*tables, self._best])

    def _repr_html_(self) -> str:
        return as_html(self.table()) + as_html(finalists_table(self.finalists))

    @property
    def _best(self) -> str:
        found = EvaluationRecord.from_dict(self.evaluation)
        robust = with_interval(found.worst_case_accuracy, found.interval)
        return (
            f"best run: {self.folder.best}, robust {robust} on {found.split} images\n"
            f"again: {command_line(self.config)}"
        )

    def _told(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder.path),
            "trials": len(self.trials),
            "best": self.finalists["best"],
            "worst_case_accuracy": self.evaluation["worst_case_accuracy"],
        }
