"""Robust accuracy against the radius as a picture."""

from pathlib import Path

from keras_efgsm.records import RobustnessCurveRecord, wording
from keras_efgsm.records.drawing import new_figure, save_figure
from keras_efgsm.records.wording import INTERVAL, percent

_LINE = "#1b6ca8"


def draw_robustness_curve(curve: RobustnessCurveRecord, path: str | Path) -> None:
    """Draws robust accuracy against epsilon, with its 95 % Wilson interval as a band.

    Args:
        curve: the figures.
        path: the PNG file, replaced if it exists.

    Raises:
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
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    low, high = ([100 * point.robust_interval[side] for point in curve.points] for side in (0, 1))
    axes.fill_between(epsilons, low, high, color=_LINE, alpha=0.18, linewidth=0)
    axes.plot(epsilons, shares, color=_LINE, marker="o")
    for epsilon, share in zip(epsilons, shares, strict=True):
        axes.annotate(
            percent(share / 100, 1),
            (epsilon, share),
            textcoords="offset points",
            xytext=(4, 6),
            fontsize="small",
        )
    axes.set_ylim(0, 105)
    axes.margins(x=0.08)
    axes.set_xticks(epsilons, [_tick(epsilon) for epsilon in epsilons])
    of = "" if curve.norm == "linf" else f" ({wording.norm_name(curve.norm)})"
    axes.set_xlabel(f"epsilon{of}, in pixels of [0, 1]")
    axes.set_ylabel("accuracy (%)")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    attacks = ", ".join(attack.in_words for attack in curve.points[-1].attacks)
    axes.set_title(
        f"{curve.model}, {wording.count(curve.num_images, 'image')}, band: {INTERVAL} interval\n"
        f"{attacks}",
        fontsize="small",
        loc="left",
    )
    save_figure(figure, path)


def _tick(epsilon: float) -> str:
    # Only the 255ths where these are meant: both would run into each other.
    return wording.radius(epsilon).partition("(")[2].rstrip(")") or wording.radius(epsilon)
