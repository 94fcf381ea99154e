"""What it costs to look at every batch: training steps and evaluations with and without, in turn.

    python scripts/benchmarks/check_cost.py [--preset digits|mnist|cifar10-cpu] [--steps 20]
        [--rounds 9] [--dtype-policy float32|mixed_bfloat16] [--image-dtype float32|bfloat16]
        [--json FILE]

Two trainers of the same network on the same random images, one of which does not look. A turn is a
round of each, so that a machine that slows down slows both; what is told is the median of the
turns' ratios. Most is lost on the smallest network: `digits` is the worst case of the presets.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import dataclasses
import json
import time
from collections.abc import Callable

import rich
import tensorflow as tf

from benchmarks.alternation import Contender, Ratio, alternate, rate_table, ratio
from benchmarks.step_times import Fitted, compared_config, random_data
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records.environment import hardware, versions

WITH, WITHOUT = "with checks", "without"
# Images of an evaluation's batch, as `train` evaluates.
EVALUATED = 1000


class Measured(Fitted):
    """A training whose steps and evaluations can be timed.

    Args:
        looks: whether it looks at its batches.
        image_dtype: of the images of an evaluation.
        *arguments: as `Fitted` takes them.
    """

    def __init__(self, looks: bool, image_dtype: str, *arguments):
        super().__init__(*arguments)
        if not looks:
            self.trainer.batch_check = lambda kind: None
            self.trainer.train_function = None
        count = min(len(self._data), 5 * EVALUATED)
        images = tf.cast(self._data.pixels(slice(count)), image_dtype)
        labels = self._data.labels[:count]
        self._count = count
        self._test = tf.data.Dataset.from_tensor_slices((images, labels)).batch(EVALUATED).cache()

    def training_rate(self) -> float:
        """Images a second of a round of training steps."""
        return self.config.batch_size / self.run()

    def evaluation_rate(self) -> float:
        """Images a second of an evaluation."""
        begun = time.perf_counter()
        self.trainer.evaluate(self._test, verbose=0)
        return self._count / (time.perf_counter() - begun)


def cost(trained: dict[bool, Measured], rate: Callable[[Measured], float], rounds: int) -> Ratio:
    """How many times as fast it is without, and prints the rates.

    Args:
        trained: with and without.
        rate: images a second of a round.
        rounds: how many.
    """
    contenders = [
        Contender(name, lambda looks=looks: rate(trained[looks]))
        for name, looks in ((WITH, True), (WITHOUT, False))
    ]
    rates = alternate(contenders, range(rounds))
    rich.print(rate_table(rates).rich())
    return ratio(rates, WITHOUT, WITH)


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Measures, prints, and returns the cost of each as a share."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="digits", choices=sorted(PRESETS))
    parser.add_argument("--steps", type=int, default=20, help="training steps of a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dtype-policy", default="float32")
    parser.add_argument("--image-dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args(argv)
    preset = PRESETS[options.preset]
    config = compared_config(
        dataclasses.replace(preset, dtype_policy=options.dtype_policy), preset.method
    )
    data = random_data(config, max(EVALUATED, config.batch_size * options.steps))
    trained = {
        looks: Measured(looks, options.image_dtype, config, data, options.steps)
        for looks in (True, False)
    }
    facts: dict[str, object] = {
        "preset": options.preset,
        "batch_size": config.batch_size,
        "dtype_policy": options.dtype_policy,
        "image_dtype": options.image_dtype,
        "steps": options.steps,
        "rounds": options.rounds,
        "hardware": hardware(),
        "versions": versions(),
    }
    costs = {}
    for what, rate in (
        ("training step", Measured.training_rate),
        ("evaluation", Measured.evaluation_rate),
    ):
        found = cost(trained, rate, options.rounds)
        costs[what] = found.median - 1.0
        spread = f"{100 * (found.lowest - 1):+.1f} to {100 * (found.highest - 1):+.1f}"
        rich.print(f"The checks take {100 * costs[what]:.2f} % of the {what} (rounds: {spread} %).")
        facts[what] = dict(zip(("median", "lowest", "highest"), found[2:], strict=True))
    if options.json:
        write_atomically(options.json, json.dumps(facts, indent=2) + "\n")
    return costs


if __name__ == "__main__":
    main()
