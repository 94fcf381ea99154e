"""`keras-efgsm compare A B ...`."""

import argparse
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from keras_efgsm.checks import NORMS
from keras_efgsm.cli.subject import add_images, target_file
from keras_efgsm.cli.trust import TRUST, say_without_digests
from keras_efgsm.cli.values import number
from keras_efgsm.recipes.command import written
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `compare` to the parser."""
    parser = commands.add_parser(
        "compare",
        help="rank several models under the same attacks on the same images",
        description="Attack several models in the same way on the same images: run folders, .keras "
        "files, exported SavedModel version folders, .tflite and .onnx files. Prints one table, "
        "and writes it as JSON, as one picture and as one page. Interrupted and called again, it "
        "goes on after the last batch.",
        epilog=TRUST,
    )
    parser.add_argument("paths", metavar="MODEL", nargs="+", help="two or more")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="of the models, in their order")
    add_images(parser)
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--epsilon", type=number, help="such as 8/255; default: that of the runs, if they agree"
    )
    parser.add_argument("--norm", choices=NORMS, default="linf", help="of the ball; default linf")
    parser.add_argument(
        "--attacks",
        default="quick",
        help="as for evaluate: standard, adp, quick, black-box, or names separated by commas; "
        "default quick",
    )
    parser.add_argument("--steps", type=int, help="of gradient attacks; default 100, quick 50")
    parser.add_argument("--step-size", type=number, help="of PGD; default: epsilon / 30")
    parser.add_argument("--targets", type=int, help="of targeted attacks; default 9, quick 1")
    parser.add_argument("--queries", type=int, help="of Square; default 5000, quick 500")
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument(
        "--cascade",
        action=argparse.BooleanOptionalAction,
        help="attack only what withstood the attacks before; default for the named sets",
    )
    parser.add_argument(
        "--eot",
        type=int,
        default=1,
        metavar="N",
        help="of models that draw at random: average gradients and decisions over N draws",
    )
    parser.add_argument(
        "--num-images", type=int, help="as for evaluate, the same for all; default: all"
    )
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", default="comparison.json", help="default comparison.json")
    parser.add_argument("--page", help="default: beside --json, such as comparison.html")
    parser.add_argument("--picture", help="a PNG; default: beside --json, such as comparison.png")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace --page even if it is no page of ours"
    )
    parser.set_defaults(run=run)


class _Asked(NamedTuple):
    """What all models are measured with.

    Attributes:
        configs: of the models that are runs, by path.
        dataset: name of the data set.
        epsilon: radius of the ball.
        image_size: to which images are resized, or None.
        channels: to which they are brought, or None.
        data_dir: where prepared data sets lie, or None.
        seed: that test images are drawn with, where the data set has none.
    """

    configs: dict[str, TrainingConfig]
    dataset: str
    epsilon: float
    image_size: tuple[int, int] | None
    channels: int | None
    data_dir: str | None
    seed: int


def run(options: argparse.Namespace) -> None:
    """Compares, prints the table and writes JSON, picture and page."""
    from keras_efgsm.comparison import compare_models
    from keras_efgsm.data import load_data
    from keras_efgsm.evaluation import ATTACK_SETS
    from keras_efgsm.report.templates import check_page

    asked = _asked(options)
    figures = target_file("json", options.json, None)
    assert figures is not None  # it has a default
    page = Path(options.page or figures.with_suffix(".html"))
    check_page(page, options.overwrite, "page")
    drawing = target_file("picture", options.picture, figures.with_suffix(".png"))
    assert drawing is not None
    _check_different(figures, page, drawing)
    state = figures.with_suffix(".partial.json")
    attacks = _attacks(options, asked.epsilon)
    cascade = options.attacks in ATTACK_SETS if options.cascade is None else options.cascade
    data = load_data(
        asked.dataset,
        options.split,
        data_dir=asked.data_dir,
        image_size=asked.image_size,
        channels=asked.channels,
        seed=asked.seed,
    )
    console = Console()
    try:
        comparison = compare_models(
            options.paths,
            data,
            attacks,
            names=options.names,
            cascade=cascade,
            batch_size=options.batch_size,
            seed=options.seed,
            num_images=options.num_images,
            restarts=options.restarts,
            eot=options.eot,
            split=options.split,
            doubts=_doubts(options, asked, data),
            state=state,
            command_of=lambda model: _command(options, asked, cascade, model),
            on_result=lambda model: console.print(_line(model), soft_wrap=True),
        )
    except KeyboardInterrupt:
        if not any(figures.parent.glob(f"{figures.stem}.partial.*")):
            raise
        raise KeyboardInterrupt(f"the same command continues from {state}") from None
    console.print(comparison.table())
    for model in comparison.record.models:
        console.print(f"{model.name}: {model.command}", soft_wrap=True, markup=False)
    comparison.write_page(page, overwrite=options.overwrite)
    comparison.write_picture(drawing)
    # Last, as it ends what could be continued.
    comparison.write_json(figures)
    for what, place in (("figures", figures), ("picture", drawing), ("page", page)):
        console.print(f"{what}: {place}", soft_wrap=True, markup=False)


def _line(model: Any) -> str:
    from keras_efgsm.records.wording import percent, seconds

    return (
        f"{model.name}: robust {percent(model.worst_case_accuracy)}, natural "
        f"{percent(model.natural_accuracy)} ({seconds(model.evaluation.seconds)})"
    )


def _asked(options: argparse.Namespace) -> _Asked:
    """What was given, else what the runs among the models have in common."""
    configs = {}
    for path in options.paths:
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no model here. Received: path={path!r}")
        say_without_digests(path)
        folder = RunFolder(path)
        if folder.config.exists():
            configs[path] = folder.read_config()

    def common(name: str, *, needed: bool = False) -> Any:
        if (value := getattr(options, name)) is not None:
            return value
        found = list(dict.fromkeys(getattr(config, name) for config in configs.values()))
        if len(found) > 1 or (needed and not found):
            why = "as the runs have different ones" if found else "as no model is a run folder"
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"`{flag}` must be given, {why}. Received: {name}=None, runs={found}")
        return found[0] if found else None

    size = common("image_size")
    return _Asked(
        configs,
        dataset=common("dataset", needed=True),
        epsilon=common("epsilon", needed=True),
        image_size=tuple(size) if size else None,
        channels=common("channels"),
        data_dir=options.data_dir or next((c.data_dir for c in configs.values()), None),
        # Of runs that were drawn differently all but the first are in doubt, see `_doubts`.
        seed=next((config.seed for config in configs.values()), 0),
    )


def _check_different(*places: Path) -> None:
    if len({place.absolute() for place in places}) < len(places):
        raise ValueError(
            "`--json`, `--page` and `--picture` must be different files. "
            f"Received: {', '.join(map(str, places))}"
        )


def _attacks(options: argparse.Namespace, epsilon: float) -> list[Any]:
    from keras_efgsm.evaluation import make_attacks

    return make_attacks(
        options.attacks,
        epsilon,
        steps=options.steps,
        step_size=options.step_size,
        targets=options.targets,
        queries=options.queries,
        norm=options.norm,
    )


def _doubts(options: argparse.Namespace, asked: _Asked, data: Any) -> list[str]:
    """Of each run whose test images are others than those held out from its training, a sentence.

    Some of these may have been trained on.
    """
    from keras_efgsm.runs.same_data import changed_since

    found = []
    for path in options.paths:
        config = asked.configs.get(path)
        is_own = config is not None and config.dataset == asked.dataset
        changed = changed_since(RunFolder(path), data, options.split) if is_own else ""
        found.append(f"{changed[:1].upper()}{changed[1:]}." if changed else "")
    return found


def _command(options: argparse.Namespace, asked: _Asked, cascade: bool, model: Any) -> str:
    """The `keras-efgsm evaluate` command that makes the figures of one model alone again."""
    from keras_efgsm.attacks import named_attacks
    from keras_efgsm.evaluation import ATTACK_SETS

    words = ["keras-efgsm", "evaluate", model.path, "--dataset", asked.dataset]
    words += ["--epsilon", written(asked.epsilon)]
    given = {name: getattr(options, name) for name in ("steps", "step_size", "targets", "queries")}
    if model.saw_all:
        words += ["--attacks", options.attacks]
    else:
        seen = model.evaluation.attacks
        words += ["--attacks", ",".join(attack.name for attack in seen)]
        table = named_attacks(for_evaluation=True)
        taken = {option for attack in seen for option in table[attack.name].evaluation_options}
        # Without the name of the set its budget has to be said.
        given["queries"] = next((attack.queries for attack in seen if attack.queries), None)
        given = {name: value for name, value in given.items() if name in taken}
    for name, value in given.items():
        words += [] if value is None else [_flag(name), written(value)]
    if cascade != (model.saw_all and options.attacks in ATTACK_SETS):
        words.append("--cascade" if cascade else "--no-cascade")
    if options.norm != "linf":
        words += ["--norm", options.norm]
    if asked.image_size:
        words += ["--image-size", *map(str, asked.image_size)]
    standard = {"split": "test", "num_images": None, "seed": 0, "restarts": 1, "eot": 1}
    standard |= {"batch_size": 250, "channels": None}
    for name, default in standard.items():
        value = asked.channels if name == "channels" else getattr(options, name)
        if value != default:
            words += [_flag(name), str(value)]
    words += _twin_words(model)
    if model.path in asked.configs:
        # Not in place of the run's own evaluation.
        words += ["--json", f"{Path(model.name).name}.json"]
    return shlex.join(words)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _twin_words(model: Any) -> list[str]:
    """Of a file whose twin was not asked, as no attack needed gradients, that it is not to be."""
    from keras_efgsm.export.measuring import find_twin
    from keras_efgsm.records.comparison import BLACK_BOX

    return ["--twin", "none"] if model.access == BLACK_BOX and find_twin(model.path) else []
