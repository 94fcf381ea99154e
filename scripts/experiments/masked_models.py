"""Plants masked models, makes honest ones, and shows what the diagnosis says of each.

    python scripts/experiments/masked_models.py [--dataset digits|mnist] [--only NAME ...]
        [--json FILE]

A masked model is an ordinarily trained network with something in front of it or behind it that
keeps attacks by gradients from seeing what a small change does, or one trained until it overfitted
to its own one-step attack. The honest ones are trained in ways that do no such thing. Exit status
1 if any verdict is not the expected one.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
import time

import keras
from rich.console import Console
from rich.table import Table

from experiments.masking.cases import CASES
from experiments.masking.workshop import SETTINGS, Workshop
from keras_efgsm import (
    load_data,
)
from keras_efgsm.diagnosis import diagnose
from reporting.result_table import ResultTable


def run(names: list[str], dataset: str, num_images: int, seed: int, console: Console) -> list[dict]:
    """Diagnoses the models named and tells of each as it comes."""
    shop, test, rows = Workshop(dataset, seed), load_data(dataset, "test"), []
    for name in names:
        case, began = CASES[name], time.perf_counter()
        keras.utils.set_random_seed(seed)
        model = case.make(shop)
        made = time.perf_counter() - began
        setting = shop.setting
        epsilon = setting.overfitting_epsilon if case.after_overfitting else setting.epsilon
        diagnosis = diagnose(model, test, epsilon, num_images=num_images, seed=seed)
        rows.append(
            {
                "name": name,
                "expected": case.expected,
                "seconds_to_make": made,
                **diagnosis.to_dict(),
                "model": name,
            }
        )
        console.print(f"{name}: {diagnosis.verdict} ({made:.0f} + {diagnosis.seconds:.0f} s)")
    return rows


def table(rows: list[dict]) -> Table:
    """Models, verdicts and signs."""
    first = rows[0]
    shown = [
        [
            row["name"],
            f"{row['epsilon']:g}",
            f"{row['num_correct'] / row['num_images']:.1%}",
            f"{row['lowest_accuracy']:.1%}",
            row["verdict"],
            ", ".join(f["name"].replace("_", " ") for f in row["findings"] if f["flagged"]),
            "yes" if row["verdict"] == row["expected"] else f"NO: {row['expected']}",
        ]
        for row in rows
    ]
    headings = ("model", "epsilon", "right", "lowest", "verdict", "signs", "as expected")
    title = f"{first['dataset']}, {first['num_images']} images, seed {first['seed']}"
    return ResultTable(headings, shown, title, words=len(headings)).rich()


def main() -> int:
    """Diagnoses all models; exit status 1 if a verdict is not the expected one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=sorted(SETTINGS), default="digits")
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), metavar="NAME")
    parser.add_argument("--num-images", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="where all figures go; default: nowhere")
    options = parser.parse_args()
    console = Console()
    names = options.only or list(CASES)
    rows = run(names, options.dataset, options.num_images, options.seed, console)
    console.print(table(rows))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
    return 0 if all(row["verdict"] == row["expected"] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
