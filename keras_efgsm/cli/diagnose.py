"""`keras-efgsm diagnose PATH`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli.next_step import same_images, say_next
from keras_efgsm.cli.subject import Subject, add_subject, load_other, read_subject, target_file
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `diagnose` to the parser."""
    parser = commands.add_parser(
        "diagnose",
        help="look for signs of masked gradients",
        description="Look for signs that a run folder, a .keras or .h5 file or an exported "
        "SavedModel version folder hides its gradients, so that attacks find less than there is. "
        "Writes diagnosis.json and diagnosis.png into a run folder.",
        epilog=TRUST,
    )
    add_subject(parser)
    parser.add_argument("--num-images", type=int, default=200, help="default 200")
    parser.add_argument("--steps", type=int, default=50, help="of gradient attacks; default 50")
    parser.add_argument("--queries", type=int, default=1000, help="of Square; default 1000")
    parser.add_argument(
        "--eot",
        type=int,
        default=1,
        metavar="N",
        help="of a model that draws at random: average gradients and decisions over N draws",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--transfer-from",
        metavar="SOURCE",
        help="also try images made on this classifier's gradients",
    )
    parser.add_argument("--json", help="where the figures go; default: diagnosis.json of the run")
    parser.add_argument(
        "--picture", help="where the picture (PNG) goes; default: diagnosis.png of the run"
    )
    parser.add_argument(
        "--details", action="store_true", help="the evidence of what was not found as well"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Diagnoses, prints the table and writes figures and picture."""
    from keras_efgsm.diagnosis import diagnose, draw_diagnosis
    from keras_efgsm.networks.own_models import MODEL_SUFFIXES

    subject, path = read_subject(options), Path(options.path)
    is_run = subject.config is not None
    figures = target_file("json", options.json, _file(subject, "diagnosis.json"))
    picture = target_file("picture", options.picture, _file(subject, "diagnosis.png"))
    source = options.transfer_from and load_other(options.transfer_from, options)
    diagnosis = diagnose(
        subject.model,
        subject.load_data(),
        subject.epsilon,
        num_images=options.num_images,
        steps=options.steps,
        queries=options.queries,
        transfer_from=source,
        eot=options.eot,
        seed=options.seed,
        norm=subject.norm,
    )
    console = Console()
    console.print(diagnosis.table(details=options.details))
    if figures is not None:
        diagnosis.write_json(figures)
        console.print(f"figures: {figures}", soft_wrap=True)
    if picture is not None and diagnosis.surfaces:
        draw_diagnosis(diagnosis, picture)
        console.print(f"picture: {picture}", soft_wrap=True)
    norm = subject.norm if subject.is_other_norm else None
    if is_run:
        say_next("report", options.path, *(["--norm", norm] if norm else []))
    elif path.suffix in MODEL_SUFFIXES:
        norm = None if subject.norm == "linf" else subject.norm
        say_next("report", path, *same_images(options, epsilon=subject.epsilon, norm=norm))


def _file(subject: Subject, name: str) -> Path | None:
    """Where a result goes by itself; None for a model that is no run folder."""
    return None if subject.folder is None else subject.file_of(subject.folder.path / name)
