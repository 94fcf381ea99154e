"""`keras-efgsm distance PATH`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli.subject import add_images, add_model_options, read_subject, target_file
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `distance` to the parser."""
    parser = commands.add_parser(
        "distance",
        help="measure how far images are from the decision boundary",
        description="Measure how far images are from the nearest image of another class, by "
        "attacks that look for it without a ball: the median distance, the quartiles, and for how "
        "many images nothing was found. Takes a run folder, a .keras file or an exported "
        "SavedModel version folder.",
        epilog=TRUST,
    )
    parser.add_argument("path")
    add_model_options(parser)
    add_images(parser)
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--attacks",
        help="names separated by commas: deepfool and cw (l2, linf), lbfgs (l2), ead (l1), pixel "
        "(l0); default deepfool,cw, or that of the norm",
    )
    parser.add_argument("--norm", choices=("l2", "linf", "l1", "l0"), default="l2")
    parser.add_argument(
        "--engine",
        choices=("native", "art"),
        help="art is the Adversarial Robustness Toolbox, which alone has ead and pixel; default: "
        "native where it is there",
    )
    parser.add_argument("--steps", type=int, help="of each attack; default: its own")
    parser.add_argument(
        "--num-images",
        type=int,
        help="the first so many, or where the images are sorted by class so many of all classes, "
        "drawn with --seed; default: all of the split",
    )
    parser.add_argument(
        "--eot",
        type=int,
        default=1,
        metavar="N",
        help="of a model that draws at random: average gradients and decisions over N draws",
    )
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="where the figures go; default: distances.json of the run")
    # There is no ball; a subject has a radius, and this is the largest.
    parser.set_defaults(run=run, epsilon=1.0)


def run(options: argparse.Namespace) -> None:
    """Measures, prints the table and writes the JSON."""
    from keras_efgsm.distances import make_distance_attacks, measure_distances

    default = {"l1": "ead", "l0": "pixel"}.get(options.norm, "deepfool,cw")
    attacks = make_distance_attacks(options.attacks or default, options.norm, steps=options.steps)
    # A subject's norm is that of a ball, and there is none.
    options.norm = None
    subject, path = read_subject(options), Path(options.path)
    is_run = subject.config is not None
    target = target_file("json", options.json, path / "distances.json" if is_run else None)
    report = measure_distances(
        subject.model,
        subject.load_data(),
        attacks,
        engine=options.engine or attacks[0].engines[0],
        batch_size=options.batch_size,
        num_images=options.num_images,
        eot=options.eot,
        seed=options.seed,
        split=options.split,
    )
    console = Console()
    console.print(report.table())
    if target is not None:
        report.write_json(target)
        console.print(f"figures: {target}", soft_wrap=True)
