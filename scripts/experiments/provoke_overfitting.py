"""Provokes overfitting and shows when the stop sees it, beside healthy runs.

    python scripts/experiments/provoke_overfitting.py [--dataset mnist] [--only NAME ...]

Each run goes on past the stop, so that the collapse itself is seen: a referee, PGD-20 on the margin
with 500 held-out images that neither the training nor the stop sees, measures robust accuracy after
every epoch. The collapse is the first epoch at which it is 20 points below its best (10 on
CIFAR-10, where there is less to lose). Two stops watch each run, one by the free margin signals
alone and one with a PGD probe of 256 other held-out images, which at the end goes back to its best
if it lost 5 points. Writes a table, `overfitting.json` and `overfitting.png` into `--out`.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
import math
import time

import keras
from rich.console import Console

from experiments.overfitting.outcome import show
from experiments.overfitting.picture import draw
from experiments.overfitting.scenarios import SCENARIOS, SETTINGS, Scenario
from keras_efgsm import (
    EFGSM,
    PGD,
    AdversarialCrossEntropy,
    AdversarialTrainer,
    JointReconstruction,
    OverfittingStop,
    load_data,
)
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.callbacks.probe import Probe
from keras_efgsm.networks import CLASSIFIERS, RECONSTRUCTORS
from keras_efgsm.records import read_json
from keras_efgsm.records.environment import hardware, versions


class Referee(keras.callbacks.Callback):
    """Measures robust accuracy each epoch and lets both stops speak without being obeyed."""

    def __init__(self, probe: Probe, stops: dict[str, OverfittingStop], fall: float):
        super().__init__()
        self.fall = fall
        self.probe = probe
        self.stops = stops
        self.rows: list[dict] = []
        self.fired: dict[str, dict] = {}
        self.put_back: dict[str, dict] = {}
        self.collapse: int | None = None

    def on_train_begin(self, logs=None):
        self.rows = [{"epoch": 0, "referee": self.probe.accuracy()}]

    def on_epoch_end(self, epoch, logs=None):
        accuracy = self.probe.accuracy()
        best = max([row["referee"] for row in self.rows], default=0.0)
        if self.collapse is None and accuracy <= best - self.fall:
            self.collapse = epoch + 1
        for name, stop in self.stops.items():
            if stop.report()["fired"] and name not in self.fired:
                self.fired[name] = {**stop.report(), "restored": self._restored_accuracy(stop)}
        self.rows.append({"epoch": epoch + 1, "referee": accuracy, **logs})
        # Two epochs past the collapse show it; before that no stop ends the run.
        self.model.stop_training = self.collapse is not None and epoch + 1 >= self.collapse + 2

    def on_train_end(self, logs=None):
        for name, stop in self.stops.items():
            report = stop.report()
            if name not in self.fired and report["restored_epoch"] is not None:
                self.put_back[name] = {**report, "restored": self._restored_accuracy(stop)}

    def _restored_accuracy(self, stop: OverfittingStop) -> float:
        weights = self.model.get_weights()
        self.model.set_weights(stop.get_state()["good_weights"])
        accuracy = self.probe.accuracy()
        self.model.set_weights(weights)
        return accuracy


def run(scenario: Scenario, dataset: str, seed: int) -> dict:
    """Trains one scenario to its end and says what happened."""
    keras.utils.set_random_seed(seed)
    setting = SETTINGS[dataset]
    epsilon, patience = setting.epsilon, setting.patience
    train = load_data(dataset, "train").take(scenario.images)
    held_out = load_data(dataset, "test").take(500 + 256)
    pixels, labels = held_out.pixels(), held_out.labels
    shape = (train.image_shape, train.num_classes)
    reconstructor = None
    if scenario.with_reconstructor:
        reconstructor = RECONSTRUCTORS[setting.reconstructor](*shape)
    objective = JointReconstruction if reconstructor else AdversarialCrossEntropy
    network = setting.large_network if scenario.is_large else setting.network
    classifier = CLASSIFIERS[network](*shape)
    if scenario.robust_epochs:
        robust = AdversarialTrainer(classifier, EFGSM(epsilon=epsilon), seed=seed)
        robust.compile(keras.optimizers.Adam(2e-3))
        robust.fit(
            train.pixels(),
            train.labels,
            batch_size=128,
            epochs=scenario.robust_epochs * patience,
            verbose=0,
        )
        train = train.take(scenario.later_images or len(train))
    attack = scenario.attack(epsilon)
    trainer = AdversarialTrainer(
        classifier,
        attack,
        reconstructor,
        objective(label_smoothing=scenario.label_smoothing),
        seed=seed,
    )
    trainer.compile(keras.optimizers.Adam(scenario.learning_rate))
    radius = attack.epsilon
    judge = PGD(epsilon=radius, steps=20, step_size=radius / 8, loss="cw")
    stops = {
        "margins": OverfittingStop(verbose=False),
        "probe": OverfittingStop(probe=(pixels[500:], labels[500:]), verbose=False),
    }
    probe = Probe(trainer.classifier, judge, pixels[:500], labels[:500])
    # Slow overfitting is seen to its end.
    fall = math.inf if scenario.outcome == "slow" else setting.collapse
    referee = Referee(probe, stops, fall)
    begun = time.perf_counter()
    trainer.fit(
        train.pixels(),
        train.labels,
        batch_size=128,
        epochs=scenario.epochs * patience,
        callbacks=[*stops.values(), referee],
        verbose=0,
    )
    rows = referee.rows
    before = rows if referee.collapse is None else rows[: referee.collapse]
    return {
        "why": scenario.why,
        "expected": scenario.outcome,
        "network": network,
        "attack": {"name": attack.kind, **attack.get_config()},
        "learning_rate": scenario.learning_rate,
        "dataset": train.name,
        "images": len(train),
        "seed": seed,
        "collapse_epoch": referee.collapse,
        "best_before": max(row["referee"] for row in before),
        "fired": referee.fired,
        "put_back": referee.put_back,
        "seconds": round(time.perf_counter() - begun, 1),
        "rows": rows,
    }


def main() -> int:
    """Runs the scenarios; exit status 1 if the stop with a probe, as `train` has it, erred."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", choices=tuple(SETTINGS), default="mnist")
    parser.add_argument("--out", help="default: results/overfitting/DATASET")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(SCENARIOS), help="these again, the others as they are"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = Path(options.out or f"results/overfitting/{options.dataset}")
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    document = out / "overfitting.json"
    results = {}
    if options.only and document.exists():
        results = read_json(document)["runs"]
    for name in options.only or SCENARIOS:
        results[name] = run(SCENARIOS[name], options.dataset, options.seed)
        console.print(f"{name}: {SCENARIOS[name].why}, {results[name]['seconds']} s")
        results = {name: results[name] for name in SCENARIOS if name in results}
        about = {"hardware": hardware(), "versions": versions(), "runs": results}
        write_atomically(document, json.dumps(about, indent=1) + "\n")
    draw(results, out / "overfitting.png")
    good = show(results, console)
    console.print(f"figures: {document}, {out / 'overfitting.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
