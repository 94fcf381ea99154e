"""Line charts as SVG, in the colours of the page's light or dark scheme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from keras_efgsm.records.drawing import inline_svg, new_figure
from keras_efgsm.records.wording import number, percent, unbroken

# Small, so that the letters are still readable when a phone shrinks the drawing.
_WIDTH, _HEIGHT = 400, 270
# Lengths of line and gap by which the lines are told apart without their colours.
DASHES = ((), (7, 3), (2, 2), (9, 3, 2, 3), (4, 4), (12, 4))
_MOST_MARKERS = 40
_TEXT, _SOFT, _GRID, _PANEL = "#000001", "#000002", "#000003", "#000004"
_LINES = tuple(f"#00001{index}" for index in range(len(DASHES)))
# The colours of the figure, as the style sheet names them.
_COLOURS = {
    _TEXT: "var(--text)",
    _SOFT: "var(--soft)",
    _GRID: "var(--grid)",
    _PANEL: "var(--panel)",
    **{colour: f"var(--c{index})" for index, colour in enumerate(_LINES)},
}


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        name: what the legend calls it.
        points: `(x, y)`; those that are not finite are left out.
    """

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A chart as the template shows it.

    Args:
        svg: the drawing.
        caption: what it shows and how that was measured.
        legend: `(dashes, name)` of each line.
        mark: what the vertical line is; None without one.
        x_label: the horizontal axis with its unit.
        rows: the same numbers as text: x, then y of each line.
    """

    svg: Markup
    caption: str
    legend: list[tuple[str, str]]
    mark: str | None
    x_label: str
    rows: list[list[str]]


def line_chart(
    name: str,
    lines: Sequence[Line],
    *,
    caption: str,
    x_label: str,
    y_label: str,
    is_share: bool = False,
    log_x: bool = False,
    log_y: bool = False,
    x_ticks: Sequence[float] | None = None,
    mark: tuple[float, str] | None = None,
) -> Chart | None:
    """Draws lines.

    Args:
        name: begins the ids of its elements; unlike that of any other chart of the page.
        lines: what is drawn; lines without a point are left out.
        caption: what it shows and how that was measured.
        x_label: the horizontal axis with its unit.
        y_label: the vertical axis with its unit.
        is_share: whether y is a share in [0, 1], shown in per cent. Defaults to `False`.
        log_x: whether the horizontal axis is logarithmic. Defaults to `False`.
        log_y: whether the vertical axis is logarithmic. Defaults to `False`.
        x_ticks: where the horizontal axis has its ticks. Defaults to round numbers.
        mark: a vertical line at this x with this name. Defaults to none.

    Returns:
        The chart; None if no line has a point.
    """
    drawable = [
        Line(line.name, [p for p in line.points if _is_drawable(p, log_x, log_y)]) for line in lines
    ]
    shown = [line for line in drawable if line.points]
    if not shown:
        return None
    figure = new_figure(_WIDTH / 72, _HEIGHT / 72)
    axes = figure.subplots()
    for index, line in enumerate(shown):
        _draw_line(axes, line, index % len(DASHES), 100 if is_share else 1)
    if mark:
        axes.axvline(mark[0], color=_SOFT, linewidth=1.5, linestyle=(0, (1.3, 2)))
    _draw_axes(figure, axes, shown, is_share, log_x, log_y, x_ticks)
    axes.set_xlabel(x_label, color=_TEXT, fontsize=12)
    axes.set_ylabel(y_label, color=_TEXT, fontsize=12)
    say = percent if is_share else number
    title = f"{y_label} against {x_label}"
    ends = "; ".join(
        f"{line.name}: {say(line.points[0][1])} at {number(line.points[0][0])}, "
        f"{say(line.points[-1][1])} at {number(line.points[-1][0])}"
        for line in shown
    )
    svg = inline_svg(
        figure, name, title=title, description=unbroken(f"{title}. {ends}"), colours=_COLOURS
    )
    values = [dict(line.points) for line in shown]
    return Chart(
        # Written by an XML writer, which escapes the names in the description.
        svg=Markup(svg),
        caption=caption,
        legend=[
            (" ".join(map(str, DASHES[i % len(DASHES)])), line.name) for i, line in enumerate(shown)
        ],
        mark=mark[1] if mark else None,
        x_label=x_label,
        rows=[
            [number(x), *(say(value.get(x)) for value in values)]
            for x in sorted({x for value in values for x in value})
        ],
    )


def _is_drawable(point: tuple[float, float], log_x: bool, log_y: bool) -> bool:
    x, y = point
    finite = math.isfinite(x) and math.isfinite(y)
    return finite and not (log_x and x <= 0) and not (log_y and y <= 0)


def _draw_line(axes: Any, line: Line, style: int, scale: float) -> None:
    colour, width = _LINES[style], 2.2
    # matplotlib gives dashes in widths of the line.
    dashes = tuple(length / width for length in DASHES[style])
    axes.plot(
        [x for x, _ in line.points],
        [scale * y for _, y in line.points],
        color=colour,
        linewidth=width,
        linestyle=(0, dashes) if dashes else "-",
        solid_joinstyle="round",
        marker="o" if len(line.points) <= _MOST_MARKERS else "",
        markersize=5.2,
        markerfacecolor=_PANEL,
        markeredgecolor=colour,
        markeredgewidth=1.6,
        # A point at 0 or 100 % is a whole circle.
        clip_on=False,
        zorder=3,
    )


def _draw_axes(
    figure: Any,
    axes: Any,
    lines: Sequence[Line],
    is_share: bool,
    log_x: bool,
    log_y: bool,
    x_ticks: Sequence[float] | None,
) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(_SOFT)
    axes.grid(axis="y", color=_GRID, linewidth=1)
    axes.margins(x=0.02)
    axes.tick_params(labelsize=12, labelcolor=_TEXT, color=_SOFT, length=4)
    axes.tick_params(axis="y", length=0)
    plain = FuncFormatter(lambda value, _: f"{value:.4g}")
    if log_x:
        axes.set_xscale("log")
    xs = [x for line in lines for x, _ in line.points]
    whole = all(float(x).is_integer() for x in xs)
    if x_ticks is not None:
        axes.xaxis.set_major_locator(FixedLocator(list(x_ticks)))
    elif not log_x:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole, min_n_ticks=1))
    if is_share:
        axes.set_ylim(0, 100)
    elif log_y:
        axes.set_yscale("log")
        ys = [y for line in lines for _, y in line.points]
        # Powers of ten only where there are some to be seen.
        several = max(ys) > 30 * min(ys)
        axes.yaxis.set_major_locator(LogLocator(10) if several else MaxNLocator(5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(plain)
