"""Figures 2 and 3 of the paper."""

from pathlib import Path
from typing import Any

from keras_efgsm.pictures import (
    EndLabel,
    draw_line,
    heading,
    label_ends,
    new_figure,
    percent_axis,
    save_figure,
    styled,
)

KINDS = {"iterations": 2, "epsilons": 3}
"""The number of the paper's figure by what it is against."""
_NAMES = {"ours": "ours", "madry": "PGD (Madry)", "trades": "TRADES", "free": "AdvFree"}
# The warm colour is ours, in every picture.
_STYLES = {"ours": 1, "madry": 0, "trades": 2, "free": 5}


def draw_curves(
    curves: dict[str, dict[str, Any]],
    kind: str,
    path: Path,
    *,
    epsilon: float,
    about: str,
    theme: str = "light",
) -> None:
    """Robust accuracy of several models against iterations or epsilon.

    Args:
        curves: by name of the row, what `measure_curves` gave.
        kind: `"iterations"` (figure 2) or `"epsilons"` (figure 3).
        path: the PNG file.
        epsilon: radius of the training.
        about: the data, images and seeds.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.
    """
    against = "iterations of PGD" if kind == "iterations" else "epsilon"
    with styled(theme) as colours:
        figure = new_figure(7.6, 4.8)
        heading(
            figure,
            f"Robust accuracy against {against}",
            f"Figure {KINDS[kind]} of the paper, again: PGD on the cross-entropy, {about}",
            colours=colours,
        )
        axes = figure.subplots()
        labels = []
        for number, (name, curve) in enumerate(curves.items()):
            x, y = zip(*curve[kind], strict=True)
            shares = [100 * value for value in y]
            style, width = _STYLES.get(name, number), 3.2 if name == "ours" else 2.0
            colour = draw_line(axes, x, shares, style, colours, width=width)
            where = _place_of_name(kind, x, shares)
            falls = where[0] != x[-1]
            labels.append(
                EndLabel(
                    *where,
                    _NAMES.get(name, name),
                    colour,
                    is_strong=name == "ours",
                    is_left=falls and name == "trades",
                )
            )
        percent_axis(axes.yaxis, -2, 102)
        if kind == "iterations":
            _powers(axes, [point[0] for point in next(iter(curves.values()))[kind]])
            axes.set_xlabel("iterations of PGD (logarithmic)")
        else:
            axes.axvline(epsilon, color=colours.soft, linewidth=1.2, linestyle=(0, (4, 3)))
            axes.annotate(
                f"trained for {epsilon:.3g}",
                (epsilon, 100),
                textcoords="offset points",
                xytext=(5, -4),
                color=colours.soft,
            )
            axes.set_xlabel("epsilon, in pixels of [0, 1]")
        label_ends(axes, labels)
        save_figure(figure, path)


def _place_of_name(kind: str, x: Any, shares: list[float]) -> tuple[float, float]:
    """Where a line is named: at its end, or in its fall where all end at 0."""
    if kind == "iterations" or shares[-1] > 10:
        return x[-1], shares[-1]
    falling = next(i for i, share in enumerate(shares) if share < 0.6 * shares[0])
    return x[falling], shares[falling]


def _powers(axes: Any, ticks: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
