"""Where the time of a training step goes, and what share of the machine's peak it reaches.

    python scripts/profile_step.py [--preset cifar10-paper] [--methods standard,efgsm,...] \
        [--steps 20] [--rounds 5] [--peak-tflops 990] [--json profile.json] [OPTIONS OF train]
    KERAS_BACKEND=jax python scripts/profile_step.py --dtype-policy mixed_bfloat16

Times `fit` of every method on the same network, in turn (all methods, then all again), so that a
machine that slows down slows all of them; the times are medians over the rounds, the ratios those
of the medians. The images are random and lie where the preset's would. Then it times the parts of
an eFGSM step, each compiled by itself.

Arithmetic is counted, not measured: two operations for each multiply-add of the convolutional and
dense layers, a forward pass once, an update three times, as many passes as the method makes. The
peak is what `--peak-tflops` says, or else what a large matrix product reaches here, in the type
that the networks compute in.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.progress import track
from rich.table import Table

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.attacks.attack import evaluation_logits
from keras_efgsm.backend import BACKEND, compiled
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.cli.train import add_config_options, read_config
from keras_efgsm.data import ImageData, training_dataset
from keras_efgsm.networks import image_shape_of, multiply_adds
from keras_efgsm.noise import Noise
from keras_efgsm.recipes.building import build_trainer
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.sample_memory.augmentation import Augmentation
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer

# Of the method that is named, at the options that the comparison asks for.
COMPARED = {
    "standard": {},
    "fgsm-rs": {},
    "efgsm": {},
    "combined": {},
    "free": {"replays": 8},
    "pgd": {"steps": 10},
    "trades": {"steps": 10, "beta": 6.0},
}
EPOCH_IMAGES = 50_000


def step_operations(trainer: AdversarialTrainer, config: TrainingConfig) -> float:
    """Floating-point operations of a training step, see the top of this file."""
    passes = METHODS[config.method].passes(config.method_options)
    # A pass of an ordinary step is a forward and two backward ones.
    operations = passes * 3 * 2 * multiply_adds(trainer.classifier)
    if trainer.reconstructor is not None:
        operations += 3 * 2 * multiply_adds(trainer.reconstructor)
    return operations * config.batch_size


def matrix_peak(dtype: str) -> float:
    """Operations per second of a product of two matrices, so large that it takes 50 ms."""
    # Only one number of the product leaves the device.
    product = compiled(lambda a, b: ops.sum(ops.cast(ops.matmul(a, b), "float32")))
    size, seconds = 1024, 0.0
    while seconds < 0.05 and size < 2**15:
        size *= 2
        factors = [ops.cast(np.random.default_rng(i).random((size, size)), dtype) for i in range(2)]
        seconds = median_seconds(lambda: product(*factors), rounds=5)  # noqa: B023
    return 2.0 * size**3 / seconds


def median_seconds(run: Callable[[], Any], rounds: int) -> float:
    """Median seconds of a call until its result is there; the first one, which compiles, aside."""
    seconds = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        ops.convert_to_numpy(run())
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])


def random_data(config: TrainingConfig, count: int) -> ImageData:
    """Random images of the shape of the preset's data set."""
    shape = image_shape_of(config.dataset)
    rng = np.random.default_rng(0)
    return ImageData(
        rng.integers(0, 256, (count, *shape), dtype="uint8"),
        np.arange(count) % 10,
        tuple("0123456789"),
        name="random",
    )


