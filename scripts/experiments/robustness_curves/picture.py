"""Courses of robust accuracy over training time as a picture."""

import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.pictures import (
    EndLabel,
    Palette,
    draw_line,
    fine_percent_axis,
    heading,
    label_ends,
    new_figure,
    save_figure,
    seconds_axis,
    styled,
)
from keras_efgsm.pictures.palette import DASHES

OURS = ("efgsm", "combined", "rec", "efgsm-trades")
"""The methods of this library, which are set apart from those of others."""
_NAMES = {
    "efgsm": "eFGSM (ours)",
    "combined": "eFGSM + re-constructor (ours)",
    "rec": "re-constructor (ours)",
    "efgsm-trades": "eFGSM + TRADES (ours)",
    "standard": "ordinary training",
    "fgsm": "FGSM",
    "fgsm-rs": "FGSM-RS",
    "n-fgsm": "N-FGSM",
    "fgsm-pgi": "FGSM-PGI",
    "pgd": "PGD (Madry)",
    "trades": "TRADES",
    "alp": "ALP",
    "free": "AdvFree",
    "yopo": "YOPO",
    "gradient-regularisation": "gradient regularisation",
}
# Those that lie below the others are told of in words, as their height would be taken from these.
_MOST_SPREAD = 45.0
_MOST_LEFT_OUT = 2
# At the end: lines along the axis, whose names would cover each other.
_NOTHING = 0.03
# More than so many may begin far below those they come up to.
_FEW = 4
# Of a line above the drawing.
_LETTERS = 105


def draw(
    rows: list[dict[str, Any]],
    path: Path,
    about: str,
    target: float | None,
    *,
    theme: str = "light",
) -> None:
    """Draws a line for each method, and a band from the lowest to the highest seed.

    Args:
        rows: as `summarise` gives them.
        path: the PNG file.
        about: how it was measured.
        target: robust accuracy in [0, 1] that is marked; None for none.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.
    """
    several = any(row["seeds"] > 1 for row in rows)
    if several:
        about += "; line: mean, band: lowest to highest seed"
    with styled(theme) as colours:
        figure = new_figure(9, 5.2)
        shown, left_out = _in_sight(rows)
        if left_out:
            about += "\n" + textwrap.fill(f"not drawn, with what they end at: {left_out}", _LETTERS)
        heading(figure, _title(rows, target), about, colours=colours)
        axes = figure.subplots()
        labels = [
            _draw_method(axes, row, style, colours) for style, row in enumerate(_ours_last(shown))
        ]
        marks = [mark for row in shown for mark in row["marks"]]
        seconds = [mark["seconds"] for mark in marks]
        seconds_axis(axes.xaxis, min(seconds), max(seconds))
        axes.set_xlabel("training time (logarithmic)")
        heights = [100 * mark[key] for mark in marks for key in ("lowest", "highest")]
        if len(shown) > _FEW:
            heights = [height for height in heights if height >= 100 * min(_ends(shown)) - 20]
        if target is not None:
            heights.append(100 * target)
            _mark_target(axes, rows, target, colours)
        fine_percent_axis(axes.yaxis, heights)
        axes.set_title("robust accuracy", color=colours.soft)
        label_ends(axes, labels, size=10)
        save_figure(figure, path)


def _title(rows: Sequence[dict[str, Any]], target: float | None) -> str:
    reached = _reached(rows, target)
    if target is None or not reached:
        best = max(rows, key=lambda row: row["marks"][-1]["robust_accuracy"])
        if len(rows) > _FEW:
            return f"Robust accuracy of {len(rows)} ways to train, by training time"
        return (
            f"{_name(best['method'])}: {100 * best['marks'][-1]['robust_accuracy']:.1f} % robust "
            f"after {_time(best['marks'][-1]['seconds'])}"
        )
    first = reached[0]
    times = _range_of_times(first["seconds_to_target"])
    text = f"{_name(first['method'])} is {100 * target:.0f} % robust in {times}"
    if len(reached) == 1:
        return text
    second = reached[1]
    times = _range_of_times(second["seconds_to_target"])
    return f"{text}; {_name(second['method'])} in {times}"


