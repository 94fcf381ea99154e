"""Lines that are named where they end, in place of a legend to be looked up."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_efgsm.pictures.palette import DASHES, MARKERS, Palette

_MOST_MARKERS = 40


@dataclass(frozen=True)
class EndLabel:
    """The name of a line, and where the line ends.

    Args:
        x: of the end, in the data.
        y: of the end, in the data.
        text: the name; a line break begins another line.
        colour: of the line.
        is_strong: whether it is set in bold. Defaults to `False`.
        is_left: whether it stands to the left of the end. Defaults to `False`.
    """

    x: float
    y: float
    text: str
    colour: str
    is_strong: bool = False
    is_left: bool = False


def draw_line(
    axes: Any,
    x: Sequence[float],
    y: Sequence[float],
    style: int,
    colours: Palette,
    *,
    band: tuple[Sequence[float], Sequence[float]] | None = None,
    width: float = 2.2,
    colour: str | None = None,
    is_clipped: bool = False,
) -> str:
    """Draws a line with the colour, dashes and markers of its number.

    Args:
        axes: where.
        x: of the points.
        y: of the points.
        style: number of the line; beyond the sixth they come again.
        colours: as `styled` gives them.
        band: lowest and highest y at each point, drawn as a pale band. Defaults to none.
        width: of the line in points. Defaults to 2.2.
        colour: in place of that of its number. Defaults to none.
        is_clipped: whether it ends at the edge of the axes. Defaults to `False`.

    Returns:
        Its colour, for the label.

    Example:

    ```python
    with styled() as colours:
        axes = new_figure(6.4, 4).subplots()
        draw_line(axes, [1, 2], [3, 4], 0, colours, band=([2, 3], [4, 5]))  # '#0072b2'
    ```
    """
    style %= len(DASHES)
    colour = colour or colours.lines[style]
    if band is not None:
        axes.fill_between(x, *band, color=colour, alpha=0.16, linewidth=0, zorder=2)
    # matplotlib gives dashes in widths of the line.
    dashes = tuple(length / width for length in DASHES[style])
    axes.plot(
        x,
        y,
        color=colour,
        linewidth=width,
        linestyle=(0, dashes) if dashes else "-",
        marker=MARKERS[style] if len(x) <= _MOST_MARKERS else "",
        markerfacecolor=colours.panel,
        markeredgecolor=colour,
        markeredgewidth=1.6,
        # A point at 0 or 100 % is whole.
        clip_on=is_clipped,
        zorder=3,
    )
    return colour


def label_ends(axes: Any, labels: Sequence[EndLabel], *, size: float = 11) -> None:
    """Writes names beside the ends of lines, moved up or down where they would cover each other.

    To be called last: it lays out the figure. A name that was moved has a thin line to its end.

    Args:
        axes: where the lines are.
        labels: their names.
        size: of the letters in points. Defaults to 11.

    Example:

    ```python
    axes = new_figure(6.4, 4).subplots()
    axes.plot([1, 2], [3, 4], color="#0072b2")
    label_ends(axes, [EndLabel(2, 4, "eFGSM", "#0072b2")])
    ```
    """
    figure = axes.figure
    texts = [
        axes.annotate(
            label.text,
            (label.x, label.y),
            textcoords="offset points",
            xytext=(-9 if label.is_left else 9, 0),
            color=label.colour,
            fontsize=size,
            fontweight="bold" if label.is_strong else "normal",
            linespacing=1.1,
            ha="right" if label.is_left else "left",
            va="center",
            # Of what lies below it the text stays readable.
            bbox={"facecolor": figure.get_facecolor(), "alpha": 0.8, "linewidth": 0, "pad": 0.8},
            annotation_clip=False,
            zorder=5,
        )
        for label in labels
    ]
    # The layout makes room for the names first, as it moves the ends.
    figure.draw_without_rendering()
    renderer, points = figure.canvas.get_renderer(), figure.dpi / 72
    placed = [_around(axes, label, 5 * points) for label in labels]
    # From above: those below it make way.
    for label, text in sorted(
        zip(labels, texts, strict=True),
        key=lambda pair: -axes.transData.transform((0, pair[0].y))[1],
    ):
        box = text.get_window_extent(renderer).padded(1.5 * points)
        for move in _moves(0.35 * size):
            moved = box.translated(0, move * points)
            if not any(moved.overlaps(other) for other in placed):
                break
        placed.append(moved)
        if move:
            side = -1 if label.is_left else 1
            text.set_position((16 * side, move))
            axes.annotate(
                "",
                (label.x, label.y),
                textcoords="offset points",
                xytext=(15 * side, move),
                arrowprops={
                    "arrowstyle": "-",
                    "color": label.colour,
                    "linewidth": 0.8,
                    "shrinkA": 0,
                    "shrinkB": 5,
                },
                annotation_clip=False,
                zorder=4,
            )


def _around(axes: Any, label: EndLabel, reach: float) -> Any:
    """The box of an end, which no name may cover."""
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform((label.x, label.y))
    return Bbox([[x - reach, y - reach], [x + reach, y + reach]])


def _moves(step: float) -> Any:
    """Distances in points to be tried, the nearest first; below before above."""
    return itertools.chain([0.0], *((-step * n, step * n) for n in range(1, 60)))
