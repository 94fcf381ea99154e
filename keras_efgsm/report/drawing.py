"""Line charts as SVG, in the colours of the page's light or dark scheme."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from keras_efgsm.pictures import (
    PAGE,
    EndLabel,
    Palette,
    draw_line,
    label_ends,
    new_figure,
    percent_axis,
    styled,
    whole_axis,
)
from keras_efgsm.pictures.inline_svg import inline_svg
from keras_efgsm.pictures.palette import DASHES
from keras_efgsm.records.wording import number, percent, unbroken

# Small, so that the letters are still readable when a phone shrinks the drawing.
_WIDTH, _HEIGHT = 420, 280
_FONT = 12.5
# Beside a line there is room for names of so many letters, in lines of so many.
_MOST_LETTERS, _LETTERS = 26, 13


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        name: what it is called.
        points: `(x, y)`; those that are not finite are left out.
        band: lowest and highest y at each point; empty for none.
    """

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Chart:
    """A chart as the template shows it.

    Args:
        svg: the drawing.
        caption: what it shows and how that was measured.
        legend: `(dashes, name)` of each line.
        is_named: whether the lines bear their names, so that the legend need not be shown.
        mark: what the vertical line is; None without one.
        x_label: the horizontal axis with its unit.
        rows: the same numbers as text: x, then y of each line.
    """

    svg: Markup
    caption: str
    legend: list[tuple[str, str]]
    is_named: bool
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
    """Draws lines, named where they end if the names are short.

    Args:
        name: begins the ids of its elements; unlike that of any other chart of the page.
        lines: what is drawn; lines without a point are left out.
        caption: what it shows and how that was measured.
        x_label: the horizontal axis with its unit.
        y_label: the vertical axis with its unit, written above it.
        is_share: whether y is a share in [0, 1], shown in per cent. Defaults to `False`.
        log_x: whether the horizontal axis is logarithmic. Defaults to `False`.
        log_y: whether the vertical axis is logarithmic. Defaults to `False`.
        x_ticks: where the horizontal axis has its ticks. Defaults to round numbers.
        mark: a vertical line at this x with this name. Defaults to none.

    Returns:
        The chart; None if no line has a point.
    """
    shown = [line for line in (_drawable(line, log_x, log_y) for line in lines) if line.points]
    if not shown:
        return None
    is_named = len(shown) <= len(DASHES) and all(len(line.name) <= _MOST_LETTERS for line in shown)
    title = f"{y_label} against {x_label}"
    say = percent if is_share else number
    ends = "; ".join(
        f"{line.name}: {say(line.points[0][1])} at {number(line.points[0][0])}, "
        f"{say(line.points[-1][1])} at {number(line.points[-1][0])}"
        for line in shown
    )
    with styled(PAGE) as colours:
        figure = new_figure(_WIDTH / 72, _HEIGHT / 72)
        axes = figure.subplots()
        labels = [_draw(axes, line, i, is_share, colours) for i, line in enumerate(shown)]
        if mark:
            axes.axvline(mark[0], color=colours.soft, linewidth=1.5, linestyle=(0, (1.3, 2)))
        _draw_axes(axes, shown, is_share, log_x, log_y, x_ticks)
        axes.set_xlabel(x_label, fontsize=_FONT)
        axes.set_title(y_label, color=colours.soft, fontsize=_FONT)
        if is_named:
            label_ends(axes, labels, size=_FONT)
        svg = inline_svg(figure, name, title=title, description=unbroken(f"{title}. {ends}"))
    values = [dict(line.points) for line in shown]
    return Chart(
        # Written by an XML writer, which escapes the names in the description.
        svg=Markup(svg),
        caption=caption,
        legend=[
            (" ".join(map(str, DASHES[i % len(DASHES)])), line.name) for i, line in enumerate(shown)
        ],
        is_named=is_named,
        mark=mark[1] if mark else None,
        x_label=x_label,
        rows=[
            [number(x), *(say(value.get(x)) for value in values)]
            for x in sorted({x for value in values for x in value})
        ],
    )


def _drawable(line: Line, log_x: bool, log_y: bool) -> Line:
    def is_drawable(x: float, y: float) -> bool:
        finite = math.isfinite(x) and math.isfinite(y)
        return finite and not (log_x and x <= 0) and not (log_y and y <= 0)

    kept = [index for index, point in enumerate(line.points) if is_drawable(*point)]
    band = [line.band[index] for index in kept] if line.band else ()
    return Line(line.name, [line.points[index] for index in kept], band)


def _draw(axes: Any, line: Line, style: int, is_share: bool, colours: Palette) -> EndLabel:
    scale = 100 if is_share else 1
    x = [point[0] for point in line.points]
    y = [scale * point[1] for point in line.points]
    band = None
    if line.band:
        low, high = zip(*line.band, strict=True)
        band = ([scale * value for value in low], [scale * value for value in high])
    colour = draw_line(axes, x, y, style, colours, band=band)
    return EndLabel(x[-1], y[-1], "\n".join(textwrap.wrap(line.name, _LETTERS)), colour)


def _draw_axes(
    axes: Any,
    lines: Sequence[Line],
    is_share: bool,
    log_x: bool,
    log_y: bool,
    x_ticks: Sequence[float] | None,
) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.tick_params(labelsize=_FONT)
    axes.margins(x=0.02)
    plain = FuncFormatter(lambda value, _: f"{value:.4g}")
    xs = [x for line in lines for x, _ in line.points]
    if log_x:
        axes.set_xscale("log")
    if all(float(x).is_integer() for x in xs) and not log_x:
        whole_axis(axes.xaxis)
    else:
        axes.xaxis.set_major_formatter(plain)
    if x_ticks is not None:
        axes.xaxis.set_major_locator(FixedLocator(list(x_ticks)))
    elif not log_x and not all(float(x).is_integer() for x in xs):
        axes.xaxis.set_major_locator(MaxNLocator(6, min_n_ticks=1))
    if is_share:
        percent_axis(axes.yaxis)
    else:
        if log_y:
            axes.set_yscale("log")
            ys = [y for line in lines for _, y in line.points]
            # Powers of ten only where there are some to be seen.
            several = max(ys) > 30 * min(ys)
            axes.yaxis.set_major_locator(LogLocator(10) if several else MaxNLocator(5))
        axes.yaxis.set_major_formatter(plain)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
