import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm.equations import update_momentum
from keras_efgsm.records import wording
from keras_efgsm.sample_memory import momentum, room
from keras_efgsm.sample_memory.momentum import STORAGE_DTYPES, SampleMomentum, decode, encode

SHAPE = (4, 3, 2)
LIMIT = 20.0


def rows(count, seed=0):
    """Momentum of every magnitude, down to the smallest that may occur, and some zeros."""
    rng = np.random.default_rng(seed)
    shape = (count, *SHAPE)
    values = np.exp(rng.uniform(np.log(1e-4), np.log(LIMIT), shape)) * rng.choice([-1, 1], shape)
    return np.where(rng.random(shape) < 0.1, 0.0, values).astype("float32")


def round_trip(values, dtype, limit=LIMIT):
    stored = encode(tensor(values, "float32"), dtype, limit)
    assert stored.dtype == dtype
    restored = decode(stored, dtype, limit)
    assert restored.dtype == "float32"
    return np.asarray(restored)


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_new_momentum_is_zero(dtype):
    assert not np.any(SampleMomentum(5, SHAPE, dtype).gather([0, 4]))


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_rows_are_written_and_gathered_by_sample_id_and_others_are_left_alone(dtype):
    table = SampleMomentum(6, SHAPE, dtype)
    values = rows(3)
    table.write(tensor([4, 0, 5]), tensor(values))
    expected = round_trip(values, dtype)
    np.testing.assert_array_equal(table.gather([0, 5, 4]), expected[[1, 2, 0]])
    assert not np.any(table.gather([1, 2, 3]))
    table.write(tensor([0]), tensor(values[:1]))
    np.testing.assert_array_equal(table.gather([0, 4]), expected[[0, 0]])


def test_float32_storage_is_exact_and_float16_as_good_as_its_format():
    values = rows(50)
    np.testing.assert_array_equal(round_trip(values, "float32"), values)
    np.testing.assert_allclose(round_trip(values, "float16"), values, rtol=2**-11, atol=2**-25)


@pytest.mark.parametrize("limit", [1.0, 20.0, 1000.0])
def test_int8_storage_errs_by_half_a_step_of_its_square_root_scale(limit):
    values = np.concatenate(
        [np.linspace(-limit, limit, 100_001), rows(100).ravel() * limit / LIMIT]
    )
    error = np.abs(round_trip(values, "int8", limit) - values)
    root = 127.0 * np.sqrt(np.abs(values) / limit)
    # |q^2 - r^2| <= r + 1/4 for q = round(r); below r = 1/2 a value becomes the smallest stored.
    bound = (np.maximum(1.0, root + 0.25) + 1e-3) * limit / 127.0**2
    assert (error <= bound).all()
    assert error.max() <= 0.008 * limit


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_storage_never_loses_or_changes_a_sign_and_keeps_zero(dtype):
    smallest = 1e-30 if dtype != "float16" else 1e-7
    extremes = np.array([0.0, smallest, -smallest, 1e-4, -1e-4, LIMIT, -LIMIT], "float32")
    values = np.concatenate([extremes, rows(100).ravel()])
    np.testing.assert_array_equal(np.sign(round_trip(values, dtype)), np.sign(values))


def test_int8_storage_does_not_wrap_around_at_the_limit_or_beyond():
    np.testing.assert_allclose(
        round_trip([LIMIT, -LIMIT, 1.01 * LIMIT, -5.0 * LIMIT], "int8"),
        [LIMIT, -LIMIT, LIMIT, -LIMIT],
        rtol=1e-6,
    )


