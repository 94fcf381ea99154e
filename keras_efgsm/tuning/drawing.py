"""The trials of a search as a picture: what each hyperparameter does, and what was gained."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from keras_efgsm.pictures import (
    EndLabel,
    Palette,
    fine_percent_axis,
    heading,
    label_ends,
    new_figure,
    percent_axis,
    save_figure,
    styled,
)
from keras_efgsm.records import FinalistsRecord, TrialsRecord, wording
from keras_efgsm.records.search import TrialRow
from keras_efgsm.records.wording import percent, radius

# More hyperparameters would be too narrow to be read.
_MOST_PANELS = 4
# So many times the middle half below it, a trial stands at the edge with its figure, as it would
# squeeze all others together.
_FAR = 2.5


class _Mark(NamedTuple):
    """How a kind of trial is drawn."""

    marker: str
    size: float
    colour: str
    is_filled: bool


def draw_trials(
    trials: TrialsRecord,
    path: str | Path,
    finalists: FinalistsRecord | None = None,
    *,
    theme: str = "light",
) -> None:
    """Draws robust accuracy by each hyperparameter, and against natural accuracy.

    The Pareto front, the preset and, once finalists were repeated with other seeds, the one that
    won are marked. Trials far below all others stand at the lower edge, with their figures.

    Args:
        trials: all of them; those without a result are left out.
        path: the PNG file, replaced if it exists.
        finalists: the best ones, repeated. Defaults to none.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.

    Raises:
        ValueError: if there is no such theme.
        OSError: if the file cannot be written.

    Example:

    ```python
    from keras_efgsm.records import FinalistsRecord, TrialsRecord

    found = TrialsRecord.read("searches/mnist/trials.json")
    repeated = FinalistsRecord.read("searches/mnist/finalists.json")
    draw_trials(found, "search.png", repeated)
    ```
    """
    completed = [row for row in trials.trials if row.robust_accuracy is not None]
    ranges: dict[str, dict[str, Any]] = trials.search["ranges"]
    names = list(ranges)[:_MOST_PANELS]
    robust = [_robust(row) for row in completed]
    low = _lowest_in_full(robust)
    with styled(theme) as colours:
        figure = new_figure(3.7 * (len(names) + 1), 4.8)
        heading(figure, _title(completed, finalists), _about(trials), colours=colours)
        panels = figure.subplots(1, len(names) + 1, sharey=True, squeeze=False)[0]
        fine_percent_axis(panels[0].yaxis, [share for share in robust if share >= low])
        bottom, top = panels[0].get_ylim()
        if min(robust) < low:
            # Room for those that stand at the edge.
            bottom -= 0.12 * (top - bottom)
            percent_axis(panels[0].yaxis, bottom, top)
        edge = bottom + 0.06 * (top - bottom)
        panels[0].set_title("robust accuracy", color=colours.soft)
        _draw_front(panels[-1], completed, colours)
        by_natural = (panels[-1], _natural)
        for panel, x in [*zip(panels, map(_value, names), strict=False), by_natural]:
            labels = _draw(panel, completed, x, finalists, (low, edge), colours)
            if panel is panels[-1]:
                fine_percent_axis(panel.xaxis, [x(row) for row in completed], least=2.0)
                panel.set_xlabel("natural accuracy; line: Pareto front")
                label_ends(panel, labels, size=10)
        for panel, name in zip(panels, names, strict=False):
            panel.set_xlabel(name.replace("_", " "))
            if ranges[name].get("log"):
                _plain_log(panel)
        save_figure(figure, path)


def _robust(row: TrialRow) -> float:
    return 100 * (row.robust_accuracy or 0.0)


def _natural(row: TrialRow) -> float:
    return 100 * (row.natural_accuracy or 0.0)


def _value(name: str) -> Callable[[TrialRow], float]:
    return lambda row: row.values[name]


def _lowest_in_full(shares: Sequence[float]) -> float:
    """Below it a trial stands at the edge."""
    if len(shares) < 8:
        return min(shares)
    lower, _, upper = statistics.quantiles(shares, n=4)
    return lower - _FAR * (upper - lower)


def _draw(
    axes: Any,
    rows: Sequence[TrialRow],
    x: Callable[[TrialRow], float],
    finalists: FinalistsRecord | None,
    bounds: tuple[float, float],
    colours: Palette,
) -> list[EndLabel]:
    """Draws every trial; returns the names of those that are known by one."""
    low, edge = bounds
    won = None if finalists is None else finalists.best
    labels = []
    far: dict[float, list[float]] = {}
    for row in rows:
        mark, name = _mark(row, won, colours)
        at = (x(row), _robust(row))
        if at[1] < low:
            axes.plot(at[0], edge, "v", color=colours.soft, markersize=6, clip_on=False)
            far.setdefault(at[0], []).append(at[1])
            continue
        axes.plot(
            *at,
            mark.marker,
            markersize=mark.size,
            markeredgecolor=mark.colour,
            markerfacecolor=mark.colour if mark.is_filled else "none",
            markeredgewidth=1.8,
            zorder=3 + mark.size / 100,
        )
        if name:
            labels.append(EndLabel(*at, name, mark.colour, is_strong=row.trial == won))
    for number, (place, shares) in enumerate(sorted(far.items())):
        # Away from each other.
        is_left = number == 0 and len(far) > 1
        axes.annotate(
            "\n".join(f"{share:.1f}\u00a0%" for share in shares),
            (place, edge),
            textcoords="offset points",
            xytext=(-7 if is_left else 7, -6),
            ha="right" if is_left else "left",
            va="bottom",
            fontsize=9,
            linespacing=1.0,
            color=colours.soft,
            annotation_clip=False,
        )
    return labels


def _mark(row: TrialRow, won: str | None, colours: Palette) -> tuple[_Mark, str]:
    if row.trial == won:
        return _Mark("*", 15, colours.lines[1], True), f"{row.trial}, won"
    if row.is_preset:
        return _Mark("D", 8, colours.lines[3], False), f"{row.trial}, preset"
    if row.on_pareto_front:
        return _Mark("o", 7, colours.lines[0], True), row.trial
    return _Mark("o", 6, colours.shade, True), ""


def _draw_front(axes: Any, rows: Sequence[TrialRow], colours: Palette) -> None:
    front = sorted((row for row in rows if row.on_pareto_front), key=_natural)
    # Along the axes: between two trials of the front nothing has been reached.
    x, y = [_natural(row) for row in front], [_robust(row) for row in front]
    axes.step(x, y, "-", where="pre", color=colours.lines[0], linewidth=1.4, zorder=2)


def _title(rows: Sequence[TrialRow], finalists: FinalistsRecord | None) -> str:
    best = None if finalists is None else finalists.best
    if finalists is None or best is None:
        first = max(rows, key=_robust)
        return f"{len(rows)} trials; the most robust, {first.trial}: {_in_words(first.values)}"
    values = _in_words(finalists.finalists[0].values)
    won = f"{best} won ({values}): {_repeated(finalists, best)} robust"
    seeds = f" over {wording.count(len(finalists.seeds), 'new seed')}"
    preset = next((row.trial for row in finalists.finalists if row.is_preset), best)
    beside = "" if preset == best else f";\nthe preset {_repeated(finalists, preset)}"
    return f"{won}{seeds}{beside}"


def _repeated(finalists: FinalistsRecord, trial: str) -> str:
    """The mean of a finalist, and from where to where its trainings lie."""
    own = [run for run in finalists.runs if run.trial == trial and run.epochs == finalists.epochs]
    shares = [100 * run.robust_accuracy for run in own]
    mean = percent(statistics.mean(shares) / 100, 1)
    return f"{mean} ({min(shares):.1f} to {max(shares):.1f})" if len(shares) > 1 else mean


def _in_words(values: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in values.items())


def _about(trials: TrialsRecord) -> str:
    config = trials.search["config"]
    done = sum(row.robust_accuracy is not None for row in trials.trials)
    about = (
        f"{wording.count(done, 'trial')} of {config['method']} on "
        f"{wording.data_name(config['dataset'])}, {trials.search['epochs']} epochs each"
    )
    measured = trials.measured_by
    if not measured:
        return about
    attacks = ", ".join(attack["name"] for attack in measured["attacks"])
    epsilon = radius(measured["attacks"][0]["epsilon"], measured["attacks"][0].get("norm"))
    return (
        f"{about}; {attacks}, epsilon {epsilon}, {wording.number(measured['num_images'])} "
        "validation images"
    )


def _plain_log(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
