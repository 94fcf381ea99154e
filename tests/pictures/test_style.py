"""What every picture has in common, whatever it shows."""

import itertools
import re

import pytest

from keras_efgsm.pictures import (
    DARK,
    LIGHT,
    PAGE,
    EndLabel,
    draw_line,
    fine_percent_axis,
    heading,
    label_ends,
    new_figure,
    percent_axis,
    save_figure,
    seconds_axis,
    styled,
    whole_axis,
)
from keras_efgsm.pictures.axes import round_times
from keras_efgsm.pictures.inline_svg import inline_svg
from keras_efgsm.pictures.palette import DASHES, MARKERS, style_variables


def luminance(colour):
    """The relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_whatever_is_written_can_be_read_on_its_ground(palette):
    for colour in (palette.text, palette.soft, palette.link, *palette.lines):
        assert contrast(colour, palette.panel) >= 4.5, colour
        assert contrast(colour, palette.page) >= 4.5, colour
    assert contrast(palette.warn, palette.warn_panel) >= 4.5


def test_lines_are_told_apart_without_their_colours():
    assert len(set(DASHES)) == len(set(MARKERS)) == len(LIGHT.lines) == len(DARK.lines)


def test_the_style_sheet_of_pages_has_the_colours_of_the_pictures():
    text = style_variables()
    for palette in (LIGHT, DARK):
        assert all(f"{name}: {colour};" in text for name, colour in palette.variables().items())
    # On paper there is no dark ground.
    printed = text.partition("@media print")[2]
    assert f"--page: {LIGHT.page};" in printed and DARK.page not in printed


def test_a_drawing_inside_a_page_has_no_colour_of_its_own():
    with styled(PAGE) as colours:
        figure = new_figure(4, 3)
        axes = figure.subplots()
        for style in range(len(DASHES)):
            draw_line(axes, [1, 2], [style, style + 1], style, colours, band=([0, 1], [2, 3]))
        axes.set_xlabel("x")
        svg = inline_svg(figure, "a", title="t", description="d")
    assert "#" not in re.sub(r'(href="|url\()#', "", svg)
    assert all(f"var(--c{style})" in svg for style in range(len(DASHES)))


def test_the_style_ends_with_its_block_and_an_unknown_theme_is_refused():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with styled("dark"):
        assert matplotlib.rcParams["figure.facecolor"] == DARK.panel
    assert dict(matplotlib.rcParams) == before
    with (
        pytest.raises(ValueError, match=r"theme.*Received: theme='grey'"),
        styled("grey"),
    ):
        pass


@pytest.fixture
def axes():
    with styled() as colours:
        figure = new_figure(5, 3)
        found = figure.subplots()
        found.colours = colours
        yield found


def shown(axis):
    axis.figure.draw_without_rendering()
    return [label.get_text() for label in axis.get_ticklabels() if label.get_text()]


def test_epochs_are_whole_numbers(axes):
    axes.plot([1, 2, 3], [0.1, 0.2, 0.3])
    whole_axis(axes.xaxis)
    assert all(text.lstrip("\u2212-").isdecimal() for text in shown(axes.xaxis))
    assert {"1", "2", "3"} <= set(shown(axes.xaxis))


def test_shares_say_that_they_are_per_cent_and_a_narrow_range_has_the_height(axes):
    axes.plot([1, 2], [88, 92])
    percent_axis(axes.yaxis)
    assert shown(axes.yaxis)[-1] == "100\u00a0%" and axes.get_ylim() == (0, 100)
    fine_percent_axis(axes.yaxis, [88, 92])
    low, high = axes.get_ylim()
    assert 80 < low < 88 and 92 < high <= 101


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (2.2, 163.0, [2, 5, 10, 20, 50, 100, 200]),
        (0.4, 3.0, [0.5, 1, 2]),
        (600, 7200, [600, 1200, 3000, 6000]),
    ],
)
def test_times_have_round_ticks_with_their_unit(axes, low, high, ticks):
    assert round_times(low, high) == pytest.approx(ticks)
    axes.plot([low, high], [1, 2])
    seconds_axis(axes.xaxis, low, high)
    texts = shown(axes.xaxis)
    assert len(texts) == len(ticks)
    assert all(re.fullmatch(r"[\d.]+\u00a0(s|min|h)", text) for text in texts)
    with pytest.raises(ValueError, match="Received: low=0"):
        seconds_axis(axes.xaxis, 0, 1)


def test_names_of_lines_that_end_together_do_not_cover_each_other(axes):
    ends = [EndLabel(2, 0.5 + 0.01 * n, f"method {n}\nnot reached", "#000000") for n in range(5)]
    for end in ends:
        axes.plot([1, 2], [0.2, end.y])
    label_ends(axes, ends)
    figure = axes.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    texts = [text for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    # None is cut off at the edge of the picture.
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


def test_a_heading_stands_above_the_drawing(axes, tmp_path):
    axes.plot([1, 2], [1, 2])
    heading(axes.figure, "What is seen", "how it was measured", colours=axes.colours)
    axes.figure.draw_without_rendering()
    renderer = axes.figure.canvas.get_renderer()
    lowest = min(text.get_window_extent(renderer).y0 for text in axes.figure.texts)
    assert axes.get_tightbbox(renderer).y1 < lowest
    save_figure(axes.figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
