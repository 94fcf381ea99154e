import itertools
import math

import numpy as np
import pytest
from keras import ops

from keras_efgsm import equations

EPSILON = 0.3


def images(*rows):
    """Rows of pixels as images `(B, 1, pixels, 1)`."""
    return np.array(rows, "float32")[:, None, :, None]


class Affine:
    """A classifier whose logits are affine in its pixels, so that every linearisation is exact."""

    def __init__(self, num_images=40, num_pixels=6, num_classes=5, seed=0):
        rng = np.random.default_rng(seed)
        # Classes of different steepness: the nearest boundary is often not the runner-up's.
        steepness = np.linspace(0.2, 2.0, num_classes)
        self.weight = rng.normal(size=(num_pixels, num_classes)) * steepness
        self.bias = rng.normal(size=num_classes) * 0.1
        self.x = rng.uniform(0.3, 0.7, (num_images, 1, num_pixels, 1)).astype("float32")
        self.labels = self.logits(self.x).argmax(axis=1)

    def logits(self, x):
        return np.reshape(x, (len(x), -1)).astype("float64") @ self.weight + self.bias

    def margin(self, x, rival):
        z = self.logits(x)
        rows = np.arange(len(x))
        return z[rows, self.labels] - z[rows, rival]

    def gradient(self, rival):
        return (self.weight[:, self.labels] - self.weight[:, rival]).T.reshape(self.x.shape)

    def rivals(self, count):
        rivals = equations.nearest_rivals(
            self.logits(self.x).astype("float32"), self.labels.astype("int32"), count
        )
        return np.asarray(rivals)

    def linearised_margin(self, count):
        """Distance, margin and gradient by the library, and the rivals `(B, count)` it had."""
        rivals = self.rivals(count)
        result = equations.linearised_margin(
            [self.margin(self.x, rivals[:, m]).astype("float32") for m in range(count)],
            [self.gradient(rivals[:, m]).astype("float32") for m in range(count)],
        )
        return *(np.asarray(part) for part in result), rivals

    def distances(self):
        """Distances `(B, K)` to the boundary of every class; infinite for the true one."""
        columns = []
        for rival in range(self.weight.shape[1]):
            gradient = self.gradient(np.full(len(self.x), rival))
            norm = np.abs(gradient).sum(axis=(1, 2, 3))
            with np.errstate(invalid="ignore"):
                distance = np.abs(self.margin(self.x, rival)) / norm
            columns.append(np.where(self.labels == rival, np.inf, distance))
        return np.stack(columns, axis=1)


def test_projection_keeps_to_the_ball_and_to_the_pixel_range():
    x = images([0.5, 0.5, 0.5, 0.1, 0.9, 0.1, 0.9])
    x_adv = images([0.9, 0.1, 0.6, -0.1, 1.05, -0.5, 1.5])
    expected = images([0.7, 0.3, 0.6, 0.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(equations.project(x_adv, x, 0.2), expected, atol=1e-7)


def test_momentum_start_follows_the_printed_equation_with_the_sign_applied_once():
    x = images([0.5, 0.5, 0.5, 0.5, 0.05, 0.95, 0.5])
    momentum = images([3.0, -0.2, 0.0, 0.0, -7.0, 7.0, -20.0])
    noise = images([1.0, 1.0, 1.5, -4.0, 0.0, -1.0, -0.5])
    # kappa = .4, -.2, .15, -.4, -.3, .2, -.35; clipped to the ball, added, clipped to [0, 1]
    expected = images([0.8, 0.3, 0.65, 0.2, 0.0, 1.0, 0.2])
    start = equations.momentum_start(x, momentum, noise, epsilon=0.3, sigma=0.1)
    np.testing.assert_allclose(start, expected, atol=1e-6)


def test_without_momentum_the_start_is_gaussian_around_the_image():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, 1, 200_000, 1)).astype("float32")
    x = np.full_like(noise, 0.5)
    shift = equations.momentum_start(x, np.zeros_like(x), noise, EPSILON, 0.05) - x
    assert abs(np.mean(shift)) < 1e-3
    assert np.std(shift) == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_start_is_gaussian_around_the_corner_of_the_momentum_and_clipped_to_the_ball(sign):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(1, 1, 200_000, 1)).astype("float32")
    x = np.full_like(noise, 0.5)
    momentum = sign * rng.uniform(0.001, 20.0, noise.shape).astype("float32")
    shift = sign * np.asarray(equations.momentum_start(x, momentum, noise, EPSILON, 0.05) - x)
    short = EPSILON - shift  # what is missing to the corner: a normal folded at zero
    assert short.min() >= -1e-6
    assert np.mean(short < 1e-6) == pytest.approx(0.5, abs=0.01)
    assert np.sqrt(2.0 * np.mean(short**2)) == pytest.approx(0.05, rel=0.02)
    assert 2.0 * np.mean(short) == pytest.approx(0.05 * math.sqrt(2.0 / math.pi), rel=0.02)


