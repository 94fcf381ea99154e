"""New figures in the style of all pictures, without pyplot, a window or a lasting global state."""

import contextlib
import importlib.resources
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_choice
from keras_efgsm.pictures.palette import THEMES, Palette

# Of a picture that is shown at half its width in points: sharp on a screen of twice the pixels.
_DOTS_PER_INCH = 160


@contextlib.contextmanager
def styled(theme: str | Palette = "light") -> Iterator[Palette]:
    """Gives matplotlib the style of all pictures within the block, and the colours of a theme.

    Args:
        theme: `"light"` or `"dark"`, or a palette. Defaults to `"light"`.

    Raises:
        ValueError: if there is no such theme.

    Example:

    ```python
    with styled() as colours:
        figure = new_figure(6.4, 4)
        figure.subplots().plot([1, 2], [3, 4], color=colours.lines[0])
        save_figure(figure, "line.png")
    ```
    """
    palette = (
        theme if isinstance(theme, Palette) else THEMES[check_choice(theme, "theme", tuple(THEMES))]
    )
    # Here, as most commands draw nothing and it takes a second to import.
    import matplotlib

    sheet = importlib.resources.files("keras_efgsm").joinpath("pictures/style.mplstyle")
    with importlib.resources.as_file(sheet) as path:
        settings = dict(matplotlib.rc_params_from_file(path, use_default_template=False))
    settings |= {
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), palette.panel),
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), palette.text
        ),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), palette.soft),
        "grid.color": palette.grid,
    }
    with matplotlib.rc_context(settings):
        yield palette


def new_figure(width: float, height: float) -> Any:
    """An empty figure; within `styled` it has the style.

    Args:
        width: in inches.
        height: in inches.

    Example:

    ```python
    new_figure(6.4, 4).subplots().plot([1, 2], [3, 4])
    ```
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: str | Path) -> None:
    """Writes a figure as PNG; a reader finds the old file or the whole new one.

    Args:
        figure: as `new_figure` makes it.
        path: the file.

    Example:

    ```python
    save_figure(new_figure(6.4, 4), "empty.png")
    ```
    """
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    write_atomically(Path(path), picture.getvalue())
