"""`keras-efgsm measure EXPORT`."""

import argparse
from typing import Any

from rich.console import Console

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.cli.subject import add_images, image_options
from keras_efgsm.cli.values import number
from keras_efgsm.runs.folder import RunFolder


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `measure` to the parser."""
    parser = commands.add_parser(
        "measure",
        help="measure every form of an export on its own file",
        description="Measure size, latency, natural and robust accuracy of each form of an "
        "export on its own file, and write the table into its model card. Interrupted and called "
        "again, it goes on after the last batch; a form that is through is not measured again.",
    )
    parser.add_argument("path", metavar="EXPORT", help="the version folder exported_models/NAME/N")
    parser.add_argument(
        "--run",
        dest="run_folder",
        metavar="RUN",
        help="the run that was exported: its Keras "
        "model is measured beside the files, and tells data set and epsilon",
    )
    add_images(parser)
    parser.add_argument("--split", default="test")
    parser.add_argument("--epsilon", type=number, help="such as 8/255; default: that of the run")
    parser.add_argument("--attacks", default="standard", help="as for evaluate; default standard")
    parser.add_argument("--steps", type=int, help="of gradient attacks; default 100, quick 50")
    parser.add_argument("--targets", type=int, help="of targeted attacks; default 9, quick 1")
    parser.add_argument("--queries", type=int, help="of Square; default 5000, quick 500")
    parser.add_argument("--num-images", type=int, default=1000, help="the first so many")
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=300, help="timed calls of each form")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measures, prints the table, and writes JSON and card."""
    from keras_efgsm.checks import check_epsilon
    from keras_efgsm.evaluation import make_attacks
    from keras_efgsm.export.measuring import HEADING, card_section, find_export, measure_export
    from keras_efgsm.export.model_card import replace_section
    from keras_efgsm.recipes.building import load_images

    export = find_export(options.path)
    config = RunFolder(options.run_folder).read_config() if options.run_folder else None
    attacks = make_attacks(
        options.attacks,
        check_epsilon(_given(options, config, "epsilon")),
        steps=options.steps,
        targets=options.targets,
        queries=options.queries,
    )
    images = image_options(options, config)
    console = Console(quiet=options.quiet)
    try:
        found = measure_export(
            export.folder,
            load_images(_given(options, config, "dataset"), options.split, **images),
            attacks,
            run=options.run_folder,
            num_images=options.num_images,
            batch_size=options.batch_size,
            seed=options.seed,
            split=options.split,
            calls=options.calls,
            again=options.again,
            progress=not options.quiet,
            tell=lambda line: console.print(line, soft_wrap=True, highlight=False),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on from there") from None
    console.print(found.table())
    console.print(f"figures: {found.path}", soft_wrap=True)
    if export.card.is_file():
        card = export.card.read_text(encoding="utf-8")
        body = card_section(found, card)
        write_atomically(export.card, replace_section(card, HEADING, body))
        console.print(f"model card: {export.card}", soft_wrap=True)


def _given(options: argparse.Namespace, config: Any, name: str) -> Any:
    value = getattr(options, name)
    if value is None and config is None:
        raise ValueError(
            f"`--{name}` must be given where no `--run` tells it. "
            f"Received: {name}=None, path={options.path!r}"
        )
    return getattr(config, name) if value is None else value
