"""Training curves as a picture."""

import io
from pathlib import Path

from keras_efgsm.runs import write_atomically

_LOSSES = ("loss", "classification_loss", "reconstruction_loss")
_ACCURACIES = {
    "accuracy": "on the training's adversarial images",
    "margin_robust_accuracy": "margin-robust",
    "probe_accuracy": "PGD probe",
    "val_accuracy": "natural, validation",
}


def draw_curves(rows: list[dict], path: str | Path, title: str = "") -> None:
    """Draws losses and accuracies by epoch.

    Args:
        rows: one dict per epoch, as `history.csv` holds them.
        path: the PNG file.
        title: heading. Defaults to none.
    """
    # Without pyplot: no global state, no window, whatever the caller's own plots are.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
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
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(Path(path), picture.getvalue())
