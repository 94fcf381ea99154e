"""Attacks a classifier behind pixel thresholds in the ways that would betray masked gradients.

    python scripts/experiments/attack_threshold.py runs/mnist [--num-images 1000] \
        [--steepness 5,10,20] [--restarts 3] [--json attack_threshold.json]

A steep threshold could hide from an attack by gradients what it does not hide from the world. So on
top of the `standard` attacks, APGD-CE and targeted APGD come again

- with other random starts (`--restarts`);
- straight through softer thresholds: loss and verdict by the classifier itself, the gradient by the
  same network with each steepness of `--steepness`;
- as a transfer of the images that they make on these softer networks.

All that they turn beyond `standard` is told, image by image: a figure to believe is the last one,
what withstood everything. RUN is a run folder.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.data import load_data
from keras_efgsm.evaluation import evaluate_robustness, load_classifier
from keras_efgsm.evaluation.attack_sets import make_attacks
from keras_efgsm.evaluation.straight_through import with_twin
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.runs.folder import RunFolder


def with_steepness(classifier: keras.Model, steepness: float) -> keras.Model:
    """The same weights behind a threshold of another steepness.

    Raises:
        ValueError: if the classifier has no `pixel_threshold`.
    """
    config = classifier.get_config()
    found = [layer for layer in config["layers"] if layer["config"].get("name") == "contrast"]
    if len(found) != 1:
        raise ValueError(
            "The classifier must have one pixel threshold, see "
            "`keras_efgsm.networks.pixel_threshold`. "
            f"Received: model={classifier.name!r} with {len(found)}"
        )
    found[0]["config"] |= {"scale": steepness, "offset": -steepness / 2}
    softer = keras.Model.from_config(config)
    softer.set_weights(classifier.get_weights())
    return softer


def attack(options: argparse.Namespace) -> dict[str, Any]:
    """Runs everything on the first test images; the withstood ones are counted after each."""
    console = Console()
    folder = RunFolder(Path(options.run))
    config = folder.read_config()
    images = load_data(config.dataset, "test", config.data_dir).take(options.num_images)
    classifier = keras.models.load_model(folder.classifier)
    steepnesses = [
        check_number(float(text), "steepness", minimum=0.0, strict=True)
        for text in options.steepness.split(",")
    ]
    softer = {value: with_steepness(classifier, value) for value in steepnesses}
    rows: list[dict[str, Any]] = []
    standing = np.ones(len(images), bool)

    def run(name: str, model: Any, attacks: list, seed: int) -> None:
        nonlocal standing
        report = evaluate_robustness(model, images, attacks, cascade=True, seed=seed)
        alone = report.correct & np.logical_and.reduce([a.robust for a in report.attacks])
        standing = standing & alone
        rows.append(
            {
                "attacks": name,
                "seed": seed,
                "robust_accuracy": float(alone.mean()),
                "with_all_before": float(standing.mean()),
                "seconds": round(report.seconds, 1),
            }
        )
        console.print(f"{name}: alone {alone.mean():.2%}, with all before {standing.mean():.2%}")

    run("standard", classifier, make_attacks("standard", config.epsilon), 0)
    for seed in range(1, options.restarts + 1):
        run(f"adp, start {seed}", classifier, make_attacks("adp", config.epsilon), seed)
    for value, twin in softer.items():
        adp = make_attacks("adp", config.epsilon)
        model, attacks = with_twin(load_classifier(classifier), load_classifier(twin), adp)
        run(f"adp through steepness {value:g}, and transferred", model, attacks, 0)
    return {
        "config": config.to_dict(),
        "num_images": options.num_images,
        "hardware": hardware(),
        "versions": versions(),
        "rows": rows,
    }


def print_table(rows: list[dict[str, Any]], num_images: int) -> None:
    """One line for each kind of attack."""
    table = Table(title=f"{num_images} test images")
    for heading in ("attacks", "robust", "with all before", "seconds"):
        table.add_column(heading, justify="left" if heading == "attacks" else "right")
    for row in rows:
        table.add_row(
            row["attacks"],
            f"{row['robust_accuracy']:.2%}",
            f"{row['with_all_before']:.2%}",
            f"{row['seconds']:.0f}",
        )
    Console().print(table)


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", help="run folder of a classifier with a pixel threshold")
    parser.add_argument("--num-images", type=int, default=1000)
    parser.add_argument("--steepness", default="5,10,20", help="comma-separated")
    parser.add_argument("--restarts", type=int, default=3, help="further random starts of adp")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    try:
        check_count(options.num_images, "num_images")
        check_count(options.restarts, "restarts", minimum=0)
        found = attack(options)
    except (ValueError, OSError) as error:
        print(f"attack_threshold: {error}", file=sys.stderr)
        return 2
    print_table(found["rows"], options.num_images)
    if options.json:
        write_atomically(Path(options.json), json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
