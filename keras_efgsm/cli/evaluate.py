"""`keras-efgsm evaluate PATH`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.runs import RunFolder


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `evaluate` to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure natural and robust accuracy",
        description="Measure a run folder, a .keras file or an exported SavedModel version folder.",
    )
    parser.add_argument("path")
    parser.add_argument("--dataset", help="as for train; default: that of the run")
    parser.add_argument("--data-dir", help="where prepared tfds data sets lie")
    parser.add_argument("--split", default="test")
    parser.add_argument("--epsilon", type=float, help="default: that of the run")
    parser.add_argument(
        "--losses", default="ce,cw", help="losses of PGD, comma-separated; default ce,cw"
    )
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--step-size", type=float, help="default: epsilon / 30")
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument("--num-images", type=int, help="default: all of the split")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("native", "cleverhans"), default="native")
    parser.add_argument("--json", help="where the figures go; default: evaluation.json of the run")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Evaluates, prints the table and writes the JSON."""
    from keras_efgsm.attacks import PGD
    from keras_efgsm.checks import check_epsilon
    from keras_efgsm.data import load_data
    from keras_efgsm.evaluation import evaluate_robustness, load_classifier

    path = Path(options.path)
    # First, so that a missing path is what is complained of.
    model = load_classifier(path)
    folder = RunFolder(path)
    config = folder.read_config() if folder.config.exists() else None
    dataset = _given("dataset", options.dataset, config, path)
    epsilon = check_epsilon(_given("epsilon", options.epsilon, config, path))
    data_dir = options.data_dir or (config.data_dir if config else None)
    step_size = epsilon / 30 if options.step_size is None else options.step_size
    attacks = [
        PGD(epsilon=epsilon, steps=options.steps, step_size=step_size, loss=loss)
        for loss in options.losses.split(",")
    ]
    report = evaluate_robustness(
        model,
        load_data(dataset, options.split, data_dir),
        attacks,
        engine=options.engine,
        batch_size=options.batch_size,
        seed=options.seed,
        num_images=options.num_images,
        restarts=options.restarts,
        split=options.split,
    )
    console = Console()
    console.print(report.table())
    target = Path(options.json) if options.json else folder.evaluation if config else None
    if target is not None:
        report.write_json(target)
        console.print(f"figures: {target}", soft_wrap=True)


def _given(name, value, config, path):
    if value is not None:
        return value
    if config is not None:
        return getattr(config, name)
    raise ValueError(
        f"`--{name}` must be given for a model that is no run folder. "
        f"Received: {name}=None, path={str(path)!r}"
    )
