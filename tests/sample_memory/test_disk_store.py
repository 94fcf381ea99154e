import dataclasses
import errno
import gc
import os
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

import keras_efgsm.runs.checkpoint_arrays
import keras_efgsm.runs.training
from benchmarks.scale import imagenet
from keras_efgsm.data import ImageData, load_digits, training_dataset
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.checkpoint import Checkpoint, save_checkpoint
from keras_efgsm.runs.recorder import RunRecorder
from keras_efgsm.runs.training import train
from keras_efgsm.sample_memory import row_file
from keras_efgsm.sample_memory.disk_rows import DiskRows
from keras_efgsm.sample_memory.momentum import SampleMomentum
from keras_efgsm.sample_memory.read_ahead import stage_ahead

CONFIG = TrainingConfig(
    dataset="digits",
    classifier="digits",
    reconstructor=None,
    method="efgsm",
    epsilon=0.2,
    epochs=2,
    batch_size=50,
    weight_averaging=0.0,
    overfitting_stop=False,
)


@pytest.fixture(scope="module")
def digits_data():
    train_data, test_data = load_digits("train"), load_digits("test")
    part = ImageData(train_data.images[:220], train_data.labels[:220], train_data.class_names)
    return part, test_data.take(50)


@pytest.fixture
def rows(tmp_path):
    """Makes a store with what is in it."""

    def make(count=20, width=6, dtype="int8", **options):
        store = DiskRows((count, width), dtype, tmp_path, **options)
        values = np.arange(count * width, dtype=dtype).reshape(count, width)
        store.assign_chunks([values])
        return store, values.copy()

    return make


@pytest.fixture
def transferred(monkeypatch):
    """Bytes that went to the file of a store and came from it, since it was last asked."""
    counted, original = {"preadv": 0, "pwritev": 0}, row_file.RowFile.transfer_rows

    def counting(file, transfer, first, rows):
        counted[transfer.__name__] += rows.nbytes
        original(file, transfer, first, rows)

    def since_then():
        found = dict(counted)
        counted.update(preadv=0, pwritev=0)
        return found

    monkeypatch.setattr(row_file.RowFile, "transfer_rows", counting)
    return since_then


NOTHING = {"preadv": 0, "pwritev": 0}


def assert_on_disk(transfers, least):
    """Rows of that many bytes went to the disk and came from it."""
    assert min(transfers.values()) >= least


def wait_for_reads(store):
    store._reader.submit(lambda: None).result()


# What is read is what was last written.


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_stages_reads_and_writes_gives_what_a_plain_array_gives(tmp_path, seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 6)), 2)
    dtype = ("int8", "float16", "float32")[seed % 3]
    store = DiskRows(shape, dtype, tmp_path, memory_limit=int(rng.integers(1, 600)))
    plain = np.zeros(shape, dtype)
    for _ in range(100):
        size = int(rng.integers(0, min(shape[0], 8) + 1))
        ids = rng.choice(shape[0], size, replace=False)
        action = rng.integers(20)
        if action < 8:
            store.stage(ids)
        elif action < 13:
            np.testing.assert_array_equal(store.read(ids), plain[ids])
        elif action < 18:
            values = rng.integers(-100, 100, (size, *shape[1:])).astype(dtype)
            plain[ids] = values
            store.write(ids, values)
            # The caller may use its array again.
            values[:] = 77
        elif action == 18:
            np.testing.assert_array_equal(np.concatenate(list(store.chunks())), plain)
        elif rng.random() < 0.3:
            store.clear()
            plain[:] = 0
    np.testing.assert_array_equal(store.read(range(shape[0])), plain)


def held(store, monkeypatch, name):
    """Lets the store's transfers of one kind wait, as a slow disk would."""
    gate, original = threading.Event(), store._file.transfer_rows

    def slow(transfer, first, values):
        if (
            transfer is getattr(os, name)
            and threading.current_thread() is not threading.main_thread()
        ):
            gate.wait()
        original(transfer, first, values)

    monkeypatch.setattr(store._file, "transfer_rows", slow)
    return gate