def test_nearest_rivals_are_the_largest_logits_besides_the_true_class():
    logits = np.array([[3.0, 9.0, 5.0, 4.0], [1.0, -2.0, -1.0, 0.0]], "float32")
    labels = np.array([1, 3], "int32")
    np.testing.assert_array_equal(
        equations.nearest_rivals(logits, labels, 3), [[2, 3, 0], [0, 2, 1]]
    )


def test_margins_are_differences_of_logits():
    logits = np.array([[3.0, 9.0, 5.0, 4.0], [1.0, -2.0, -1.0, 0.0]], "float32")
    labels = np.array([1, 3], "int32")
    rivals = np.array([[2, 3, 0], [0, 2, 1]], "int32")
    expected = [[4.0, 5.0, 6.0], [-1.0, 1.0, 2.0]]
    np.testing.assert_allclose(equations.margins(logits, labels, rivals), expected)
    np.testing.assert_allclose(equations.margin(logits, labels), [4.0, -1.0])


def test_the_margin_of_huge_or_hugely_spread_logits_is_exact():
    rows = [[1e7, 1e7 + 3, 1e7 - 5], [1e6, -1e6, 1e6 - 0.5], [0, 0, 0], [2.0**40, 0, -(2.0**40)]]
    margin = equations.margin(np.array(rows, "float32"), np.array([1, 0, 2, 0], "int32"))
    np.testing.assert_array_equal(margin, [3.0, 0.5, 0.0, 2.0**40])


def test_the_gradient_of_the_margin_agrees_with_finite_differences(gradients):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(6, 5))
    labels = rng.integers(5, size=6)

    def margin(z):
        others = np.where(np.arange(5) == labels[:, None], -np.inf, z)
        return z[np.arange(6), labels] - others.max(axis=1)

    difference = np.zeros((6, 5))
    for k in range(5):
        step = 1e-6 * np.eye(5)[k]
        difference[:, k] = (margin(logits + step) - margin(logits - step)) / 2e-6
    value = equations.margin(ops.convert_to_tensor(logits, "float32"), labels)
    np.testing.assert_allclose(value, margin(logits), rtol=1e-5)
    (gradient,) = gradients(lambda z: ops.sum(equations.margin(z, labels)), logits)
    np.testing.assert_allclose(gradient, difference, atol=1e-6)


def test_the_gradient_norm_is_the_sum_of_absolute_values_of_each_sample():
    gradient = np.array([[[[1.0, -2.0]], [[3.0, -4.0]]], [[[0.0, 0.5]], [[0.0, 0.0]]]], "float32")
    np.testing.assert_allclose(equations.gradient_norm(gradient), [10.0, 0.5])


def test_the_linearised_distance_is_the_margin_over_the_dual_norm_whatever_its_sign():
    gradient = images([1.0, -2.0, 1.0], [0.5, 0.0, 0.0])
    distance = equations.linearised_distance(np.array([2.0, -3.0], "float32"), gradient)
    np.testing.assert_allclose(distance, [0.5, 6.0])


def test_a_margin_without_gradient_has_a_huge_finite_distance():
    distance = equations.linearised_distance(np.array([1.0, 0.0], "float32"), images([0.0], [0.0]))
    assert distance[0] > 1e9
    assert distance[1] == 0.0
    assert np.isfinite(distance).all()


def test_the_nearest_boundary_is_chosen_for_each_sample():
    # Distances: rival 0: 4/2 = 2 and 1/1 = 1; rival 1: 5/5 = 1 and 2/1 = 2; rival 2: 3 and 0.5.
    margins = [np.array(m, "float32") for m in ([4.0, 1.0], [5.0, -2.0], [3.0, 1.0])]
    gradients = [
        images([1.0, -1.0], [0.0, 1.0]),
        images([2.0, 3.0], [-1.0, 0.0]),
        images([0.0, 1.0], [1.0, -1.0]),
    ]
    distance, margin, gradient = equations.linearised_margin(margins, gradients)
    np.testing.assert_allclose(distance, [1.0, 0.5])
    np.testing.assert_allclose(margin, [5.0, 1.0])
    np.testing.assert_allclose(gradient, images([2.0, 3.0], [1.0, -1.0]))


