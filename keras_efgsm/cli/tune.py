"""`keras-efgsm tune DATA`."""

import argparse

from rich.console import Console

from keras_efgsm.cli.config_options import add_config_options, read_request, run_name
from keras_efgsm.cli.next_step import say_next
from keras_efgsm.cli.values import number
from keras_efgsm.recipes.command import command_line
from keras_efgsm.typing import Commands

# Fields of the configuration that may be changed; the others are searched, or those of the recipe.
_FIELDS = (
    "dataset",
    "data_dir",
    "image_size",
    "channels",
    "epsilon",
    "batch_size",
    "classifier",
    "reconstructor",
    "freeze_until",
    "method",
    "attack",
    "objective",
)


def add_command(commands: Commands) -> None:
    """Adds `tune` to the parser."""
    parser = commands.add_parser(
        "tune",
        help="search hyperparameters by the robust accuracy that a real attack leaves",
        description="Search hyperparameters with keras-tuner by the robust accuracy of held-out "
        "images of the train split, repeat the best trials with other seeds, then train the winner "
        "in full and attack it on the test split. Interrupted and called again, it goes on.",
    )
    add_config_options(parser, only=_FIELDS)
    parser.add_argument("--out", help="folder of the search; default searches/DATA")
    search = parser.add_argument_group("the search")
    search.add_argument("--tuner", default="bayesian", help="random, bayesian or hyperband")
    search.add_argument(
        "--parameters",
        help="out of lambda, sigma, label-smoothing, decay, learning-rate; default: lambda and "
        "sigma, as far as the method has them",
    )
    search.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help="where one of them is searched, such as sigma=0:0.2",
    )
    search.add_argument("--trials", type=int, help="default 20; hyperband counts its own")
    search.add_argument("--epochs", type=int, help="of a trial; default a fifth of the preset's")
    search.add_argument("--factor", type=int, default=3, help="of hyperband; default 3")
    search.add_argument("--train-images", type=int, help="default: all that validation leaves")
    search.add_argument(
        "--validation-images", type=int, help="held out of the train split; default 1000"
    )
    search.add_argument(
        "--attacks",
        default="quick",
        help="on the validation images: quick (APGD-T and Square), adp, standard, or names "
        "separated by commas; default quick",
    )
    search.add_argument("--steps", type=int, help="of gradient attacks; default 100, quick 50")
    search.add_argument("--targets", type=int, help="of targeted attacks; default 9, quick 1")
    search.add_argument("--queries", type=int, help="of Square; default 5000, quick 500")
    search.add_argument("--seed", type=int, default=0, help="of split, search, training, attack")
    search.add_argument("--workers", type=int, default=1, help="processes that run trials")
    final = parser.add_argument_group("after the search")
    final.add_argument("--finalists", type=int, default=3, help="best trials that are repeated")
    final.add_argument("--finalist-epochs", type=int, help="default: those of the trials")
    final.add_argument("--seeds", type=int, default=3, help="repetitions of each finalist")
    final.add_argument("--final-epochs", type=int, help="of the winner; default the preset's")
    final.add_argument("--final-attacks", default="adp", help="on the test split; default adp")
    final.add_argument("--final-images", type=int, help="test images; default all")
    parser.add_argument("--quiet", action="store_true", help="one line per epoch, no bars")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Searches, and prints the command that trains the best configuration."""
    try:
        from keras_efgsm.tuning import SearchFailed, SearchOptions, make_ranges, tune
    except ModuleNotFoundError as error:
        raise ImportError(
            "A search needs an optional dependency: pip install 'keras-efgsm[tuning]' "
            f"(no module named {error.name!r})"
        ) from error

    from keras_efgsm.cli.epoch_bar import EpochBar
    from keras_efgsm.recipes.automatic import configuration

    request = read_request(options, only=_FIELDS)
    config = configuration(request)
    own = [name for name in ("lambda", "sigma") if name in config.method_options] or ["sigma"]
    names = [_name(name) for name in options.parameters.split(",")] if options.parameters else own
    budget = {name: getattr(options, name) for name in ("steps", "targets", "queries")}
    search = SearchOptions(
        config,
        make_ranges(config, names, dict(_read_range(text) for text in options.range)),
        tuner=options.tuner,
        trials=options.trials,
        epochs=options.epochs,
        factor=options.factor,
        train_images=options.train_images,
        validation_images=options.validation_images,
        attacks=options.attacks,
        attack_options={name: value for name, value in budget.items() if value is not None},
        seed=options.seed,
    )
    try:
        # As `train` does: a line an epoch, and a bar that goes when the epoch is over.
        with EpochBar() as bar:
            result = tune(
                search,
                options.out or f"searches/{run_name(request)}",
                workers=options.workers,
                finalists=options.finalists,
                finalist_epochs=options.finalist_epochs,
                seeds=options.seeds,
                final_epochs=options.final_epochs,
                final_attacks=options.final_attacks,
                final_images=options.final_images,
                callbacks=[] if options.quiet else [bar],
                verbose=2,
            )
    except SearchFailed as error:
        # For the command line it is an outcome like any other: one line, no traceback.
        raise ValueError(str(error)) from error
    if result is None:
        return
    console = Console()
    console.print(f"trials: {result.folder.trials}, {result.folder.picture}", soft_wrap=True)
    console.print(f"best run: {result.folder.best}", soft_wrap=True)
    console.print(f"again: {command_line(result.config)}", soft_wrap=True, markup=False)
    say_next("diagnose", result.folder.best)


def _name(text: str) -> str:
    return text.strip().replace("-", "_")


def _read_range(text: str) -> tuple[str, tuple[float, float]]:
    name, _, ends = text.partition("=")
    low, _, high = ends.partition(":")
    try:
        return _name(name), (number(low), number(high))
    except argparse.ArgumentTypeError as error:
        raise ValueError(
            f"`--range` must be NAME=LOW:HIGH, such as sigma=0:0.2. Received: range={text!r}"
        ) from error
