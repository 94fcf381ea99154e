"""Provokes catastrophic overfitting and shows when the stop sees it, beside healthy runs.

    python scripts/provoke_overfitting.py [--out results/overfitting] [--only NAME ...]

Each run goes on past the stop, so that the collapse itself is seen: a referee, PGD-20 on the margin
with 500 held-out images that neither the training nor the stop sees, measures robust accuracy after
every epoch. The collapse is the first epoch at which it is 20 points below its best. Two stops
watch each run, one by the free margin signals alone and one with a PGD probe of 256 other held-out
images. Writes a table, `overfitting.json` and `overfitting.png`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from keras_efgsm import (
    EFGSM,
    FGSM,
    PGD,
    AdversarialCrossEntropy,
    AdversarialTrainer,
    Attack,
    JointReconstruction,
    OverfittingStop,
    load_data,
    mnist_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
)
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.records import read_json
from keras_efgsm.records.environment import hardware, versions

COLLAPSE = 0.2


class Scenario(NamedTuple):
    """A training that collapses or does not.

    `why` says what is wrong or right with it; `robust_epochs` of eFGSM come before it, as where a
    robust network is trained on with a cheaper attack.
    """

    collapses: bool
    why: str
    attack: Attack
    network: Any = mnist_classifier
    images: int = 20_000
    epochs: int = 10
    learning_rate: float = 5e-3
    with_reconstructor: bool = False
    label_smoothing: float = 0.0
    robust_epochs: int = 0


SCENARIOS = {
    "fgsm-robust-start": Scenario(
        True,
        "a robust network trained on with FGSM",
        FGSM(epsilon=0.3),
        learning_rate=1e-3,
        epochs=6,
        robust_epochs=8,
    ),
    "fgsm-large-network": Scenario(
        True,
        "the same with the paper's network, five times the work",
        FGSM(epsilon=0.3),
        network=mnist_paper_classifier,
        learning_rate=1e-3,
        images=10_000,
        epochs=6,
        robust_epochs=10,
    ),
    "efgsm-no-momentum": Scenario(
        True,
        "eFGSM without noise and memory, from a robust network",
        EFGSM(epsilon=0.3, sigma=0.0, decay=0.0),
        learning_rate=2e-3,
        epochs=6,
        robust_epochs=8,
    ),
    "efgsm": Scenario(False, "eFGSM", EFGSM(epsilon=0.3), learning_rate=2e-3, epochs=14),
    "efgsm-reconstructor": Scenario(
        False,
        "eFGSM with the re-constructor",
        EFGSM(epsilon=0.3),
        learning_rate=2e-3,
        epochs=14,
        with_reconstructor=True,
        label_smoothing=0.1,
    ),
    "fgsm-rs": Scenario(
        False,
        "random start and a moderate step",
        FGSM(epsilon=0.1, random_start=True),
        learning_rate=2e-3,
        epochs=10,
    ),
    "pgd": Scenario(
        False,
        "PGD-7, ordinary adversarial training",
        PGD(epsilon=0.1, steps=7, step_size=0.035),
        learning_rate=2e-3,
        images=10_000,
        epochs=8,
    ),
}


class Referee(keras.callbacks.Callback):
    """Measures robust accuracy each epoch and lets both stops speak without being obeyed."""

    def __init__(self, probe: Probe, stops: dict[str, OverfittingStop]):
        super().__init__()
        self.probe = probe
        self.stops = stops
        self.rows: list[dict] = []
        self.fired: dict[str, dict] = {}
        self.collapse: int | None = None

    def on_train_begin(self, logs=None):
        self.rows = [{"epoch": 0, "referee": self.probe.accuracy()}]

    def on_epoch_end(self, epoch, logs=None):
        accuracy = self.probe.accuracy()
        best = max([row["referee"] for row in self.rows], default=0.0)
        if self.collapse is None and accuracy <= best - COLLAPSE:
            self.collapse = epoch + 1
        for name, stop in self.stops.items():
            if stop.report()["fired"] and name not in self.fired:
                self.fired[name] = {**stop.report(), "restored": self._restored_accuracy(stop)}
        self.rows.append({"epoch": epoch + 1, "referee": accuracy, **logs})
        # Two epochs past the collapse show it; before that no stop ends the run.
        self.model.stop_training = self.collapse is not None and epoch + 1 >= self.collapse + 2

    def _restored_accuracy(self, stop: OverfittingStop) -> float:
        weights = self.model.get_weights()
        self.model.set_weights(stop.get_state()["good_weights"])
        accuracy = self.probe.accuracy()
        self.model.set_weights(weights)
        return accuracy


def run(scenario: Scenario, seed: int) -> dict:
    """Trains one scenario to its end and says what happened."""
    keras.utils.set_random_seed(seed)
    train = load_data("mnist", "train").take(scenario.images)
    held_out = load_data("mnist", "test").take(500 + 256)
    pixels, labels = held_out.pixels(), held_out.labels
    reconstructor = mnist_reconstructor() if scenario.with_reconstructor else None
    objective = JointReconstruction if reconstructor else AdversarialCrossEntropy
    classifier = scenario.network()
    if scenario.robust_epochs:
        robust = AdversarialTrainer(classifier, EFGSM(epsilon=scenario.attack.epsilon), seed=seed)
        robust.compile(keras.optimizers.Adam(2e-3))
        robust.fit(
            train.pixels(),
            train.labels,
            batch_size=128,
            epochs=scenario.robust_epochs,
            verbose=0,
        )
    trainer = AdversarialTrainer(
        classifier,
        scenario.attack,
        reconstructor,
        objective(label_smoothing=scenario.label_smoothing),
        seed=seed,
    )
    trainer.compile(keras.optimizers.Adam(scenario.learning_rate))
    epsilon = scenario.attack.epsilon
    attack = PGD(epsilon=epsilon, steps=20, step_size=epsilon / 8, loss="cw")
    stops = {
        "margins": OverfittingStop(verbose=False),
        "probe": OverfittingStop(probe=(pixels[500:], labels[500:]), verbose=False),
    }
    referee = Referee(Probe(trainer.classifier, attack, pixels[:500], labels[:500]), stops)
    begun = time.perf_counter()
    trainer.fit(
        train.pixels(),
        train.labels,
        batch_size=128,
        epochs=scenario.epochs,
        callbacks=[*stops.values(), referee],
        verbose=0,
    )
    rows = referee.rows
    before = rows if referee.collapse is None else rows[: referee.collapse]
    return {
        "why": scenario.why,
        "expected_collapse": scenario.collapses,
        "attack": {"name": scenario.attack.name, **scenario.attack.get_config()},
        "learning_rate": scenario.learning_rate,
        "dataset": train.name,
        "images": len(train),
        "seed": seed,
        "collapse_epoch": referee.collapse,
        "best_before": max(row["referee"] for row in before),
        "fired": referee.fired,
        "seconds": round(time.perf_counter() - begun, 1),
        "rows": rows,
    }


def verdict(result: dict, stop: str) -> str:
    """`ok`, or what is wrong."""
    fired, collapse = result["fired"].get(stop), result["collapse_epoch"]
    if (collapse is not None) != result["expected_collapse"]:
        return "collapsed" if collapse is not None else "did not collapse"
    if collapse is None:
        return "ok" if fired is None else "false alarm"
    if fired is None or abs(fired["epoch"] - collapse) > 1:
        return "missed" if fired is None else "not within an epoch"
    lost = result["best_before"] - fired["restored"]
    return "ok" if lost <= 0.03 else f"restored {100 * lost:.1f} points below"


def show(results: dict[str, dict], console: Console) -> bool:
    """Prints the table; returns whether every verdict on the stop with a probe is ok."""
    table = Table(title="referee: PGD-20 on the margin, 500 held-out images")
    for heading in ("run", "collapse", "best before", "stop", "fired", "restored", "verdict"):
        table.add_column(heading, justify="left" if heading in ("run", "stop") else "right")
    good = True
    for name, result in results.items():
        for stop in ("margins", "probe"):
            fired = result["fired"].get(stop)
            outcome = verdict(result, stop)
            good = good and (outcome == "ok" or stop == "margins")
            collapse = result["collapse_epoch"]
            table.add_row(
                name if stop == "margins" else "",
                f"epoch {collapse}" if collapse else "none",
                f"{result['best_before']:.1%}",
                stop,
                f"epoch {fired['epoch']}" if fired else "no",
                f"{fired['restored']:.1%}" if fired else "-",
                outcome,
            )
    console.print(table)
    return good


def draw(results: dict[str, dict], path: Path) -> None:
    """One panel a run: the referee and the signals by epoch."""
    columns = min(3, len(results))
    lines = -(-len(results) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(lines, columns, sharey=True)).ravel()
    curves = {
        "referee": "PGD, held out",
        "accuracy": "on the training's own examples",
        "margin_robust_accuracy": "margin-robust",
        "attack_shortfall": "shortfall",
    }
    for panel, (name, result) in zip(panels, results.items(), strict=False):
        for key, label in curves.items():
            points = [(row["epoch"], row[key]) for row in result["rows"] if key in row]
            if points:
                panel.plot(*zip(*points, strict=True), marker=".", label=label)
        for stop, fired in result["fired"].items():
            style = "--" if stop == "margins" else ":"
            panel.axvline(fired["epoch"], color="black", linestyle=style, linewidth=1)
        panel.set_title(name, fontsize="medium")
        panel.set_ylim(0, 1)
        panel.grid(alpha=0.3)
        panel.xaxis.get_major_locator().set_params(integer=True)
    for panel in panels[len(results) :]:
        panel.axis("off")
    handles = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    handles = {label: line for label, line in handles.items() if not label.startswith("_")}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)


def main() -> int:
    """Runs the scenarios; exit status 1 if the stop with a probe, as `train` has it, erred."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="results/overfitting")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(SCENARIOS), help="these again, the others as they are"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    document = out / "overfitting.json"
    results = {}
    if options.only and document.exists():
        results = read_json(document)["runs"]
    for name in options.only or SCENARIOS:
        results[name] = run(SCENARIOS[name], options.seed)
        console.print(f"{name}: {SCENARIOS[name].why}, {results[name]['seconds']} s")
        about = {"hardware": hardware(), "versions": versions(), "runs": results}
        document.write_text(json.dumps(about, indent=1) + "\n")
    results = {name: results[name] for name in SCENARIOS if name in results}
    draw(results, out / "overfitting.png")
    good = show(results, console)
    console.print(f"figures: {document}, {out / 'overfitting.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
