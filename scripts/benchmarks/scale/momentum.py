"""Training with a momentum three times as large as the memory allowed, kept on disk.

    python scripts/benchmarks/scale/momentum.py [--image-size 64] [--limit-gb 1.5] [--store-gb 4.5]
        [--batch 32] [--steps 26] [--rounds 15] [--json results/scale/momentum.json]
    python scripts/benchmarks/scale/momentum.py --store-only --image-size 224 --batch 256
        --json results/scale/store.json

Three processes train the same network on the same synthetic images, made from their numbers, with
`AdversarialTrainer.fit`: one with its momentum in memory, two with it on disk. They take turns of
`--steps` steps, so that a machine that slows down slows all of them; ratios are those of the turns
of one round, and their median counts. CPU time, all threads, depends less on what else runs.

"disk, cold": before each turn the system gives up all it caches of the file, so that every row is
read from the disk, and a turn ends when all it wrote is on the disk. "disk, warm": the system may
cache the file as it likes. The first steps of each turn are not timed, as their rows were read
ahead while the process waited for its turn.

The memory of a process is the peak of its resident memory as the kernel counts it (VmHWM), the
libraries included; a thread samples it besides, in its parts. The private memory of those on disk
is limited for real as well (RLIMIT_DATA). The run fails if the peak exceeds the limit or the ratio
is below 0.8. All files it makes are gone when it ends, the result apart.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[2]))

import argparse
import json
import statistics
import subprocess

from benchmarks.scale.momentum_training import MODES, measure_store, train


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--limit-gb", type=float, default=1.5, help="of the whole process")
    parser.add_argument("--store-gb", type=float, default=4.5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=26, help="of each turn")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--depth", type=int, default=8, help="of the residual network")
    parser.add_argument("--directory", help="folder of the store on disk")
    parser.add_argument("--json", default="results/scale/momentum.json")
    parser.add_argument("--store-only", action="store_true", help="no training: rows a second")
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def write_record(options: argparse.Namespace, record: dict) -> None:
    """Writes what was measured, how and with what."""
    from keras_efgsm.atomic_file import atomic_file
    from keras_efgsm.records.environment import hardware, versions

    record |= {
        "command": " ".join(["python", *sys.argv]),
        "options": {name: value for name, value in vars(options).items() if name != "mode"},
        "versions": versions(),
        "hardware": hardware(),
    }
    Path(options.json).parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(options.json) as file:
        file.write((json.dumps(record, indent=2) + "\n").encode())


def take_turns(options: argparse.Namespace) -> dict:
    """Runs the processes and collects what they say."""
    command = [sys.executable, __file__, *sys.argv[1:], "--mode"]
    processes = {}
    try:
        for mode in MODES:
            processes[mode] = subprocess.Popen(
                [*command, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        hear = lambda mode: json.loads(processes[mode].stdout.readline())  # noqa: E731
        for mode in MODES:
            hear(mode)
        rates: dict[str, list[float]] = {mode: [] for mode in MODES}
        cpu: dict[str, list[float]] = {mode: [] for mode in MODES}
        losses: dict[str, list[float]] = {mode: [] for mode in MODES}
        for turn in range(options.rounds + 1):
            for mode in MODES:
                print("go", file=processes[mode].stdin, flush=True)
                heard = hear(mode)
                losses[mode].append(heard["loss"])
                # The first turn compiles.
                if turn:
                    rates[mode].append(heard["images_per_second"])
                    cpu[mode].append(heard["cpu_seconds_per_image"])
                if turn < options.rounds:
                    hear(mode)
            if turn:
                last = ", ".join(f"{mode} {rates[mode][-1]:.1f}" for mode in MODES)
                print(f"round {turn} of {options.rounds}: images/s {last}", flush=True)
        results = {mode: hear(mode) for mode in MODES}
        for process in processes.values():
            if process.wait(60):
                raise RuntimeError("a training ended with an error")
    finally:
        for process in processes.values():
            process.kill()
    for mode in MODES:
        ratios = [a / b for a, b in zip(rates[mode], rates["memory"], strict=True)]
        results[mode] |= {
            "images_per_second": statistics.median(rates[mode]),
            "all_images_per_second": rates[mode],
            "ratio_to_memory": statistics.median(ratios),
            "all_ratios": ratios,
            "cpu_milliseconds_per_image": 1000 * statistics.median(cpu[mode]),
            "losses": losses[mode],
        }
    return results


def main() -> None:
    """Runs the processes, prints the table and writes the record."""
    options = parse()
    if options.mode:
        train(options)
        return
    if options.store_only:
        record = measure_store(options)
        print(json.dumps(record))
        write_record(options, record)
        return
    from rich.console import Console
    from rich.table import Table

    from keras_efgsm.records.wording import size as format_bytes

    results = take_turns(options)
    limit = int(options.limit_gb * 1e9)
    disk = [results[mode] for mode in MODES[1:]]
    same = all(result["losses"] == results["memory"]["losses"] for result in disk)
    table = Table(
        title=f"momentum of {format_bytes(disk[0]['momentum_bytes'])}, limit {format_bytes(limit)}",
        caption=f"losses of all turns the same bits: {same}",
    )
    columns = ("store", "images/s", "of memory", "CPU ms/image", "peak resident", "of it anonymous")
    for column in columns:
        table.add_column(column, justify="left" if column == "store" else "right")
    for mode in MODES:
        result = results[mode]
        peak = result["peak_bytes"]
        table.add_row(
            mode,
            f"{result['images_per_second']:.1f}",
            f"{result['ratio_to_memory']:.3f}",
            f"{result['cpu_milliseconds_per_image']:.2f}",
            *(format_bytes(peak[name]) for name in ("VmHWM", "RssAnon")),
        )
    console = Console()
    console.print(table)
    alone = results["disk, cold"]["store_alone"]
    console.print(
        f"the store alone, cold: {alone['rows_per_second']:.0f} rows/s read and written, "
        f"{alone['rows_per_second_written_through']:.0f} with all of it on the disk"
    )
    console.print(f"in memory under this limit: {disk[0]['refusal_in_memory']}")
    faults = []
    for mode, result in zip(MODES[1:], disk, strict=True):
        if result["peak_bytes"]["VmHWM"] > limit:
            faults.append(f"{mode}: resident memory exceeds the limit")
        if result["ratio_to_memory"] < 0.8:
            faults.append(f"{mode}: less than 80 % of the images/s in memory")
    write_record(
        options,
        {"limit_bytes": limit, "results": results, "same_losses": same, "faults": faults},
    )
    if faults:
        sys.exit("; ".join(faults))


if __name__ == "__main__":
    main()
