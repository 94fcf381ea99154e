"""Figures 2 and 3 of the paper."""

from pathlib import Path
from typing import Any

from keras_efgsm.records.drawing import new_figure, save_figure


def draw_curves(
    curves: dict[str, dict[str, Any]], kind: str, path: Path, *, epsilon: float, title: str
) -> None:
    """Robust accuracy of several models against iterations or epsilon.

    Args:
        curves: by name of the row, what `measure_curves` gave.
        kind: `"iterations"` (figure 2) or `"epsilons"` (figure 3).
        path: the PNG file.
        epsilon: radius of the training.
        title: heading.
    """
    figure = new_figure(6, 4)
    axes = figure.subplots()
    for name, curve in curves.items():
        x, y = zip(*curve[kind], strict=True)
        axes.plot(x, [100 * value for value in y], marker="o", markersize=4, label=name)
    if kind == "iterations":
        axes.set_xscale("log")
        axes.set_xlabel("PGD iterations (logarithmic)")
    else:
        axes.axvline(epsilon, color="grey", linestyle=":", label=f"epsilon {epsilon:.3g}")
        axes.set_xlabel("epsilon")
    axes.set_ylabel("robust accuracy (PGD-CE), %")
    axes.set_ylim(-2, 102)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    axes.set_title(title, fontsize="medium")
    save_figure(figure, path)
