"""CIFAR-10 on an accelerator: one command on a machine with JAX, NumPy, Pillow and this checkout.

    python scripts/accelerator/cifar10.py --minutes 9 --out DIR [--plan cifar10|sweep]
        [--network cifar10-resnet18|cifar10-wrn22-5] [--seeds 0,1,2] [--without profile]
        [--from DIR] [--variants consistency,nuat]
    python scripts/accelerator/cifar10.py --rehearse --out DIR
    python scripts/accelerator/cifar10.py --estimate [OPTIONS]

`pack.py` fetches what it needs beside the checkout. Every part of the plan starts only if it fits
into what is left of the minutes, by an estimate that is printed first and mended by what is
measured; the number of epochs is chosen before the first, as the learning rate depends on it. What
there is lies in DIR at every moment, at most eight files below 16 MiB, and `install.py DIR` makes
run folders, results and an export of it. `--from` takes over what an earlier call has trained, and
does what it left out. `--rehearse` runs the same code on a CPU in a few minutes, with a tiny
network and 512 images; `--estimate` prints the table of the plan and does nothing.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BEGUN = time.perf_counter()
ROOT = Path(__file__).parents[2]
PLANS = ("cifar10", "sweep")
NETWORKS = ("cifar10-resnet18", "cifar10-wrn22-5", "cifar10-wrn10-1")
_REHEARSED = {"network": "cifar10-wrn10-1", "minutes": 4.0, "peak_tflops": 0.05}


def read_options(words: list[str] | None = None) -> argparse.Namespace:
    """The command line, checked as far as it can be before anything is imported."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, help="for all of it; default: 9, rehearsed 4")
    parser.add_argument("--out", type=Path, help="empty folder that comes back")
    parser.add_argument("--plan", choices=PLANS, default="cifar10")
    parser.add_argument("--network", choices=NETWORKS, help="default: cifar10-resnet18")
    parser.add_argument("--seeds", default="0", help="comma-separated; default: 0")
    parser.add_argument("--epochs", type=int, help="at most so many; default: those of the preset")
    parser.add_argument("--without", default="", help="any of standard,adp,profile, of cifar10")
    parser.add_argument("--variants", default="", help="of sweep, comma-separated; default: all")
    parser.add_argument("--from", dest="previous", type=Path, help="what an earlier call left")
    parser.add_argument(
        "--carried",
        type=Path,
        default=ROOT / "runs" / "accelerator" / "carried",
        help="what pack.py wrote; default: runs/accelerator/carried of the checkout",
    )
    parser.add_argument(
        "--peak-tflops", type=float, help="of the chip in bfloat16; default: 990, an H200's"
    )
    parser.add_argument("--rehearse", action="store_true", help="a tiny run on a CPU")
    parser.add_argument("--estimate", action="store_true", help="print the plan, do nothing")
    options = parser.parse_args(words)
    usual = {"network": "cifar10-resnet18", "minutes": 9.0, "peak_tflops": 990.0}
    for name, value in (_REHEARSED if options.rehearse else usual).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if not options.minutes > 0 or not options.peak_tflops > 0:
        raise ValueError(
            "`--minutes` and `--peak-tflops` must be above 0. Received: "
            f"minutes={options.minutes}, peak_tflops={options.peak_tflops}"
        )
    if not options.out and not options.estimate:
        raise ValueError("`--out` must be an empty folder. Received: none")
    for name in ("without", "variants"):
        setattr(options, name, [word for word in getattr(options, name).split(",") if word])
    unknown = set(options.without) - {"standard", "adp", "profile"}
    if unknown:
        raise ValueError(
            f"`--without` takes standard, adp and profile. Received: {sorted(unknown)}"
        )
    if options.plan == "sweep" and (options.previous or options.without):
        raise ValueError(
            "`--from` and `--without` go with the plan cifar10. Received: plan='sweep'"
        )
    try:
        options.seeds = list(dict.fromkeys(int(seed) for seed in options.seeds.split(",")))
    except ValueError as error:
        raise ValueError(
            f"`--seeds` must be whole numbers separated by commas. Received: {options.seeds!r}"
        ) from error
    return options


