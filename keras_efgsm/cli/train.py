"""`keras-efgsm train PRESET`."""

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS

# Command-line options that are fields of `TrainingConfig`: flag, field, type, help.
_OPTIONS = (
    ("--dataset", "dataset", str, "tfds name, folder of class sub-folders, or 'digits'"),
    ("--data-dir", "data_dir", str, "where prepared tfds data sets lie"),
    ("--epsilon", "epsilon", float, "L-infinity radius in pixels of [0, 1]"),
    ("--label-smoothing", "label_smoothing", float, "share of each label spread evenly"),
    ("--momentum-dtype", "momentum_dtype", str, "'int8', 'float16' or 'float32'"),
    ("--momentum-storage", "momentum_storage", str, "'memory', or 'disk' if it does not fit"),
    ("--momentum-directory", "momentum_directory", str, "folder of the momentum on disk"),
    ("--epochs", "epochs", int, "passes over the training data"),
    ("--train-images", "train_images", int, "train on so many images; default: all"),
    ("--batch-size", "batch_size", int, "images per step"),
    ("--activation", "activation", str, "of the classifier: relu, silu, softplus, ..."),
    ("--optimizer", "optimizer", str, "adam or sgd"),
    ("--optimizer-momentum", "optimizer_momentum", float, "of sgd"),
    ("--weight-decay", "weight_decay", float, "L2 with sgd, decoupled with adam"),
    ("--learning-rate", "learning_rate", float, "peak of the schedule"),
    ("--schedule", "schedule", str, "of the learning rate: cosine, one-cycle or piecewise"),
    ("--warmup-epochs", "warmup_epochs", float, "linear rise of the learning rate before cosine"),
    ("--peak-share", "peak_share", float, "share of the training before the peak of one-cycle"),
    ("--crop-padding", "crop_padding", int, "random crops of images padded by so many pixels"),
    ("--flip", "flip", bool, "mirror images at random"),
    ("--cutout", "cutout", int, "side of a grey square in each image, 0: none"),
    ("--align-momentum", "align_momentum", bool, "crop and flip the momentum with its image"),
    ("--momentum-reset-epochs", "momentum_reset_epochs", int, "zero the momentum every so often"),
    (
        "--attack-in-training-mode",
        "attack_in_training_mode",
        bool,
        "the attack sees batch norm as the update does",
    ),
    ("--epsilon-warmup-epochs", "epsilon_warmup_epochs", float, "linear rise of epsilon"),
    (
        "--regularizer-warmup-epochs",
        "regularizer_warmup_epochs",
        float,
        "linear rise of the objective's regulariser",
    ),
    ("--epsilon-factor", "epsilon_factor", float, "radius of the training's ball over epsilon"),
    ("--weight-averaging", "weight_averaging", float, "momentum of the averaged weights, 0: none"),
    ("--probe-images", "probe_images", int, "held-out images that confirm the stop, 0: none"),
    ("--keep-best", "keep_best", bool, "keep the weights of the epoch with the best probe"),
    ("--classifier", "classifier", str, "network, see the documentation"),
    ("--reconstructor", "reconstructor", str, "network, see the documentation"),
    ("--dtype-policy", "dtype_policy", str, "float32, mixed_bfloat16, mixed_float16 or auto"),
    ("--seed", "seed", int, "of weights, order and noise"),
)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `train` to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a robust classifier into a run folder",
        description="Train a robust classifier. Options not given are those of the preset.",
    )
    add_config_options(parser)
    _add_run_options(parser)
    parser.set_defaults(run=run)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds the preset and what may be changed of it, as `read_config` takes them."""
    parser.add_argument("preset", choices=sorted(PRESETS))
    parser.add_argument("--method", choices=tuple(METHODS), help="default: that of the preset")
    for flag, field, kind, text in _OPTIONS:
        reading = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind}
        parser.add_argument(flag, dest=field, default=None, help=text, **reading)
    of_methods = parser.add_argument_group("options of some methods")
    for name, methods in _method_options().items():
        of_methods.add_argument(
            _flag(name), dest=f"method_{name}", type=_value, help=f"of {', '.join(methods)}"
        )
    parser.add_argument(
        "--no-overfitting-stop", action="store_true", help="never end before the last epoch"
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", help="run folder; default runs/PRESET")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument(
        "--checkpoint-minutes",
        type=float,
        default=10.0,
        metavar="MINUTES",
        help="between checkpoints within an epoch; 0: after every step; default: 10",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bits in each run, also when it is resumed (on a GPU slower)",
    )
    parser.add_argument(
        "--tensorboard",
        nargs="?",
        const="",
        metavar="DIR",
        help="write TensorBoard logs with adversarial images; default DIR: tensorboard in --out",
    )
    parser.add_argument(
        "--replicas",
        type=int,
        default=1,
        help="devices that share each batch; without GPUs, parts of the processor; default: 1",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes on this machine that share each batch and the momentum; default: 1, or "
        "those of TF_CONFIG",
    )
    parser.add_argument(
        "--restarts",
        type=int,
        default=0,
        help="how often all --workers go on from the last checkpoint when one died; default: 0",
    )
    parser.add_argument(
        "--shards",
        type=int,
        help="shuffle the data in as many parts as so many workers would; default: the workers",
    )
    parser.add_argument("--quiet", action="store_true", help="one line per epoch, no bar")


def read_config(options: argparse.Namespace) -> TrainingConfig:
    """The preset with the given options in place."""
    changes: dict[str, Any] = {
        field: getattr(options, field)
        for _, field, _, _ in _OPTIONS
        if getattr(options, field) is not None
    }
    if options.no_overfitting_stop:
        changes["overfitting_stop"] = False
    preset = PRESETS[options.preset]
    given = {
        name: getattr(options, f"method_{name}")
        for name in _method_options()
        if getattr(options, f"method_{name}") is not None
    }
    if options.method in (None, preset.method):
        return dataclasses.replace(
            preset, **changes, method_options={**preset.method_options, **given}
        )
    return dataclasses.replace(preset.with_method(options.method, **given), **changes)


def _method_options() -> dict[str, list[str]]:
    """The methods that have each option."""
    methods: dict[str, list[str]] = {}
    for name, method in METHODS.items():
        for option in method.options:
            methods.setdefault(option, []).append(name)
    return methods


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def _value(text: str) -> Any:
    """A number or a truth value if it reads as one, else the text."""
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


def command_line(config: TrainingConfig) -> str:
    """The `keras-efgsm train` command of a configuration, from the preset nearest to it."""
    values = config.to_dict()

    def differing(preset: str) -> list[str]:
        base = PRESETS[preset].to_dict()
        return [field for field in values if values[field] != base[field]]

    preset = min(PRESETS, key=lambda name: len(differing(name)))
    base = PRESETS[preset]
    changed = set(differing(preset)) - {"data_dir"}
    words = ["keras-efgsm", "train", preset]
    if config.method != base.method:
        words += ["--method", config.method]
        base = base.with_method(config.method)
        if config.label_smoothing == base.label_smoothing:
            changed.discard("label_smoothing")
        else:
            changed.add("label_smoothing")
    for name, value in config.method_options.items():
        if value != base.method_options[name]:
            words += [_flag(name), json.dumps(value) if not isinstance(value, str) else value]
    for flag, field, kind, _ in _OPTIONS:
        if field not in changed or values[field] is None:
            continue
        if kind is bool:
            words.append(flag if values[field] else flag.replace("--", "--no-", 1))
        else:
            words += [flag, str(values[field])]
    if "overfitting_stop" in changed and not config.overfitting_stop:
        words.append("--no-overfitting-stop")
    return shlex.join(words)


def run(options: argparse.Namespace) -> None:
    """Trains, and prints what came out."""
    from keras_efgsm.distribution.limits import check_backend
    from keras_efgsm.distribution.strategies import make_strategy
    from keras_efgsm.runs.training import train

    config = read_config(options)
    out = options.out or f"runs/{options.preset}"
    if options.restarts and options.workers == 1:
        raise ValueError(
            "`--restarts` starts the processes of `--workers` again. "
            f"Received: restarts={options.restarts}, workers=1"
        )
    check_backend(options.replicas * options.workers * (options.shards or 1))
    if options.workers > 1:
        _launch(options, out)
        return
    strategy = make_strategy(options.replicas)
    result = train(
        config,
        out,
        resume=options.resume,
        tensorboard=f"{out}/tensorboard" if options.tensorboard == "" else options.tensorboard,
        checkpoint_minutes=options.checkpoint_minutes,
        deterministic=options.deterministic,
        strategy=strategy,
        shards=options.shards,
        verbose=2 if options.quiet else "auto",
    )
    metrics = result.metrics
    if result.folder.path != Path(out):
        # Another worker has the run folder.
        return
    table = Table(
        title=f"{config.method} on {config.dataset}, epsilon {config.epsilon:g}, seed {config.seed}"
    )
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
    elif stop is not None and stop["restored_epoch"] is not None:
        table.add_row("put back", f"epoch {stop['restored_epoch']}: {stop['reason']}")
    console = Console()
    console.print(table)
    console.print(f"run folder: {result.folder.path}", soft_wrap=True)
    console.print(f"next: keras-efgsm evaluate {result.folder.path}", soft_wrap=True)


def _launch(options: argparse.Namespace, out: str) -> None:
    """Starts this command once for each worker."""
    from keras_efgsm.distribution.launcher import launch
    from keras_efgsm.distribution.strategies import count_workers

    if count_workers() > 1:
        raise ValueError(
            "`--workers` starts workers on this machine; where TF_CONFIG names them, start each by "
            f"itself without it. Received: --workers {options.workers} and TF_CONFIG"
        )
    words = [sys.executable, "-m", "keras_efgsm", *options.words, "--workers", "1"]

    def resume() -> list[str]:
        begun = (Path(out) / "config.json").exists()
        return ["--resume"] if begun and not options.resume else []

    status = launch(words, options.workers, restarts=options.restarts, more_on_restart=resume)
    if status:
        raise SystemExit(status)
