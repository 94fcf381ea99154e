"""Robust accuracy against training seconds, for every method on the same network, from one run.

    python scripts/time_to_robustness.py [--seconds 150] [--num-images 500] [--methods pgd,efgsm]

Each method trains alone for the same wall-clock time, its learning rate falling to zero over just
that time, and its averaged weights are kept at parts of it. Each of these is then attacked with
the `adp` set (APGD-CE, then targeted APGD). Tracing the graph is not counted; the number of steps
that fill the time is measured on a few steps first. `--clock cpu` counts the process's own seconds
instead of those of the wall, for a machine that others use too; it is the same on one quiet core.
Writes `time_to_robustness.json`, a table and
a plot into `--out`; methods that are there already, with the same options, are not trained again.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.checks import check_choice
from keras_efgsm.config import PRESETS, TrainingConfig
from keras_efgsm.data import ImageData, load_data, training_dataset
from keras_efgsm.drawing import new_figure, save_figure
from keras_efgsm.environment import hardware, versions
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.evaluation.attack_sets import make_attacks
from keras_efgsm.methods import METHODS
from keras_efgsm.networks import CLASSIFIERS
from keras_efgsm.run_parts import build_trainer
from keras_efgsm.runs import write_atomically

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


def make_trainer(config: TrainingConfig, data: ImageData, steps: int, warmup: float):
    """The method's trainer, its learning rate and epsilon laid out over so many steps."""
    trainer = build_trainer(config, data)
    updates = steps * trainer.attack.replays
    rise = max(1, updates // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, updates - rise), warmup_target=config.learning_rate, warmup_steps=rise
    )
    trainer.epsilon_warmup_steps = round(warmup * updates)
    trainer.compile(keras.optimizers.Adam(schedule))
    return trainer


def fit(trainer, data: ImageData, config: TrainingConfig, steps: int, callbacks: list) -> None:
    """Trains for so many steps."""
    dataset = training_dataset(data, config.batch_size, seed=config.seed).repeat()
    trainer.fit(
        dataset, steps_per_epoch=steps, epochs=1, shuffle=False, verbose=0, callbacks=callbacks
    )


def seconds_per_step(config: TrainingConfig, data: ImageData, at_least: float, clock: str) -> float:
    """Measured over at least so many seconds, on a trainer that is thrown away."""
    trainer = make_trainer(config, data, 1000, 0.0)
    steps = 3
    while True:
        watch = Snapshots(WeightAveraging(config.weight_averaging), [steps], clock)
        fit(trainer, data, config, steps, [watch.averaging, watch])
        seconds = watch.taken[0]["seconds"]
        if seconds >= at_least:
            return seconds / steps
        steps = max(2 * steps, round(1.2 * steps * at_least / seconds))


def measure_method(name: str, options: argparse.Namespace, data, test) -> dict[str, Any]:
    """Trains one method for the time given and attacks its snapshots."""
    preset = PRESETS["mnist"] if options.dataset == "mnist" else PRESETS["digits"]
    published = PUBLISHED.get(name, {}) if options.dataset == "mnist" else {}
    config = dataclasses.replace(
        preset.with_method(name, **published), seed=options.seed, overfitting_stop=False
    )
    keras.utils.set_random_seed(options.seed)
    each = seconds_per_step(config, data, min(5.0, options.seconds / 10), options.clock)
    total = max(len(options.marks) + 1, round(options.seconds / each))
    keras.utils.set_random_seed(options.seed)
    warmup = options.epsilon_warmup if name in NEEDS_WARMUP else 0.0
    trainer = make_trainer(config, data, total, warmup)
    averaging = WeightAveraging(config.weight_averaging)
    marks = sorted({max(2, round(mark * total)) for mark in options.marks})
    snapshots = Snapshots(averaging, marks, options.clock)
    fit(trainer, data, config, total, [averaging, snapshots])
    points = []
    for taken in snapshots.taken:
        classifier = CLASSIFIERS[config.classifier](data.num_classes)
        classifier.set_weights(taken["weights"])
        attacks = make_attacks("adp", config.epsilon, steps=options.steps)
        report = evaluate_robustness(classifier, test, attacks, cascade=True, seed=options.seed)
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


