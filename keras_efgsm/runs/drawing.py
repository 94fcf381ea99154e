"""Training curves as a picture."""

from pathlib import Path
from typing import Any

from keras_efgsm.records.drawing import new_figure, save_figure

_LOSSES = ("loss", "classification_loss", "reconstruction_loss")
_ACCURACIES = {
    "accuracy": "on the training's adversarial images",
    "margin_robust_accuracy": "margin-robust",
    "probe_accuracy": "PGD probe",
    "val_accuracy": "natural, validation",
}


def draw_curves(rows: list[dict[str, Any]], path: str | Path, title: str = "") -> None:
    """Draws losses and accuracies by epoch.

    Args:
        rows: one dict per epoch, as `history.csv` holds them.
        path: the PNG file.
        title: heading. Defaults to none.
    """
    figure = new_figure(9, 3.6)
    losses, accuracies = figure.subplots(1, 2)
    for axes, names in (
        (losses, {n: n.replace("_", " ") for n in _LOSSES}),
        (accuracies, _ACCURACIES),
    ):
        for name, label in names.items():
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(
                    *zip(*points, strict=True), label=label, marker="." if len(points) < 40 else ""
                )
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    losses.set_ylabel("loss")
    losses.set_yscale("log")
    accuracies.set_ylabel("accuracy")
    accuracies.set_ylim(0, 1)
    if title:
        figure.suptitle(title)
    save_figure(figure, path)
