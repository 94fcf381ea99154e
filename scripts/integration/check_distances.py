"""Measures distances to the boundary with another library's attacks beside ours.

    python scripts/integration/check_distances.py MODEL --dataset mnist [--json FILE]

Runs DeepFool and Carlini & Wagner of this library and of the Adversarial Robustness Toolbox on the
same first images of the test split, and prints for each the quartiles, for how many images nothing
was found, and the seconds; then for how many images ours are no further away. MODEL is a run
folder, or a `.keras` file or an exported version. `--only cw-linf` runs one of them;
`--their-options steps=10` changes those of the other library, whose line says so. Needs the
`oracles` extra.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keras_efgsm import load_data
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.cli.values import anything
from keras_efgsm.distances import (
    CarliniWagnerL2,
    CarliniWagnerLinf,
    DeepFool,
    DistancesReport,
    measure_distances,
)
from keras_efgsm.evaluation import load_classifier
from keras_efgsm.runs.folder import RunFolder

ATTACKS = {"deepfool-l2": DeepFool, "cw-l2": CarliniWagnerL2, "cw-linf": CarliniWagnerLinf}


def row_of(report: DistancesReport, images: int) -> dict:
    """What the JSON has of one attack."""
    record = report.record.attacks[0]
    kept = {"norm": report.norm, "num_images": images, "hardware": report.hardware}
    return record.to_dict() | kept | {"versions": report.versions}


def main() -> None:
    """Runs the attacks, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--dataset", help="default: that of the run")
    parser.add_argument("--num-images", type=int, default=200)
    parser.add_argument("--only", choices=tuple(ATTACKS), help="default: all of them")
    parser.add_argument("--options", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--their-options", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", help="added to what is there")
    options = parser.parse_args()
    folder = RunFolder(options.model)
    config = folder.read_config() if folder.config.exists() else None
    model = load_classifier(options.model)
    data = load_data(
        options.dataset or config.dataset, "test", config.data_dir if config else None
    ).take(options.num_images)
    ours, theirs = (
        {name: anything(value) for name, _, value in (pair.partition("=") for pair in given)}
        for given in (options.options, options.options + options.their_options)
    )
    table = Table(title=f"{data.name}, {len(data)} images")
    for heading in ("attack", "by", "25 %", "median", "75 %", "not found", "seconds", "options"):
        table.add_column(heading)
    console, rows = Console(), []
    for name in [options.only] if options.only else ATTACKS:
        found = {}
        for engine, given in (("native", ours), ("art", theirs)):
            attack = ATTACKS[name](**given)
            found[engine] = measure_distances(model, data, attack, engine=engine, progress=False)
            row = row_of(found[engine], len(data))
            rows.append(row)
            quartiles = [row[key] for key in ("lower_quartile", "median", "upper_quartile")]
            cells = ["-" if value is None else f"{value:.4f}" for value in quartiles]
            missing = str(row["num_attacked"] - row["num_found"])
            words = " ".join(f"{key}={value}" for key, value in given.items())
            table.add_row(name, engine, *cells, missing, f"{row['seconds']:.1f}", words)
        native, art = (found[engine].smallest for engine in ("native", "art"))
        no_further = native <= art * 1.02
        console.print(
            f"{name}: {no_further.sum()} of {len(native)} within 2 % of theirs, or nearer"
        )
        medians = [found[engine].median for engine in ("native", "art")]
        if None not in medians:
            console.print(f"{name}: our median is {medians[0] / medians[1]:.4f} of theirs")
    console.print(table)
    if options.json:
        target = Path(options.json)
        before = json.loads(target.read_text()) if target.exists() else []
        write_atomically(target, json.dumps(before + rows, indent=1) + "\n")
        console.print(f"figures: {target}")


if __name__ == "__main__":
    main()
