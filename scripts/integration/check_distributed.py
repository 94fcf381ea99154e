"""Compares training on one device with two replicas and two workers, one of them killed.

    python scripts/integration/check_distributed.py

Trains the digits with the combined method (eFGSM, re-constructor, weight averaging) for a few
epochs at one global batch size, the last batch of each epoch smaller: on one device; on two parts
of the processor under `MirroredStrategy`; with two worker processes under
`MultiWorkerMirroredStrategy`; and again with two workers, of which one is killed with SIGKILL and
both start again from their last common checkpoint. Prints the largest differences of weights,
momentum (that of the workers put together) and metrics. Exit status 1 where one exceeds its
tolerance.

The same sums are taken in another order, so the runs differ by rounding. Training is not smooth
(the sign of a gradient makes the examples), so that a difference in the last bit can grow over many
epochs.
"""

import argparse
import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from keras_efgsm.distribution.launcher import launch
from keras_efgsm.distribution.strategies import make_strategy


def run(folder: str, epochs: int, replicas: int, kill: int) -> None:
    """One training, of which worker 1 kills itself after `kill` steps unless it is resumed."""
    strategy = make_strategy(replicas)

    import keras
    import numpy as np

    from keras_efgsm import PRESETS
    from keras_efgsm.runs.training import train

    worker = json.loads(os.environ.get("TF_CONFIG", '{"task": {"index": 0}}'))["task"]["index"]
    out = Path(folder)
    resume = (out / "run" / "config.json").exists() and kill > 0

    class Kill(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1
            if self.steps == kill and worker == 1 and not resume:
                os.kill(os.getpid(), signal.SIGKILL)

    result = train(
        dataclasses.replace(PRESETS["digits"], epochs=epochs),
        out / "run",
        strategy=strategy,
        shards=2,
        deterministic=True,
        resume=resume,
        callbacks=[Kill()],
        verbose=0,
    )
    arrays = {f"weight_{i}": value for i, value in enumerate(result.trainer.get_weights())}
    momentum = result.trainer.momentum.numpy()
    np.savez(out / f"state-{worker}.npz", **arrays, momentum=momentum)


def state(folder: Path, workers: int) -> dict:
    """Weights, momentum in the order of the samples, and the metrics of all epochs."""
    import numpy as np

    parts = [dict(np.load(folder / f"state-{worker}.npz")) for worker in range(workers)]
    size = sum(len(part["momentum"]) for part in parts)
    momentum = np.zeros((size, *parts[0]["momentum"].shape[1:]), parts[0]["momentum"].dtype)
    for worker, part in enumerate(parts):
        momentum[worker::workers] = part["momentum"]
    with open(folder / "run" / "history.csv", newline="") as file:
        rows = [
            [float(v) for k, v in row.items() if k != "seconds"] for row in csv.DictReader(file)
        ]
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    return {
        "weights": [part[name] for part in parts for name in sorted(part) if name != "momentum"],
        "momentum": momentum,
        "rows": np.array(rows),
        "accuracy": metrics["natural_accuracy"],
        "bytes": [part["momentum"].nbytes for part in parts],
    }


def compare(name: str, one: dict, other: dict, tolerance: float) -> bool:
    """Prints the differences; whether they are within the tolerance."""
    import numpy as np

    weights = one["weights"] * (len(other["weights"]) // len(one["weights"]))
    largest = max(np.abs(a - b).max() for a, b in zip(weights, other["weights"], strict=True))
    differing = (one["momentum"] != other["momentum"]).mean()
    metrics = np.abs(one["rows"] - other["rows"]).max()
    metrics = max(metrics, abs(one["accuracy"] - other["accuracy"]))
    good = largest <= tolerance and differing <= tolerance and metrics <= max(tolerance, 1e-6)
    print(
        f"{name}: weights differ by at most {largest:.2g}, {differing:.2%} of the momentum's "
        f"entries differ, metrics by at most {metrics:.2g}; momentum bytes of each worker "
        f"{other['bytes']}; "
        f"tolerance {tolerance:g}: {'ok' if good else 'FAILED'}",
        flush=True,
    )
    return bool(good)


def main() -> int:
    """Runs the trainings; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--kill", type=int, default=30, help="step after which worker 1 is killed")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        folder, *numbers = options.run
        run(folder, *map(int, numbers))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        states = {}
        for name, workers, replicas, kill in (
            ("one device", 1, 1, 0),
            ("two replicas", 1, 2, 0),
            ("two workers", 2, 1, 0),
            ("two workers, one killed", 2, 1, options.kill),
        ):
            out = Path(folder) / name
            out.mkdir()
            words = [sys.executable, __file__, "--run", str(out)]
            words += [str(options.epochs), str(replicas), str(kill)]
            print(f"training: {name}", flush=True)
            if workers == 1:
                subprocess.run(words, check=True)
            elif launch(words, workers, restarts=1 if kill else 0):
                return 1
            states[name] = state(out, workers)
        one, two = states["one device"], states["two workers"]
        results = [
            compare(
                "two replicas against one device", one, states["two replicas"], options.tolerance
            ),
            compare("two workers against one device", one, two, options.tolerance),
            compare("killed against unbroken", two, states["two workers, one killed"], 0.0),
        ]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
