"""A universal perturbation as a picture, and what it does to a few images."""

from pathlib import Path

import numpy as np

from keras_efgsm.records.drawing import new_figure, save_figure
from keras_efgsm.records.wording import percent, radius
from keras_efgsm.report.png import signed_colours
from keras_efgsm.universal.report import UniversalReport


def draw_universal(report: UniversalReport, path: str | Path) -> None:
    """Draws the perturbation, and a few images without and with it.

    The perturbation is scaled to its largest value and has its sign: of grey images red is
    brighter, blue darker and white unchanged; of colour images grey is unchanged.

    Args:
        report: what `measure_universal` returned, on images of 1 or 3 channels.
        path: the PNG file, replaced if it exists.

    Raises:
        ValueError: if the images have another number of channels.
        OSError: if the file cannot be written.

    Example:

    ```python
    maker = UniversalPerturbation(epsilon=0.3, steps=20)
    report = measure_universal(classifier, (x_test, y_test), maker, progress=False)
    draw_universal(report, "universal.png")
    ```
    """
    channels = report.perturbation.shape[-1]
    if channels not in (1, 3):
        raise ValueError(
            f"A picture must have 1 or 3 channels. Received: channels={channels} of the images"
        )
    count = len(report.examples)
    figure = new_figure(2.6 + 1.5 * count, 3.6)
    grid = figure.add_gridspec(2, count + 2)
    largest = float(np.abs(report.perturbation).max()) or 1.0
    whole = figure.add_subplot(grid[:, :2])
    whole.imshow(signed_colours(report.perturbation, largest))
    whole.set_title(f"the perturbation, at most {largest:.3g} a pixel", fontsize="small")
    whole.axis("off")
    turned = np.clip(report.examples + report.perturbation, 0.0, 1.0)
    for column in range(count):
        for row, (images, answers) in enumerate(
            ((report.examples, report.clean), (turned, report.predicted))
        ):
            panel = figure.add_subplot(grid[row, column + 2])
            panel.imshow(images[column].squeeze(), cmap="gray", vmin=0.0, vmax=1.0)
            panel.set_title(f"class {answers[column]}", fontsize="small")
            panel.axis("off")
    figure.suptitle(
        f"{report.model}: {percent(report.fooling_rate)} of other images fooled "
        f"({report.maker.norm}, epsilon {radius(report.maker.epsilon)})",
        fontsize="medium",
    )
    save_figure(figure, path)
