"""What ten calls of an attack cost beside its compiled graph, and how often they trace.

    python scripts/benchmarks/attack_calls.py
    python scripts/benchmarks/attack_calls.py --attacks fgsm-ce,pgd-ce --batch-size 256

The compiled graph is that of `attack.perturb` with all tensors at hand; a call checks images and
labels, converts them, and finds its graph. Both run the same passes, in turn, so that what else the
machine does meets both alike. The target is at most 1.2 times the graph from the second call on.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.table import Table

from keras_efgsm.attacks import Attack, find_attack
from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.backend import BACKEND, compiled_once
from keras_efgsm.checks import check_count
from keras_efgsm.noise import Noise

CALLS = 10


class Counted(keras.layers.Layer):
    """Counts how often it is called, which is once in each trace."""

    traces = 0

    def call(self, images: Any) -> Any:
        self.traces += 1
        return images


def network(size: int) -> tuple[keras.Model, Counted]:
    """A convolutional classifier of ten classes, and the layer of it that counts."""
    keras.utils.set_random_seed(0)
    counted = Counted()
    layers = [keras.Input((size, size, 1)), counted]
    for channels in (32, 64):
        layers.append(keras.layers.Conv2D(channels, 3, padding="same", activation="relu"))
        layers.append(keras.layers.MaxPooling2D())
    model = keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(10)])
    counted.traces = 0
    return model, counted


def seconds_of(function: Callable[[], Any]) -> float:
    """Wall-clock time of one call, its result at hand."""
    began = time.perf_counter()
    np.asarray(function())
    return time.perf_counter() - began


class Measured(NamedTuple):
    """What the calls of one attack took.

    Attributes:
        graph: median seconds of the compiled graph.
        first: seconds of the first call.
        later: median seconds of those that follow.
        traced: passes through the network that the first call traced.
        retraced: those that the following calls traced, all together.
    """

    graph: float
    first: float
    later: float
    traced: int
    retraced: int


def measure(attack: Attack, size: int, batch_size: int) -> Measured:
    """Measures the calls of an attack beside its graph.

    Args:
        attack: of one round.
        size: height and width of the images.
        batch_size: how many images.
    """
    model, counted = network(size)
    random = np.random.default_rng(0)
    x = random.random((batch_size, size, size, 1), dtype="float32")
    y = random.integers(0, 10, batch_size)

    def perturb(images: Any, labels: Any, ids: Any) -> Any:
        momentum = attack.initial_momentum(images) if attack.uses_momentum else None
        noise = Noise(0, 0, ids)
        return attack.perturb(evaluation_logits(model), images, labels, noise, momentum).images

    graph = compiled_once(perturb, model.variables)
    tensors = [ops.convert_to_tensor(part) for part in (x, y.astype("int32"))]
    ids = ops.arange(batch_size, dtype="int32")
    seconds_of(lambda: graph(*tensors, ids))
    counted.traces = 0
    first = seconds_of(lambda: attack(model, x, y))
    traced = counted.traces
    graphs, calls = [], []
    for _ in range(CALLS - 1):
        graphs.append(seconds_of(lambda: graph(*tensors, ids)))
        calls.append(seconds_of(lambda: attack(model, x, y)))
    return Measured(
        graph=statistics.median(graphs),
        first=first,
        later=statistics.median(calls),
        traced=traced,
        retraced=counted.traces - traced,
    )


def main() -> None:
    """Measures each attack and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attacks", default="fgsm-ce,efgsm,pgd-ce,apgd-ce,square")
    parser.add_argument("--size", type=int, default=28, help="height and width of the images")
    parser.add_argument("--batch-size", type=int, default=128)
    options = parser.parse_args()
    check_count(options.size, "size", minimum=4)
    check_count(options.batch_size, "batch_size")
    table = Table(title=f"{CALLS} calls of an attack on {options.batch_size} images, {BACKEND}")
    table.add_column("attack")
    for name in ("graph, ms", "first call, ms", "later calls, ms", "ratio", "retraced"):
        table.add_column(name, justify="right")
    few = {"steps": 10, "queries": 20}
    for name in options.attacks.split(","):
        named = find_attack(name)
        fewer = {option: few[option] for option in few if option in named.attack.option_names()}
        attack = named.attack(epsilon=0.3, **named.options, **fewer)
        found = measure(attack, options.size, options.batch_size)
        figures = [f"{1000 * seconds:.1f}" for seconds in (found.graph, found.first, found.later)]
        ratio = found.later / found.graph
        table.add_row(attack.name, *figures, f"{ratio:.2f}", str(found.retraced))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