class Fitted:
    """A method's trainer, whose `fit` goes on where it was.

    Args:
        config: the run.
        data: the images.
        steps: steps of a round.
    """

    def __init__(self, config: TrainingConfig, data: ImageData, steps: int):
        keras.utils.set_random_seed(config.seed)
        self.config, self.steps = config, steps
        self.trainer = build_trainer(config, data)
        self._data = data
        self.seconds: list[float] = []
        self.run()  # compiles

    def run(self, callbacks: Sequence[keras.callbacks.Callback] = ()) -> float:
        """Seconds of a step, from a round of them.

        Args:
            callbacks: what else is called in it. Defaults to nothing.
        """
        watch = _EpochWatch()
        self.trainer.fit(
            training_dataset(self._data, self.config.batch_size, seed=0),
            steps_per_epoch=self.steps,
            epochs=1,
            shuffle=False,
            verbose=0,
            callbacks=[*callbacks, watch],
        )
        return watch.seconds / self.steps

    def measure(self) -> None:
        """Times one more round."""
        self.seconds.append(self.run())

    @property
    def step_seconds(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


class _EpochWatch(keras.callbacks.Callback):
    """Seconds of the steps of an epoch; `fit`'s checks of the data come before it."""

    def on_epoch_begin(self, epoch, logs=None):
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        # Keras has waited for the metrics of the last step.
        self.seconds = time.perf_counter() - self._begun


def step_parts(
    trainer: AdversarialTrainer, config: TrainingConfig, rounds: int
) -> dict[str, float]:
    """Seconds of the parts of an eFGSM step on one batch, each compiled by itself."""
    shape = tuple(trainer.classifier.input_shape[1:])
    rng = np.random.default_rng(1)
    x = ops.convert_to_tensor(rng.random((config.batch_size, *shape)), dtype="float32")
    labels = ops.convert_to_tensor(np.arange(config.batch_size) % trainer.num_classes, "int32")
    ids = ops.arange(config.batch_size, dtype="int32")
    momentum = ops.convert_to_tensor(rng.normal(size=(config.batch_size, *shape)), "float32")
    step = ops.convert_to_tensor(1, "int32")
    logits_fn = evaluation_logits(trainer.classifier)
    augmentation = config.augmentation() or Augmentation()
    table = trainer.momentum.table

    def views(x, ids, step):
        view = augmentation.draw(Noise(0, step, ids), shape)
        return ops.sum(view.of_images(x)) + ops.sum(view.put_back(x, view.of_momentum(x)))

    def start_gradient(x, labels, ids, step, momentum):
        made = trainer.attack.perturb(logits_fn, x, labels, Noise(0, step, ids), momentum)
        return ops.sum(made.images) + ops.sum(made.momentum)

    reads = [*trainer.classifier.variables, *_held(table)]
    parts = {
        "forward pass": (lambda x: ops.sum(logits_fn(x)), (x,)),
        "start, its gradient and the boundary step": (
            start_gradient,
            (x, labels, ids, step, momentum),
        ),
        "noise of the start": (
            lambda ids, step: ops.sum(Noise(0, step, ids).normal(shape)),
            (ids, step),
        ),
        "crop, flip and their inverse": (views, (x, ids, step)),
        "reading Gamma": (
            lambda ids: ops.sum(ops.cast(table.gather(ids), "float32")),
            (ids,),
        ),
    }
    seconds = {}
    for name, (function, arguments) in parts.items():
        run = compiled(function, reads)
        seconds[name] = median_seconds(lambda run=run, a=arguments: run(*a), rounds)
    return seconds


def _held(table: Any) -> list:
    # A stateless backend is handed what a compiled function reads; a table on disk holds nothing.
    return [table.variable] if hasattr(table, "variable") else []


def read_options() -> tuple[argparse.Namespace, TrainingConfig]:
    """The command line, checked."""
    of_train = argparse.ArgumentParser(prog="profile_step", add_help=False)
    add_config_options(of_train)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cifar10-paper")
    parser.add_argument("--methods", default=",".join(COMPARED), help="separated by commas")
    parser.add_argument("--steps", type=int, default=20, help="of a round; default: 20")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--peak-tflops", type=float, help="of the machine; default: measured")
    parser.add_argument("--json", help="file to write the figures to")
    options, rest = parser.parse_known_args()
    check_count(options.steps, "steps")
    check_count(options.rounds, "rounds")
    options.methods = options.methods.split(",")
    for method in options.methods:
        check_choice(method, "methods", tuple(COMPARED))
    return options, read_config(of_train.parse_args([options.preset, *rest]))


def compared_config(config: TrainingConfig, method: str) -> TrainingConfig:
    """The run with another method, at the options that the comparison asks for.

    Args:
        config: the run.
        method: one of `COMPARED`, or the run's own.
    """
    # What only some methods have, and a short measurement has no use for.
    config = dataclasses.replace(
        config,
        momentum_reset_epochs=0,
        regularizer_warmup_epochs=0.0,
        overfitting_stop=False,
        keep_best=False,
    )
    its_own = config if method == config.method else config.with_method(method)
    options = {**its_own.method_options, **COMPARED.get(method, {})}
    return dataclasses.replace(its_own, method_options=options)


def method_rows(fitted: dict[str, Fitted], peak: float) -> dict[str, dict[str, Any]]:
    """The figures of each method.

    Args:
        fitted: the measured trainers by method.
        peak: of the machine, operations a second.
    """
    rows = {}
    for method, run in fitted.items():
        operations = step_operations(run.trainer, run.config)
        rows[method] = {
            "options": run.config.method_options,
            "step_ms": 1e3 * run.step_seconds,
            "epoch_seconds": run.step_seconds * EPOCH_IMAGES / run.config.batch_size,
            "operations": operations,
            "share_of_peak": operations / run.step_seconds / peak,
        }
    return rows


def profile_facts(config: TrainingConfig, steps: int, rounds: int) -> dict[str, Any]:
    """What a profile was measured on.

    Args:
        config: the run.
        steps: of a round.
        rounds: how many.
    """
    return {
        "classifier": config.classifier,
        "reconstructor": config.reconstructor,
        "batch_size": config.batch_size,
        "dtype_policy": config.dtype_policy,
        "backend": BACKEND,
        "steps": steps,
        "rounds": rounds,
    }


def profile(options: argparse.Namespace, config: TrainingConfig) -> dict[str, Any]:
    """Measures, prints and returns the figures."""
    console = Console()
    count = max(2 * config.batch_size, options.steps * config.batch_size)
    data = random_data(config, count)
    fitted = {}
    for method in track(options.methods, "compiling", console=console):
        fitted[method] = Fitted(compared_config(config, method), data, options.steps)
    for _ in track(range(options.rounds), "timing", console=console):
        for run in fitted.values():
            run.measure()
    compute = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}.get(
        config.dtype_policy, "float32"
    )
    peak = (options.peak_tflops or 0.0) * 1e12
    if not peak:
        peak = matrix_peak(compute)
    parts = {}
    kept = next((m for m in ("combined", "efgsm") if m in fitted), None)
    if kept is not None:
        parts = step_parts(fitted[kept].trainer, fitted[kept].config, options.rounds)
    result = {
        **profile_facts(config, options.steps, options.rounds),
        "peak_tflops": peak / 1e12,
        "peak_from": "--peak-tflops" if options.peak_tflops else f"matrix product in {compute}",
        "methods": method_rows(fitted, peak),
        "parts_of": kept,
        "parts_ms": {name: 1e3 * seconds for name, seconds in parts.items()},
        "versions": versions(),
        "hardware": hardware(),
    }
    show(result, console)
    return result


