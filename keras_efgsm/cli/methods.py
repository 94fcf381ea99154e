"""`keras-efgsm methods`: what can be trained and attacked with, and a short training of each."""

import argparse

from rich.console import Console

from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.printing import ResultTable
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records.wording import percent, radius
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `methods` to the parser."""
    parser = commands.add_parser(
        "methods",
        help="list methods, attacks and objectives, and train each method for a moment",
        description="List the training methods, and the attacks and objectives that others can be "
        "put together from. With --smoke, train each method on the first images of a preset's data "
        "set for a few epochs.",
    )
    parser.add_argument("--smoke", action="store_true", help="train each for a moment")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="digits")
    parser.add_argument("--only", help="these methods, comma-separated, with their options")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--num-images", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints methods and parts, or what came out of training each method."""
    check_count(options.epochs, "epochs")
    check_count(options.num_images, "num_images")
    names = options.only.split(",") if options.only else list(METHODS)
    for name in names:
        check_choice(name, "only", tuple(METHODS))
    table = ResultTable(title="training methods", box=None, pad_edge=False)
    table.add_column("method", no_wrap=True)
    table.add_column("what it is")
    table.add_column("passes", justify="right")
    if options.only:
        table.add_column("options")
    for name in names:
        method = METHODS[name]
        passes = f"{method.passes(method.options):.2f}"
        flags = " ".join(f"--{option.replace('_', '-')}" for option in method.options)
        what = method.title if method.paper == "-" else f"{method.title} ({method.paper})"
        table.add_row(name, what, passes, *([flags] if options.only else []))
    console = Console()
    console.print(table)
    console.print("passes: forward and backward for each image, ordinary training being 1")
    if options.smoke:
        console.print(_try_each(options, names, console))
    else:
        if not options.only:
            console.print(_presets(), "")
            console.print(_parts(), "")
        console.print("options: keras-efgsm methods --only NAME")
        console.print("next:    keras-efgsm train DATA --method NAME")
        console.print("         keras-efgsm train DATA --attack NAME --objective NAME")


def _presets() -> ResultTable:
    """What each preset trains, and on what."""
    table = ResultTable(title="presets, for train DATA and --recipe", box=None, pad_edge=False)
    table.add_column("preset", no_wrap=True)
    for heading in ("data", "method", "network"):
        table.add_column(heading)
    for heading in ("epsilon", "epochs"):
        table.add_column(heading, justify="right")
    for name, config in PRESETS.items():
        epsilon, epochs = radius(config.epsilon, config.norm), str(config.epochs)
        network = config.classifier
        table.add_row(name, config.dataset, config.method, network, epsilon, epochs)
    return table


def _parts() -> ResultTable:
    """Every attack and objective by its name, those that were registered from outside as well."""
    from keras_efgsm.attacks import named_attacks
    from keras_efgsm.evaluation import ATTACK_SETS
    from keras_efgsm.recipes.parts import part_names

    table = ResultTable(title="parts", box=None, pad_edge=False)
    table.add_column("option", no_wrap=True)
    table.add_column("names")
    for option, names in (
        ("train --attack", part_names("attack")),
        ("train --objective", part_names("objective")),
        ("evaluate --attacks", [*ATTACK_SETS, *named_attacks(for_evaluation=True)]),
    ):
        table.add_row(option, ", ".join(names))
    return table


def _try_each(options: argparse.Namespace, names: list[str], console: Console) -> ResultTable:
    """Trains each method and prints the figures of its last epoch."""
    import dataclasses
    import tempfile
    from pathlib import Path

    from keras_efgsm.recipes.building import load_training_data
    from keras_efgsm.runs.folder import RunFolder
    from keras_efgsm.runs.interruption import going_on
    from keras_efgsm.runs.training import train

    preset = PRESETS[options.preset]
    training = load_training_data(preset, "train")
    training = training.take(min(options.num_images, len(training)))
    test = load_training_data(preset, "test")
    table = ResultTable(
        title=f"{options.epochs} epoch(s) on {len(training)} images of {preset.dataset}, "
        f"epsilon {preset.epsilon:g}, seed {options.seed}"
    )
    table.add_column("method", no_wrap=True)
    for heading in ("loss", "on its own examples", "natural, test images", "seconds"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as folder, going_on("nothing of a trial is kept"):
        for number, name in enumerate(names, 1):
            console.print(f"[{number}/{len(names)}] {name}")
            config = dataclasses.replace(
                preset.with_method(name), epochs=options.epochs, warmup_epochs=0.0
            )
            config = dataclasses.replace(config, seed=options.seed, overfitting_stop=False)
            result = train(
                config, Path(folder) / name, train_data=training, test_data=test, verbose=0
            )
            last = RunFolder(Path(folder) / name).read_history()[-1]
            table.add_row(
                name,
                f"{last['loss']:.3f}",
                percent(last["accuracy"], 1),
                percent(result.metrics["natural_accuracy"], 1),
                f"{result.metrics['training_seconds']:.1f}",
            )
    return table
