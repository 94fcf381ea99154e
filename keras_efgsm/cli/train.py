"""`keras-efgsm train DATA`."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_efgsm.cli.config_options import add_config_options, read_request, run_name
from keras_efgsm.cli.next_step import say_next
from keras_efgsm.cli.values import number
from keras_efgsm.printing import ResultTable
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import find_method
from keras_efgsm.recipes.request import AUTOMATIC_RECIPE, Request, changed
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.typing import Commands


def add_command(commands: Commands, words: Sequence[str] = ()) -> None:
    """Adds `train` to the parser.

    Args:
        commands: takes it.
        words: the words of the command line, which may name attacks of other packages.
    """
    parser = commands.add_parser(
        "train",
        help="train a robust classifier into a run folder",
        usage="keras-efgsm train DATA [--recipe NAME] [--epsilon RADIUS] [options]",
        description="Train a robust classifier. DATA is what it is trained on, the recipe is how; "
        "options not given are those of the recipe.",
        epilog="keras-efgsm train mnist\nkeras-efgsm train photographs --epsilon 4/255\n"
        "keras-efgsm train photographs --recipe cifar10-cpu --image-size 32 32",
        formatter_class=_Help,
    )
    add_config_options(parser, words)
    _add_run_options(parser)
    parser.set_defaults(run=run)


class _Help(argparse.HelpFormatter):
    """Leaves the examples at the end as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)


def _add_run_options(command: argparse.ArgumentParser) -> None:
    parser = command.add_argument_group("the run")
    parser.add_argument("--out", help="run folder; default runs/DATA")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument(
        "--checkpoint-minutes",
        type=number,
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


def run(options: argparse.Namespace) -> None:
    """Trains, and prints what came out."""
    from keras.callbacks import LambdaCallback

    from keras_efgsm.cli.epoch_bar import EpochBar
    from keras_efgsm.distribution.limits import check_backend
    from keras_efgsm.distribution.strategies import make_strategy
    from keras_efgsm.runs.training import train

    request = read_request(options)
    out = options.out or f"runs/{run_name(request)}"
    config = _config(request, Path(out), options.resume)
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
    with EpochBar() as bar:
        result = train(
            config,
            out,
            resume=options.resume,
            callbacks=[] if options.quiet else [bar, LambdaCallback(on_train_begin=_say_accuracy)],
            tensorboard=f"{out}/tensorboard" if options.tensorboard == "" else options.tensorboard,
            checkpoint_minutes=options.checkpoint_minutes,
            deterministic=options.deterministic,
            strategy=strategy,
            shards=options.shards,
            verbose=2,
        )
    if result.folder.path != Path(out):
        # Another worker has the run folder.
        return
    console = Console()
    console.print(result.table())
    console.print(f"run folder: {result.folder.path}", soft_wrap=True)
    say_next("evaluate", result.folder.path)


def _config(request: Request, out: Path, resume: bool) -> TrainingConfig:
    """The configuration; what was chosen for it is said, unless the run has it already."""
    from keras_efgsm.recipes.automatic import choose, configuration

    folder = RunFolder(out)
    stored = folder.read_config() if resume and folder.config.exists() else None
    if request.recipe_name != AUTOMATIC_RECIPE:
        config = configuration(request)
        return config if stored is None else _with_defaults_of(stored, config, request)
    if stored is not None:
        return changed(
            stored, {**request.changes, "dataset": request.dataset}, request.method_options
        )
    chosen = choose(request)
    console = Console()
    for note in chosen.notes:
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    table = ResultTable(
        box=None,
        pad_edge=False,
        title="chosen by the images; an option changes it",
        title_justify="left",
    )
    for heading in ("", "value", "because of"):
        table.add_column(heading)
    for choice in chosen.choices:
        table.add_row(choice.name, choice.value, choice.reason)
    console.print(table)
    return chosen.config


def _with_defaults_of(
    stored: TrainingConfig, config: TrainingConfig, request: Request
) -> TrainingConfig:
    """What neither the command nor its recipe says is as in the run: a default may be another now.

    So are `attack_in_training_mode`, which runs that were written before have off, and the `sigma`
    of eFGSM, which was 0.1 whatever epsilon.
    """
    parts = ("method", "attack", "objective")
    left = [
        field.name
        for field in dataclasses.fields(config)
        if getattr(config, field.name) == field.default
        and field.name not in (*request.changes, *parts)
    ]
    changes: dict[str, Any] = {name: getattr(stored, name) for name in left}
    if config.method == stored.method:
        own = find_method(config.method).options
        kept = {
            name: stored.method_options[name]
            for name, value in config.method_options.items()
            if value == own[name] and name not in request.method_options
        }
        changes["method_options"] = {**config.method_options, **kept}
    return dataclasses.replace(config, **changes)


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


def _say_accuracy(logs: Any = None) -> None:
    print("accuracy of an epoch: under the training's attack; on clean images it comes at the end")
