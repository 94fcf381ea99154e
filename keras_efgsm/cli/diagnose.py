"""`keras-efgsm diagnose PATH`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.runs import RunFolder


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `diagnose` to the parser."""
    parser = commands.add_parser(
        "diagnose",
        help="look for signs of masked gradients",
        description="Look for signs that a run folder, a .keras file or an exported SavedModel "
        "version folder hides its gradients, so that attacks find less than there is. Writes "
        "diagnosis.json and diagnosis.png into a run folder.",
    )
    parser.add_argument("path")
    parser.add_argument("--dataset", help="as for train; default: that of the run")
    parser.add_argument("--data-dir", help="where prepared tfds data sets lie")
    parser.add_argument("--split", default="test")
    parser.add_argument("--epsilon", type=float, help="default: that of the run")
    parser.add_argument("--num-images", type=int, default=200, help="default 200")
    parser.add_argument("--steps", type=int, default=50, help="of gradient attacks; default 50")
    parser.add_argument("--queries", type=int, default=1000, help="of Square; default 1000")
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
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Diagnoses, prints the table and writes figures and picture."""
    from keras_efgsm.data import load_data
    from keras_efgsm.diagnosis import diagnose, draw_diagnosis
    from keras_efgsm.evaluation import load_classifier

    path = Path(options.path)
    # First, so that a missing path is what is complained of.
    model = load_classifier(path)
    folder = RunFolder(path)
    config = folder.read_config() if folder.config.exists() else None
    dataset = _given("dataset", options.dataset, config, path)
    epsilon = _given("epsilon", options.epsilon, config, path)
    figures = _target("json", options.json, path / "diagnosis.json" if config else None)
    picture = _target("picture", options.picture, path / "diagnosis.png" if config else None)
    diagnosis = diagnose(
        model,
        load_data(
            dataset, options.split, options.data_dir or (config.data_dir if config else None)
        ),
        epsilon,
        num_images=options.num_images,
        steps=options.steps,
        queries=options.queries,
        transfer_from=options.transfer_from,
        seed=options.seed,
    )
    console = Console()
    console.print(diagnosis.table())
    if figures is not None:
        diagnosis.write_json(figures)
        console.print(f"figures: {figures}", soft_wrap=True)
    if picture is not None and diagnosis.surfaces:
        draw_diagnosis(diagnosis, picture)
        console.print(f"picture: {picture}", soft_wrap=True)


def _target(name: str, given: str | None, default: Path | None) -> Path | None:
    path = Path(given) if given else default
    # Before the attacks, which take minutes.
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise ValueError(
            f"`--{name}` must be a file in a folder that exists. Received: {name}={str(path)!r}"
        )
    return path


def _given(name, value, config, path):
    if value is not None:
        return value
    if config is not None:
        return getattr(config, name)
    raise ValueError(
        f"`--{name}` must be given for a model that is no run folder. "
        f"Received: {name}=None, path={str(path)!r}"
    )