def show(result: dict[str, Any], console: Console) -> None:
    """Prints the tables."""
    table = Table(
        title=f"{result['classifier']}, batch {result['batch_size']}, {result['dtype_policy']}, "
        f"{result['backend']}, {result['hardware']}"
    )
    for name in (
        "method",
        "ms a step",
        f"s for {EPOCH_IMAGES:,} images",
        "times ordinary",
        "TFLOP/s",
        f"of {result['peak_tflops']:.3g} TFLOP/s",
    ):
        table.add_column(name, justify="left" if name == "method" else "right")
    ordinary = result["methods"].get("standard", {}).get("step_ms")
    for method, row in result["methods"].items():
        table.add_row(
            method,
            f"{row['step_ms']:.2f}",
            f"{row['epoch_seconds']:.1f}",
            f"{row['step_ms'] / ordinary:.2f}" if ordinary else "-",
            f"{row['operations'] / row['step_ms'] / 1e9:.3g}",
            f"{row['share_of_peak']:.1%}",
        )
    console.print(table)
    if result["parts_ms"]:
        whole = result["methods"][result["parts_of"]]["step_ms"]
        table = Table(title=f"parts of a step of {result['parts_of']} ({whole:.2f} ms in `fit`)")
        table.add_column("part, compiled by itself")
        table.add_column("ms", justify="right")
        table.add_column("of the step", justify="right")
        for name, milliseconds in result["parts_ms"].items():
            table.add_row(name, f"{milliseconds:.2f}", f"{milliseconds / whole:.0%}")
        console.print(table)
    console.print(f"peak: {result['peak_from']}")


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    try:
        options, config = read_options()
        if options.json:
            Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        result = profile(options, config)
        if options.json:
            write_atomically(Path(options.json), json.dumps(result, indent=2) + "\n")
    except (ValueError, OSError) as error:
        print(f"profile_step: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
