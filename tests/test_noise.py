import math

import numpy as np
import pytest
from keras import ops

from keras_efgsm.backend import compiled
from keras_efgsm.noise import Noise

SHAPE = (7, 5, 3)
DRAWS = ["uniform", "normal"]


def draw(kind="normal", seed=3, step=11, ids=(0, 1, 2), shape=SHAPE, **options):
    noise = Noise(seed, step, np.array(ids, "int32"))
    return np.asarray(getattr(noise, kind)(shape, **options))


def many(kind):
    """A million draws: 1,000 samples of 1,000 pixels."""
    return draw(kind, ids=range(1000), shape=(25, 40, 1)).reshape(1000, 1000)


def correlation(a, b):
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


@pytest.mark.parametrize("kind", DRAWS)
def test_a_sample_draws_the_same_noise_in_any_batch_and_order(kind):
    whole = draw(kind, ids=range(10))
    np.testing.assert_array_equal(draw(kind, ids=range(10)), whole)
    for ids in ([7, 0, 3], [9], [4, 4]):
        np.testing.assert_array_equal(draw(kind, ids=ids), whole[ids])


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize(
    "other",
    [{"seed": 4}, {"step": 12}, {"ids": range(3, 203)}, {"stream": 1}],
    ids=["seed", "step", "id", "stream"],
)
def test_another_key_draws_independent_noise(kind, other):
    shape = (20, 20, 1)
    one = draw(kind, ids=range(200), shape=shape)
    another = draw(kind, shape=shape, **{"ids": range(200), **other})
    assert np.mean(one == another) < 1e-4
    # 80,000 pairs: five standard deviations of a correlation that is zero.
    assert abs(correlation(one, another)) < 0.018
    assert abs(correlation(np.abs(one), np.abs(another))) < 0.018


def test_seed_step_id_and_stream_are_not_interchangeable():
    keys = [(a, b, c, d) for a in range(4) for b in range(4) for c in range(4) for d in range(4)]
    first = {
        draw("uniform", seed=a, step=b, ids=[c], shape=(2, 1, 1), stream=d).tobytes()
        for a, b, c, d in keys
    }
    assert len(first) == len(keys)


@pytest.mark.parametrize("kind", DRAWS)
def test_neighbouring_pixels_samples_and_steps_are_uncorrelated(kind):
    values = many(kind)
    next_step = draw(kind, step=12, ids=range(1000), shape=(25, 40, 1)).reshape(1000, 1000)
    pairs = {
        "next pixel": (values[:, :-1], values[:, 1:]),
        "pixel half an image on": (values[:, :500], values[:, 500:]),
        "next sample": (values[:-1], values[1:]),
        "next step": (values, next_step),
    }
    for name, (a, b) in pairs.items():
        assert abs(correlation(a, b)) < 0.008, name
        assert abs(correlation(a**2, b**2)) < 0.008, name
    # Nor has a pixel or a sample a mean of its own.
    spread = values.std() / math.sqrt(1000)
    assert values.mean(axis=0).std() == pytest.approx(spread, rel=0.15)
    assert values.mean(axis=1).std() == pytest.approx(spread, rel=0.15)


def test_normal_noise_is_standard_normal_out_to_its_tails():
    z = np.sort(many("normal").ravel().astype("float64"))
    assert np.isfinite(z).all()
    assert z.mean() == pytest.approx(0.0, abs=0.005)
    assert z.var() == pytest.approx(1.0, abs=0.007)
    assert np.mean(z**3) == pytest.approx(0.0, abs=0.02)
    assert np.mean(z**4) == pytest.approx(3.0, abs=0.05)
    grid = np.linspace(-4, 4, 81)
    expected = np.array([0.5 * (1 + math.erf(g / math.sqrt(2))) for g in grid])
    assert np.abs(np.searchsorted(z, grid) / z.size - expected).max() < 0.002
    for bound, share in ((3.0, 2.6998e-3), (4.0, 6.334e-5)):
        count = np.sum(np.abs(z) > bound)
        assert count == pytest.approx(share * z.size, abs=5 * math.sqrt(share * z.size))
    assert 4.3 < np.abs(z).max() < 5.9


