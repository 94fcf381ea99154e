"""Axes that a reader need not decode: per cent, whole epochs, seconds, and a heading above them."""

from collections.abc import Sequence
from typing import Any

from keras_efgsm.pictures.palette import Palette

_SECONDS_IN_WORDS = ((3600, "h"), (60, "min"), (1, "s"))


def percent_axis(axis: Any, low: float = 0.0, high: float = 100.0) -> None:
    """An axis of shares in per cent, whose ticks say so.

    Args:
        axis: `axes.yaxis` or `axes.xaxis`; its data are in per cent.
        low: where it begins. Defaults to 0.
        high: where it ends. Defaults to 100.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}\u00a0%"))
    _limits(axis)(low, high)


def fine_percent_axis(axis: Any, values: Sequence[float], *, least: float = 10.0) -> None:
    """The same for an axis whose height is given to the values, and not to the room below them.

    Args:
        axis: `axes.yaxis` or `axes.xaxis`; its data are in per cent.
        values: everything drawn along it.
        least: how many points it spans at least. Defaults to 10.
    """
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), (least - (high - low)) / 2, 0.5)
    percent_axis(axis, max(0.0, low - room), min(101.0, high + room))


def whole_axis(axis: Any) -> None:
    """An axis of whole numbers, such as epochs: no tick lies between two of them.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))


def seconds_axis(axis: Any, low: float, high: float) -> None:
    """A logarithmic axis of times, with ticks at 1, 2, 5, 10 ... and their unit.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`; its data are in seconds.
        low: the shortest time on it, above 0.
        high: the longest.

    Raises:
        ValueError: if a time is not above 0.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if not 0 < low <= high:
        raise ValueError(
            f"The times must be above 0 and rise. Received: low={low!r}, high={high!r}"
        )
    axis.axes.set_xscale("log") if axis.axis_name == "x" else axis.axes.set_yscale("log")
    _limits(axis)(0.8 * low, 1.25 * high)
    axis.set_major_locator(FixedLocator(round_times(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: seconds_in_words(value)))


def round_times(low: float, high: float) -> list[float]:
    """Round numbers of seconds, minutes and hours between two times, and one beyond each.

    Args:
        low: in seconds.
        high: in seconds.
    """
    seconds = [n * 10.0**power for power in range(-3, 2) for n in (1, 2, 5) if n * 10**power < 60]
    minutes = [60.0 * n for n in (1, 2, 5, 10, 20, 30)]
    hours = [3600.0 * n * 10**power for power in range(4) for n in (1, 2, 5)]
    times = [*seconds, *minutes, *hours]
    return [time for time in times if 0.8 * low <= time <= 1.25 * high]


def seconds_in_words(seconds: float) -> str:
    """A round time with its unit, such as `"5 s"` or `"2 min"`."""
    unit, name = next((u for u in _SECONDS_IN_WORDS if seconds >= u[0]), (1, "s"))
    return f"{seconds / unit:.4g}\u00a0{name}"


def heading(figure: Any, title: str, about: str = "", *, colours: Palette) -> None:
    """A title that says what is seen, and how it was measured below it, at the left.

    Args:
        figure: as `new_figure` makes it.
        title: the finding.
        about: images, attacks, seeds. Defaults to nothing.
        colours: as `styled` gives them.
    """
    # As text above the drawings: a title of the figure would stand in its middle.
    lines = title.count("\n") + 1
    about_lines = about.count("\n") + 1 if about else 0
    height = figure.get_size_inches()[1] * 72
    room = 10 + 18 * lines + 14.5 * about_lines + 4
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - room / height))
    place = {"transform": figure.transFigure, "va": "top", "ha": "left", "linespacing": 1.25}
    left = 10 / (figure.get_size_inches()[0] * 72)
    figure.text(left, 1 - 10 / height, title, fontsize=13, fontweight="bold", **place)
    if about:
        below = 1 - (13 + 18 * lines) / height
        figure.text(left, below, about, fontsize=10, color=colours.soft, **place)


def _limits(axis: Any) -> Any:
    return axis.axes.set_ylim if axis.axis_name == "y" else axis.axes.set_xlim
