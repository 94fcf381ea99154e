"""`keras-efgsm universal PATH`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli.next_step import say_next
from keras_efgsm.cli.subject import add_subject, read_subject, target_file
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.cli.values import number
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `universal` to the parser."""
    parser = commands.add_parser(
        "universal",
        help="make one perturbation for all images, and measure how many it fools",
        description="Make one perturbation on half of the images of a run folder, a .keras file "
        "or an exported SavedModel version folder, and measure how many of the other half it "
        "fools. Writes universal.json and universal.png into a run folder, from where `report` "
        "takes them.",
        epilog=TRUST,
    )
    add_subject(parser)
    parser.add_argument("--steps", type=int, default=300, help="on one batch each; default 300")
    parser.add_argument("--step-size", type=number, help="the first one; default: epsilon / 10")
    parser.add_argument(
        "--engine",
        choices=("native", "art"),
        default="native",
        help="art is the iterated DeepFool of the Adversarial Robustness Toolbox",
    )
    parser.add_argument(
        "--num-images",
        type=int,
        help="of which one half is for making and one for testing; default: all of the split",
    )
    parser.add_argument(
        "--eot",
        type=int,
        default=1,
        metavar="N",
        help="of a model that draws at random: average gradients and decisions over N draws",
    )
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="where the figures go; default: universal.json of the run")
    parser.add_argument(
        "--picture", help="where the picture (PNG) goes; default: universal.png of the run"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Makes the perturbation, prints the table and writes figures and picture."""
    from keras_efgsm.universal import UniversalPerturbation, draw_universal, measure_universal

    subject, path = read_subject(options), Path(options.path)
    maker = UniversalPerturbation(
        epsilon=subject.epsilon,
        norm=subject.norm,
        steps=options.steps,
        step_size=options.step_size,
    )
    is_run = subject.config is not None
    figures = target_file("json", options.json, path / "universal.json" if is_run else None)
    picture = target_file("picture", options.picture, path / "universal.png" if is_run else None)
    report = measure_universal(
        subject.model,
        subject.load_data(),
        maker,
        engine=options.engine,
        batch_size=options.batch_size,
        num_images=options.num_images,
        eot=options.eot,
        seed=options.seed,
        split=options.split,
    )
    console = Console()
    console.print(report.table())
    if figures is not None:
        report.write_json(figures)
        console.print(f"figures: {figures}", soft_wrap=True)
    if picture is not None and report.perturbation.shape[-1] in (1, 3):
        draw_universal(report, picture)
        console.print(f"picture: {picture}", soft_wrap=True)
    if is_run:
        say_next("report", path)