def prepare(carried: Path, scratch: Path) -> list[str]:
    """Lets everything be imported: the checkout, and the packages that are carried.

    Args:
        carried: what `pack.py` wrote.
        scratch: folder for the packages.

    Returns:
        The wheels that were needed.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    # As if run from `scripts/`, whose folders are packages; keras_efgsm is not installed.
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    from accelerator.wheels import unpack_missing

    return unpack_missing(carried / "wheels", scratch)


def run(options: argparse.Namespace, wheels: list[str], scratch: Path) -> None:
    """Carries out the plan, or prints what it would be."""
    from accelerator.estimates import REHEARSED_SECONDS, REHEARSED_SHARES, Rates
    from accelerator.outbox import Outbox, Returned
    from accelerator.parts import Budget, Schedule
    from accelerator.running import REAL, REHEARSAL, Running
    from keras_efgsm.records.environment import hardware, versions

    rehearsed = (REHEARSED_SHARES, REHEARSED_SECONDS) if options.rehearse else ()
    rates = Rates(options.peak_tflops * 1e12, *rehearsed)
    running = Running(
        Budget(60 * options.minutes, BEGUN),
        rates,
        Outbox(scratch / "out" if options.estimate else options.out),
        REHEARSAL if options.rehearse else REAL,
        {
            "plan": options.plan,
            "rehearsed": options.rehearse,
            "minutes": options.minutes,
            "network": options.network,
            "seeds": options.seeds,
            "evaluation": "float32, its products as TF32 where the accelerator has it",
            "hardware": hardware(),
            "versions": versions(),
            "wheels": wheels,
        },
    )
    previous = Returned(options.previous) if options.previous else None
    plan = make_plan(options, running, previous)
    if options.estimate:
        # As if so much had been spent on what comes before the first part.
        running.budget.begun = time.perf_counter() - rates.fixed["setup"]
    schedule = Schedule(plan.parts(), running.budget, running.say, running.record)
    where = "an accelerator" if options.estimate and not options.rehearse else hardware()
    running.say(
        f"plan {options.plan}, {options.network}, on {where}: {schedule.planned:.0f} s estimated "
        f"of {running.budget.seconds:.0f}\n{schedule.table()}"
    )
    if not options.estimate:
        running.run(schedule)


def make_plan(options: argparse.Namespace, running: Any, previous: Any) -> Any:
    """The plan with its data."""
    from accelerator.plan_cifar10 import Cifar10Plan
    from accelerator.plan_sweep import SweepPlan
    from accelerator.training import with_epochs
    from accelerator.variants import sweep_base
    from keras_efgsm.recipes.presets import PRESETS

    config = dataclasses.replace(
        PRESETS["cifar10"],
        dataset="cifar10_jpeg75",
        classifier=options.network,
        dtype_policy="mixed_bfloat16",
        **running.scale.changes,
    )
    if options.epochs:
        config = with_epochs(config, options.epochs)
    train_data, test_data = read_data(options, running)
    if options.plan == "sweep":
        base = dataclasses.replace(sweep_base(config, options.network), seed=options.seeds[0])
        return SweepPlan(running, base, train_data, options.variants)
    return Cifar10Plan(
        running, config, train_data, test_data, options.seeds, options.without, previous
    )


def read_data(options: argparse.Namespace, running: Any) -> tuple[Any, Any]:
    """Training and test images; black ones where the plan is only printed."""
    import numpy as np

    from accelerator.carried import TEST_FILE, TRAIN_FILE, first_images, read_test, read_train
    from keras_efgsm.data import ImageData

    scale, names = running.scale, tuple("0123456789")
    if options.estimate:
        counts = (scale.train_images or 50_000, scale.test_images or 10_000)
        black = (np.broadcast_to(np.uint8(0), (count, 32, 32, 3)) for count in counts)
        return tuple(ImageData(x, np.arange(len(x)) % 10, names) for x in black)
    images, labels, names = read_train(options.carried / TRAIN_FILE, scale.train_images)
    train = ImageData(images, labels, tuple(names), "cifar10_jpeg75/1.0.0:train")
    images, labels = read_test(options.carried / TEST_FILE)
    test = ImageData(images, labels, tuple(names), "cifar10_jpeg75/1.0.0:test")
    test = first_images(test, scale.test_images or len(test))
    running.say(f"{len(train):,} training images, {len(test):,} test images")
    return train, test


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    try:
        options = read_options()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            run(options, prepare(options.carried, folder / "packages"), folder)
    except (ValueError, OSError) as error:
        print(f"cifar10: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
