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
Writes `time_to_robustness.json`, a table and a plot into `--out`; methods that are there already,
with the same options, are not trained again.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import dataclasses
import json
import time
from typing import Any

import keras
from rich.console import Console

from experiments.robustness_curves.picture import draw
from experiments.robustness_curves.summary import measured_on, summarise, table_of
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.checks import check_choice, check_count, check_number
from keras_efgsm.data import ImageData, load_data, training_dataset
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.evaluation.attack_sets import ATTACK_SETS, make_attacks
from keras_efgsm.networks import CLASSIFIERS
from keras_efgsm.recipes.building import build_trainer, make_optimizer
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records import read_json
from keras_efgsm.records.environment import hardware, versions

# Options of the published recipes on MNIST where they are not the method's defaults.
PUBLISHED = {
    "pgd": {"steps": 40, "step_size": 0.01},
    "trades": {"steps": 40, "step_size": 0.01},
    "alp": {"steps": 40, "step_size": 0.01},
    "free": {"replays": 15, "step_size": 0.01},
    "yopo": {"outer_steps": 5, "inner_steps": 10, "step_size": 0.01},
}
# PGD at the full epsilon of 0.3 from the first step on taught the network nothing in 4 epochs: it
# answered with one class. All methods that use the whole ball at once get a rising epsilon.
NEEDS_WARMUP = ("fgsm", "fgsm-rs", "n-fgsm", "fgsm-pgi", "pgd", "alp", "free", "yopo")

# Options of the preset that may be given here, the same for all methods.
_OF_PRESET = ("learning_rate", "batch_size", "activation")
# Options that are not written down with the figures where they are not given.
_OPTIONAL = ("preset", "attacks", *_OF_PRESET)

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Snapshots(keras.callbacks.Callback):
    """Keeps the averaged weights after given steps, with the training seconds until then."""

    def __init__(self, averaging: WeightAveraging, steps: list[int], clock: str):
        super().__init__()
        self.clock = CLOCKS[clock]
        self.averaging = averaging
        self.steps = steps
        self.taken: list[dict[str, Any]] = []
        self._aside = 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = self.clock()
        if batch == 0:
            # The first step was traced; count it as long as the others.
            self._begun = now
            return
        if batch + 1 in self.steps:
            seconds = (now - self._begun - self._aside) * (batch + 1) / batch
            weights = self.averaging.get_state()["averages"]
            self.taken.append({"step": batch + 1, "seconds": seconds, "weights": weights})
            self._aside += self.clock() - now


def make_trainer(config: TrainingConfig, data: ImageData, steps: int, warmup: float, rise: float):
    """The method's trainer, its learning rate and epsilon laid out over so many steps."""
    trainer = build_trainer(config, data)
    updates = steps * trainer.attack.replays
    rise = min(max(1, round(rise * updates)), updates - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, updates - rise), warmup_target=config.learning_rate, warmup_steps=rise
    )
    trainer.epsilon_warmup_steps = round(warmup * updates)
    trainer.compile(make_optimizer(config, schedule))
    return trainer


def fit(trainer, data: ImageData, config: TrainingConfig, steps: int, callbacks: list) -> None:
    """Trains for so many steps."""
    dataset = training_dataset(data, config.batch_size, seed=config.seed).repeat()
    trainer.fit(
        dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=callbacks
    )


def seconds_per_step(config: TrainingConfig, data: ImageData, at_least: float, clock: str) -> float:
    """Measured over at least so many seconds, on a trainer that is thrown away."""
    trainer = make_trainer(config, data, 1000, 0.0, 0.5)
    steps = 3
    while True:
        watch = Snapshots(WeightAveraging(config.weight_averaging), [steps], clock)
        fit(trainer, data, config, steps, [watch.averaging, watch])
        seconds = watch.taken[0]["seconds"]
        if seconds >= at_least:
            return seconds / steps
        steps = max(2 * steps, round(1.2 * steps * at_least / seconds))


