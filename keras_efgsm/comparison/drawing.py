"""Natural against robust accuracy of several models, as SVG for the page and as PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from keras_efgsm.records import ComparedPart, ComparisonRecord
from keras_efgsm.records.comparison import BLACK_BOX, TWIN, WHITE_BOX
from keras_efgsm.records.drawing import inline_svg, new_figure, save_figure
from keras_efgsm.records.wording import INTERVAL, percent, unbroken

# In points, as `report.drawing`: a phone shows them nearly in their own size. Beside the axis there
# is room for a label at 0 and at 100 %.
_WIDTH, _LEFT, _RIGHT = 400, 62, 62
_TOP, _ROW, _BOTTOM = 26, 56, 46
_FONT = 12
_MOST_LETTERS = 42
_TEXT, _SOFT, _GRID, _PANEL = "#1a1d21", "#50575f", "#dde2e7", "#ffffff"
_NATURAL, _ROBUST = "#0b5cad", "#b34700"
# The colours of the figure, as the style sheet names them.
_COLOURS = {
    _TEXT: "var(--text)",
    _SOFT: "var(--soft)",
    _GRID: "var(--grid)",
    _NATURAL: "var(--c0)",
    _ROBUST: "var(--c1)",
}
_MARKERS = {"natural": "o", "robust": "D"}
_HOW = {WHITE_BOX: "", TWIN: "twin's gradients", BLACK_BOX: "no gradients"}


@dataclass(frozen=True)
class Picture:
    """A picture as the template shows it.

    Args:
        svg: the drawing.
        caption: what it shows.
    """

    svg: Markup
    caption: str


def picture(record: ComparisonRecord) -> Picture:
    """The picture of a page, in the colours of its light or dark scheme.

    Args:
        record: the comparison.
    """
    told = "; ".join(
        f"{m.name}: natural {percent(m.natural_accuracy)}, robust {percent(m.worst_case_accuracy)}"
        for m in record.models
    )
    svg = inline_svg(
        _figure(record),
        "comparison-picture",
        title="Natural and robust accuracy of each model",
        description=unbroken(f"Natural and robust accuracy of each model. {told}"),
        colours=_COLOURS,
    )
    # Written by an XML writer, which escapes the names in the description.
    return Picture(Markup(svg), _caption(record))


def draw_comparison(record: ComparisonRecord, path: str | Path) -> None:
    """Draws natural against robust accuracy, a line for each model, with 95 % Wilson intervals.

    Args:
        record: the comparison.
        path: the PNG file, replaced if it exists.

    Raises:
        OSError: if the file cannot be written.

    Example:

    ```python
    draw_comparison(ComparisonRecord.read("comparison.json"), "comparison.png")
    ```
    """
    figure = _figure(record)
    figure.patch.set_facecolor(_PANEL)
    save_figure(figure, path)


def _caption(record: ComparisonRecord) -> str:
    groups = (
        " Of models attacked in different ways the robust accuracies are not to be compared."
        if len(record.accesses) > 1
        else ""
    )
    return (
        "Share of the images that are classified correctly: unattacked (circle), and under all "
        f"attacks that were run (diamond). Bars: {INTERVAL} intervals.{groups}"
    )


def _figure(record: ComparisonRecord) -> Any:
    count = len(record.models)
    height = _TOP + _ROW * count + _BOTTOM
    figure = new_figure(_WIDTH / 72, height / 72)
    # Places by hand: the labels beside the axis must not narrow it by their length.
    figure.set_layout_engine("none")
    inside = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    axes = figure.add_axes((_LEFT / _WIDTH, _BOTTOM / height, inside, _ROW * count / height))
    _draw_axes(axes, count)
    several = len(record.accesses) > 1
    for row, model in enumerate(record.models):
        if row and model.access != record.models[row - 1].access:
            # Across the names as well: the ranks begin anew.
            left, right = -(_LEFT - 8) / (_WIDTH - _LEFT - _RIGHT), 1 + _RIGHT / _WIDTH
            axes.plot(
                [left, right],
                [row, row],
                transform=axes.get_yaxis_transform(),
                color=_SOFT,
                linewidth=1,
                clip_on=False,
            )
        _draw_model(axes, row, model, _heading(model, several))
    first = record.models[0]
    for word, share, side, colour in (
        ("robust", first.worst_case_accuracy, "right", _ROBUST),
        ("natural", first.natural_accuracy, "left", _NATURAL),
    ):
        gap = -2 if side == "right" else 2
        _write(axes, word, (100 * share, 0.0), (gap, 8), colour, ha=side)
    return figure


def _heading(model: ComparedPart, several: bool) -> str:
    place = "" if model.rank is None else f"{model.rank}. "
    notes = [_HOW[model.access]] if several and _HOW[model.access] else []
    notes += ["not to be trusted"] if model.doubts else []
    how = f" ({', '.join(notes)})" if notes else ""
    room = _MOST_LETTERS - len(place) - len(how)
    name = model.name if len(model.name) <= room else f"{model.name[: room - 1]}\u2026"
    return f"{place}{name}{how}"


def _draw_axes(axes: Any, count: int) -> None:
    axes.patch.set_visible(False)
    axes.figure.patch.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(_SOFT)
    axes.set_xlim(0, 100)
    axes.set_ylim(count, 0)
    axes.set_yticks([])
    axes.set_xticks(range(0, 101, 20))
    axes.grid(axis="x", color=_GRID, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=_FONT, labelcolor=_TEXT, color=_SOFT, length=4)
    axes.set_xlabel("accuracy (%)", color=_TEXT, fontsize=_FONT)


def _draw_model(axes: Any, row: int, model: ComparedPart, heading: str) -> None:
    _write(axes, heading, (0, row + 0.25), (8 - _LEFT, 0), _TEXT, va="center")
    # One above the other, so that they are told apart where they are close.
    for kind, share, bounds, place, colour in (
        ("natural", model.natural_accuracy, model.natural_interval, 0.55, _NATURAL),
        ("robust", model.worst_case_accuracy, model.worst_case_interval, 0.8, _ROBUST),
    ):
        y = row + place
        _draw_interval(axes, bounds, y, colour)
        axes.plot(
            [100 * share],
            [y],
            marker=_MARKERS[kind],
            markersize=7,
            color=colour,
            markeredgewidth=0,
            # A point at 0 or 100 % is whole.
            clip_on=False,
            zorder=4,
        )
        # Robust to the left and natural to the right, outside of both intervals.
        is_left = kind == "robust"
        at = min(100 * bounds[0], 100 * share) if is_left else max(100 * bounds[1], 100 * share)
        gap = -7 if is_left else 7
        side = "right" if is_left else "left"
        _write(axes, percent(share, 1), (at, y), (gap, 0), colour, ha=side, va="center")


def _draw_interval(axes: Any, bounds: Sequence[float], y: float, colour: str) -> None:
    low, high = (100 * bound for bound in bounds)
    axes.plot([low, high], [y, y], color=colour, linewidth=2, clip_on=False, zorder=3)
    axes.plot(
        [low, high], [y, y], color=colour, marker="|", markersize=8, linestyle="", clip_on=False
    )


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
