"""Robust accuracy against the radius as a picture."""

from pathlib import Path

from keras_efgsm.pictures import draw_line, heading, new_figure, percent_axis, save_figure, styled
from keras_efgsm.records import RobustnessCurveRecord, wording
from keras_efgsm.records.wording import INTERVAL, percent


def draw_robustness_curve(
    curve: RobustnessCurveRecord, path: str | Path, *, theme: str = "light"
) -> None:
    """Draws robust accuracy against epsilon, with its 95 % Wilson interval as a band.

    Args:
        curve: the figures.
        path: the PNG file, replaced if it exists.
        theme: `"light"` or `"dark"`. Defaults to `"light"`.

    Raises:
        ValueError: if there is no such theme.
        OSError: if the file cannot be written.

    Example:

    ```python
    attacks = [PGD(epsilon=epsilon) for epsilon in (0.1, 0.2)]
    curve = evaluate_over_epsilons(classifier, (x, y), attacks, progress=False)
    draw_robustness_curve(curve.record, "curve.png")
    ```
    """
    epsilons = [point.epsilon for point in curve.points]
    shares = [100 * point.robust_accuracy for point in curve.points]
    low, high = ([100 * point.robust_interval[side] for point in curve.points] for side in (0, 1))
    attacks = ", ".join(attack.in_words for attack in curve.points[-1].attacks)
    with styled(theme) as colours:
        figure = new_figure(6.4, 4.4)
        heading(
            figure,
            f"Robust accuracy of {curve.model} by epsilon",
            f"{wording.count(curve.num_images, 'image')} of {curve.dataset}; band: {INTERVAL} "
            f"interval\nunder {attacks}",
            colours=colours,
        )
        axes = figure.subplots()
        draw_line(axes, epsilons, shares, 0, colours, band=(low, high))
        for epsilon, share in zip(epsilons, shares, strict=True):
            axes.annotate(
                percent(share / 100, 1),
                (epsilon, share),
                textcoords="offset points",
                xytext=(5, 7),
                color=colours.lines[0],
            )
        percent_axis(axes.yaxis, 0, 105)
        axes.margins(x=0.08)
        axes.set_xticks(epsilons, [wording.short_radius(epsilon) for epsilon in epsilons])
        of = "" if curve.norm == "linf" else f" ({wording.norm_name(curve.norm)})"
        axes.set_xlabel(f"epsilon{of}, in pixels of [0, 1]")
        save_figure(figure, path)