def measure_method(
    name: str, seed: int, options: argparse.Namespace, data: ImageData, test: ImageData
) -> dict[str, Any]:
    """Trains one method for its time and attacks its snapshots."""
    preset = PRESETS[preset_of(options)]
    published = PUBLISHED.get(name, {}) if options.dataset == "mnist" else {}
    if name == preset.method:
        config = preset
    else:
        # The ball of their papers, not the larger one of our recipe.
        config = dataclasses.replace(preset.with_method(name, **published), epsilon_factor=1.0)
    changes = {name: vars(options)[name] for name in _OF_PRESET if vars(options)[name] is not None}
    config = dataclasses.replace(config, seed=seed, overfitting_stop=False, **changes)
    keras.utils.set_random_seed(seed)
    each = seconds_per_step(config, data, min(5.0, options.seconds / 10), options.clock)
    seconds = options.seconds * options.multiples.get(name, 1.0)
    total = max(len(options.marks) + 1, round(seconds / each))
    keras.utils.set_random_seed(seed)
    if name == preset.method:
        warmup = preset.epsilon_warmup_epochs / preset.epochs
    else:
        warmup = options.epsilon_warmup if name in NEEDS_WARMUP else 0.0
    trainer = make_trainer(config, data, total, warmup, options.rise)
    averaging = WeightAveraging(config.weight_averaging)
    marks = sorted({max(2, round(mark * total)) for mark in options.marks})
    snapshots = Snapshots(averaging, marks, options.clock)
    fit(trainer, data, config, total, [averaging, snapshots])
    points = []
    for taken in snapshots.taken:
        classifier = CLASSIFIERS[config.classifier](
            data.image_shape, data.num_classes, activation=config.activation
        )
        classifier.set_weights(taken["weights"])
        attacks = make_attacks(options.attacks or "adp", config.epsilon, steps=options.steps)
        report = evaluate_robustness(classifier, test, attacks, cascade=True, seed=0)
        points.append(
            {
                "seconds": taken["seconds"],
                "steps": taken["step"],
                "epochs": taken["step"] * config.batch_size / len(data),
                "natural_accuracy": report.natural_accuracy,
                "robust_accuracy": report.worst_case_accuracy,
            }
        )
    return {"config": config.to_dict(), "epsilon_warmup": warmup, "points": points}


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
    parser.add_argument("--activation", help="default: the preset's")
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--attacks", choices=tuple(ATTACK_SETS), help="default: adp")
    parser.add_argument("--steps", type=int, default=100, help="of the attacks")
    parser.add_argument("--seeds", default="0", help="of the training, comma-separated")
    parser.add_argument("--multiples", default="", help="of --seconds, as pgd=20,trades=5")
    parser.add_argument("--target", type=float, help="robust accuracy whose time is told")
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
_FREE = ("methods", "seeds", "target", "out")


def run(options: argparse.Namespace) -> None:
    """Measures, and writes table and plot."""
    out, target = Path(options.out), options.target
    file = out / "time_to_robustness.json"
    preset_of(options)
    names = [check_choice(name, "methods", tuple(METHODS)) for name in options.methods.split(",")]
    seeds = [check_count(int(seed), "seeds", minimum=0) for seed in options.seeds.split(",")]
    check_number(options.rise, "rise", minimum=0.0, maximum=1.0)
    if target is not None:
        check_number(target, "target", minimum=0.0, maximum=1.0, strict=True)
    out.mkdir(parents=True, exist_ok=True)
    given = vars(options).items()
    key = {k: v for k, v in given if k not in _FREE and not (k in _OPTIONAL and v is None)}
    done = read_done(file, key)
    console = Console()
    data = load_data(options.dataset, "train")
    test = load_data(options.dataset, "test").take(options.num_images)
    about = measured_on(key, seeds)
    planned = [(name, seed) for seed in seeds for name in names]
    for number, (name, seed) in enumerate(planned, 1):
        label = f"{name}-seed{seed}"
        if label not in done:
            console.print(f"[{number}/{len(planned)}] {label}", markup=False)
            done[label] = measure_method(name, seed, options, data, test)
            facts = {"hardware": hardware(), "versions": versions()}
            content = {"options": key, **facts, "runs": done, "summary": summarise(done, target)}
            write_atomically(file, json.dumps(content, indent=2) + "\n")
        console.print(table_of(summarise({label: done[label]}, None), label, None).rich())
    rows = summarise(done, target)
    spread = "; ± half the range over seeds" if len(seeds) > 1 else ""
    table = table_of(rows, f"{about}{spread}", target)
    console.print(table.rich())
    write_atomically(out / "time_to_robustness.md", table.markdown())
    draw(rows, out / "time_to_robustness.png", about, target)
    console.print(f"figures: {file}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
