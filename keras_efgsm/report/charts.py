"""Line charts as inline SVG: text stays text, colours follow the page's light or dark scheme."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from keras_efgsm.report.markup import Html, element, number, percent

# Small, so that the letters are still readable when a phone shrinks the drawing.
_WIDTH, _HEIGHT = 400, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 12, 46
_NUM_STYLES = 6
_MOST_MARKERS = 40


class Line(NamedTuple):
    """One line of a chart.

    Attributes:
        name: what the legend calls it.
        points: `(x, y)`; those that are not finite are left out.
    """

    name: str
    points: Sequence[tuple[float, float]]


class _Axis:
    def __init__(self, low: float, high: float, is_log: bool, is_whole: bool = False):
        self.is_log, self.is_whole = is_log, is_whole
        if is_log and high <= low:
            low, high = low / 2, high * 2
        elif high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high = low, high

    def share(self, value: float) -> float:
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int = 6) -> list[float]:
        if not self.is_log:
            return self._linear_ticks(most)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            ticks = [d * 10.0**p for p in range(first, last + 1) for d in digits]
            ticks = [t for t in ticks if self.low * 0.999 <= t <= self.high * 1.001]
            if len(ticks) <= most + 1:
                break
        return ticks

    def _linear_ticks(self, most: int) -> list[float]:
        raw = (self.high - self.low) / (most - 1)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(f * power for f in (1, 2, 2.5, 5, 10) if f * power >= raw * 0.999)
        if self.is_whole:
            step = math.ceil(step)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def line_chart(
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
) -> Html:
    """A figure of lines with legend, caption, and the same numbers as a table to unfold.

    Args:
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
        The figure; empty if no line has a point.
    """
    lines = [
        Line(line.name, [p for p in line.points if _drawable(p, log_x, log_y)]) for line in lines
    ]
    lines = [line for line in lines if line.points]
    if not lines:
        return Html("")
    xs = [x for line in lines for x, _ in line.points] + ([mark[0]] if mark else [])
    ys = [y for line in lines for _, y in line.points]
    x_axis = _Axis(min(xs), max(xs), log_x, is_whole=all(float(x).is_integer() for x in xs))
    y_axis = _Axis(0.0, 1.0, False) if is_share else _Axis(min(ys), max(ys), log_y)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x_axis.share(x) * (_WIDTH - _LEFT - _RIGHT)
        return across, _HEIGHT - _BOTTOM - y_axis.share(y) * (_HEIGHT - _TOP - _BOTTOM)

    show = percent if is_share else number
    drawing = [_grid(x_axis, y_axis, x_ticks, is_share, x_label, y_label, place)]
    if mark:
        across = place(mark[0], y_axis.low)[0]
        drawing.append(
            element("line", class_="mark", x1=f"{across:.1f}", x2=f"{across:.1f}", y1=_TOP,
                    y2=_HEIGHT - _BOTTOM)
        )  # fmt: skip
    drawing += [_curve(line, index, place) for index, line in enumerate(lines)]
    told = "; ".join(
        f"{line.name}: {show(line.points[0][1])} at {number(line.points[0][0])}, "
        f"{show(line.points[-1][1])} at {number(line.points[-1][0])}"
        for line in lines
    )
    svg = element(
        "svg",
        *drawing,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"{y_label} against {x_label}. {told}",
    )
    legend = [_legend_entry(f"line s{i % _NUM_STYLES}", line.name) for i, line in enumerate(lines)]
    if mark:
        legend.append(_legend_entry("mark", mark[1]))
    return element(
        "figure",
        svg,
        element("ul", *legend, class_="legend"),
        element("figcaption", caption),
        _numbers(lines, x_label, show),
        class_="chart",
    )


def _drawable(point: tuple[float, float], log_x: bool, log_y: bool) -> bool:
    x, y = point
    finite = math.isfinite(x) and math.isfinite(y)
    return finite and not (log_x and x <= 0) and not (log_y and y <= 0)


def _grid(x_axis, y_axis, x_ticks, is_share, x_label, y_label, place) -> Html:
    parts = []
    bottom = _HEIGHT - _BOTTOM
    for tick in [0, 0.2, 0.4, 0.6, 0.8, 1.0] if is_share else y_axis.ticks():
        _, down = place(x_axis.low, tick)
        parts.append(
            element("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=f"{down:.1f}",
                    y2=f"{down:.1f}")
        )  # fmt: skip
        text = f"{100 * tick:.0f}" if is_share else f"{tick:.4g}"
        parts.append(element("text", text, x=_LEFT - 6, y=f"{down + 4:.1f}", text_anchor="end"))
    for tick in x_axis.ticks() if x_ticks is None else x_ticks:
        across, _ = place(tick, y_axis.low)
        parts.append(
            element("line", class_="grid", x1=f"{across:.1f}", x2=f"{across:.1f}", y1=bottom,
                    y2=bottom + 4)
        )  # fmt: skip
        parts.append(
            element("text", f"{tick:.4g}", x=f"{across:.1f}", y=bottom + 17, text_anchor="middle")
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(element("text", x_label, x=middle, y=_HEIGHT - 8, text_anchor="middle"))
    height = (_TOP + bottom) / 2
    turned = f"translate(12 {height}) rotate(-90)"
    parts.append(element("text", y_label, transform=turned, text_anchor="middle"))
    return element("g", *parts)


def _curve(line: Line, index: int, place) -> Html:
    style = f"line s{index % _NUM_STYLES}"
    places = [place(*point) for point in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [element("polyline", points=path, class_=style)]
    if len(places) <= _MOST_MARKERS:
        parts += [
            element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.6, class_=style) for x, y in places
        ]
    return element("g", *parts)


def _legend_entry(style: str, name: str) -> Html:
    stroke = element("line", class_=style, x1=0, x2=30, y1=5, y2=5)
    swatch = element("svg", stroke, viewBox="0 0 30 10", class_="swatch", aria_hidden="true")
    return element("li", swatch, name)


def _numbers(lines: Sequence[Line], x_label: str, show) -> Html:
    xs = sorted({x for line in lines for x, _ in line.points})
    values = [dict(line.points) for line in lines]
    head = [element("th", name, scope="col", class_="number") for name in (x_label, *(
        line.name for line in lines))]  # fmt: skip
    rows = [
        element("tr", element("th", number(x), scope="row", class_="number"), *(
            element("td", show(v.get(x)), class_="number") for v in values))
        for x in xs
    ]  # fmt: skip
    grid = element(
        "table", element("thead", element("tr", *head)), element("tbody", *rows), class_="compact"
    )
    box = element("div", grid, class_="scroll", tabindex="0", role="group", aria_label="numbers")
    return element("details", element("summary", "These numbers as a table"), box)