def test_a_row_that_is_written_while_it_is_being_read_ahead_is_read_as_written(rows, monkeypatch):
    store, _ = rows()
    gate = held(store, monkeypatch, "preadv")
    store.stage([3, 4])
    store.write([3], np.full((1, 6), -5))
    gate.set()
    wait_for_reads(store)
    store.flush()
    np.testing.assert_array_equal(store.read([3]), np.full((1, 6), -5))


def test_a_row_that_waits_to_be_written_is_read_as_written_and_not_ahead(rows, monkeypatch):
    store, values = rows()
    gate = held(store, monkeypatch, "pwritev")
    store.write([3], np.full((1, 6), -5))
    store.stage([3, 4])
    store.write([3], np.full((1, 6), -6))
    wait_for_reads(store)
    np.testing.assert_array_equal(store.read([3, 4]), [np.full(6, -6), values[4]])
    gate.set()
    store.flush()
    np.testing.assert_array_equal(store.read([3, 4]), [np.full(6, -6), values[4]])


def test_a_read_of_rows_that_are_coming_waits_for_them(rows, monkeypatch):
    store, values = rows()
    gate = held(store, monkeypatch, "preadv")
    store.stage([1, 2])
    threading.Timer(0.05, gate.set).start()
    np.testing.assert_array_equal(store.read([2, 1, 7, 2]), values[[2, 1, 7, 2]])


def test_rows_read_ahead_are_read_from_the_disk_once(rows, monkeypatch):
    store, values = rows()
    read = []
    original = store._file.transfer_rows
    monkeypatch.setattr(
        store._file,
        "transfer_rows",
        lambda t, first, v: (read.append(first), original(t, first, v)),
    )
    store.stage([5, 2, 5])
    wait_for_reads(store)
    assert sorted(read) == [2, 5]
    np.testing.assert_array_equal(store.read([2, 5]), values[[2, 5]])
    assert sorted(read) == [2, 5]


def test_new_rows_are_zero(tmp_path):
    assert not DiskRows((5, 2, 2), "float32", tmp_path).read([4, 0]).any()


# What it takes.


def test_rows_in_memory_stay_within_the_limit(rows, monkeypatch):
    store, _ = rows(count=100, width=10, memory_limit=400)
    for first in range(0, 100, 10):
        store.stage(range(first, first + 10))
    wait_for_reads(store)
    assert 10 <= len(store._staged) <= 20
    gate = held(store, monkeypatch, "pwritev")
    threading.Timer(0.05, gate.set).start()
    waited = []
    for first in range(0, 100, 10):
        store.write(range(first, first + 10), np.ones((10, 10)))
        waited.append(store._unwritten_bytes)
    assert max(waited) <= 200


def test_a_batch_beyond_the_limit_is_let_through(rows):
    store, values = rows(memory_limit=1)
    store.stage(range(20))
    store.write(range(20), -values)
    np.testing.assert_array_equal(store.read(range(20)), -values)


def test_the_file_has_no_name_and_its_room_is_given_back(tmp_path):
    others = set(threading.enumerate())
    store = DiskRows((1000, 1000), "int8", tmp_path)
    store.stage([1])
    store.write([2], np.ones((1, 1000)))
    store.flush()
    assert os.fstat(store._file.number).st_blocks * 512 >= 1_000_000
    assert not list(tmp_path.iterdir())
    number = store._file.number
    del store
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    for thread in set(threading.enumerate()) - others:
        thread.join(5)
        assert not thread.is_alive()


def test_dropping_the_cached_pages_keeps_the_rows(rows):
    store, values = rows()
    store.write([1], -values[1:2])
    store.drop_cached_pages()
    np.testing.assert_array_equal(store.read([1, 2]), [-values[1], values[2]])


