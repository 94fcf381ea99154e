"""A universal perturbation as a picture, and what it does to images."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.pictures import Palette, heading, new_figure, percent_axis, save_figure, styled
from keras_efgsm.records import UniversalRecord, wording
from keras_efgsm.records.wording import percent, radius
from keras_efgsm.universal.report import UniversalReport


def draw_universal(
    report: UniversalReport | UniversalRecord, path: str | Path, *, theme: str = "light"
) -> None:
    """Draws the perturbation, how many images it fools, and a few of them without and with it.

    The perturbation is scaled to its largest value and has its sign: of grey images red is
    brighter, blue darker and white unchanged; of colour images grey is unchanged. Of a record,
    which holds no images, there are no examples.

    Args:
        report: what `measure_universal` returned, on images of 1 or 3 channels, or its record.
        path: the PNG file, replaced if it exists.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.

    Raises:
        ValueError: if the images have another number of channels, or there is no such theme.
        OSError: if the file cannot be written.

    Example:

    ```python
    maker = UniversalPerturbation(epsilon=0.3, steps=20)
    report = measure_universal(classifier, (x_test, y_test), maker, progress=False)
    draw_universal(report, "universal.png")
    ```
    """
    record = report if isinstance(report, UniversalRecord) else report.record
    if record.png is None:
        channels = report.perturbation.shape[-1] if isinstance(report, UniversalReport) else None
        raise ValueError(
            f"A picture must have 1 or 3 channels. Received: channels={channels} of the images"
        )
    examples = None if isinstance(report, UniversalRecord) else report
    count = 0 if examples is None else len(examples.examples)
    with styled(theme) as colours:
        figure = new_figure(7.6 + 1.25 * count, 4)
        heading(
            figure,
            f"One perturbation for all images turns {percent(record.fooling_rate)} of them",
            f"{record.model} on {wording.data_name(record.dataset, record.split)}; epsilon "
            f"{radius(record.epsilon, record.norm)}; made on "
            f"{wording.number(record.num_made_on)} images, tried on "
            f"{wording.number(record.num_images)} others; seed {record.seed}",
            colours=colours,
        )
        grid = figure.add_gridspec(2, 5 + count, width_ratios=[1.3] * 5 + [1] * count)
        whole = figure.add_subplot(grid[:, :2])
        whole.imshow(_decoded(record.png))
        whole.set_title("the perturbation, amplified", color=colours.soft)
        whole.axis("off")
        _draw_rates(figure.add_subplot(grid[:, 2:5]), record, colours)
        if examples is not None:
            _draw_examples(figure, grid, examples, colours)
        save_figure(figure, path)


def _draw_rates(axes: Any, record: UniversalRecord, colours: Palette) -> None:
    """The shares of images that are given another class."""
    rates = [
        ("a random one of its size", record.fooling_rate_random, colours.lines[5]),
        ("on images it was made on", record.fooling_rate_made_on, colours.lines[0]),
        ("on others", record.fooling_rate, colours.lines[1]),
    ]
    highest = max(10.0, *(100 * rate for _, rate, _ in rates))
    for row, (label, rate, colour) in enumerate(rates):
        axes.barh(row, 100 * rate, height=0.34, color=colour)
        axes.text(0, row - 0.27, f"{label}: {percent(rate)}", color=colour, va="bottom")
    axes.set_title("images given another class", color=colours.soft)
    axes.set_ylim(len(rates) - 0.5, -0.8)
    axes.set_yticks([])
    axes.grid(visible=False)
    percent_axis(axes.xaxis, 0, min(100.0, 1.25 * highest))


def _draw_examples(figure: Any, grid: Any, report: UniversalReport, colours: Palette) -> None:
    turned = np.clip(report.examples + report.perturbation, 0.0, 1.0)
    for row, (images, answers) in enumerate(
        ((report.examples, report.clean), (turned, report.predicted))
    ):
        for column, (image, answer) in enumerate(zip(images, answers[: len(images)], strict=True)):
            panel = figure.add_subplot(grid[row, column + 5])
            panel.imshow(image.squeeze(), cmap="gray", vmin=0.0, vmax=1.0)
            differs = answer != report.clean[column]
            panel.set_title(
                f"as {answer}" if row else f"clean: {answer}",
                color=colours.lines[1] if differs else colours.text,
                fontweight="bold" if differs else "normal",
                pad=4,
            )
            panel.axis("off")


def _decoded(png: str) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image.convert("RGB"))
