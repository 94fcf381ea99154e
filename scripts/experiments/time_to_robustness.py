"""Robust accuracy against training seconds, for every method on the same network, from one run.

    python scripts/experiments/time_to_robustness.py [--seconds 150] [--num-images 500] \
        [--methods pgd,efgsm]
    python scripts/experiments/time_to_robustness.py --seconds 30 --multiples \
        pgd=20,trades=5,free=5 --methods efgsm,pgd,trades,free --seeds 0,1,2 --target 0.88

Each method trains alone for the same wall-clock time, or the multiple of it that `--multiples`
gives it, its learning rate rising and falling to zero over just that time, and its averaged weights
are kept at parts of it. Each of these is then attacked with the `adp` set (APGD-CE, then targeted
APGD). Tracing the graph is not counted; the number of steps that fill the time is measured on a few
steps first. `--clock cpu` counts the process's own seconds instead of those of the wall, for a
machine that others use too; it is the same on one quiet core.
With `--target` the table says when each method first had that robust accuracy, between two marks by
a straight line, and how many times as long as the quickest that took. All seeds and methods are
trained and attacked in turn, on the network of the preset and from its learning rate. The preset's
own method has its ball and the share of its training over which epsilon rises; for those of the
others that learn nothing at the full epsilon from the start `--epsilon-warmup` gives that share.
What the rivals train with is in `robustness_curves/recipes.py`. All is trained first, into
`--runs`, then attacked: the seconds are those of one machine, the attacks may be made on another
(`--train-only`). Two processes may share both folders, each with its own methods or seeds.
Writes `time_to_robustness.json`, a table and a plot into `--out`; methods that are there already,
with the same options, are neither trained nor attacked again.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import dataclasses
import json
from typing import Any

from rich.console import Console

from experiments.robustness_curves.picture import draw
from experiments.robustness_curves.recipes import recipe_of
from experiments.robustness_curves.summary import measured_on, summarise, table_of
from experiments.robustness_curves.timed_training import (
    CLOCKS,
    Timing,
    Trained,
    facts_of,
    measured_on_this_machine,
    train_in_time,
)
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_choice, check_count, check_number
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.evaluation.attack_sets import ATTACK_SETS, make_attacks
from keras_efgsm.file_lock import lock_file
from keras_efgsm.networks import CLASSIFIERS
from keras_efgsm.recipes.how_to_train import OPTIMIZERS
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records import read_json

# Options of the preset that may be given here, the same for all methods.
_OF_PRESET = (
    "learning_rate",
    "batch_size",
    "activation",
    "classifier",
    "train_images",
    "optimizer",
    "weight_decay",
)
# Options that are not written down with the figures where they are not given.
_OPTIONAL = ("preset", "attacks", "attack_marks", *_OF_PRESET)


def train_method(
    name: str, seed: int, options: argparse.Namespace, data: ImageData
) -> tuple[Trained, dict[str, Any]]:
    """Trains one method for its time, unless that has been done."""
    preset = PRESETS[preset_of(options)]
    config, warmup = recipe_of(name, preset, options.dataset, options.epsilon_warmup)
    changes = {key: vars(options)[key] for key in _OF_PRESET if vars(options)[key] is not None}
    # Each is measured at its marks, whatever a probe would say of them.
    as_it_is = {"overfitting_stop": False, "keep_best": False}
    config = dataclasses.replace(config, dataset=options.dataset, seed=seed, **as_it_is, **changes)
    seconds = options.seconds * options.multiples.get(name, 1.0)
    timing = Timing(seconds, options.clock, tuple(sorted(options.marks)), warmup, options.rise)
    known = facts_of(config, timing)
    trained = Trained(runs_of(options), f"{name}-seed{seed}")
    facts = trained.read(known)
    if facts is None:
        points, snapshots = train_in_time(config, timing, data)
        facts = {**known, **measured_on_this_machine(), "points": points}
        trained.write(facts, snapshots)
    return trained, facts


def attack_method(
    trained: Trained, facts: dict[str, Any], options: argparse.Namespace, test: ImageData
) -> dict[str, Any]:
    """Attacks the weights that a training had at its marks."""
    config, timing = facts["config"], facts["timing"]
    points = []
    for number, point in enumerate(facts["points"]):
        if options.attack_marks and timing["marks"][number] not in options.attack_marks:
            continue
        classifier = CLASSIFIERS[config["classifier"]](
            test.image_shape, test.num_classes, activation=config["activation"]
        )
        classifier.set_weights(trained.weights_at(number))
        attacks = make_attacks(options.attacks or "adp", config["epsilon"], steps=options.steps)
        report = evaluate_robustness(classifier, test, attacks, cascade=True, seed=0)
        robust = {
            "natural_accuracy": report.natural_accuracy,
            "robust_accuracy": report.worst_case_accuracy,
            # Of a cascade: what is left after each and those before it.
            "accuracy_after": {one.name: one.robust_accuracy for one in report.attacks},
        }
        points.append({**point, **robust})
    about = {key: facts[key] for key in ("hardware", "versions")}
    return {"config": config, "epsilon_warmup": timing["warmup"], **about, "points": points}


def runs_of(options: argparse.Namespace) -> Path:
    """The folder of the trainings."""
    return Path(options.runs or Path("runs") / "time_to_robustness" / Path(options.out).name)


def preset_of(options: argparse.Namespace) -> str:
    """The preset that was asked for, or that of the data set.

    Raises:
        ValueError: if neither is one.
    """
    name = options.preset or options.dataset
    if name not in PRESETS:
        raise ValueError(
            f"no preset is named after the data set; give `--preset`, one of {', '.join(PRESETS)}. "
            f"Received: dataset={options.dataset!r}"
        )
    return name


def read_done(path: Path, key: dict[str, Any]) -> dict[str, Any]:
    """What an earlier call measured with the same options."""
    if not path.exists():
        return {}
    stored = read_json(path)
    if stored["options"] != key:
        raise ValueError(
            "The folder holds a run with other options; give another `--out`. "
            f"Received: out={str(path.parent)!r}, options there={stored['options']}"
        )
    return stored["runs"]


def read_multiples(text: str) -> dict[str, float]:
    """`pgd=20,trades=5` as a mapping.

    Raises:
        ValueError: if a method is unknown or a factor no positive number.
    """
    multiples = {}
    for part in filter(None, text.split(",")):
        name, _, factor = part.partition("=")
        check_choice(name, "multiples", tuple(METHODS))
        try:
            multiples[name] = check_number(float(factor), "multiples", minimum=0.0, strict=True)
        except ValueError as error:
            raise ValueError(
                "`multiples` must be methods with a positive factor, such as pgd=20,trades=5. "
                f"Received: multiples={text!r}"
            ) from error
    return multiples


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="mnist", help="any that keras-efgsm train takes")
    parser.add_argument("--preset", choices=tuple(PRESETS), help="default: that of the data set")
    parser.add_argument("--seconds", type=float, default=150.0, help="of training, each method")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--marks", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--epsilon-warmup", type=float, default=0.3, help="share of the training")
    parser.add_argument("--rise", type=float, default=0.4, help="of the rate; share of training")
    parser.add_argument("--learning-rate", type=float, help="peak; default: the preset's")
    parser.add_argument("--batch-size", type=int, help="default: the preset's")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="default: the preset's")
    parser.add_argument("--weight-decay", type=float, help="default: the preset's")
    parser.add_argument("--activation", help="default: the preset's")
    parser.add_argument("--classifier", choices=tuple(CLASSIFIERS), help="default: the preset's")
    parser.add_argument("--train-images", type=int, help="the first so many; default: all")
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--attacks", choices=tuple(ATTACK_SETS), help="default: adp")
    parser.add_argument("--steps", type=int, default=100, help="of the attacks")
    parser.add_argument("--seeds", default="0", help="of the training, comma-separated")
    parser.add_argument("--multiples", default="", help="of --seconds, as pgd=20,trades=5")
    parser.add_argument("--target", type=float, help="robust accuracy whose time is told")
    parser.add_argument(
        "--attack-marks", type=float, nargs="+", help="of --marks; default: all of them"
    )
    parser.add_argument("--train-only", action="store_true", help="attack another time")
    parser.add_argument("--runs", help="trainings; default: runs/time_to_robustness/NAME OF OUT")
    parser.add_argument("--out", default="results/time_to_robustness")
    options = parser.parse_args()
    try:
        options.multiples = read_multiples(options.multiples)
        run(options)
    except (ValueError, OSError) as error:
        print(f"time_to_robustness: {error}", file=sys.stderr)
        return 2
    return 0


# What the runs of a folder need not have in common.
_FREE = ("methods", "seeds", "target", "train_only", "runs", "out")


def run(options: argparse.Namespace) -> None:
    """Trains what is not trained, attacks what is not attacked, and writes table and plot."""
    out, target = Path(options.out), options.target
    file = out / "time_to_robustness.json"
    preset_of(options)
    names = [check_choice(name, "methods", tuple(METHODS)) for name in options.methods.split(",")]
    seeds = [check_count(int(seed), "seeds", minimum=0) for seed in options.seeds.split(",")]
    check_number(options.rise, "rise", minimum=0.0, maximum=1.0)
    if target is not None:
        check_number(target, "target", minimum=0.0, maximum=1.0, strict=True)
    for mark in options.attack_marks or ():
        check_choice(mark, "attack_marks", tuple(options.marks))
    out.mkdir(parents=True, exist_ok=True)
    given = vars(options).items()
    key = {k: v for k, v in given if k not in _FREE and not (k in _OPTIONAL and v is None)}
    read_done(file, key)
    console = Console()
    data = load_data(options.dataset, "train")
    if options.train_images is not None:
        data = data.take(check_count(options.train_images, "train_images", maximum=len(data)))
    test = load_data(options.dataset, "test")
    test = test.take(check_count(options.num_images, "num_images", maximum=len(test)))
    planned = [(name, seed) for seed in seeds for name in names]
    for number, (name, seed) in enumerate(planned, 1):
        if f"{name}-seed{seed}" in read_done(file, key):
            continue
        console.print(f"[{number}/{len(planned)}] training {name}-seed{seed}", markup=False)
        train_method(name, seed, options, data)
    if options.train_only:
        return
    for number, (name, seed) in enumerate(planned, 1):
        label = f"{name}-seed{seed}"
        if label in read_done(file, key):
            continue
        console.print(f"[{number}/{len(planned)}] attacking {label}", markup=False)
        measured = attack_method(*train_method(name, seed, options, data), options, test)
        keep(file, key, label, measured, target)
        console.print(table_of(summarise({label: measured}, None), label, None).rich())
    rows = summarise(read_done(file, key), target)
    about = measured_on(key, seeds)
    spread = "; ± half the range over seeds" if len(seeds) > 1 else ""
    table = table_of(rows, f"{about}{spread}", target)
    console.print(table.rich())
    write_atomically(out / "time_to_robustness.md", table.markdown())
    draw(rows, out / "time_to_robustness.png", about, target)
    console.print(f"figures: {file}", soft_wrap=True)


def keep(
    file: Path, key: dict[str, Any], label: str, measured: dict[str, Any], target: float | None
) -> None:
    """Adds a method to the figures, which another process may be adding to."""
    with lock_file(file.with_name(".figures.lock"), wait=True):
        done = {**read_done(file, key), label: measured}
        content = {"options": key, "runs": done, "summary": summarise(done, target)}
        write_atomically(file, json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
