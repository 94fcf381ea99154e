"""Training curves as a picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.pictures import (
    EndLabel,
    Palette,
    draw_line,
    heading,
    label_ends,
    new_figure,
    percent_axis,
    save_figure,
    styled,
    whole_axis,
)

LOSSES = {
    "loss": "loss",
    "classification_loss": "classification",
    "reconstruction_loss": "reconstruction",
}
"""Of the history, with what they are called in a picture."""
ACCURACIES = {
    "val_accuracy": "clean, validation",
    "probe_natural_accuracy": "clean, held out",
    "accuracy": "training's attack",
    "probe_accuracy": "PGD, held out",
    "margin_robust_accuracy": "linearised margin",
}
"""Likewise."""


def draw_curves(
    rows: Sequence[dict[str, Any]],
    path: str | Path,
    title: str = "",
    *,
    natural_accuracy: float | None = None,
    theme: str = "light",
) -> None:
    """Draws losses and accuracies by epoch.

    Args:
        rows: one dict per epoch, as `history.csv` holds them.
        path: the PNG file.
        title: heading. Defaults to none.
        natural_accuracy: share in [0, 1] of the clean test images that the trained network
            classifies correctly, drawn as a point at the end. Defaults to none.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.
    """
    with styled(theme) as colours:
        figure = new_figure(10, 4)
        heading(figure, title or "Training by epoch", colours=colours)
        losses, accuracies = figure.subplots(1, 2)
        losses.set_title(
            "loss, and its parts before they are weighted; logarithmic", color=colours.soft
        )
        accuracies.set_title("accuracy", color=colours.soft)
        # One that equals the loss is not drawn over it.
        parts = {
            name: label
            for name, label in LOSSES.items()
            if name == "loss" or any(row.get(name) != row.get("loss") for row in rows)
        }
        labels = _draw(losses, rows, parts, 1.0, colours)
        losses.set_yscale("log")
        _plain_log(losses)
        label_ends(losses, labels)
        labels = _draw(accuracies, rows, ACCURACIES, 100.0, colours)
        shares = [row[name] for row in rows for name in ACCURACIES if name in row]
        highest = max([*shares, natural_accuracy or 0.0, 0.01])
        percent_axis(accuracies.yaxis, 0, min(100, 20 * math.ceil(5 * highest + 0.25)))
        if natural_accuracy is not None and rows:
            end = (rows[-1]["epoch"], 100 * natural_accuracy)
            accuracies.plot(*end, "*", color=colours.text, markersize=11, clip_on=False, zorder=4)
            labels.append(EndLabel(*end, "clean, test", colours.text))
        label_ends(accuracies, labels)
        save_figure(figure, path)


def _draw(
    axes: Any,
    rows: Sequence[dict[str, Any]],
    names: dict[str, str],
    scale: float,
    colours: Palette,
) -> list[EndLabel]:
    labels = []
    for style, (name, label) in enumerate(names.items()):
        points = [(row["epoch"], scale * row[name]) for row in rows if name in row]
        if points:
            epochs, values = zip(*points, strict=True)
            colour = draw_line(axes, epochs, values, style, colours)
            labels.append(EndLabel(*points[-1], label, colour))
    whole_axis(axes.xaxis)
    axes.set_xlabel("epoch")
    return labels


def _plain_log(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