def test_as_many_gradients_as_margins_are_needed():
    with pytest.raises(ValueError):
        equations.linearised_margin([np.ones(1, "float32")] * 2, [images([1.0])] * 3)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_step_to_the_nearest_boundary_of_an_affine_classifier_ends_exactly_on_it(count):
    net = Affine()
    distance, margin, gradient, rivals = net.linearised_margin(count)
    x_adv = equations.boundary_step(
        net.x, net.x, gradient, distance, epsilon=1.0, use_projection=False
    )
    assert ops.min(x_adv) > 0.0 and ops.max(x_adv) < 1.0  # nothing was clipped
    # On the boundary with the rival it stepped to, and across none of the others it was given.
    after = np.stack([net.margin(x_adv, rivals[:, m]) for m in range(count)], axis=1)
    np.testing.assert_allclose(after.min(axis=1), 0.0, atol=2e-6)
    before = np.stack([net.margin(net.x, rivals[:, m]) for m in range(count)], axis=1)
    chosen = after.argmin(axis=1)
    np.testing.assert_allclose(margin, before[np.arange(len(chosen)), chosen], rtol=1e-5)
    np.testing.assert_allclose(
        np.abs(np.asarray(x_adv) - net.x).max(axis=(1, 2, 3)), distance, rtol=1e-4, atol=1e-7
    )


def test_the_distance_over_all_rivals_is_the_brute_force_minimum():
    net = Affine()
    distance, _, gradient, _ = net.linearised_margin(4)
    np.testing.assert_allclose(distance, net.distances().min(axis=1), rtol=1e-5)
    np.testing.assert_allclose(gradient, net.gradient(net.distances().argmin(axis=1)), rtol=1e-5)


def test_one_rival_is_the_runner_up_and_may_not_be_the_nearest_boundary():
    net = Affine()
    z = net.logits(net.x)
    runner_up = np.argsort(z, axis=1)[:, -2]  # labels are the network's own answers
    rows = np.arange(len(z))
    distance, margin, _, rivals = net.linearised_margin(1)
    np.testing.assert_array_equal(rivals[:, 0], runner_up)
    np.testing.assert_allclose(margin, net.margin(net.x, runner_up), rtol=1e-5)
    np.testing.assert_allclose(distance, net.distances()[rows, runner_up], rtol=1e-5)
    all_rivals = net.linearised_margin(4)[0]
    assert (distance >= all_rivals * (1 - 1e-6)).all()
    assert np.mean(distance > all_rivals * 1.01) > 0.05


def test_the_distance_over_m_rivals_is_the_minimum_over_the_m_largest_logits():
    net = Affine()
    order = np.argsort(-net.logits(net.x), axis=1)[:, 1:3]
    expected = np.take_along_axis(net.distances(), order, axis=1).min(axis=1)
    np.testing.assert_allclose(net.linearised_margin(2)[0], expected, rtol=1e-5)


def step_case():
    return {
        "x_start": images([0.8, 0.3, 0.5, 0.05], [0.6, 0.6, 0.6, 0.95]),
        "x": images([0.5, 0.5, 0.5, 0.1], [0.5, 0.5, 0.5, 0.9]),
        "gradient": images([1e-3, 5.0, 0.0, 2.0], [-1.0, 0.1, -9.0, -2.0]),
        "distance": np.array([0.2, 0.3], "float32"),
    }


def test_the_boundary_step_goes_against_the_gradient_and_back_to_the_ball():
    x_adv = equations.boundary_step(**step_case(), epsilon=0.3)
    expected = images([0.6, 0.2, 0.5, 0.0], [0.8, 0.3, 0.8, 1.0])
    np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_the_boundary_step_without_projection_keeps_to_the_pixel_range_alone():
    x_adv = equations.boundary_step(**step_case(), epsilon=0.3, use_projection=False)
    expected = images([0.6, 0.1, 0.5, 0.0], [0.9, 0.3, 0.9, 1.0])
    np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_overshoot_lengthens_the_boundary_step():
    x_adv = equations.boundary_step(**step_case(), epsilon=0.3, overshoot=1.5, use_projection=False)
    expected = images([0.5, 0.0, 0.5, 0.0], [1.0, 0.15, 1.0, 1.0])
    np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_momentum_decays_and_adds_the_sign_of_the_direction():
    momentum = images([2.0, -2.0, 0.0, 0.5, -20.0])
    direction = images([0.01, 7.0, -3.0, 0.0, -1e-6])
    expected = images([2.9, -0.9, -1.0, 0.475, -20.0])
    np.testing.assert_allclose(
        equations.update_momentum(momentum, direction, 0.95), expected, rtol=1e-6
    )


