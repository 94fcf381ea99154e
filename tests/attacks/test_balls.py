"""What the balls of two norms are, against float64 NumPy and SciPy."""

import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor
from scipy.optimize import minimize

from keras_efgsm.attacks.ball import BALLS, change_of, check_radius
from keras_efgsm.attacks.hyperplane import project_to_hyperplane_l2, steepest_move_l2
from keras_efgsm.noise import Noise

L2, LINF = BALLS["l2"], BALLS["linf"]
SHAPE = (3, 4, 2)


def move(x, gradient, value):
    """The L2 move of one image to the hyperplane."""
    arguments = (tensor(np.asarray(a)[None], "float32") for a in (x, gradient, value))
    return np.asarray(project_to_hyperplane_l2(*arguments))[0].astype("float64")


@pytest.mark.parametrize(
    ("x", "gradient", "value", "expected"),
    [
        ([0.5, 0.5], [1.0, 1.0], -0.2, [0.1, 0.1]),
        ([0.5, 0.5], [3.0, 4.0], 0.5, [-0.06, -0.08]),  # along the gradient, unlike L-infinity's
        ([0.5, 0.5], [3.0, -4.0], -0.5, [0.06, -0.08]),
        ([0.9, 0.5], [1.0, 2.0], -0.7, [0.1, 0.3]),  # the first ends at 1
        ([0.9, 0.5], [1.0, 1.0], -0.6, [0.1, 0.5]),  # just feasible
        ([0.9, 0.5], [1.0, 1.0], -0.7, [0.1, 0.5]),  # not feasible: as far as the box allows
        ([0.0, 0.5], [1.0, 2.0], 0.4, [0.0, -0.2]),  # no room at all for the first
        ([0.5, 0.5], [0.0, 2.0], 0.4, [0.0, -0.2]),  # it has no say
        ([0.5, 0.5], [0.0, 0.0], 0.4, [0.0, 0.0]),
        ([0.5, 0.5], [1.0, 1.0], 0.0, [0.0, 0.0]),
        ([0.5, 0.5], [3e-25, 4e-25], 0.5e-25, [-0.06, -0.08]),  # the squares are zero in float32
    ],
)
def test_the_shortest_move_to_a_hyperplane_is_the_one_computed_by_hand(
    x, gradient, value, expected
):
    np.testing.assert_allclose(move(x, gradient, value), expected, atol=1e-6)


