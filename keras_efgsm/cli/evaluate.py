"""`keras-efgsm evaluate PATH`."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_efgsm.cli.subject import Subject, add_subject, load_other, read_subject, target_file
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
    add_subject(parser)
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
        help="of targeted attacks, at most the classes less one; default 9, quick 1",
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
    parser.add_argument("--json", help="where the figures go; default: evaluation.json of the run")
    parser.add_argument(
        "--state",
        help="what to continue from after an interruption; default: beside the figures, "
        "evaluation.partial.npz",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Evaluates, prints the table and writes the JSON."""
    from keras_efgsm.evaluation import ATTACK_SETS, evaluate_robustness

    subject = read_subject(options)
    names = _names(options)
    model, attacks = _attacks(options, names, subject)
    cascade = names in ATTACK_SETS if options.cascade is None else options.cascade
    default = RunFolder(options.path).evaluation if subject.config else None
    target = target_file("json", options.json, default)
    state = target_file("state", options.state, None)
    if state is None and target is not None and options.engine == "native":
        state = target.with_suffix(".partial.npz")
    try:
        report = evaluate_robustness(
            model,
            subject.load_data(),
            attacks,
            cascade=cascade,
            engine=options.engine,
            batch_size=options.batch_size,
            seed=options.seed,
            num_images=options.num_images,
            restarts=options.restarts,
            eot=options.eot,
            split=options.split,
            state=state,
        )
    except KeyboardInterrupt:
        if state is None or not state.exists():
            raise
        raise KeyboardInterrupt(f"the same command continues from {state}") from None
    console = Console()
    console.print(report.table())
    if target is not None:
        report.write_json(target)
        console.print(f"figures: {target}", soft_wrap=True)
    if subject.config is not None:
        console.print(f"next: keras-efgsm diagnose {options.path}", soft_wrap=True)


def _names(options: argparse.Namespace) -> str:
    from keras_efgsm.checks import check_choice

    if not options.losses:
        return options.attacks or DEFAULT_ATTACKS[options.engine]
    if options.attacks:
        raise ValueError(
            "`--losses` is short for PGD attacks; give it or `--attacks`, not both. "
            f"Received: losses={options.losses!r}, attacks={options.attacks!r}"
        )
    losses = [check_choice(loss, "loss", ("ce", "cw")) for loss in options.losses.split(",")]
    return ",".join(f"pgd-{loss}" for loss in losses)


def _attacks(options: argparse.Namespace, names: str, subject: Subject) -> tuple[Any, list[Any]]:
    """The classifier as it is attacked, and the attacks."""
    from keras_efgsm.evaluation import Transfer, make_attacks, with_eot, with_twin

    attacks = make_attacks(
        names,
        subject.epsilon,
        steps=options.steps,
        step_size=options.step_size,
        targets=options.targets,
        queries=options.queries,
    )
    model, transfers = subject.model, []
    if options.transfer_from:
        source = with_eot(load_other(options.transfer_from, options), options.eot)
        transfers = [Transfer(attack, source) for attack in attacks if attack.needs_gradient]
    twin = _twin(options, model)
    if twin is not None:
        model, attacks = with_twin(model, load_other(twin, options), attacks)
    elif options.transfer_from:
        attacks = [a for a in attacks if model.differentiable or not a.needs_gradient]
    return model, attacks + transfers


def _twin(options: argparse.Namespace, model: Any) -> Path | None:
    from keras_efgsm.backend import BACKEND

    if options.twin not in (None, "none"):
        if model.differentiable:
            raise ValueError(
                "`--twin` is for a classifier without gradients, a .tflite or .onnx file; this "
                "one is attacked by its own. Images of another classifier are tried with "
                f"`--transfer-from`. Received: twin={options.twin!r}, path={options.path!r}"
            )
        return Path(options.twin)
    # A source that was named takes the place of a twin that was not.
    if options.twin == "none" or options.transfer_from or model.differentiable:
        return None
    if BACKEND != "tensorflow":
        # What lies beside the file is a SavedModel, which only TensorFlow runs.
        return None
    from keras_efgsm.export.measuring import find_twin

    found = find_twin(options.path)
    if found is not None:
        print(f"twin: {found}, found beside the file (--twin none switches it off)")
    return found