# What goes wrong.


def fails(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("then", ["write", "read", "stage", "flush", "chunks"])
def test_an_error_of_the_writing_thread_is_raised_by_the_next_call(rows, monkeypatch, then):
    store, values = rows()
    monkeypatch.setattr(store._file, "write_from", fails)
    store.write([0], values[:1])
    store._writer.submit(lambda: None).result()
    call = {
        "write": lambda: store.write([1], values[:1]),
        "read": lambda: store.read([0]),
        "stage": lambda: store.stage([0]),
        "flush": store.flush,
        "chunks": lambda: list(store.chunks()),
    }[then]
    with pytest.raises(OSError, match="No space left.*last checkpoint.*Received: directory=") as e:
        call()
    assert e.value.errno == errno.ENOSPC


def test_a_write_that_waits_for_room_hears_of_the_error(rows, monkeypatch):
    store, values = rows(memory_limit=12)
    monkeypatch.setattr(store._file, "write_from", fails)
    with pytest.raises(OSError, match="No space left"):
        for _ in range(3):
            store.write([0, 1], values[:2])


def test_an_error_of_the_reading_thread_is_raised_by_the_read(rows, monkeypatch):
    store, _ = rows()
    monkeypatch.setattr(store._file, "read_single", fails)
    with pytest.raises(OSError, match="No space left"):
        store.stage([0])
        store.read([0])


def test_a_file_that_was_cut_short_is_an_error_and_no_zeros(rows):
    store, _ = rows()
    os.ftruncate(store._file.number, 10)
    with pytest.raises(OSError, match="shorter than it was made"):
        store.read([19])


def test_a_closed_store_says_so(rows):
    store, _ = rows()
    store.close()
    store.close()
    with pytest.raises(ValueError, match="is closed. Received: directory="):
        store.read([0])


@pytest.mark.parametrize("ids", [[-1], [20], [0, 99]])
def test_ids_beyond_the_rows_are_refused(rows, ids):
    store, _ = rows()
    for call in (store.read, store.stage, lambda i: store.write(i, np.zeros((len(i), 6)))):
        with pytest.raises(IndexError, match=r"in \[0, 20\). Received: ids from"):
            call(ids)


def test_pieces_that_are_not_all_rows_are_refused(rows):
    store, values = rows()
    for chunks in ([values[:5]], [values, values], [values[:, :3]]):
        with pytest.raises(ValueError, match="must be 20 rows .*Received: "):
            store.assign_chunks(chunks)


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(OSError, match="needs a folder it can write.*Received: directory="):
            SampleMomentum(5, (2, 2, 1), storage="disk", directory=folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="needs a folder it can write"):
        SampleMomentum(5, (2, 2, 1), storage="disk", directory=tmp_path)


def test_a_store_larger_than_the_disk_is_refused_on_entry(tmp_path, monkeypatch):
    with pytest.raises(OSError, match=r"takes \d+.\d TB, more than the .* there are.*Received: "):
        SampleMomentum(10**9, (224, 224, 3), storage="disk", directory=tmp_path)
    monkeypatch.setattr(row_file.os, "posix_fallocate", fails)
    with pytest.raises(OSError, match="more than the") as error:
        DiskRows((5, 2), "int8", tmp_path)
    assert error.value.errno == errno.ENOSPC


def test_memory_that_is_too_small_is_refused_with_the_disk_as_a_way_out():
    with pytest.raises(MemoryError, match='keep it on "disk"'):
        SampleMomentum(10**9, (224, 224, 3))


def test_an_unknown_storage_is_refused(new_trainer):
    with pytest.raises(ValueError, match="`storage` must .*Received: storage='tape'"):
        SampleMomentum(5, (2, 2, 1), storage="tape")
    with pytest.raises(ValueError, match="`momentum_storage` must .*'tape'"):
        new_trainer(momentum_storage="tape")
    with pytest.raises(ValueError, match="`momentum_storage` must .*'tape'"):
        dataclasses.replace(CONFIG, momentum_storage="tape")


# As a momentum.


@pytest.mark.parametrize("dtype", ["int8", "float16", "float32"])
def test_momentum_on_disk_is_gathered_and_written_as_in_memory(tmp_path, dtype):
    memory = SampleMomentum(8, (4, 3, 2), dtype)
    disk = SampleMomentum(8, (4, 3, 2), dtype, storage="disk", directory=tmp_path)
    values = np.random.default_rng(0).normal(size=(3, 4, 3, 2)).astype("float32")
    for momentum in (memory, disk):
        momentum.write(tf.constant([5, 0, 7]), tf.constant(values))
    np.testing.assert_array_equal(disk.gather([7, 1, 5]), memory.gather([7, 1, 5]))
    np.testing.assert_array_equal(disk.numpy(), memory.numpy())
    assert disk.describe().endswith(f"on disk in {tmp_path}")
    memory.assign_chunks(iter([disk.numpy()[:3], disk.numpy()[3:]]))
    disk.assign(memory.numpy())
    np.testing.assert_array_equal(disk.numpy(), memory.numpy())
    for momentum in (memory, disk):
        momentum.reset()
        assert not momentum.numpy().any()
    with pytest.raises(ValueError, match="8 rows together. Received: 3 rows"):
        memory.assign_chunks([disk.numpy()[:3]])


def test_steps_of_a_compiled_loop_read_what_the_step_before_wrote(tmp_path):
    momentum = SampleMomentum(6, (2, 1, 1), "float32", storage="disk", directory=tmp_path)
    ids = tf.constant([1, 3])

    @tf.function
    def steps(count):
        for _ in tf.range(count):
            momentum.write(ids, momentum.gather(ids) + 1.0)
            momentum.write(ids, momentum.gather(ids) * 2.0)

    steps(tf.constant(20))
    expected = 0.0
    for _ in range(20):
        expected = (expected + 1.0) * 2.0
    np.testing.assert_array_equal(
        momentum.gather([1, 3, 0]).numpy().ravel(), [expected] * 4 + [0, 0]
    )


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_training_has_the_same_bits_with_the_momentum_on_disk(
    new_trainer, digits_data, tmp_path, transferred, steps_per_execution
):
    data, _ = digits_data
    results, transfers = [], []
    for storage in ("memory", "disk"):
        trainer = new_trainer(
            num_samples=len(data),
            momentum_storage=storage,
            momentum_directory=str(tmp_path),
            compiled={"steps_per_execution": steps_per_execution},
        )
        # Batches of 40 of 220: the last of an epoch is smaller, and the next epoch's first hold
        # samples of it.
        dataset = training_dataset(data, 40, seed=0)
        trainer.fit(dataset, epochs=3, steps_per_epoch=6, shuffle=False, verbose=0)
        transfers.append(transferred())
        results.append([*trainer.get_weights(), trainer.momentum.numpy()])
    assert trainer.momentum.storage == "disk"
    assert transfers[0] == NOTHING
    # Each of the 220 rows is written in each epoch, and read but where it waits to be written.
    assert_on_disk(transfers[1], least=2 * trainer.momentum.nbytes)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(results[0][-1])


def test_arrays_are_trained_on_with_the_momentum_on_disk(new_trainer, small, tmp_path, transferred):
    results, transfers = [], []
    for storage in ("memory", "disk"):
        trainer = new_trainer(momentum_storage=storage, momentum_directory=str(tmp_path))
        trainer.fit(*small, epochs=2, batch_size=30, shuffle=False, verbose=0)
        transfers.append(transferred())
        results.append(trainer.momentum.numpy())
    assert transfers[0] == NOTHING
    assert_on_disk(transfers[1], least=trainer.momentum.nbytes)
    np.testing.assert_array_equal(*results)


def test_training_reads_the_rows_of_coming_batches_ahead(tmp_path, digits_data):
    data, _ = digits_data
    momentum = SampleMomentum(len(data), data.image_shape, storage="disk", directory=tmp_path)
    plain = training_dataset(data, 40, seed=0)
    dataset = stage_ahead(plain, momentum)
    assert dataset.element_spec == plain.element_spec
    assert dataset.cardinality() == plain.cardinality()
    iterator = iter(dataset)
    ids = next(iterator)[0]["id"].numpy()
    wait_for_reads(momentum.rows)
    assert set(ids) <= set(momentum.rows._staged)
    for a, b in zip(dataset.take(7), plain.take(7), strict=True):
        np.testing.assert_array_equal(a[0]["id"], b[0]["id"])
        np.testing.assert_array_equal(a[0]["image"], b[0]["image"])


def test_a_generator_is_run_ahead_and_gives_its_batches_in_order(tmp_path):
    momentum = SampleMomentum(20, (8, 8, 1), storage="disk", directory=tmp_path)
    batches = ([{"id": np.array([2 * k, 2 * k + 1])}, k] for k in range(6))
    staged = stage_ahead(batches, momentum, 2, rows=lambda ids: ids // 2)
    assert [next(staged)[1], next(staged)[1]] == [0, 1]
    wait_for_reads(momentum.rows)
    assert set(momentum.rows._staged) == {0, 1, 2, 3}
    assert [batch[1] for batch in staged] == [2, 3, 4, 5]


def test_what_needs_no_reading_ahead_is_left_as_it_is(tmp_path, digits_data):
    data, _ = digits_data
    dataset = training_dataset(data, 40, seed=0)
    assert stage_ahead(dataset, SampleMomentum(5, (8, 8, 1))) is dataset
    disk = SampleMomentum(5, (8, 8, 1), storage="disk", directory=tmp_path)
    assert stage_ahead({"image": 1}, disk) == {"image": 1}


def test_an_error_of_the_store_ends_training(new_trainer, small, tmp_path, monkeypatch):
    trainer = new_trainer(momentum_storage="disk", momentum_directory=str(tmp_path))
    trainer.make_momentum(100, verbose=False)
    monkeypatch.setattr(trainer.momentum.rows._file, "write_from", fails)
    with pytest.raises(Exception, match="No space left.*last checkpoint"):
        trainer.fit(*small, epochs=1, batch_size=10, verbose=0)


def test_the_storage_goes_with_the_configuration_of_a_trainer(new_trainer):
    trainer = new_trainer(momentum_storage="disk", momentum_directory="/some/folder")
    again = type(trainer).from_config(trainer.get_config())
    assert (again.momentum_storage, again.momentum_directory) == ("disk", "/some/folder")


# Checkpoints.


def test_momentum_on_disk_gives_the_same_checkpoint_and_goes_there_in_pieces(
    new_trainer, tmp_path, monkeypatch
):
    monkeypatch.setattr(row_file, "_CHUNK", 640)
    monkeypatch.setattr(keras_efgsm.runs.checkpoint_arrays, "_CHUNK", 300)
    stored = np.random.default_rng(0).integers(-127, 128, (100, 8, 8, 1), "int8")
    trainers = {}
    for storage in ("memory", "disk"):
        trainers[storage] = new_trainer(
            num_samples=100, momentum_storage=storage, momentum_directory=str(tmp_path)
        )
        trainers[storage].make_momentum(verbose=False)
        trainers[storage].momentum.assign(stored)
        save_checkpoint(tmp_path / storage, trainers[storage], meta={}, callbacks={})
    assert [len(c) for c in trainers["disk"].momentum.chunks()] == [10] * 10
    with np.load(tmp_path / "memory") as a, np.load(tmp_path / "disk") as b:
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    for saved, other in (("memory", "disk"), ("disk", "memory")):
        trainers[other].momentum.reset()
        Checkpoint(tmp_path / saved).restore(trainers[other], {})
        np.testing.assert_array_equal(trainers[other].momentum.numpy(), stored)


def test_reading_a_checkpoint_never_holds_the_momentum_whole(new_trainer, tmp_path, monkeypatch):
    trainer = new_trainer(num_samples=100, momentum_storage="disk", momentum_directory=tmp_path)
    trainer.make_momentum(verbose=False)
    save_checkpoint(tmp_path / "c", trainer, meta={}, callbacks={})
    monkeypatch.setattr(keras_efgsm.runs.checkpoint_arrays, "_CHUNK", 640)
    sizes = []
    original = trainer.momentum.rows.assign_chunks

    def watched(chunks):
        original(chunk for chunk in chunks if not sizes.append(chunk.nbytes))

    monkeypatch.setattr(trainer.momentum.rows, "assign_chunks", watched)
    checkpoint = Checkpoint(tmp_path / "c")
    assert "momentum" not in checkpoint._arrays
    checkpoint.restore(trainer, {})
    assert sizes == [640] * 10


@pytest.mark.parametrize(
    ("first", "then"), [("disk", "disk"), ("disk", "memory"), ("memory", "disk")]
)
def test_a_run_killed_within_an_epoch_goes_on_with_the_same_bits(
    uninterrupted, digits_data, tmp_path, monkeypatch, transferred, first, then
):
    class Killed(RunRecorder):
        def on_train_batch_end(self, batch, logs=None):
            super().on_train_batch_end(batch, logs)
            if len(self.rows) == 1 and batch == 2:
                raise KeyboardInterrupt

    train_data, test_data = digits_data
    data = {"train_data": train_data, "test_data": test_data, "verbose": 0}
    config = dataclasses.replace(CONFIG, momentum_directory=str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(keras_efgsm.runs.training, "RunRecorder", Killed)
        with pytest.raises(KeyboardInterrupt):
            train(
                dataclasses.replace(config, momentum_storage=first),
                tmp_path / "run",
                checkpoint_minutes=0,
                **data,
            )
    used = {first: transferred()}
    result = train(
        dataclasses.replace(config, momentum_storage=then), tmp_path / "run", resume=True, **data
    )
    for storage, transfers in (*used.items(), (then, transferred())):
        if storage == "disk":
            # Seven steps of the whole, and what a checkpoint reads and a resume writes.
            assert_on_disk(transfers, least=result.trainer.momentum.nbytes // 2)
        else:
            assert transfers == NOTHING
    arrays = [*result.trainer.get_weights(), result.trainer.momentum.numpy()]
    for a, b in zip(arrays, uninterrupted, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def uninterrupted(digits_data, tmp_path_factory):
    train_data, test_data = digits_data
    out = tmp_path_factory.mktemp("whole") / "run"
    trainer = train(CONFIG, out, train_data=train_data, test_data=test_data, verbose=0).trainer
    return [*trainer.get_weights(), trainer.momentum.numpy()]


def test_the_page_on_imagenet_quotes_what_its_script_prints():
    page = imagenet.PAGE.read_text()
    # After another measurement: `python scripts/benchmarks/scale/imagenet.py --write`.
    assert page.split(imagenet.BEGIN)[1].split(imagenet.END)[0].strip() == imagenet.tables().strip()


def test_what_is_staged_while_the_store_is_cleared_is_not_what_was_there_before(tmp_path):
    rows = DiskRows((8, 4), "int8", tmp_path)
    rows.write(np.arange(8), np.ones((8, 4), "int8"))
    clear = rows._file.clear

    def staged_meanwhile():
        rows.stage([3])
        deadline = time.monotonic() + 0.3
        while 3 not in rows._staged and time.monotonic() < deadline:
            time.sleep(0.01)
        clear()

    rows._file.clear = staged_meanwhile
    rows.clear()
    np.testing.assert_array_equal(rows.read([3, 4]), np.zeros((2, 4)))
