"""Natural and robust accuracy of several models, a row each, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_efgsm.pictures.axes import percent_axis
from keras_efgsm.pictures.figures import new_figure
from keras_efgsm.pictures.palette import MARKERS, Palette
from keras_efgsm.records.wording import percent

# In points, so that a phone shows them nearly in their own size. Beside the axis there is room for
# a label at 0 and at 100 %.
WIDTH, LEFT, RIGHT = 400, 62, 62
_TOP, _ROW, _BOTTOM = 26, 56, 34
_FONT = 12
NATURAL, ROBUST = 0, 1
"""The numbers of their colours and markers."""


@dataclass(frozen=True)
class AccuracyRow:
    """A model.

    Args:
        heading: what stands above its marks.
        natural: share in [0, 1] that is classified correctly unattacked.
        natural_interval: in which it lies.
        robust: share in [0, 1] that withstands all attacks.
        robust_interval: in which it lies.
        is_apart: whether a line divides it from the one above. Defaults to `False`.
    """

    heading: str
    natural: float
    natural_interval: tuple[float, ...]
    robust: float
    robust_interval: tuple[float, ...]
    is_apart: bool = False


def accuracies_figure(rows: Sequence[AccuracyRow], colours: Palette) -> Any:
    """Draws a circle for the natural and a square for the robust accuracy of each model.

    Args:
        rows: the models, from above.
        colours: as `styled` gives them.
    """
    height = _TOP + _ROW * len(rows) + _BOTTOM
    figure = new_figure(WIDTH / 72, height / 72)
    # Places by hand: the labels beside the axis must not narrow it by their length.
    figure.set_layout_engine("none")
    inside = (WIDTH - LEFT - RIGHT) / WIDTH
    axes = figure.add_axes((LEFT / WIDTH, _BOTTOM / height, inside, _ROW * len(rows) / height))
    percent_axis(axes.xaxis)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.tick_params(labelsize=_FONT)
    for row, model in enumerate(rows):
        if model.is_apart:
            # Across the headings as well.
            left, right = -(LEFT - 8) / (WIDTH - LEFT - RIGHT), 1 + RIGHT / WIDTH
            axes.plot(
                [left, right],
                [row, row],
                transform=axes.get_yaxis_transform(),
                color=colours.soft,
                linewidth=1,
                clip_on=False,
            )
        _draw_model(axes, row, model, colours)
    first = rows[0]
    for word, share, side, style in (
        ("robust", first.robust, "right", ROBUST),
        ("natural", first.natural, "left", NATURAL),
    ):
        gap = -2 if side == "right" else 2
        _write(axes, word, (100 * share, 0.0), (gap, 8), colours.lines[style], ha=side)
    return figure


def _draw_model(axes: Any, row: int, model: AccuracyRow, colours: Palette) -> None:
    _write(axes, model.heading, (0, row + 0.25), (8 - LEFT, 0), colours.text, va="center")
    # One above the other, so that they are told apart where they are close.
    for style, share, bounds, place in (
        (NATURAL, model.natural, model.natural_interval, 0.55),
        (ROBUST, model.robust, model.robust_interval, 0.8),
    ):
        y, colour = row + place, colours.lines[style]
        low, high = (100 * bound for bound in bounds)
        axes.plot([low, high], [y, y], color=colour, linewidth=2, clip_on=False, zorder=3)
        ends = {"marker": "|", "markersize": 8, "linestyle": "", "clip_on": False}
        axes.plot([low, high], [y, y], color=colour, **ends)
        axes.plot(
            [100 * share],
            [y],
            marker=MARKERS[style],
            markersize=7,
            color=colour,
            markeredgewidth=0,
            # A point at 0 or 100 % is whole.
            clip_on=False,
            zorder=4,
        )
        # Robust to the left and natural to the right, outside of both intervals.
        is_left = style == ROBUST
        at = min(low, 100 * share) if is_left else max(high, 100 * share)
        gap = -7 if is_left else 7
        side = "right" if is_left else "left"
        _write(axes, percent(share, 1), (at, y), (gap, 0), colour, ha=side, va="center")


def _write(
    axes: Any,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    colour: str,
    **options: Any,
) -> None:
    axes.annotate(
        text,
        at,
        textcoords="offset points",
        xytext=offset,
        color=colour,
        fontsize=_FONT,
        annotation_clip=False,
        **options,
    )
