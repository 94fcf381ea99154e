"""An image, what an attack changes of it, and what two models say, as a picture."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.pictures import LIGHT, Palette, new_figure, save_figure, styled
from keras_efgsm.records.wording import number

# In inches. A page shows it 800 pixels wide, a phone 380: there 17 points are 11 pixels.
_WIDTH, _IMAGE, _LEFT, _STEP = 8.0, 2.05, 0.3, 2.68
_HEAD, _ROW, _TITLE, _ANSWER, _FOOT = 0.5, 3.35, 0.5, 0.62, 0.5
_WORDS = 17
_COLUMNS = ("image", "change, amplified", "attacked twin")


def draw_twin(shown: dict[str, Any], path: Path, *, theme: str = "light") -> None:
    """Draws a row for each model: the image, the change that fools or does not fool it, the twin.

    Args:
        shown: what `attacked_twin.json` holds.
        path: the PNG file.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.
    """
    height = _HEAD + len(shown["models"]) * _ROW + _FOOT
    with styled(theme) as colours:
        figure = new_figure(_WIDTH, height)
        figure.set_layout_engine("none")

        def write(x: float, y: float, text: str, **options: Any) -> None:
            options = {"fontsize": _WORDS, "va": "center", "ha": "center", **options}
            figure.text(x / _WIDTH, 1 - y / height, text, **options)

        for column, name in enumerate(_COLUMNS):
            write(_middle(column), _HEAD / 2 + 0.08, name, color=colours.soft)
        for row, model in enumerate(shown["models"]):
            top = _HEAD + row * _ROW
            kept = model["robust_accuracy"]
            title = (
                f"{model['name']}: right on {100 * kept:.0f} % of "
                f"{number(shown['num_images'])} attacked images"
            )
            write(_LEFT, top + _TITLE / 2, title, ha="left", fontweight="bold")
            for column, picture in enumerate(("clean", "change", "twin")):
                _place(figure, height, column, top + _TITLE, _decoded(model[picture]["png"]))
            for sign, x in (("+", 0.5), ("=", 1.5)):
                write(_middle(x), top + _TITLE + _IMAGE / 2, sign, fontsize=24)
            below = top + _TITLE + _IMAGE + _ANSWER / 2 - 0.04
            for column, picture in ((0, "clean"), (2, "twin")):
                words, colour = _answer(model[picture], shown["label"], colours)
                write(_middle(column), below, words, color=colour, fontweight="bold", fontsize=20)
        foot = f"Each pixel changes by at most {shown['epsilon']:g} of its range"
        write(_WIDTH / 2, height - _FOOT / 2 - 0.04, foot, color=colours.soft)
        save_figure(figure, path)


def _middle(column: float) -> float:
    return _LEFT + column * _STEP + _IMAGE / 2


def _place(figure: Any, height: float, column: int, top: float, pixels: np.ndarray) -> None:
    left = _LEFT + column * _STEP
    place = (left / _WIDTH, 1 - (top + _IMAGE) / height, _IMAGE / _WIDTH, _IMAGE / height)
    axes = figure.add_axes(place)
    axes.imshow(pixels, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        # A digit's ground is as black as the page in the dark.
        spine.set(visible=True, color=LIGHT.shade, linewidth=1)


def _answer(answer: dict[str, Any], label: int, colours: Palette) -> tuple[str, str]:
    right = answer["predicted"] == label
    mark, colour = ("\u2713", colours.lines[0]) if right else ("\u2717", colours.lines[1])
    return f"{mark} {answer['predicted']} ({100 * answer['probability']:.0f} %)", colour


def _decoded(png: str) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image.convert("RGB"))
