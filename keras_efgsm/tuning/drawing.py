"""The trials as a picture: robust against natural accuracy."""

from collections.abc import Sequence
from typing import Any

from keras_efgsm.records.drawing import new_figure, save_figure
from keras_efgsm.records.wording import percent
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.search_options import SearchOptions
from keras_efgsm.tuning.trials import (
    TrialRecord,
    attacks_in_words,
    best_first,
    is_preset,
    pareto_front,
)

_MOST_LISTED = 14


def draw_trials(
    folder: SearchFolder, trials: Sequence[TrialRecord], options: SearchOptions
) -> None:
    """Draws `search.png`: every completed trial, the Pareto front marked and listed beside.

    Args:
        folder: the search's folder.
        trials: all of them; those without a result are left out.
        options: the search.
    """
    ranked, front = best_first(trials), pareto_front(trials)
    figure = new_figure(10, 5)
    axes, beside = figure.subplots(1, 2, width_ratios=[1.9, 1])
    others = [trial for trial in ranked if trial not in front]
    axes.plot(*_places(others), "o", color="0.65", label="trials")
    # Along the axes: between two trials of the front nothing has been reached.
    axes.step(*_places(front), "o-", where="pre", color="C0", label="Pareto front")
    presets = [trial for trial in ranked if is_preset(trial, options)]
    if presets:
        axes.plot(*_places(presets), "D", color="C1", markersize=9, fillstyle="none",
                  markeredgewidth=1.8, label="the preset")  # fmt: skip
    for index, trial in enumerate(front):
        axes.annotate(
            trial.number,
            (100 * trial.natural_accuracy, 100 * trial.robust_accuracy),
            xytext=(6, 6 if index % 2 == 0 else -14),
            textcoords="offset points",
        )
    axes.set_xlabel("natural accuracy, %")
    axes.set_ylabel("robust accuracy, %")
    axes.margins(0.08)
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    _list_front(beside, front, options)
    measured = next((attacks_in_words(t.evaluation) for t in ranked if t.evaluation), "")
    figure.suptitle(
        f"{len(ranked)} trials of {options.config.method} on {options.config.dataset}\n{measured}",
        fontsize="medium",
    )
    save_figure(figure, folder.picture)


def _places(trials: Sequence[TrialRecord]) -> tuple[list[float], list[float]]:
    return (
        [100 * trial.natural_accuracy for trial in trials],
        [100 * trial.robust_accuracy for trial in trials],
    )


def _list_front(axes: Any, front: Sequence[TrialRecord], options: SearchOptions) -> None:
    axes.axis("off")
    rows = [
        [trial.number, *(f"{trial.values[name]:.3g}" for name in options.ranges),
         percent(trial.robust_accuracy, 1), percent(trial.natural_accuracy, 1)]
        for trial in front[:_MOST_LISTED]
    ]  # fmt: skip
    if not rows:
        return
    names = [name.replace("_", "\n") for name in options.ranges]
    table = axes.table(
        rows, colLabels=["trial", *names, "robust", "natural"], loc="center", cellLoc="right"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    for (row, _), cell in table.get_celld().items():
        cell.set_linewidth(0.3)
        cell.set_height(0.1 if row == 0 else 0.055)
    axes.set_title("Pareto front", fontsize="medium")