def print_table(results: dict[str, Any], title: str) -> Table:
    """One line for each method: its last snapshot, and robust accuracy at the ones before."""
    table = Table(title=title)
    for heading in ("method", "seconds", "epochs", "natural", "robust by time"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    order = sorted(results, key=lambda n: -results[n]["points"][-1]["robust_accuracy"])
    for name in order:
        *_, last = points = results[name]["points"]
        course = "  ".join(f"{p['seconds']:.0f} s {p['robust_accuracy']:.1%}" for p in points)
        table.add_row(
            name,
            f"{last['seconds']:.0f}",
            f"{last['epochs']:.2f}",
            f"{last['natural_accuracy']:.1%}",
            course,
        )
    return table


def markdown(results: dict[str, Any], title: str) -> str:
    """The same as Markdown."""
    count = max(len(result["points"]) for result in results.values())
    heads = ["method", *(f"after {p}" for p in range(1, count + 1)), "natural at the end", "epochs"]
    lines = [title, "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name in sorted(results, key=lambda n: -results[n]["points"][-1]["robust_accuracy"]):
        points = results[name]["points"]
        cells = [f"{100 * p['robust_accuracy']:.1f} ({p['seconds']:.0f} s)" for p in points]
        last = points[-1]
        ends = [f"{100 * last['natural_accuracy']:.1f}", f"{last['epochs']:.2f}"]
        lines.append("| " + " | ".join([name, *cells, *ends]) + " |")
    return "\n".join(lines) + "\n"


def draw(results: dict[str, Any], path: Path, title: str) -> None:
    """Robust accuracy against training seconds."""
    figure = new_figure(9, 5)
    axes = figure.subplots()
    styles, markers = ("-", "--", ":"), "osv^D<>P*X"
    # In the order of the curves' ends, so that the legend reads as the plot does.
    order = sorted(results, key=lambda name: -results[name]["points"][-1]["robust_accuracy"])
    for number, name in enumerate(order):
        points = [(p["seconds"], 100 * p["robust_accuracy"]) for p in results[name]["points"]]
        style = styles[number // 10 % 3] + markers[number % len(markers)]
        axes.plot(*zip(*points, strict=True), style, color=f"C{number % 10}", label=name)
    axes.set_xlabel("training seconds")
    axes.set_xlim(left=0)
    axes.set_ylabel("robust accuracy (adp), %")
    axes.set_ylim(-2, 100)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_title(title, fontsize="medium")
    save_figure(figure, path)


def read_done(path: Path, key: dict[str, Any]) -> dict[str, Any]:
    """What an earlier call measured with the same options."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text())
    if stored["options"] != key:
        raise ValueError(
            "The folder holds a run with other options; give another `--out`. "
            f"Received: out={str(path.parent)!r}, options there={stored['options']}"
        )
    return stored["methods"]


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--seconds", type=float, default=150.0, help="of training, each method")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    parser.add_argument("--marks", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--epsilon-warmup", type=float, default=0.3, help="share of the training")
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--steps", type=int, default=100, help="of the attacks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="results/time_to_robustness")
    options = parser.parse_args()
    try:
        run(options)
    except (ValueError, OSError) as error:
        print(f"time_to_robustness: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    """Measures, and writes table and plot."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    target = out / "time_to_robustness.json"
    names = [check_choice(name, "methods", tuple(METHODS)) for name in options.methods.split(",")]
    key = {k: v for k, v in vars(options).items() if k not in ("methods", "out")}
    done = read_done(target, key)
    console = Console()
    data = load_data(options.dataset, "train")
    test = load_data(options.dataset, "test").take(options.num_images)
    title = (
        f"{options.dataset}, adp (APGD-CE, targeted APGD; {options.steps} steps), "
        f"{options.num_images} images, seed {options.seed}"
    )
    for number, name in enumerate(names, 1):
        if name not in done:
            console.print(f"[{number}/{len(names)}] {name}")
            done[name] = measure_method(name, options, data, test)
            facts = {"hardware": hardware(), "versions": versions()}
            content = {"options": key, **facts, "methods": done}
            write_atomically(target, json.dumps(content, indent=2) + "\n")
        console.print(print_table({name: done[name]}, name))
    console.print(print_table(done, title))
    write_atomically(out / "time_to_robustness.md", markdown(done, title))
    draw(done, out / "time_to_robustness.png", title)
    console.print(f"figures: {target}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
