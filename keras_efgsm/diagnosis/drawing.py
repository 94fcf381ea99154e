"""The curves and surfaces of a diagnosis as a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.diagnosis.findings import Diagnosis
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
)
from keras_efgsm.records.wording import data_name, number, radius

_AXES = {
    "epsilon": "epsilon (PGD on the margin)",
    "step": "step / epsilon (one step)",
    "iterations": "iterations of PGD",
    "restarts": "restarts of PGD",
}


def draw_diagnosis(diagnosis: Diagnosis, path: str | Path, *, theme: str = "light") -> None:
    """Draws accuracy by epsilon, step, iterations and restarts, and the margin around images.

    Args:
        diagnosis: what `diagnose` returned.
        path: the PNG file, replaced if it exists.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.

    Raises:
        ValueError: if there was nothing to attack, and so nothing to draw; if there is no such
            theme.
        OSError: if the file cannot be written.

    Example:

    ```python
    draw_diagnosis(diagnose(classifier, (x_test, y_test), 0.3), "diagnosis.png")
    ```
    """
    if not diagnosis.surfaces:
        raise ValueError(
            "A diagnosis must have attacked images to be drawn. "
            f"Received: verdict={diagnosis.verdict!r}"
        )
    with styled(theme) as colours:
        figure = new_figure(13, 7)
        heading(
            figure,
            f"{diagnosis.model}: {diagnosis.verdict}",
            f"Above: accuracy under attack, epsilon {radius(diagnosis.epsilon, diagnosis.norm)}, "
            f"{number(diagnosis.num_images)} images of {data_name(diagnosis.dataset)}, seed "
            f"{diagnosis.seed}. Below: the margin around images, all on one scale; black is the "
            "decision boundary.",
            colours=colours,
        )
        columns = max(len(_AXES), len(diagnosis.surfaces))
        panels = figure.subplots(2, columns, squeeze=False)
        ends = [
            _draw_curve(panel, name, diagnosis.curves[name], colours)
            for panel, name in zip(panels[0], _AXES, strict=False)
        ]
        mesh = _draw_surfaces(panels[1], diagnosis)
        for panel in panels.ravel():
            if not panel.has_data():
                panel.axis("off")
        shown = panels[1][: len(diagnosis.surfaces)]
        figure.colorbar(mesh, ax=list(shown), label="margin", aspect=12).outline.set_visible(False)
        for panel, labels in zip(panels[0], ends, strict=False):
            label_ends(panel, labels)
        save_figure(figure, path)


def _draw_curve(
    panel: Any, name: str, rows: list[dict[str, float]], colours: Palette
) -> list[EndLabel]:
    labels = []
    for style, loss in enumerate(key for key in rows[0] if key != name):
        points, shares = [row[name] for row in rows], [100 * row[loss] for row in rows]
        colour = draw_line(panel, points, shares, style, colours)
        labels.append(EndLabel(points[-1], shares[-1], loss, colour))
    if name == "iterations":
        panel.set_xscale("log")
    panel.set_xlabel(_AXES[name])
    percent_axis(panel.yaxis, -2, 102)
    return labels


def _draw_surfaces(panels: Any, diagnosis: Diagnosis) -> Any:
    in_linf = diagnosis.norm == "linf"
    # The same height above and below: white is the boundary. One scale for all: a map that is
    # pale is one of small margins.
    height = max(float(np.abs(surface.margins).max()) for surface in diagnosis.surfaces) or 1.0
    for panel, surface in zip(panels, diagnosis.surfaces, strict=False):
        mesh = panel.pcolormesh(
            surface.offsets,
            surface.offsets,
            surface.margins,
            cmap="RdBu",
            vmin=-height,
            vmax=height,
            shading="nearest",
        )
        if surface.margins.min() < 0.0 < surface.margins.max():
            panel.contour(surface.offsets, surface.offsets, surface.margins, [0.0], colors="black")
        panel.grid(visible=False)
        panel.set_title(f"class {surface.label}")
        panel.set_xlabel("along the gradient" + ("'s sign" if in_linf else ""))
    panels[0].set_ylabel("along a random " + ("sign" if in_linf else "way"))
    return mesh
