"""`keras-efgsm evaluate PATH`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from keras_efgsm.cli.attacked_model import attack_names, attacked_model
from keras_efgsm.cli.next_step import same_images, say_next
from keras_efgsm.cli.subject import Subject, add_subject, read_subject, target_file
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.cli.values import number
from keras_efgsm.recipes.evaluation_command import DEFAULT_ATTACKS
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `evaluate` to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure natural and robust accuracy",
        description="Measure a run folder, a .keras or .h5 file, an exported SavedModel version "
        "folder, or a .tflite or .onnx file. Interrupted and called again, it goes on after the "
        "last batch.",
        epilog=TRUST,
    )
    add_subject(parser, several_epsilons=True)
    parser.add_argument(
        "--attacks",
        help="standard (AutoAttack), adp (APGD-CE and APGD-T), quick, black-box; or names of "
        "attacks separated by commas, such as pgd-ce,pgd-cw,fab-t; default adp",
    )
    parser.add_argument(
        "--losses", help="losses of PGD, comma-separated: --losses ce,cw is --attacks pgd-ce,pgd-cw"
    )
    parser.add_argument("--steps", type=int, help="of gradient attacks; default 100, quick 50")
    parser.add_argument(
        "--step-size", type=number, help="of PGD, such as 2/255; default: epsilon / 30"
    )
    parser.add_argument(
        "--targets",
        type=int,
        help="of targeted attacks, the nearest classes, at most all but one; default 9, quick 1",
    )
    parser.add_argument(
        "--target-class",
        metavar="CLASS",
        help="count how many images of other classes the attacks have classified as this one: its "
        "name, its number from 0, or least-likely, of each image the class of its smallest logit",
    )
    parser.add_argument("--queries", type=int, help="of Square; default 5000, quick 500")
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument(
        "--cascade",
        action=argparse.BooleanOptionalAction,
        help="attack only what withstood the attacks before; default for the named sets",
    )
    parser.add_argument(
        "--twin",
        metavar="PATH",
        help="of a .tflite or .onnx file: what it was made from, a run folder, .keras file or "
        "SavedModel. Every attack is run on the file, with the gradients of the twin if it needs "
        "some (straight-through), and on the twin to be transferred. Default: the version folder "
        "N beside a file NAME-N*.tflite or NAME-N.onnx; none switches it off",
    )
    parser.add_argument(
        "--transfer-from",
        metavar="PATH",
        help="also try images made on this classifier alone; of a .tflite or .onnx file, in place "
        "of its own gradients",
    )
    parser.add_argument(
        "--eot",
        type=int,
        default=1,
        metavar="N",
        help="of a model that draws at random: average gradients and decisions over N draws",
    )
    parser.add_argument(
        "--num-images",
        type=int,
        help="the first so many, or where the images are sorted by class so many of all classes, "
        "drawn with --seed; default: all of the split",
    )
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=tuple(DEFAULT_ATTACKS), default="native")
    parser.add_argument(
        "--per-class",
        action="store_true",
        help="print the accuracy of each class, and what its images were turned to",
    )
    parser.add_argument(
        "--save-adversarial",
        metavar="FILE",
        help="an .npz file for the first adversarial image of each image that was turned: x_adv, "
        "index (its place in the data), label, predicted, attack, epsilon",
    )
    parser.add_argument(
        "--save-images",
        metavar="FOLDER",
        help="a new folder for PNG files of them: clean, adversarial, difference; to look at, as "
        "PNG rounds to 1/255",
    )
    parser.add_argument(
        "--json",
        help="where the figures go; default: evaluation.json of the run, of several epsilons "
        "robustness_curve.json, of --target-class targeted.json; with -l2 before .json if it was "
        "trained for L-infinity and is measured in L2",
    )
    parser.add_argument(
        "--picture",
        metavar="FILE",
        help="of several epsilons: where the curve (PNG) goes; default: beside the figures",
    )
    parser.add_argument(
        "--state",
        help="what to continue from after an interruption; default: beside the figures, "
        "such as evaluation.partial.npz",
    )
    parser.set_defaults(run=run)


class _Places(NamedTuple):
    """Where results go; None for what is not written.

    Attributes:
        figures: the JSON file.
        state: what an interrupted evaluation goes on from.
        picture: the curve.
        adversarial: the `.npz` file of adversarial images.
        images: the folder of their PNG files.
    """

    figures: Path | None
    state: Path | None
    picture: Path | None
    adversarial: Path | None
    images: Path | None


def run(options: argparse.Namespace) -> None:
    """Evaluates, prints the table and writes the results."""
    from keras_efgsm.evaluation import ATTACK_SETS

    _check_kind(options)
    subject = read_subject(options)
    names = attack_names(options)
    model, attacks = attacked_model(options, names, subject)
    places = _places(options, subject)
    evaluate, data = _evaluation(options), subject.load_data()
    try:
        report = evaluate(
            model,
            data,
            attacks,
            cascade=names in ATTACK_SETS if options.cascade is None else options.cascade,
            engine=options.engine,
            batch_size=options.batch_size,
            seed=options.seed,
            num_images=options.num_images,
            restarts=options.restarts,
            eot=options.eot,
            split=options.split,
            state=places.state,
            keep_adversarial=places.adversarial is not None or places.images is not None,
        )
    except KeyboardInterrupt:
        if places.state is None or not places.state.exists():
            raise
        raise KeyboardInterrupt(f"the same command continues from {places.state}") from None
    console = Console()
    console.print(report.table())
    if options.per_class:
        console.print(report.class_table())
    _write(report, places, console)
    _say_next(options, subject, len(data), report)


def _say_next(options: argparse.Namespace, subject: Subject, images: int, report: Any) -> None:
    """A diagnosis, unless the split has too few images for one; then the report of a run."""
    from keras_efgsm.diagnosis.thresholds import FEWEST

    natural = getattr(report, "natural_accuracy", 1.0)  # one towards a class has none
    if subject.model.differentiable and images * natural >= FEWEST:
        say_next("diagnose", options.path, *_of_subject(options, subject))
    elif subject.config is not None:
        say_next("report", options.path)


def _of_subject(options: argparse.Namespace, subject: Subject) -> list[str]:
    """The words that say the same of the subject to `diagnose`; of a run, what is not its own."""
    said: dict[str, Any] = {
        "split": None if options.split == "test" else options.split,
        "eot": None if options.eot == 1 else options.eot,
    }
    if subject.config is None or subject.epsilon != subject.config.epsilon:
        said["epsilon"] = subject.epsilon
    if subject.norm != (subject.config.norm if subject.config else "linf"):
        said["norm"] = subject.norm
    return same_images(options, **said)


def _is_curve(options: argparse.Namespace) -> bool:
    return options.epsilon is not None and len(options.epsilon) > 1


def _check_kind(options: argparse.Namespace) -> None:
    """Refuses options of one kind of evaluation that are given with another."""
    is_curve, is_targeted = _is_curve(options), options.target_class is not None
    refused = [
        ("target-class", is_targeted and is_curve, "one epsilon"),
        ("per-class", options.per_class and (is_curve or is_targeted), "one epsilon, untargeted"),
        ("picture", options.picture and not is_curve, "several epsilons"),
        ("engine", is_targeted and options.engine != "native", "untargeted attacks"),
    ]
    for name, is_refused, kind in refused:
        if is_refused:
            value = getattr(options, name.replace("-", "_"))
            raise ValueError(
                f"`--{name}` is for an evaluation of {kind}. Received: {name}={value!r}"
            )


def _evaluation(options: argparse.Namespace) -> Callable[..., Any]:
    """The function that is called, with what it alone is told."""
    from functools import partial

    from keras_efgsm.evaluation import (
        evaluate_over_epsilons,
        evaluate_robustness,
        evaluate_targeted,
    )

    if _is_curve(options):
        return evaluate_over_epsilons
    if options.target_class is not None:
        return partial(evaluate_targeted, target=options.target_class)
    return evaluate_robustness


def _places(options: argparse.Namespace, subject: Subject) -> _Places:
    """Where the results go, tried before the attacks, which take minutes."""
    folder, is_curve = RunFolder(options.path), _is_curve(options)
    default = folder.evaluation
    if is_curve:
        default = folder.path / "robustness_curve.json"
    elif options.target_class is not None:
        default = folder.path / "targeted.json"
    own = subject.file_of(default) if subject.config else None
    figures = target_file("json", options.json, own)
    state = target_file("state", options.state, None)
    if state is None and figures is not None and options.engine == "native":
        state = figures.with_suffix(".partial.npz")
    beside = figures.with_suffix(".png") if is_curve and figures is not None else None
    if options.save_images is not None:
        from keras_efgsm.report.adversarial_pictures import check_folder

        check_folder(options.save_images, subject.model.image_shape)
    return _Places(
        figures,
        state,
        target_file("picture", options.picture, beside),
        target_file("save-adversarial", options.save_adversarial, None),
        Path(options.save_images) if options.save_images is not None else None,
    )


def _write(report: Any, places: _Places, console: Console) -> None:
    """Writes the results; the figures last, as they end what could be continued."""
    from keras_efgsm.evaluation import draw_robustness_curve

    def say(what: str, place: Path) -> None:
        console.print(f"{what}: {place}", soft_wrap=True)

    if places.adversarial is not None:
        report.adversarial.write(places.adversarial)
        say("adversarial images", places.adversarial)
    if places.images is not None:
        from keras_efgsm.report.adversarial_pictures import write_pictures

        write_pictures(report.adversarial, places.images)
        say("pictures", places.images)
    if places.picture is not None:
        draw_robustness_curve(report.record, places.picture)
        say("curve", places.picture)
    if places.figures is not None:
        report.write_json(places.figures)
        say("figures", places.figures)
