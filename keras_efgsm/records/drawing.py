"""Pictures without pyplot: no global state, no window, whatever the caller's own plots are."""

import io
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import write_atomically


def new_figure(width: float, height: float) -> Any:
    """An empty figure.

    Args:
        width: in inches.
        height: in inches.
    """
    # Here, as most commands draw nothing and it takes a second to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: str | Path) -> None:
    """Writes a figure as PNG; a reader finds the old file or the whole new one."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(Path(path), picture.getvalue())