def _name(method: str) -> str:
    return _NAMES.get(method, method)


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _range_of_times(times: Sequence[float]) -> str:
    if len(times) == 1:
        return _time(times[0])
    low, high = min(times), max(times)
    digits = 1 if high < 10 else 0
    return f"{low:.{digits}f} to {high:.{digits}f} s"


def _reached(rows: Sequence[dict[str, Any]], target: float | None) -> list[dict[str, Any]]:
    """The methods that had the target with every seed, the quickest first."""
    if target is None:
        return []
    reached = [row for row in rows if None not in row["seconds_to_target"]]
    return sorted(reached, key=lambda row: statistics.mean(row["seconds_to_target"]))


def _in_sight(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """The methods that are drawn, and those far below them in words."""
    best = max(mark["robust_accuracy"] for row in rows for mark in row["marks"])
    lowest = best - _MOST_SPREAD / 100
    below = [row for row in rows if row["marks"][-1]["robust_accuracy"] < lowest]
    if len(below) > _MOST_LEFT_OUT:
        below = [row for row in rows if row["marks"][-1]["robust_accuracy"] < _NOTHING]
    shown = [row for row in rows if row not in below]
    words = ", ".join(
        f"{_name(row['method'])} {100 * row['marks'][-1]['robust_accuracy']:.0f} %" for row in below
    )
    return shown, words


def _ends(rows: Sequence[dict[str, Any]]) -> list[float]:
    return [row["marks"][-1]["robust_accuracy"] for row in rows]


def _ours_last(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of drawing: what comes last lies above."""
    return sorted(rows, key=lambda row: row["method"] in OURS)


def _draw_method(axes: Any, row: dict[str, Any], style: int, colours: Palette) -> EndLabel:
    is_ours = row["method"] in OURS
    seconds = [mark["seconds"] for mark in row["marks"]]
    shares = [100 * mark["robust_accuracy"] for mark in row["marks"]]
    several = row["seeds"] > 1
    band = tuple([100 * mark[key] for mark in row["marks"]] for key in ("lowest", "highest"))
    # Ours alone has the warm colour; the others are told apart by marker and dashes as well.
    own = OURS.index(row["method"]) if is_ours else None
    colour = (
        colours.lines[(1, 1, 4, 3)[own]] if own is not None else colours.lines[(0, 2, 5)[style % 3]]
    )
    draw_line(
        axes,
        seconds,
        shares,
        (own or 0) if is_ours else 1 + style % (len(DASHES) - 1),
        colours,
        band=band if several else None,  # type: ignore[arg-type]
        width=3.2 if is_ours else 1.6,
        colour=colour,
        # A course may begin far below those it comes up to.
        is_clipped=True,
    )
    name = _name(row["method"])
    if "seconds_to_target" in row and None in row["seconds_to_target"]:
        never = row["seconds_to_target"].count(None)
        name += (
            "\nnot reached"
            if never == row["seeds"]
            else f"\nnot reached by {never} of {row['seeds']}"
        )
    return EndLabel(seconds[-1], shares[-1], name, colour, is_strong=is_ours)


def _mark_target(axes: Any, rows: list[dict[str, Any]], target: float, colours: Palette) -> None:
    """The line of the target with its name, and how many times as long the next one took."""
    y = 100 * target
    axes.axhline(y, color=colours.soft, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        f"{y:.0f} % robust",
        (0, y),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        xytext=(2, 5),
        color=colours.soft,
    )
    reached = _reached(rows, target)
    if len(reached) < 2:
        return
    first, second = (statistics.mean(row["seconds_to_target"]) for row in reached[:2])
    ratios = [ratio["ratio"] for ratio in reached[1]["ratios"]]
    several = f" ({min(ratios):.0f} to {max(ratios):.0f})" if len(ratios) > 1 else ""
    axes.annotate(
        "",
        (first, y),
        xytext=(second, y),
        arrowprops={"arrowstyle": "<->", "color": colours.text, "linewidth": 1.4},
        zorder=4,
    )
    axes.annotate(
        f"{statistics.mean(ratios):.1f} times as long{several}",
        ((first * second) ** 0.5, y),
        textcoords="offset points",
        xytext=(0, -6),
        ha="center",
        va="top",
        fontweight="bold",
    )
    for seconds in (first, second):
        axes.plot(seconds, y, "|", color=colours.text, markersize=11, markeredgewidth=1.6)
