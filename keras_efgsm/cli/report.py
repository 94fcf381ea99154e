"""`keras-efgsm report RUN... --out PAGE`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli.next_step import same_images, say_next
from keras_efgsm.cli.subject import (
    add_images,
    add_model_options,
    add_norm,
    image_options,
    model_options,
)
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.cli.values import number
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `report` to the parser."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page on one or several evaluated runs",
        description="Write one self-contained HTML page on one or several evaluated runs. What it "
        "measures itself is kept in the run folders, so that a second call is quick.",
        epilog=TRUST,
    )
    parser.add_argument(
        "run_folders",
        metavar="RUN",
        nargs="+",
        help="run folders, or .keras or .h5 files with --dataset and --epsilon; what is measured "
        "of NAME.keras is kept in NAME.report beside it",
    )
    add_model_options(parser)
    parser.add_argument("--out", default="report.html", help="the page; default report.html")
    parser.add_argument(
        "--num-images",
        type=int,
        default=200,
        help="images for curves, examples and confusion; default 200",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise of these attacks")
    add_images(parser)
    parser.add_argument("--epsilon", type=number, help="of model files, such as 8/255")
    add_norm(parser, "that of each training; of model files linf")
    parser.add_argument(
        "--evaluation",
        metavar="JSON",
        help="of a model file: what `evaluate --json` wrote; default: the quick attacks, now",
    )
    parser.add_argument(
        "--baseline",
        metavar="RUN_OR_MODEL",
        help="a run folder or .keras file, such as one of ordinary training, shown beside the run "
        "under the same attacks, which it sees now unless it was evaluated so; what is measured "
        "is kept in NAME.report beside its file",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace --out even if it is no report"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measures what is not measured yet, and writes the page."""
    from keras_efgsm.report import write_report

    page = write_report(
        [_folder(path, options) for path in options.run_folders],
        options.out,
        num_images=options.num_images,
        seed=options.seed,
        data_dir=options.data_dir,
        overwrite=options.overwrite,
        norm=options.norm,
        unsafe=options.unsafe,
        baseline=options.baseline,
    )
    Console().print(f"report: {page}", soft_wrap=True)
    first = options.run_folders[0]
    # Of several pages nobody knows which one is meant.
    if len(options.run_folders) == 1:
        given = {} if Path(first).is_dir() else {"figures": options.evaluation}
        say_next("export", first, *same_images(_without_channels(options), **given))


def _without_channels(options: argparse.Namespace) -> argparse.Namespace:
    """The options that `export` has as well."""
    return argparse.Namespace(**{**vars(options), "channels": None})


def _folder(path: str, options: argparse.Namespace) -> str | Path:
    """A run folder; of a model file the one that is made beside it."""
    if Path(path).suffix not in (".keras", ".h5", ".hdf5"):
        return path
    from keras_efgsm.runs.adopted import adopt_classifier

    for name in ("dataset", "epsilon"):
        if getattr(options, name) is None:
            raise ValueError(
                f"`--{name}` must be given for a model that is not a run folder. "
                f"Received: {name}=None, path={path!r}"
            )
    return adopt_classifier(
        path,
        options.dataset,
        options.epsilon,
        evaluation=options.evaluation,
        norm=options.norm or "linf",
        **model_options(options),
        **image_options(options, None),
    ).path