@pytest.mark.parametrize(("dtype", "share"), [("int8", 5e-3), ("float16", 1e-4)])
def test_after_sixty_updates_nearly_all_signs_are_those_of_float32(dtype, share):
    rng = np.random.default_rng(5)
    shape = (100, 20, 20, 5)
    # Directions turn as a training's gradients do: a random walk around a leaning of each pixel.
    leaning = rng.normal(size=shape)
    walk = rng.normal(size=shape)
    stored = SampleMomentum(100, shape[1:], dtype)
    exact = np.zeros(shape, "float32")
    ids = ops.arange(100)
    for _ in range(60):
        walk = 0.9 * walk + rng.normal(size=shape) * np.sqrt(1 - 0.9**2)
        direction = tensor(0.5 * leaning + walk, "float32")
        exact = update_momentum(exact, direction, 0.95)
        stored.write(ids, update_momentum(stored.gather(ids), direction, 0.95))
    assert np.mean(np.sign(stored.gather(ids)) != np.sign(exact)) < share


@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_numpy_and_assign_restore_the_momentum_exactly(dtype):
    first, second = SampleMomentum(8, SHAPE, dtype), SampleMomentum(8, SHAPE, dtype)
    first.write(ops.arange(8), tensor(rows(8)))
    stored = first.numpy()
    assert stored.shape == (8, *SHAPE)
    assert stored.dtype == dtype
    second.assign(stored)
    np.testing.assert_array_equal(second.gather(range(8)), first.gather(range(8)))
    np.testing.assert_array_equal(second.numpy(), stored)


def test_a_stored_momentum_of_another_shape_or_type_is_refused():
    table = SampleMomentum(8, SHAPE, "int8")
    for stored in (
        np.zeros((7, *SHAPE), "int8"),
        np.zeros((8, 24), "int8"),
        np.zeros((8, *SHAPE), "float32"),
        np.zeros((8, *SHAPE), "uint8"),
    ):
        with pytest.raises(ValueError, match=r"shape \(8, 4, 3, 2\) and dtype int8.*Received: "):
            table.assign(stored)


@pytest.mark.parametrize(("dtype", "size"), [("int8", 1), ("float16", 2), ("float32", 4)])
def test_its_size_is_told_before_and_after(dtype, size):
    table = SampleMomentum(10, SHAPE, dtype)
    assert table.shape == (10, *SHAPE)
    assert table.nbytes == 240 * size == table.numpy().nbytes
    assert table.describe() == (
        f"per-sample momentum: 10 x (4, 3, 2) as {dtype}, {wording.size(240 * size)}"
    )


def test_momentum_beyond_the_memory_limit_is_refused_with_a_way_out():
    with pytest.raises(MemoryError) as error:
        SampleMomentum(60_000, (28, 28, 1), "float32", memory_limit=100_000_000)
    assert str(error.value) == (
        "The momentum of 60000 samples of shape (28, 28, 1) takes 188.2 MB as float32, more than "
        'the 100.0 MB there are; store it as "int8", keep it on "disk", train on fewer samples or '
        "use an attack without momentum. Received: num_samples=60000"
    )
    with pytest.raises(MemoryError) as error:
        SampleMomentum(60_000, (28, 28, 1), "int8", memory_limit=47_039_999)
    assert "store it as" not in str(error.value)


def test_momentum_that_just_fits_is_made():
    assert SampleMomentum(10, SHAPE, memory_limit=240).nbytes == 240


def test_by_default_the_limit_is_what_the_machine_has_free(monkeypatch):
    monkeypatch.setattr(momentum, "available_memory", lambda: 239)
    with pytest.raises(MemoryError, match=r"240 B as int8, more than the 239 B"):
        SampleMomentum(10, SHAPE)
    monkeypatch.setattr(momentum, "available_memory", lambda: None)  # a system that does not tell
    SampleMomentum(10, SHAPE)


def test_far_more_than_any_machine_has_is_refused_before_it_is_allocated():
    with pytest.raises(MemoryError, match="Received: num_samples=1000000000"):
        SampleMomentum(10**9, (1024, 1024, 3), "float32")


