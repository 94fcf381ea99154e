"""Draws every committed picture again from the figures beside it; nothing is trained or attacked.

    python scripts/reporting/redraw.py [--only results/mnist-search] [--to FOLDER]

`make pictures` calls it. Each picture is drawn in the style of `keras_efgsm.pictures`; those that a
page shows in dark as well get a second file, `NAME-dark.png`. What a picture would show and the
figures do not hold is told of: `results/mnist/universal` has no example images, as its record holds
none.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from experiments.overfitting.picture import draw as draw_overfitting
from experiments.reproduction.plots import KINDS
from experiments.reproduction.plots import draw_curves as draw_figure
from experiments.robustness_curves.picture import draw as draw_courses
from experiments.robustness_curves.summary import measured_on, summarise
from keras_efgsm.records import (
    FinalistsRecord,
    HistoryRecord,
    MetricsRecord,
    TrialsRecord,
    UniversalRecord,
    read_json,
)
from keras_efgsm.records.wording import data_name, radius
from keras_efgsm.runs.drawing import draw_curves
from keras_efgsm.tuning.drawing import draw_trials
from keras_efgsm.universal import draw_universal
from reporting.tone_picture import draw_tones
from reporting.twin_picture import draw_twin

ROOT = Path(__file__).parents[2]


def training_curves(folder: Path, path: Path, theme: str) -> None:
    """Of a run: its history, and the natural accuracy at its end."""
    config = read_json(folder / "config.json")
    draw_curves(
        HistoryRecord.read(folder / "history.csv").rows,
        path,
        f"{data_name(config['dataset'])}, epsilon {radius(config['epsilon'])}",
        natural_accuracy=MetricsRecord.read(folder / "metrics.json").natural_accuracy,
        theme=theme,
    )


def search(folder: Path, path: Path, theme: str) -> None:
    """Of a search: its trials and the repeated finalists."""
    trials = TrialsRecord.read(folder / "trials.json")
    draw_trials(trials, path, FinalistsRecord.read(folder / "finalists.json"), theme=theme)


def courses(folder: Path, path: Path, theme: str, *, target: float | None = None) -> None:
    """Of `time_to_robustness.py`: its runs; of its first version, which had one seed, its methods.

    Args:
        folder: with `time_to_robustness.json`.
        path: the picture.
        theme: of it.
        target: robust accuracy that is marked, which that file does not hold. Defaults to none.
    """
    stored = read_json(folder / "time_to_robustness.json")
    runs = stored.get("runs") or {
        f"{method}-seed{stored['options']['seed']}": run
        for method, run in stored["methods"].items()
    }
    seeds = sorted({int(name.rpartition("-seed")[2]) for name in runs})
    about = measured_on(stored["options"], seeds)
    draw_courses(summarise(runs, target), path, about, target, theme=theme)


def figure(folder: Path, path: Path, theme: str, *, kind: str) -> None:
    """Of `reproduce.py`: the curves of the paper's figures 2 and 3."""
    curves, about, epsilon = {}, "", 0.0
    for name in ("ours", "madry", "trades", "free"):
        stored = read_json(folder / f"curves-{name}-seed0.json")
        curves[name] = stored["result"]
        epsilon = stored["key"]["config"]["epsilon"]
        images = stored["result"]["images"]
        about = f"{stored['key']['config']['dataset']}, {images} test images, seed 0"
    draw_figure(curves, kind, path, epsilon=epsilon, about=about, theme=theme)


def overfitting(folder: Path, path: Path, theme: str) -> None:
    """Of `provoke_overfitting.py`."""
    draw_overfitting(read_json(folder / "overfitting.json")["runs"], path, theme=theme)


def universal(folder: Path, path: Path, theme: str) -> None:
    """Of `keras-efgsm universal`: without example images, which its record does not hold."""
    draw_universal(UniversalRecord.read(folder / "universal.json"), path, theme=theme)


def tones(folder: Path, path: Path, theme: str) -> None:
    """Of `tone_curves.py`."""
    draw_tones(read_json(folder / "tone_curve.json"), path, theme=theme)


def twin(folder: Path, path: Path, theme: str) -> None:
    """Of `attacked_twin.py`."""
    draw_twin(read_json(folder / "attacked_twin.json"), path, theme=theme)


Draw = Callable[[Path, Path, str], None]
PICTURES: dict[str, Draw] = {
    "docs/pictures/attacked_twin.png": twin,
    **{
        f"results/cifar10_jpeg75/{run}/curves.png": training_curves
        for run in (
            "cpu",
            "cpu-boundary-step",
            "cpu-n-fgsm",
            "cpu-pgd7",
            "cpu-seed1",
            "cpu-seed2",
            "small",
        )
    },
    "results/mnist-search/search.png": search,
    **{
        f"results/mnist-small/figure{number}.png": partial(figure, kind=kind)
        for kind, number in KINDS.items()
    },
    **{
        f"results/mnist-threshold/{name}/time_to_robustness.png": partial(courses, target=0.88)
        for name in ("time_to_88", "time_to_88_pgd_published", "time_to_88_short")
    },
    "results/mnist-threshold/time_to_robustness/time_to_robustness.png": courses,
    **{f"results/{data}/tone_curve/tone_curve.png": tones for data in ("fashion_mnist", "mnist")},
    "results/mnist/universal/universal.png": universal,
    **{
        f"results/overfitting/{data}/overfitting.png": overfitting
        for data in ("fashion_mnist", "mnist")
    },
    "results/time_to_robustness/time_to_robustness.png": courses,
}
"""What draws each committed picture, from the folder that it lies in."""
IN_DARK = (
    "docs/pictures/attacked_twin.png",
    "results/mnist-search/search.png",
    "results/mnist-threshold/time_to_88/time_to_robustness.png",
    "results/fashion_mnist/tone_curve/tone_curve.png",
    "results/mnist/tone_curve/tone_curve.png",
    "results/overfitting/mnist/overfitting.png",
)
"""Those that are drawn in dark as well."""


def redraw(picture: str, to: Path = ROOT) -> list[Path]:
    """Draws a committed picture again.

    Args:
        picture: one of `PICTURES`.
        to: the root below which it is written. Defaults to this checkout.

    Returns:
        The files.
    """
    source, target = ROOT / picture, to / picture
    target.parent.mkdir(parents=True, exist_ok=True)
    files = {"light": target}
    if picture in IN_DARK:
        files["dark"] = target.with_name(f"{target.stem}-dark.png")
    for theme, path in files.items():
        PICTURES[picture](source.parent, path, theme)
    return list(files.values())


def main(arguments: list[str] | None = None) -> int:
    """Draws all pictures, or those whose path begins as asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="pictures whose path begins so")
    parser.add_argument("--to", type=Path, default=ROOT, help="another root than this checkout")
    options: Any = parser.parse_args(arguments)
    chosen = [picture for picture in PICTURES if picture.startswith(options.only)]
    if not chosen:
        print(
            f"redraw: `--only` must begin a path of {', '.join(PICTURES)}. "
            f"Received: only={options.only!r}",
            file=sys.stderr,
        )
        return 2
    for picture in chosen:
        for path in redraw(picture, options.to):
            print(path.relative_to(options.to) if path.is_relative_to(options.to) else path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
