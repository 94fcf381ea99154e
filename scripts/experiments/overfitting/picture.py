"""The referee and the signals of each run by epoch, as a picture."""

from pathlib import Path
from typing import Any

from experiments.overfitting.outcome import verdict
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

# More would be too small to be read on a page.
_COLUMNS = 2
_CURVES = {
    "referee": ("PGD, held out", 1),
    "accuracy": ("training's attack", 0),
    "margin_robust_accuracy": ("linearised margin", 2),
    "attack_shortfall": ("shortfall", 5),
}
"""What a row holds: its name, and the number of its colour, dashes and marker."""
_STOPS = {"margins": "stop by margins", "probe": "stop by probe"}


def draw(results: dict[str, dict[str, Any]], path: Path, *, theme: str = "light") -> None:
    """Draws one panel a run.

    Args:
        results: by run, as `overfitting.json` holds them.
        path: the PNG file.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.
    """
    columns = min(_COLUMNS, len(results))
    lines = -(-len(results) // columns)
    with styled(theme) as colours:
        figure = new_figure(5.2 * columns, 3.4 * lines + 0.9)
        overfit = sum(result["expected"] != "healthy" for result in results.values())
        ok = sum(verdict(result, "probe") == "ok" for result in results.values())
        heading(
            figure,
            f"The stop with a probe is right in {ok} of {len(results)} trainings, of which "
            f"{overfit} overfit",
            "robust accuracy by epoch: by the referee (PGD-20 on the margin, 500 held-out images) "
            "and as the training sees itself",
            colours=colours,
        )
        panels = figure.subplots(lines, columns, squeeze=False).ravel()
        ends = [
            _draw_run(panel, name, result, colours)
            for panel, (name, result) in zip(panels, results.items(), strict=False)
        ]
        for panel in panels[len(results) :]:
            panel.axis("off")
        for panel, labels in zip(panels, ends, strict=False):
            label_ends(panel, labels, size=10)
        save_figure(figure, path)


def _draw_run(panel: Any, name: str, result: dict[str, Any], colours: Palette) -> list[EndLabel]:
    labels = []
    for key, (label, style) in _CURVES.items():
        points = [(row["epoch"], 100 * row[key]) for row in result["rows"] if key in row]
        if not points:
            continue
        is_referee = key == "referee"
        width = 3.0 if is_referee else 1.6
        colour = draw_line(panel, *zip(*points, strict=True), style, colours, width=width)
        labels.append(EndLabel(*points[-1], label, colour, is_strong=is_referee))
    for stop, fired in result["fired"].items():
        panel.axvline(fired["epoch"], color=colours.text, linewidth=1.1, linestyle=(0, (2, 2)))
        panel.annotate(
            _STOPS[stop],
            (fired["epoch"], 1.0),
            xycoords=panel.get_xaxis_transform(),
            textcoords="offset points",
            xytext=(4, -4 if stop == "probe" else -17),
            va="top",
            fontsize=9,
        )
    panel.set_title(name.replace("-", " "), fontweight="bold")
    whole_axis(panel.xaxis)
    panel.set_xlabel("epoch")
    percent_axis(panel.yaxis, -2, 102)
    return labels
