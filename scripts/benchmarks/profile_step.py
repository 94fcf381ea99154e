"""Where the time of a training step goes, and what share of the machine's peak it reaches.

    python scripts/benchmarks/profile_step.py [--preset cifar10-paper] \
        [--methods standard,efgsm,...] [--steps 20] [--rounds 5] [--peak-tflops 990] \
        [--json profile.json] [OPTIONS OF train]
    KERAS_BACKEND=jax python scripts/benchmarks/profile_step.py --dtype-policy mixed_bfloat16

Times `fit` of every method on the same network, in turn (all methods, then all again), so that a
machine that slows down slows all of them; the times are medians over the rounds, the ratios those
of the medians. The images are random and lie where the preset's would. Then it times the parts of
an eFGSM step, each compiled by itself.

Arithmetic is counted, not measured: two operations for each multiply-add of the convolutional and
dense layers, a forward pass once, an update three times, as many passes as the method makes. The
peak is what `--peak-tflops` says, or else what a large matrix product reaches here, in the type
that the networks compute in.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
from typing import Any

from rich.console import Console
from rich.progress import track

from benchmarks.step_parts import step_parts
from benchmarks.step_times import (
    COMPARED,
    EPOCH_IMAGES,
    Fitted,
    compared_config,
    matrix_peak,
    method_rows,
    profile_facts,
    random_data,
)
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.cli.config_options import add_config_options, read_config
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records.environment import hardware, versions
from reporting.result_table import ResultTable


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
    headings = (
        "method",
        "ms a step",
        f"s for {EPOCH_IMAGES:,} images",
        "times ordinary",
        "TFLOP/s",
        f"of {result['peak_tflops']:.3g} TFLOP/s",
    )
    ordinary = result["methods"].get("standard", {}).get("step_ms")
    rows = [
        [
            method,
            f"{row['step_ms']:.2f}",
            f"{row['epoch_seconds']:.1f}",
            f"{row['step_ms'] / ordinary:.2f}" if ordinary else "-",
            f"{row['operations'] / row['step_ms'] / 1e9:.3g}",
            f"{row['share_of_peak']:.1%}",
        ]
        for method, row in result["methods"].items()
    ]
    title = (
        f"{result['classifier']}, batch {result['batch_size']}, {result['dtype_policy']}, "
        f"{result['backend']}, {result['hardware']}"
    )
    console.print(ResultTable(headings, rows, title).rich())
    if result["parts_ms"]:
        whole = result["methods"][result["parts_of"]]["step_ms"]
        parts = [
            [name, f"{milliseconds:.2f}", f"{milliseconds / whole:.0%}"]
            for name, milliseconds in result["parts_ms"].items()
        ]
        title = f"parts of a step of {result['parts_of']} ({whole:.2f} ms in `fit`)"
        headings = ("part, compiled by itself", "ms", "of the step")
        console.print(ResultTable(headings, parts, title).rich())
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