def test_uniform_noise_fills_its_range_evenly():
    u = many("uniform").ravel()
    assert u.min() >= 0.0 and u.max() < 1.0
    assert u.mean() == pytest.approx(0.5, abs=0.0015)
    assert u.var() == pytest.approx(1 / 12, abs=0.0005)
    counts = np.histogram(u, bins=256, range=(0, 1))[0]
    expected = u.size / 256
    # Chi-squared with 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert 160 < np.sum((counts - expected) ** 2 / expected) < 370


def test_uniform_noise_keeps_to_the_bounds_asked_for():
    u = draw("uniform", ids=range(100), shape=(10, 10, 1), low=-0.3, high=0.1)
    assert u.min() >= -0.3 and u.max() <= 0.1
    assert u.mean() == pytest.approx(-0.1, abs=0.006)
    assert np.ptp(u) == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 1), (5, 5, 3), (28, 28, 1)])
@pytest.mark.parametrize("kind", DRAWS)
def test_any_number_of_pixels_odd_or_even_can_be_drawn(kind, shape):
    values = draw(kind, ids=range(4), shape=shape)
    assert values.shape == (4, *shape)
    assert values.dtype == np.float32
    assert len(np.unique(values)) == values.size


def test_normal_noise_is_what_it_has_been():
    # Any change of the generator or its tables changes every training that was ever written down.
    values = draw(seed=0, step=5, ids=[7], shape=(130, 1, 1)).ravel()
    expected = [-0.022531837, -0.9454672, -1.354209, -1.8041091]
    np.testing.assert_array_equal(values[[0, 63, 64, 129]], np.array(expected, "float32"))


def test_blocks_of_normal_noise_are_drawn_independently():
    z = draw(ids=range(4000), shape=(128, 1, 1)).reshape(8000, 64).astype("float64")
    # Two blocks share a row of one table, or have opposite ones, twice in a thousand times, and
    # about half of these correlate by more than a half; of both tables twice in four million.
    alike = np.abs(np.corrcoef(z[:2000]))[~np.eye(2000, dtype=bool)]
    assert np.mean(alike > 0.5) < 0.002
    assert np.mean(alike > 0.95) < 1e-5
    assert len(np.unique(z, axis=0)) > 7980
    # Opposite rows cancel what all samples together would be pushed by.
    assert np.abs(z.mean(axis=0)).max() < 5 / np.sqrt(8000)


@pytest.mark.parametrize("kind", DRAWS)
def test_a_compiled_graph_draws_what_eager_execution_draws(kind):
    run = compiled(lambda step, ids: getattr(Noise(3, step, ids), kind)(SHAPE))

    for step in (0, 1, 11, 70_000):
        for ids in ([0, 1, 2], [59_999]):
            result = run(ops.convert_to_tensor(step, "int32"), ops.convert_to_tensor(ids))
            expected = draw(kind, step=step, ids=ids)
            np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32"])
def test_the_integer_type_of_ids_and_step_does_not_matter(dtype):
    noise = Noise(3, np.array(11, dtype), np.array([0, 1, 2], dtype))
    np.testing.assert_array_equal(noise.normal(SHAPE), draw())


def test_the_generator_is_the_published_mixer():
    """Computed with Python's integers: lowbias32 of the key chain, then of each pixel."""

    def mix(x):
        x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
        x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
        return x ^ (x >> 16)

    u = draw("uniform", seed=3, step=11, ids=[42], shape=(6, 1, 1), stream=2).ravel()
    golden = 0x9E3779B9
    key = mix(mix((3 + golden) % 2**32) ^ (golden * 3) % 2**32)
    key = mix(42 ^ mix(11 ^ key))
    expected = [(mix((key + i * 0x9E3779B9) % 2**32) >> 8) / 2**24 for i in range(6)]
    np.testing.assert_array_equal(u, np.array(expected, "float32"))


@pytest.mark.parametrize("seed", [2**31, 2**40 + 1])
def test_large_seeds_are_accepted(seed):
    assert np.isfinite(draw(seed=seed)).all()


def test_seeds_and_streams_do_not_alias():
    draws = [
        draw("uniform", seed=seed, ids=[0], shape=(8, 1, 1), stream=stream).ravel()
        for seed, stream in ((0, 0), (0, 1), (0, 64), (1, 0), (2**26, 0), (2**32, 0))
    ]
    assert len({values.tobytes() for values in draws}) == len(draws)


def test_no_key_of_zeros_makes_the_first_number_zero():
    assert draw("uniform", seed=0, step=0, ids=[0], shape=(1, 1, 1)).item() > 1e-6