def test_the_move_is_the_shortest_that_a_solver_finds_within_the_box():
    rng = np.random.default_rng(0)
    feasible = 0
    for _ in range(40):
        x = rng.uniform(-0.3, 1.3, 6).clip(0, 1)
        gradient = rng.normal(size=6) * (rng.random(6) > 0.2)
        value = 2.0 * rng.normal()
        found = move(x, gradient, value)
        furthest = np.where(value * gradient > 0, -x, 1 - x) * (gradient != 0)
        if abs(gradient @ furthest) < abs(value):
            np.testing.assert_allclose(found, furthest, atol=1e-5)
            continue
        feasible += 1
        assert value + gradient @ found == pytest.approx(0.0, abs=1e-5)
        assert (x + found).min() > -1e-6 and (x + found).max() < 1 + 1e-6
        solved = minimize(
            lambda d: d @ d,
            np.zeros(6),
            jac=lambda d: 2 * d,
            bounds=list(zip(-x, 1 - x, strict=True)),
            constraints={
                "type": "eq",
                "fun": lambda d, g=gradient, v=value: v + g @ d,
                "jac": lambda d, g=gradient: g,
            },
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        assert found @ found == pytest.approx(solved.fun, rel=1e-4)
    assert 15 < feasible < 35  # both happen


def test_the_move_is_exact_where_slopes_and_rooms_span_many_orders_of_magnitude():
    rng = np.random.default_rng(1)
    # As float32 holds them, which near 1 are few.
    x = (1.0 - 10.0 ** rng.uniform(-5, 0, 200)).astype("float32").astype("float64")
    gradient = 10.0 ** rng.uniform(-4, 2, 200)
    for share in (0.01, 0.3, 0.9, 0.99):
        # That of the multiplier for which the moved pixels are known.
        order = np.sort((1 - x) / gradient)
        level = order[int(share * 199)]
        expected = np.minimum(1 - x, level * gradient)
        found = move(x, gradient, -gradient @ expected)
        assert gradient @ found == pytest.approx(gradient @ expected, rel=3e-6)
        if share < 0.5:
            np.testing.assert_allclose(found, expected, rtol=5e-4, atol=1e-7)


def test_the_steepest_move_is_the_lowest_point_of_ball_and_box():
    rng = np.random.default_rng(2)
    x = rng.uniform(-0.3, 1.3, (30, 6)).clip(0, 1)
    gradient = rng.normal(size=(30, 6)) * (rng.random((30, 6)) > 0.2)
    for epsilon in (0.1, 0.5, 3.0):
        found = np.asarray(
            steepest_move_l2(*(tensor(a, "float32") for a in (x, gradient)), epsilon)
        )
        assert np.linalg.norm(found, axis=1).max() <= epsilon * (1 + 1e-5)
        assert (x + found).min() > -1e-6 and (x + found).max() < 1 + 1e-6
        # No random point of both is lower, however near to the best one it lies.
        reached = (gradient * found).sum(axis=1)
        for spread in (1e-3, 0.1, 1.0):
            others = found + spread * rng.normal(size=(500, 30, 6))
            for _ in range(3):
                length = np.maximum(np.linalg.norm(others, axis=2, keepdims=True), 1e-12)
                others = (x + others * np.minimum(1, epsilon / length)).clip(0, 1) - x
            assert ((gradient * others).sum(axis=2) >= reached - 1e-5).all()


def test_the_worst_linear_margin_is_that_of_the_lowest_point_in_both_norms():
    x, gradient = tensor([[0.5, 0.5]]), tensor([[3.0, -4.0]])
    found = [ball.worst_linear_margin(tensor([1.0]), gradient, x, 0.1) for ball in (LINF, L2)]
    # 1 - 0.1 (3 + 4), 1 - 0.1 * 5.
    np.testing.assert_allclose(np.concatenate(found), [0.3, 0.5], atol=1e-6)


def test_the_steepest_direction_has_length_one_however_small_the_gradient():
    gradient = np.random.default_rng(3).normal(size=(4, *SHAPE)).astype("float32")
    gradient[1] *= 1e-30
    gradient[2] *= 1e30
    gradient[3] = 0.0
    found = np.asarray(L2.direction(tensor(gradient)))
    for b in range(3):
        exact = gradient[b].astype("float64")
        np.testing.assert_allclose(found[b], exact / np.linalg.norm(exact), atol=1e-6)
    assert not found[3].any()
    np.testing.assert_array_equal(LINF.direction(tensor(gradient)), np.sign(gradient))


def test_the_projection_cuts_a_change_at_the_pixel_range_and_scales_it_to_epsilon():
    x = tensor([[[[0.5], [0.9]]], [[[0.5], [0.9]]]])
    images = tensor([[[[0.74], [1.3]]], [[[0.53], [0.94]]]])
    found = np.asarray(L2.project(images, x, 0.13)).reshape(2, 2)
    # (0.24, 0.4) ends at (0.24, 0.1), 0.26 long, of which a half is left; the second lies inside.
    np.testing.assert_allclose(found, [[0.62, 0.95], [0.53, 0.94]], atol=1e-6)


@pytest.mark.parametrize("ball", [LINF, L2], ids=lambda ball: ball.norm)
def test_random_points_are_uniform_in_the_ball_and_depend_on_the_sample_alone(ball):
    ids = ops.arange(4000, dtype="int32")
    x = ops.zeros((4000, *SHAPE))
    shift = np.asarray(ball.uniform(Noise(0, 3, ids), x, 0.5))
    lengths = np.asarray(ball.length(tensor(shift)))
    np.testing.assert_allclose(
        lengths, change_of(shift, np.zeros_like(shift), ball.norm), rtol=1e-5
    )
    # The share of the volume within a length is uniform: mean 1/2, deviation 1/sqrt(12).
    volumes = (lengths / 0.5) ** 24
    assert lengths.max() <= 0.5 * (1 + 1e-6)
    assert volumes.mean() == pytest.approx(0.5, abs=0.02)
    assert volumes.std() == pytest.approx(12**-0.5, abs=0.01)
    # No pixel and no side of one is preferred, and two pixels go together by chance alone.
    flat = shift.reshape(4000, -1)
    assert np.abs(flat.mean(axis=0)).max() < 5 * flat.std() / 4000**0.5
    assert flat.std(axis=0) == pytest.approx(flat.std(), rel=0.1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(24)).max() < 0.08
    some = np.asarray(ball.uniform(Noise(0, 3, ids[5:9]), x[:4], 0.5))
    np.testing.assert_allclose(some, shift[5:9], atol=1e-7)
    other = np.asarray(ball.uniform(Noise(0, 3, ids), x, 0.5, stream=1)).reshape(4000, -1)
    assert abs(np.corrcoef(flat.ravel(), other.ravel())[0, 1]) < 0.01
    surface = np.asarray(ball.surface(Noise(0, 3, ids), x, 0.5))
    np.testing.assert_allclose(change_of(surface, 0 * surface, ball.norm), 0.5, rtol=1e-5)


@pytest.mark.parametrize(("norm", "longest"), [("linf", 0.3), ("l2", 0.3 * 24**0.5)])
def test_a_ball_holds_what_is_within_epsilon_and_the_pixel_range_and_no_nan(norm, longest):
    x = np.full((2, *SHAPE), 0.5, "float32")

    def holds(images, epsilon=longest):
        return bool(BALLS[norm].contains(tensor(images), tensor(x), epsilon))

    assert holds(x + 0.3) and holds(x - 0.3) and holds(x)
    assert not holds(x + 0.3001) and not holds(x - 0.3001)
    one = x.copy()
    one[1] += 0.3001  # one of the two images is enough
    assert not holds(one)
    assert holds(one, 1.01 * longest)
    one[1, 0, 0, 0] = np.nan
    assert not holds(one, 9.0 if norm == "l2" else 1.0)
    brighter = x.copy()
    brighter[0, 0, 0, 0] = 1.001
    assert not holds(brighter, 4.0 if norm == "l2" else 0.9)


def test_a_radius_beyond_all_images_is_refused_with_what_it_may_have_been_meant_as():
    for shape, norm, largest in (((28, 28, 1), "l2", 28.0), ((28, 28, 1), "linf", 1.0)):
        check_radius(largest, norm, shape)
        with pytest.raises(ValueError, match=rf"more than {largest:g}; .*255 .*norm='{norm}'"):
            check_radius(1.01 * largest, norm, shape)
