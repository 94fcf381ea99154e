"""`keras-efgsm train PRESET`."""

import argparse
import dataclasses
import shlex
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_efgsm.config import PRESETS, TrainingConfig

# Command-line options that are fields of `TrainingConfig`: flag, field, type, help.
_OPTIONS = (
    ("--dataset", "dataset", str, "tfds name, folder of class sub-folders, or 'digits'"),
    ("--data-dir", "data_dir", str, "where prepared tfds data sets lie"),
    ("--epsilon", "epsilon", float, "L-infinity radius in pixels of [0, 1]"),
    ("--sigma", "sigma", float, "standard deviation of the start"),
    ("--lambda", "classification_weight", float, "weight of the classification loss"),
    ("--label-smoothing", "label_smoothing", float, "share of each label spread evenly"),
    ("--momentum-decay", "momentum_decay", float, "weight of the past in the momentum"),
    ("--momentum-from", "momentum_from", str, "'gradient' or 'perturbation'"),
    ("--momentum-dtype", "momentum_dtype", str, "'int8', 'float16' or 'float32'"),
    ("--rivals", "rivals", str, "rival classes of the boundary step: a number or 'all'"),
    ("--overshoot", "overshoot", float, "factor on the step to the boundary"),
    ("--epochs", "epochs", int, "passes over the training data"),
    ("--batch-size", "batch_size", int, "images per step"),
    ("--learning-rate", "learning_rate", float, "peak of the cosine schedule"),
    ("--warmup-epochs", "warmup_epochs", float, "linear rise of the learning rate"),
    ("--weight-averaging", "weight_averaging", float, "momentum of the averaged weights, 0: none"),
    ("--probe-images", "probe_images", int, "held-out images that confirm the stop, 0: none"),
    ("--classifier", "classifier", str, "network, see the documentation"),
    ("--reconstructor", "reconstructor", str, "network, see the documentation"),
    ("--seed", "seed", int, "of weights, order and noise"),
)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `train` to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a robust classifier into a run folder",
        description="Train a robust classifier. Options not given are those of the preset.",
    )
    parser.add_argument("preset", choices=sorted(PRESETS))
    for flag, field, kind, text in _OPTIONS:
        parser.add_argument(flag, dest=field, type=kind, help=text)
    parser.add_argument(
        "--no-reconstructor", action="store_true", help="train with cross-entropy alone"
    )
    parser.add_argument(
        "--no-overfitting-stop", action="store_true", help="never end before the last epoch"
    )
    parser.add_argument(
        "--no-projection", action="store_true", help="do not project the step to the ball"
    )
    parser.add_argument("--out", help="run folder; default runs/PRESET")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--quiet", action="store_true", help="one line per epoch, no bar")
    parser.set_defaults(run=run)


def read_config(options: argparse.Namespace) -> TrainingConfig:
    """The preset with the given options in place."""
    changes: dict[str, Any] = {
        field: getattr(options, field)
        for _, field, _, _ in _OPTIONS
        if getattr(options, field) is not None
    }
    if changes.get("rivals", "all").isdigit():
        changes["rivals"] = int(changes["rivals"])
    if options.no_reconstructor:
        changes["reconstructor"] = None
    if options.no_projection:
        changes["use_projection"] = False
    if options.no_overfitting_stop:
        changes["overfitting_stop"] = False
    return dataclasses.replace(PRESETS[options.preset], **changes)


def command_line(config: TrainingConfig) -> str:
    """The `keras-efgsm train` command of a configuration, from the preset nearest to it."""
    values = config.to_dict()

    def differing(preset: str) -> list[str]:
        base = PRESETS[preset].to_dict()
        return [field for field in values if values[field] != base[field]]

    preset = min(PRESETS, key=lambda name: len(differing(name)))
    changed = set(differing(preset)) - {"data_dir"}
    words = ["keras-efgsm", "train", preset]
    for flag, field, _, _ in _OPTIONS:
        if field in changed and values[field] is not None:
            words += [flag, str(values[field])]
    if "reconstructor" in changed and config.reconstructor is None:
        words.append("--no-reconstructor")
    if "use_projection" in changed:
        words.append("--no-projection")
    if "overfitting_stop" in changed and not config.overfitting_stop:
        words.append("--no-overfitting-stop")
    return shlex.join(words)


def run(options: argparse.Namespace) -> None:
    """Trains, and prints what came out."""
    from keras_efgsm.training import train

    config = read_config(options)
    out = options.out or f"runs/{options.preset}"
    result = train(config, out, resume=options.resume, verbose=2 if options.quiet else "auto")
    metrics = result.metrics
    table = Table(title=f"{config.dataset}, epsilon {config.epsilon:g}, seed {config.seed}")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("epochs", str(metrics["epochs"]))
    table.add_row("training", f"{metrics['training_seconds']:.0f} s")
    table.add_row(
        f"natural accuracy, {metrics['test_images']:,} test images",
        f"{metrics['natural_accuracy']:.2%}",
    )
    stop = metrics["stop"]
    if stop is not None and stop["fired"]:
        table.add_row("stopped", f"epoch {stop['epoch']}: {stop['reason']}")
    console = Console()
    console.print(table)
    console.print(f"run folder: {result.folder.path}", soft_wrap=True)
    console.print(f"next: keras-efgsm evaluate {result.folder.path}", soft_wrap=True)
