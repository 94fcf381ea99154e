"""Axes that a reader need not decode: per cent, whole epochs, seconds, and a heading above them."""

from collections.abc import Sequence
from typing import Any

from keras_efgsm.pictures.palette import Palette

_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
# From so many of a unit on, an axis is in it.
_LEAST_OF_UNIT = 17.0


def percent_axis(axis: Any, low: float = 0.0, high: float = 100.0) -> None:
    """An axis of shares in per cent, whose ticks say so.

    Args:
        axis: `axes.yaxis` or `axes.xaxis`; its data are in per cent.
        low: where it begins. Defaults to 0.
        high: where it ends. Defaults to 100.

    Example:

    ```python
    percent_axis(new_figure(4, 3).subplots().yaxis)
    ```
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

    Example:

    ```python
    fine_percent_axis(new_figure(4, 3).subplots().yaxis, [88.1, 91.5])
    ```
    """
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), (least - (high - low)) / 2, 0.5)
    percent_axis(axis, max(0.0, low - room), min(101.0, high + room))


def whole_axis(axis: Any) -> None:
    """An axis of whole numbers, such as epochs: no tick lies between two of them.

    Args:
        axis: `axes.xaxis` or `axes.yaxis`.

    Example:

    ```python
    whole_axis(new_figure(4, 3).subplots().xaxis)
    ```
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

    Example:

    ```python
    seconds_axis(new_figure(4, 3).subplots().xaxis, 2.2, 164)
    ```
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if not 0 < low <= high:
        raise ValueError(
            f"The times must be above 0 and rise. Received: low={low!r}, high={high!r}"
        )
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    set_scale("log")
    _limits(axis)(0.8 * low, 1.25 * high)
    axis.set_major_locator(FixedLocator(round_times(low, high)))
    axis.set_minor_locator(NullLocator())
    unit, name = _unit(high)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:.4g}\u00a0{name}"))


def round_times(low: float, high: float) -> list[float]:
    """Round numbers between two times, of seconds, or of minutes or hours where these are many.

    Args:
        low: in seconds.
        high: in seconds.
    """
    unit, _ = _unit(high)
    times = [unit * n * 10.0**power for power in range(-6, 7) for n in (1, 2, 5)]
    return [time for time in times if 0.8 * low <= time <= 1.25 * high]


def _unit(high: float) -> tuple[float, str]:
    """The unit of an axis that ends at a time: the same for all its ticks."""
    return next((u for u in _UNITS if high >= _LEAST_OF_UNIT * u[0]), _UNITS[-1])


def heading(figure: Any, title: str, about: str = "", *, colours: Palette) -> None:
    """A title that says what is seen, and how it was measured below it, at the left.

    Args:
        figure: as `new_figure` makes it.
        title: the finding.
        about: images, attacks, seeds. Defaults to nothing.
        colours: as `styled` gives them.

    Example:

    ```python
    with styled() as colours:
        heading(new_figure(4, 3), "88 % in 3 s", "MNIST, 300 images", colours=colours)
    ```
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
