"""Reproduces the paper's tables and figures with our code, and puts its own figures beside ours.

    python scripts/experiments/reproduce.py --scale smoke|subset|small|paper
        [--dataset mnist|cifar10] [--out FOLDER] [--rows NAME,NAME]

Trains and attacks every row of Tables 1 to 5, measures figures 2 and 3, the early-stopping estimate
and TRADES with eFGSM, and writes one folder: a JSON file for each measurement (with its
configuration, seed, versions and hardware), the tables as Markdown, and the figures. It can be
interrupted at any moment; called again, it goes on with the row and epoch it was at. With `--rows`
it trains and attacks these alone, so that several processes can share the work; a call without
finds it done. `--dataset cifar10` takes the JPEG-coded CIFAR-10 of tfds name `cifar10_jpeg75`.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import shlex
from collections.abc import Sequence

from rich.console import Console
from rich.markdown import Markdown

from experiments.reproduction.measuring import (
    COMPARED,
    SOURCES,
    Measurements,
    key_of,
    measure_curves,
    measure_high_risk,
    measure_row,
    measure_transfer,
)
from experiments.reproduction.plots import KINDS, draw_curves
from experiments.reproduction.rows import SCALES, base_config, make_rows
from experiments.reproduction.tables import page
from experiments.reproduction.timing import time_own_networks
from experiments.reproduction.training import load_both, plan_rows, train_rows
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_choice
from keras_efgsm.records.environment import hardware, versions


def reproduce(
    dataset: str,
    scale_name: str,
    out: Path,
    runs: Path,
    console: Console,
    *,
    only_train: bool,
    only_rows: Sequence[str] = (),
) -> None:
    """Trains, measures, and writes the results folder."""
    scale, config = SCALES[scale_name], base_config(dataset)
    data = load_both(config.dataset, scale)
    # Before hours of training: are the folders those of this configuration?
    rows = make_rows(dataset, scale)
    for name in only_rows:
        check_choice(name, "rows", tuple(row.name for row in rows))
    trained = plan_rows(rows, scale, runs)
    if only_rows:
        trained = [one for one in trained if one.row.name in only_rows]
    measurements = Measurements(out, console)
    for one in trained:
        measurements.stored(one.name, key_of(one, scale))
    out.mkdir(parents=True, exist_ok=True)
    train_rows(trained, data, console)
    if only_train:
        return
    first = {one.row.name: one for one in reversed(trained)}
    results: dict[str, list] = {}
    for one in trained:
        if not one.row.is_source:
            measured = measure_row(measurements, one, data[1], scale)
            results.setdefault(one.row.name, []).append(measured)
    if only_rows:
        return
    curves = {
        name: measure_curves(measurements, first[name], data[1], scale, dataset)
        for name in COMPARED
    }
    sources = [first[name] for name in SOURCES]
    transfer = measure_transfer(measurements, first["ours"], sources, data[1], scale)
    high_risk = measure_high_risk(measurements, first["ours"], data[1], scale)
    timed = time_own_networks(measurements, rows, data[0], dataset, scale.timed_steps)
    about = f"{data[1].name}, {scale.curve_images} images, seed 0"
    for kind, number in KINDS.items():
        path = out / f"figure{number}.png"
        draw_curves(curves, kind, path, epsilon=config.epsilon, about=about)
    facts = {
        "command": shlex.join(
            [
                "python",
                "scripts/experiments/reproduce.py",
                "--dataset",
                dataset,
                "--scale",
                scale_name,
            ]
        ),
        "data_name": config.dataset,
        "epsilon": config.epsilon,
        "lambda": config.method_options["lambda"],
        "hardware": hardware(),
        "versions": versions(),
    }
    text = page(dataset, scale_name, scale, results, transfer, high_risk, timed, facts)
    write_atomically(out / "README.md", text)
    console.print(Markdown(text))
    console.print(f"results: {out}", soft_wrap=True)


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", choices=tuple(SCALES), default="smoke")
    parser.add_argument("--dataset", choices=("mnist", "cifar10"), default="mnist")
    parser.add_argument("--out", help="results folder; default results/DATASET-SCALE")
    parser.add_argument("--runs", help="run folders; default runs/reproduce/DATASET-SCALE")
    parser.add_argument("--rows", help="comma-separated; these alone, and no page yet")
    parser.add_argument("--only-train", action="store_true", help="leave the measuring for later")
    options = parser.parse_args()
    name = f"{options.dataset}-{options.scale}"
    out = Path(options.out or f"results/{name}")
    runs = Path(options.runs or f"runs/reproduce/{name}")
    try:
        reproduce(
            options.dataset,
            options.scale,
            out,
            runs,
            Console(),
            only_train=options.only_train,
            only_rows=options.rows.split(",") if options.rows else (),
        )
    except (ValueError, OSError) as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
