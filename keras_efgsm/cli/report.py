"""`keras-efgsm report RUN... --out PAGE`."""

import argparse

from rich.console import Console


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `report` to the parser."""
    parser = commands.add_parser(
        "report",
        help="write one HTML page on one or several evaluated runs",
        description="Write one self-contained HTML page on one or several evaluated runs. What it "
        "measures itself is kept in the run folders, so that a second call is quick.",
    )
    parser.add_argument("run_folders", metavar="RUN", nargs="+")
    parser.add_argument("--out", default="report.html", help="the page; default report.html")
    parser.add_argument(
        "--num-images",
        type=int,
        default=200,
        help="images for curves, examples and confusion; default 200",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise of these attacks")
    parser.add_argument("--data-dir", help="where prepared tfds data sets lie")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace --out even if it is no report"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measures what is not measured yet, and writes the page."""
    from keras_efgsm.report import write_report

    page = write_report(
        options.run_folders,
        options.out,
        num_images=options.num_images,
        seed=options.seed,
        data_dir=options.data_dir,
        overwrite=options.overwrite,
    )
    Console().print(f"report: {page}", soft_wrap=True)
