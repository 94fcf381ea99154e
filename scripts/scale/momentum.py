"""Training with a momentum three times as large as the memory allowed, kept on disk.

    python scripts/scale/momentum.py [--image-size 64] [--limit-gb 1.5] [--store-gb 4.5]
        [--batch 32] [--steps 26] [--rounds 15] [--json results/scale/momentum.json]
    python scripts/scale/momentum.py --store-only --image-size 224 --batch 256
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

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

MODES = ("memory", "disk, cold", "disk, warm")
# Steps at the beginning of each turn that are not timed.
UNTIMED = 6


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


def status() -> dict[str, int]:
    """Bytes of the memory of this process, by the kernel's names."""
    lines = Path("/proc/self/status").read_text().splitlines()
    names = ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmData")
    pairs = (line.split(":") for line in lines)
    return {name: int(text.split()[0]) * 1024 for name, text in pairs if name in names}


class MemoryWatch(threading.Thread):
    """Samples the resident memory until `stop`."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak: dict[str, int] = {}
        self.samples = 0
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            now = status()
            self.peak = {name: max(value, self.peak.get(name, 0)) for name, value in now.items()}
            self.samples += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def synthetic_dataset(num_samples: int, size: int, batch: int):
    """Endless `({"image", "id"}, label)` batches in a new order each epoch; nothing is stored."""
    import tensorflow as tf

    pixels = size * size * 3
    patterns = tf.random.stateless_uniform((10, pixels), seed=(1, 2))
    positions = tf.range(pixels, dtype=tf.int64) * 2654435761

    def batches(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_samples), seed=tf.stack([tf.constant(0, tf.int64), epoch]), alg="philox"
        )
        return tf.data.Dataset.range(num_samples // batch).map(
            lambda step: order[step * batch : (step + 1) * batch]
        )

    def element(ids):
        hashed = (tf.cast(ids, tf.int64)[:, None] * 40503 + positions) * 2246822519
        noise = tf.cast(tf.bitwise.right_shift(hashed, 20) & 255, tf.float32) / 255.0
        labels = ids % 10
        images = 0.5 * noise + 0.5 * tf.gather(patterns, labels)
        images = tf.ensure_shape(tf.reshape(images, (batch, size, size, 3)), (batch, size, size, 3))
        return {"image": images, "id": tf.ensure_shape(ids, (batch,))}, labels

    epochs = tf.data.Dataset.range(2**40).flat_map(batches).map(element)
    endless = epochs.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return endless.prefetch(2)


def filled_chunks(shape: tuple[int, ...]):
    """Momentum of a training under way; a store of zeros would be read without the disk."""
    import numpy as np

    count = max(1, (32 << 20) // int(np.prod(shape[1:])))
    rows = np.random.default_rng(0).integers(-127, 128, (count, *shape[1:]), dtype="int8")
    for first in range(0, shape[0], count):
        yield rows[: shape[0] - first]


def train(options: argparse.Namespace) -> None:
    """One process: trains in turns, each begun by a line on stdin, and tells on stdout."""
    on_disk = options.mode != "memory"
    limit = int(options.limit_gb * 1e9)
    if on_disk:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    watch = MemoryWatch()
    watch.start()

    import keras
    import numpy as np

    from keras_efgsm import EFGSM, AdversarialTrainer, SampleMomentum
    from keras_efgsm.networks import resnet

    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    shape = (options.image_size, options.image_size, 3)
    num_samples = int(options.store_gb * 1e9) // (shape[0] * shape[1] * 3)
    keras.utils.set_random_seed(0)
    trainer = AdversarialTrainer(
        resnet(shape, depth=options.depth),
        EFGSM(epsilon=8 / 255),
        num_samples=num_samples,
        momentum_storage="disk" if on_disk else "memory",
        momentum_directory=options.directory,
    )
    trainer.compile(keras.optimizers.SGD(0.01, momentum=0.9))
    trainer.make_momentum(verbose=False)
    momentum = trainer.momentum
    refusal = None
    if on_disk:
        try:
            SampleMomentum(num_samples, shape, memory_limit=limit)
        except MemoryError as error:
            refusal = str(error)
    if on_disk:
        momentum.assign_chunks(filled_chunks(momentum.shape))
    else:
        # `assign` holds a second copy for a moment.
        first = 0
        for rows in filled_chunks(momentum.shape):
            momentum.table.write(np.arange(first, first + len(rows), dtype="int32"), rows)
            first += len(rows)

    class Turns(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if options.mode == "disk, cold":
                momentum.rows.drop_cached_pages()
            print(json.dumps({"ready": epoch}), file=answer)
            if not sys.stdin.readline():
                sys.exit("the process that gives the turns is gone")

        def on_train_batch_end(self, batch, logs=None):
            if batch == UNTIMED - 1:
                self.begun, self.cpu = time.perf_counter(), time.process_time()

        def on_epoch_end(self, epoch, logs=None):
            if options.mode == "disk, cold":
                momentum.rows.drop_cached_pages()
            elif on_disk:
                momentum.rows.flush()
            seconds = time.perf_counter() - self.begun
            images = (options.steps - UNTIMED) * options.batch
            told = {"images_per_second": images / seconds, "loss": float(logs["loss"])}
            told["cpu_seconds_per_image"] = (time.process_time() - self.cpu) / images
            print(json.dumps(told), file=answer)

    trainer.fit(
        synthetic_dataset(num_samples, options.image_size, options.batch),
        epochs=options.rounds + 1,
        steps_per_epoch=options.steps,
        callbacks=[Turns()],
        shuffle=False,
        verbose=0,
    )
    result = {
        "momentum_bytes": momentum.nbytes,
        "parameters": trainer.classifier.count_params(),
        "memory_samples": 0,
        "refusal_in_memory": refusal,
    }
    if options.mode == "disk, cold":
        result["store_alone"] = store_alone(momentum.rows, options.batch)
    watch.stop()
    result |= {
        "memory_samples": watch.samples,
        "peak_bytes": watch.peak | {"VmHWM": status()["VmHWM"]},
    }
    print(json.dumps(result), file=answer)


def store_alone(rows, batch: int) -> dict[str, float]:
    """Rows a second that are read from a cold disk, one batch ahead, and written back."""
    import numpy as np

    rng = np.random.default_rng(1)
    count = min(rows.shape[0], 400_000_000 // (rows.nbytes // rows.shape[0])) // batch
    order = rng.permutation(rows.shape[0])[: count * batch].reshape(count, batch)
    rows.drop_cached_pages()
    begun = time.perf_counter()
    rows.stage(order[0])
    for step, ids in enumerate(order):
        if step + 1 < count:
            rows.stage(order[step + 1])
        rows.write(ids, rows.read(ids))
    rows.flush()
    seconds = time.perf_counter() - begun
    rows.drop_cached_pages()
    on_disk = time.perf_counter() - begun
    rate, safe_rate = count * batch / seconds, count * batch / on_disk
    return {"rows_per_second": rate, "rows_per_second_written_through": safe_rate}


def measure_store(options: argparse.Namespace) -> dict:
    """What the store alone does, without a training beside it."""
    from keras_efgsm.sample_memory.disk_rows import DiskRows

    row = (options.image_size, options.image_size, 3)
    row_bytes = row[0] * row[1] * row[2]
    shape = (int(options.store_gb * 1e9) // row_bytes, *row)
    rows = DiskRows(shape, "int8", options.directory)
    rows.assign_chunks(filled_chunks(shape))
    return {"row_bytes": row_bytes, "store_alone": store_alone(rows, options.batch)}


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

    from keras_efgsm.sample_memory.room import format_bytes

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
