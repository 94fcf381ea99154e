"""`keras-efgsm measure EXPORT`."""

import argparse

from rich.console import Console

from keras_efgsm.cli.next_step import say_next
from keras_efgsm.cli.subject import add_images, add_norm
from keras_efgsm.cli.trust import TRUST, say_without_digests
from keras_efgsm.cli.values import number
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `measure` to the parser."""
    parser = commands.add_parser(
        "measure",
        help="measure every form of an export on its own file",
        description="Measure size, latency, natural and robust accuracy of each form of an "
        "export on its own file, and write the table into its model card. Interrupted and called "
        "again, it goes on after the last batch; a form that is through is not measured again.",
        epilog=TRUST,
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
    add_norm(parser)
    parser.add_argument("--attacks", default="standard", help="as for evaluate; default standard")
    parser.add_argument("--steps", type=int, help="of gradient attacks; default 100, quick 50")
    parser.add_argument("--targets", type=int, help="of targeted attacks; default 9, quick 1")
    parser.add_argument("--queries", type=int, help="of Square; default 5000, quick 500")
    parser.add_argument(
        "--num-images", type=int, help="so many, of every class; default 1000, or all"
    )
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=300, help="timed calls of each form")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--quiet", action="store_true", help="print nothing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Measures, and prints the table."""
    from keras_efgsm.export.measuring import find_export, measure

    console = Console(quiet=options.quiet)
    for name in ("epsilon", "dataset"):
        if getattr(options, name) is None and options.run_folder is None:
            raise ValueError(
                f"`--{name}` must be given where no `--run` tells it. "
                f"Received: {name}=None, path={options.path!r}"
            )
    say_without_digests(options.path)
    try:
        found = measure(
            options.path,
            run=options.run_folder,
            data=options.dataset,
            data_dir=options.data_dir,
            image_size=tuple(options.image_size) if options.image_size else None,
            channels=options.channels,
            split=options.split,
            epsilon=options.epsilon,
            norm=options.norm,
            attacks=options.attacks,
            steps=options.steps,
            targets=options.targets,
            queries=options.queries,
            num_images=options.num_images,
            batch_size=options.batch_size,
            seed=options.seed,
            calls=options.calls,
            again=options.again,
            progress=not options.quiet,
            tell=lambda line: console.print(line, soft_wrap=True, highlight=False),
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the same command goes on from there") from None
    console.print(found.table())
    console.print(f"figures: {found.path}", soft_wrap=True)
    card = find_export(options.path).card
    if card.is_file():
        console.print(f"model card: {card}", soft_wrap=True)
    if not options.quiet:
        say_next("serve-config", card.parent)
