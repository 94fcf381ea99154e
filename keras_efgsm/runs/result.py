"""What a training leaves, in memory."""

from typing import Any, NamedTuple

from keras_efgsm.printing import ResultTable, as_html, brief
from keras_efgsm.records import MetricsRecord
from keras_efgsm.records.wording import count, number, seconds, with_interval
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer


class TrainingResult(NamedTuple):
    """The result of a run.

    Attributes:
        trainer: the trained model; `trainer.classifier` is what leaves.
        metrics: how training ended, as in `metrics.json`; empty on any worker but the first.
        folder: the run's folder.
    """

    trainer: AdversarialTrainer
    metrics: dict[str, Any]
    folder: RunFolder

    def table(self) -> ResultTable:
        """How the training ended, as a `rich` table."""
        config = self.folder.read_config()
        metrics = MetricsRecord.from_dict(self.metrics)
        table = ResultTable(
            title=f"{config.method} on {config.dataset}, epsilon {config.epsilon_in_words}, seed "
            f"{config.seed}",
            title_justify="left",
            show_header=False,
            box=None,
            pad_edge=False,
        )
        table.add_column("")
        table.add_column("", justify="right")
        table.add_row("epochs", number(metrics.epochs))
        table.add_row("training", seconds(metrics.training_seconds))
        table.add_row(
            f"natural accuracy, {count(metrics.test_images, 'test image')}",
            with_interval(metrics.natural_accuracy, metrics.interval_of_natural),
        )
        stop = metrics.stop
        if stop is not None and stop.fired:
            table.add_row("stopped", f"epoch {stop.epoch}: {stop.reason}")
        elif stop is not None and stop.restored_epoch is not None:
            table.add_row("put back", f"epoch {stop.restored_epoch}: {stop.reason}")
        return table

    def __str__(self) -> str:
        return str(self.table()) if self.metrics else repr(self)

    def __repr__(self) -> str:
        return brief(
            self,
            folder=str(self.folder.path),
            epochs=self.metrics.get("epochs"),
            natural_accuracy=self.metrics.get("natural_accuracy"),
        )

    def _repr_html_(self) -> str | None:
        return as_html(self.table()) if self.metrics else None