@pytest.mark.parametrize(
    "options",
    [
        {"num_samples": 0},
        {"num_samples": 2.0},
        {"image_shape": (4, -1, 2)},
        {"dtype": "int16"},
        {"dtype": "float64"},
        {"limit": 0.5},
        {"limit": float("inf")},
    ],
    ids=str,
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}` must .*Received: "):
        SampleMomentum(**{"num_samples": 5, "image_shape": SHAPE, **options})


@pytest.mark.tensorflow("on JAX a training step hands the table through, see test_trainer.py")
@pytest.mark.parametrize("dtype", STORAGE_DTYPES)
def test_it_is_read_and_written_inside_a_compiled_graph(dtype):
    import tensorflow as tf

    table = SampleMomentum(6, SHAPE, dtype)

    @tf.function
    def step(ids, direction):
        table.write(ids, update_momentum(table.gather(ids), direction, 0.95))

    for _ in range(2):
        step(
            tensor([1, 3]),
            tensor(np.full((2, *SHAPE), -7.0, "float32")),
        )
    np.testing.assert_allclose(table.gather([1, 3]), np.full((2, *SHAPE), -1.95), rtol=0.04)
    assert not np.any(table.gather([0, 2, 4, 5]))


@keras.saving.register_keras_serializable(package="test_momentum")
class Holder(keras.Model):
    def __init__(self, num_samples=1000, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)
        self.momentum = SampleMomentum(num_samples, SHAPE, "float32")

    def call(self, x):
        return self.dense(x)


def test_a_model_that_holds_it_has_it_in_no_weights_and_saves_none_of_it(tmp_path):
    model = Holder()
    model(np.zeros((1, 3), "float32"))
    assert [tuple(w.shape) for w in model.weights] == [(3, 2), (2,)]
    model.momentum.write(ops.arange(1000), ops.ones((1000, *SHAPE)))
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    sizes = []
    with h5py.File(tmp_path / "model.weights.h5") as file:
        file.visititems(lambda _, item: sizes.append(getattr(item, "size", 0)))
    assert sum(sizes) == 8
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not np.any(loaded.momentum.numpy())


def files_of(tmp_path, monkeypatch, files):
    """Lets `available_memory` see these files in place of the system's."""
    for number, name in enumerate(files):
        (tmp_path / str(number)).write_text(files[name])
    names = {name: tmp_path / str(number) for number, name in enumerate(files)}
    monkeypatch.setattr(room, "Path", lambda name: names.get(name, tmp_path / "missing"))


MEMINFO = "MemTotal:  4000 kB\nMemFree:  10 kB\nMemAvailable:   3000 kB\nBuffers: 1 kB\n"
MAX, CURRENT = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": MEMINFO}, 3000 * 1024),
        ({"/proc/meminfo": MEMINFO, MAX: "max\n", CURRENT: "7\n"}, 3000 * 1024),
        ({"/proc/meminfo": MEMINFO, MAX: "5000\n", CURRENT: "1000\n"}, 4000),
        ({"/proc/meminfo": MEMINFO, MAX: "5000\n", CURRENT: "6000\n"}, 0),
        ({"/proc/meminfo": MEMINFO, MAX: "9000000000\n", CURRENT: "0\n"}, 3000 * 1024),
    ],
    ids=["host", "no container limit", "container", "container is full", "host below container"],
)
def test_available_memory_is_the_least_of_host_and_container(
    tmp_path, monkeypatch, files, expected
):
    files_of(tmp_path, monkeypatch, files)
    assert room.available_memory() == expected


def test_available_memory_is_unknown_where_the_system_does_not_tell(tmp_path, monkeypatch):
    files_of(tmp_path, monkeypatch, {})
    monkeypatch.setattr(room.os, "sysconf_names", {}, raising=False)
    assert room.available_memory() is None


def test_this_machine_tells_how_much_memory_it_has():
    free = room.available_memory()
    assert free is None or 0 <= free < 2**50


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1549, "1.5 kB"),
        (47_040_000, "47.0 MB"),
        (614_400_000, "614.4 MB"),
        (771_000_000_000, "771.0 GB"),
        (12_600_000_000_000_000, "12600.0 TB"),
    ],
)
def test_bytes_are_written_in_the_largest_fitting_unit(count, text):
    assert wording.size(count) == text
