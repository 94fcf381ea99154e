"""The learned tone curves of trained classifiers as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.pictures import (
    EndLabel,
    draw_line,
    heading,
    label_ends,
    new_figure,
    percent_axis,
    save_figure,
    styled,
)


def share_of_way(seen: Sequence[float]) -> list[float]:
    """Values in percent of the way from the first to the last."""
    return [100 * (value - seen[0]) / (seen[-1] - seen[0]) for value in seen]


def draw_tones(record: dict[str, Any], path: Path, *, theme: str = "light") -> None:
    """Draws what each pixel is seen as, at the start and after the training.

    Args:
        record: what `tone_curves.py` writes.
        path: the PNG file.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.
    """
    pixels, curves = record["pixels"], record["curves"]
    seeds = "1 seed" if len(curves) == 1 else f"{len(curves)} seeds"
    with styled(theme) as colours:
        figure = new_figure(7.2, 4.4)
        heading(
            figure,
            "Nobody built the threshold in: the training makes it",
            "what the network sees of a pixel before and after the training; dashed: how far\n"
            f"epsilon takes black and white; {record['dataset']}, {seeds}",
            colours=colours,
        )
        axes = figure.subplots()
        start, trained = (share_of_way(record["start"]), [share_of_way(c["seen"]) for c in curves])
        soft = draw_line(axes, pixels, start, 1, colours)
        for shares in trained:
            strong = draw_line(axes, pixels, shares, 0, colours)
        names = (("at the start", start, 0.2, soft), ("trained", trained[0], 0.57, strong))
        ends = [
            EndLabel(pixels[at], shares[at], name, colour)
            for name, shares, where, colour in names
            for at in [round(where * (len(pixels) - 1))]
        ]
        for edge in (record["epsilon"], 1.0 - record["epsilon"]):
            axes.axvline(edge, color=colours.soft, linewidth=1.0, linestyle=(0, (2, 2)))
        percent_axis(axes.yaxis)
        axes.set_xlabel("pixel")
        axes.set_ylabel("seen, of the way from black to white")
        label_ends(axes, ends, size=11)
        save_figure(figure, path)
