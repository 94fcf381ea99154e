"""One training of `momentum.py`, in turns that its parent gives, and what the store alone does."""

import argparse
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

MODES = ("memory", "disk, cold", "disk, warm")


# Steps at the beginning of each turn that are not timed.
UNTIMED = 6


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