def test_a_short_step_back_from_the_corner_turns_the_momentum_of_the_gradient_only():
    x = images([0.5])
    momentum, gradient = images([4.0]), images([1.0])  # the margin now falls the other way
    start = equations.momentum_start(x, momentum, images([0.0]), EPSILON, 0.1)
    x_adv = equations.boundary_step(start, x, gradient, np.array([0.1], "float32"), EPSILON)
    np.testing.assert_allclose(x_adv, images([0.7]), atol=1e-6)
    by_gradient = equations.update_momentum(momentum, -gradient, 0.95)
    by_perturbation = equations.update_momentum(momentum, x_adv - x, 0.95)
    np.testing.assert_allclose(by_gradient, images([2.8]), rtol=1e-6)
    np.testing.assert_allclose(by_perturbation, images([4.8]), rtol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.95])
def test_momentum_is_bounded_by_the_geometric_series(decay):
    rng = np.random.default_rng(3)
    always, ever_changing = np.zeros(1, "float32"), np.zeros(50, "float32")
    for _ in range(600):
        always = np.asarray(equations.update_momentum(always, np.ones(1, "float32"), decay))
        direction = rng.normal(size=50).astype("float32")
        ever_changing = np.asarray(equations.update_momentum(ever_changing, direction, decay))
        assert np.abs(ever_changing).max() <= 1.0 / (1.0 - decay)
    np.testing.assert_allclose(always, 1.0 / (1.0 - decay), rtol=1e-5)


def affine_margin_case(num_samples=30, num_pixels=5):
    rng = np.random.default_rng(4)
    shape = (num_samples, 1, num_pixels, 1)
    # Some pixels near 0 and 1, where the box cuts the ball.
    x = rng.uniform(-0.2, 1.2, shape).clip(0, 1)
    start = (x + rng.uniform(-EPSILON, EPSILON, shape)).clip(0, 1)
    gradient = rng.normal(size=shape)
    gradient[:, :, 0] *= rng.integers(2, size=(num_samples, 1, 1))  # zero for some
    return x, start, gradient, rng.normal(size=num_samples)


def test_the_worst_linear_margin_is_the_minimum_over_all_corners_of_ball_and_box():
    x, start, gradient, margin = affine_margin_case()
    low, high = np.maximum(x - EPSILON, 0.0), np.minimum(x + EPSILON, 1.0)
    corners = []
    for choice in itertools.product([False, True], repeat=x.shape[2]):
        corner = np.where(np.array(choice)[None, None, :, None], high, low)
        corners.append(margin + (gradient * (corner - start)).sum(axis=(1, 2, 3)))
    worst = equations.worst_linear_margin(
        *(a.astype("float32") for a in (margin, gradient, start, x)), EPSILON
    )
    np.testing.assert_allclose(worst, np.min(corners, axis=0), atol=1e-5)


def test_the_worst_linear_margin_does_not_depend_on_where_in_the_ball_it_is_taken():
    x, start, gradient, margin = affine_margin_case()
    at_x = margin + (gradient * (x - start)).sum(axis=(1, 2, 3))
    from_start = equations.worst_linear_margin(
        *(a.astype("float32") for a in (margin, gradient, start, x)), EPSILON
    )
    from_x = equations.worst_linear_margin(
        *(a.astype("float32") for a in (at_x, gradient, x, x)), EPSILON
    )
    np.testing.assert_allclose(from_start, from_x, atol=1e-5)


def test_the_joint_loss_weighs_the_classification():
    assert float(equations.joint_loss(0.02, 1.5, 0.1)) == pytest.approx(0.17)


def test_per_sample_values_broadcast_over_the_pixels():
    values = equations.per_sample(np.array([1.0, 2.0], "float32"), np.zeros((2, 3, 4, 5)))
    assert values.shape == (2, 1, 1, 1)
    np.testing.assert_array_equal(np.ravel(values), [1.0, 2.0])


def test_clipping_to_the_bounds_of_the_ball_is_clipping_to_it_and_to_the_pixels_in_turn():
    rng = np.random.default_rng(3)
    x = np.clip(rng.uniform(-0.3, 1.3, (50, 6, 6, 1)), 0.0, 1.0).astype("float32")  # black, white
    momentum, noise = (rng.normal(0.0, 2.0, x.shape).astype("float32") for _ in range(2))
    kappa = np.clip(np.sign(momentum) * 0.3 + 0.1 * noise, -0.3, 0.3).astype("float32")
    start = equations.momentum_start(x, momentum, noise, 0.3, 0.1)
    np.testing.assert_allclose(start, np.clip(x + kappa, 0.0, 1.0), rtol=0.0, atol=1e-7)
    candidate = (x + noise).astype("float32")
    expected = np.clip(np.clip(candidate, x - 0.3, x + 0.3), 0.0, 1.0)
    found = equations.project(candidate, x, 0.3)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-7)
