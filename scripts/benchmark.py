"""What training costs: over ordinary training, by storage, by dtype policy and beside PyTorch.

    python scripts/benchmark.py [--images 12800] [--rounds 9] [--json benchmark.json]
    python scripts/benchmark.py --methods all --images 2560 --rounds 3 [--json methods.json]
    python scripts/benchmark.py --preset cifar10-cpu --policies float32,auto [--torch] [--accuracy]
        [--images 2560] [--rounds 9] [--json FILE] [OPTIONS OF keras-efgsm train]

The first compares eFGSM with ordinary `fit`, and the memory and accuracy of each storage of its
momentum; the second times every training method. The networks are those of `--preset`, one of
MNIST. Epochs are timed. MNIST is used if it is prepared or can be downloaded, random images of the
same shape otherwise: time and memory do not depend on what the images show, the accuracies do and
are left out then.

The third compares dtype policies on the network of any preset: images a second of the training
steps of eFGSM alone through `fit`, on random images. `auto` says what it chose here and why; where
that is float32 there is one training for both, and nothing lost. With `--torch` the same network
takes part in PyTorch with the same weights, their logits compared first, and is trained by FGSM-RS
under autocast to bfloat16 and without; so is FGSM-RS here. A step of FGSM-RS is as many passes as
one of eFGSM. `--accuracy` adds natural and PGD accuracies of a short training with each policy.

Everything is timed on the same machine in turn (ordinary, eFGSM, eFGSM with the re-constructor,
ordinary, ...), warm-up aside, so that a machine that slows down slows all of them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import epochs, policies, storage
from benchmarks.short_training import ShortTraining
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.cli.config_options import add_config_options, read_config
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES

MNIST_PRESETS = [name for name in PRESETS if name.startswith("mnist")]


def new_parser(images: int) -> argparse.ArgumentParser:
    """What both forms of the command take.

    Args:
        images: the default of `--images`.
    """
    parser = argparse.ArgumentParser(
        prog="benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="mnist", help="whose networks")
    parser.add_argument(
        "--images", type=int, default=images, help="of a round; default: %(default)s"
    )
    parser.add_argument("--rounds", type=int, default=9, help="that are timed of each training")
    parser.add_argument("--json", help="where the figures go")
    return parser


def read_epoch_options(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the comparison with ordinary training, checked."""
    parser = new_parser(images=12800)
    parser.add_argument("--methods", help="time these instead, comma-separated, or 'all'")
    parser.add_argument(
        "--momentum-dtype", choices=STORAGE_DTYPES, default="int8", help="storage that is timed"
    )
    parser.add_argument("--storage-epochs", type=int, default=10, help="0: no storage part")
    parser.add_argument("--storage-seeds", type=int, default=3)
    parser.add_argument("--storage", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    check_choice(options.preset, "preset", tuple(MNIST_PRESETS))
    check_count(options.images, "images")
    check_count(options.rounds, "rounds")
    named = list(METHODS) if options.methods == "all" else (options.methods or "").split(",")
    options.methods = [check_choice(name, "methods", tuple(METHODS)) for name in named if name]
    return options


def read_policy_options(
    arguments: Sequence[str],
) -> tuple[argparse.Namespace, policies.Plan, TrainingConfig]:
    """The options of the comparison of dtype policies, checked."""
    parser = new_parser(images=2560)
    parser.add_argument(
        "--policies",
        default="float32,auto",
        help="dtype policies, separated by commas; the last one is compared with the others and "
        "with PyTorch; default: %(default)s",
    )
    parser.add_argument("--torch", action="store_true", help="time FGSM-RS in PyTorch as well")
    parser.add_argument("--accuracy", action="store_true", help="also train with each policy")
    for name, default, text in (
        ("images", 5000, "that are trained on"),
        ("epochs", 2, "passes over them"),
        ("held-out", 1000, "images that are measured"),
        ("seeds", 2, "how many, from --seed"),
    ):
        text = f"of --accuracy: {text}; default: {default}"
        parser.add_argument(f"--accuracy-{name}", type=int, default=default, help=text)
    options, rest = parser.parse_known_args(arguments)
    of_train = argparse.ArgumentParser("benchmark", usage="benchmark --help", add_help=False)
    add_config_options(of_train)
    of_run = of_train.parse_args([options.preset, *rest])
    if of_run.dtype_policy is not None:
        raise ValueError(
            "The dtype policies of a comparison are named by `--policies`. "
            f"Received: dtype_policy={of_run.dtype_policy!r}"
        )
    config = read_config(of_run)
    short = ShortTraining(
        options.accuracy_images,
        options.accuracy_epochs,
        options.accuracy_held_out,
        options.accuracy_seeds,
    )
    plan = policies.Plan(
        options.policies.split(","),
        options.images,
        options.rounds,
        options.torch,
        short if options.accuracy else None,
    )
    return options, plan, config


def compares_policies(arguments: Sequence[str]) -> bool:
    """Whether a command line is about dtype policies, as it is for all presets but MNIST's."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="mnist")
    parser.add_argument("--policies")
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--accuracy", action="store_true")
    options, _ = parser.parse_known_args(arguments)
    asked = options.policies is not None or options.torch or options.accuracy
    return asked or options.preset in set(PRESETS) - set(MNIST_PRESETS)


def compare_epochs(
    options: argparse.Namespace, preset: TrainingConfig, console: Console
) -> dict[str, Any]:
    """Measures, shows and returns epoch times over ordinary training, and the storages."""
    images, labels, is_real = epochs.read_images(options.images)
    kind = "MNIST" if is_real else "random"
    console.print(f"{hardware()}; {len(images):,} {kind} images, batch {epochs.BATCH}")
    dtype = {"momentum_dtype": options.momentum_dtype}
    if options.methods:
        models = {name: epochs.method_model(preset, name, **dtype) for name in options.methods}
    else:
        models = {
            "eFGSM": epochs.efgsm_model(preset, False, **dtype),
            "eFGSM with re-constructor": epochs.efgsm_model(preset, True, **dtype),
        }
    models = {"ordinary fit": epochs.ordinary_model(preset), **models}
    seconds = epochs.time_epochs(models, images, labels, options.rounds)
    console.print(epochs.epoch_table(seconds, options.rounds))
    result = {"hardware": hardware(), "versions": versions(), "images": len(images), "data": kind}
    result |= {"preset": options.preset, **dtype}
    result |= {"seconds": seconds, "ratios": epochs.ratios_of(seconds)}
    if options.storage_epochs and not options.methods:
        command = [__file__, "--preset", options.preset, "--images", str(options.images)]
        command += ["--storage-epochs", str(options.storage_epochs)]
        signs = storage.compare_signs(preset, images, labels, options.storage_epochs)
        result["storage"] = storage.compare_storages(
            console, command, signs, options.storage_epochs, options.storage_seeds
        )
    return result


def benchmark(arguments: Sequence[str]) -> None:
    """Runs what a command line asks for."""
    console = Console()
    if compares_policies(arguments):
        options, plan, config = read_policy_options(arguments)
        make_folder(options.json)
        result = {"preset": options.preset, **policies.measure(plan, config, console)}
    else:
        options = read_epoch_options(arguments)
        preset = PRESETS[options.preset]
        if options.storage:
            # The process that `compare_storages` started.
            sizes = options.images, options.storage_epochs, options.seed
            print(json.dumps(storage.measure_storage(preset, options.storage, *sizes)))
            return
        make_folder(options.json)
        result = compare_epochs(options, preset, console)
    if options.json:
        write_atomically(Path(options.json), json.dumps(result, indent=2) + "\n")
        console.print(f"figures: {options.json}")


def make_folder(file: str | None) -> None:
    """Makes the folder of a file, if there is to be one, before anything takes minutes."""
    if file:
        Path(file).parent.mkdir(parents=True, exist_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; bad input is told of in one line."""
    try:
        benchmark(sys.argv[1:] if arguments is None else arguments)
    except (ValueError, OSError, ImportError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
