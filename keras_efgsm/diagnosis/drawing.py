"""The curves and surfaces of a diagnosis as a picture."""

from pathlib import Path

import numpy as np

from keras_efgsm.diagnosis.findings import Diagnosis
from keras_efgsm.records.drawing import new_figure, save_figure
from keras_efgsm.records.wording import radius

_AXES = {
    "epsilon": "epsilon (PGD on the margin)",
    "step": "step / epsilon (one step)",
    "iterations": "iterations of PGD",
    "restarts": "restarts of PGD",
}


def draw_diagnosis(diagnosis: Diagnosis, path: str | Path) -> None:
    """Draws accuracy by epsilon, step, iterations and restarts, and the margin around images.

    Args:
        diagnosis: what `diagnose` returned.
        path: the PNG file, replaced if it exists.

    Raises:
        ValueError: if there was nothing to attack, and so nothing to draw.
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
    in_linf = diagnosis.norm == "linf"
    figure = new_figure(13, 6.4)
    columns = max(len(_AXES), len(diagnosis.surfaces))
    panels = figure.subplots(2, columns, squeeze=False)
    for panel, (name, label) in zip(panels[0], _AXES.items(), strict=False):
        rows = diagnosis.curves[name]
        for loss in [key for key in rows[0] if key != name]:
            points = [row[name] for row in rows]
            panel.plot(points, [row[loss] for row in rows], marker=".", label=loss)
        if name == "iterations":
            panel.set_xscale("log")
        panel.set_xlabel(label)
        panel.set_ylim(-0.02, 1.02)
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    panels[0][0].set_ylabel("accuracy on attacked images")
    for panel, surface in zip(panels[1], diagnosis.surfaces, strict=False):
        # The same height above and below: white is the boundary.
        height = float(np.abs(surface.margins).max()) or 1.0
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
        figure.colorbar(mesh, ax=panel)
        panel.set_title(f"margin, class {surface.label}", fontsize="medium")
        panel.set_xlabel("along the gradient" + ("'s sign" if in_linf else ""))
    panels[1][0].set_ylabel("along a random " + ("sign" if in_linf else "way"))
    for panel in panels.ravel():
        if not panel.has_data():
            panel.axis("off")
    epsilon = radius(diagnosis.epsilon, diagnosis.norm)
    figure.suptitle(f"{diagnosis.model}: {diagnosis.verdict} (epsilon {epsilon})")
    save_figure(figure, path)
