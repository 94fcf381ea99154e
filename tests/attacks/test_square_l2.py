"""The search of the Square attack in an L2 ball."""

import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_tensor as tensor

from keras_efgsm.attacks.square import Square
from keras_efgsm.attacks.square_l2 import (
    bump,
    l2_window_sides,
    move_windows,
    start_bumps,
)
from keras_efgsm.equations import margin
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.noise import Noise

SHAPE = (9, 11, 2)
COUNT = 60
IDS = np.arange(50, 50 + COUNT, dtype="int32")


def hill(height, width):
    """One half of a window by the sum over nested rectangles that equation 2 of the paper is."""
    values = np.zeros((height, width))
    for k in range(max(height // 2, width // 2) + 1):
        for i in range(height):
            for j in range(width):
                if max(abs(i - height // 2), abs(j - width // 2)) <= k:
                    values[i, j] += 1.0 / (k + 1) ** 2
    return values / np.linalg.norm(values)


@pytest.mark.parametrize("side", [2, 3, 5, 6, 9])
def test_a_bump_is_a_hill_above_a_hollow_of_length_one(side):
    expected = np.concatenate([hill(side // 2, side), -hill(side - side // 2, side)])
    np.testing.assert_allclose(bump(side), expected / np.sqrt(2), atol=1e-12)


def test_the_windows_are_odd_and_three_pixels_at_least_and_no_larger_than_the_image():
    # round(sqrt(0.8 / 2^n * 784)) = 25, 18, 13, 9, 6, 4, 3, 2, 2, 1, made odd and at least 3.
    assert l2_window_sides(0.8, 28, 28).tolist() == [25, 19, 13, 9, 7, 5, 3, 3, 3, 3]
    assert set(l2_window_sides(1.0, 2, 9)) == {2}
    assert l2_window_sides(1.0, 8, 8)[0] == 8


def test_the_start_is_a_grid_of_bumps_each_upright_or_lying_with_a_sign_for_each_channel():
    shape = (15, 22, 2)
    shift = np.asarray(start_bumps(Noise(0, 0, IDS), shape))
    seen = set()
    for b in range(COUNT):
        for row in range(0, 15, 3):
            for column in range(0, 21, 3):  # seven bumps of 22 pixels, the last of which is free
                tile = shift[b, row : row + 3, column : column + 3]
                lies = not np.allclose(np.abs(tile[..., 0]), np.abs(bump(3)))
                pattern = bump(3).T if lies else bump(3)
                signs = np.sign((tile * pattern[..., None]).sum(axis=(0, 1)))
                np.testing.assert_allclose(tile, pattern[..., None] * signs, atol=1e-6)
                seen.add((lies, *signs))
    assert len(seen) == 8
    assert not shift[:, :, 21].any()


@pytest.mark.parametrize("side", [3, 5, 9])
def test_a_query_moves_the_budget_of_one_window_into_another(side):
    rng = np.random.default_rng(0)
    # As an image that [0, 1] has cut: each shorter than epsilon.
    shift = 0.05 * rng.normal(size=(COUNT, *SHAPE)).astype("float32")
    epsilon = 1.3 * np.linalg.norm(shift.reshape(COUNT, -1), axis=1).max()
    table = np.zeros((9, 9), "float32")
    table[:side, :side] = bump(side)
    after = np.asarray(
        move_windows(
            tensor(shift), epsilon, Noise(0, 0, IDS), tensor(4), tensor(side), tensor(table)
        )
    )
    zeroed, overlapping, places = 0, 0, set()
    for b in range(COUNT):
        changed = (after[b] != shift[b]).any(axis=2)
        gone = changed & ~after[b].any(axis=2)
        first = changed & ~gone
        # What the first window holds: side x side of it, each channel towards a bump.
        rows, columns = np.flatnonzero(first.any(axis=1)), np.flatnonzero(first.any(axis=0))
        assert len(rows) == len(columns) == side
        places |= {("row", rows[0]), ("column", columns[0])}
        inside = np.s_[rows[0] : rows[0] + side, columns[0] : columns[0] + side]
        assert first[inside].all() and first.sum() == side**2
        zeroed += gone.sum()
        overlapping += gone.sum() < side**2
        before, now = shift[b].astype("float64"), after[b].astype("float64")
        left = (epsilon**2 - (before**2).sum()) / 2
        for c in range(2):
            old = before[inside][..., c]
            budget = (before[..., c][changed] ** 2).sum() + left
            assert (now[inside][..., c] ** 2).sum() == pytest.approx(budget, rel=1e-4)
            candidates = [
                sign * which + old / np.linalg.norm(old)
                for sign in (1, -1)
                for which in (bump(side), bump(side).T)
            ]
            unit = now[inside][..., c] / np.sqrt(budget)
            misses = [np.abs(unit - d / np.linalg.norm(d)).max() for d in candidates]
            assert min(misses) < 1e-4
    assert zeroed > 0 and overlapping > 0
    # Windows touch the first and the last rows and columns.
    if side > 3:
        assert {("row", 0), ("row", 9 - side), ("column", 0), ("column", 11 - side)} <= places


class Linear:
    """A linear classifier of two classes whose images lie away from 0 and 1."""

    def __init__(self):
        rng = np.random.default_rng(1)
        # Smooth, as what bumps are made to follow.
        wave = np.sin(np.arange(9)[:, None, None] / 3.0 + np.arange(11)[None, :, None] / 4.0)
        self.weights = (wave + 0.2 * rng.normal(size=SHAPE)).reshape(-1)
        self.x = rng.uniform(0.4, 0.6, (COUNT, *SHAPE)).astype("float32")
        self.labels = np.zeros(COUNT, "int32")

    def logits_fn(self, x):
        margin = 4.0 + ops.reshape(x - 0.5, (-1, self.weights.size)) @ tensor(
            self.weights[:, None], "float32"
        )
        return ops.concatenate([margin, ops.zeros_like(margin)], axis=1)

    def margins(self, x):
        return np.asarray(margin(self.logits_fn(tensor(x)), tensor(self.labels)))

    def perturb(self, attack, chosen=slice(None)):
        run = compile_native(attack, self.logits_fn, seed=7)
        batch = (self.x[chosen], self.labels[chosen], IDS[chosen], np.int32(2))
        return np.asarray(run(*map(tensor, batch)))


@pytest.fixture(scope="module")
def linear():
    return Linear()


def test_the_margin_falls_with_every_query_kept_and_stays_above_that_of_the_closed_form(linear):
    epsilon = 0.2
    worst = linear.margins(linear.x) - epsilon * np.linalg.norm(linear.weights)
    assert worst.min() > 0.0  # so that none is turned and every query is asked
    margins = [
        linear.margins(linear.perturb(Square(epsilon=epsilon, queries=queries, norm="l2")))
        for queries in (1, 300)
    ]
    assert all((found >= worst).all() for found in margins)
    assert (margins[1] < margins[0]).all()
    gained = (linear.margins(linear.x) - margins[1]).mean()
    assert gained > 0.4 * epsilon * np.linalg.norm(linear.weights)


def test_each_image_has_windows_of_its_own_whatever_the_batch(linear):
    attack = Square(epsilon=0.3, queries=20, norm="l2")
    together = linear.perturb(attack)
    np.testing.assert_allclose(linear.perturb(attack, slice(7, 9)), together[7:9], atol=1e-6)
    changes = (together - linear.x).reshape(COUNT, -1)
    np.testing.assert_allclose(np.linalg.norm(changes, axis=1), 0.3, rtol=1e-4)
    assert np.abs(np.corrcoef(changes) - np.eye(COUNT)).max() < 0.98


def test_an_image_that_is_turned_is_left_alone(linear):
    images = linear.perturb(Square(epsilon=4.0, queries=50, norm="l2"))
    assert (linear.margins(images) < 0.0).mean() > 0.9
    first = linear.perturb(Square(epsilon=4.0, queries=1, norm="l2"))
    turned = linear.margins(first) < 0.0
    assert 0 < turned.sum() < COUNT
    np.testing.assert_allclose(images[turned], first[turned], atol=1e-6)


def test_a_query_that_gathers_gives_a_window_any_share_of_the_whole_change():
    rng = np.random.default_rng(0)
    shift = 0.05 * rng.normal(size=(COUNT, *SHAPE)).astype("float32")
    epsilon = 1.3 * np.linalg.norm(shift.reshape(COUNT, -1), axis=1).max()
    given = (tensor(shift), epsilon, Noise(0, 0, IDS), tensor(4), tensor(3))
    gathered, published = (
        np.asarray(move_windows(*given, tensor(bump(3), "float32"), gathering))
        for gathering in (1.0, 0.0)
    )
    shares = []
    for b in range(COUNT):
        changed = (published[b] != shift[b]).any(axis=2)
        window = changed & published[b].any(axis=2)
        outside = ~changed
        inside, rest = gathered[b][window], gathered[b][outside]
        assert not gathered[b][changed & ~window].any()
        length = np.linalg.norm(inside) / epsilon
        # Each channel has as much of it as another, in the pattern of the published search.
        lengths = np.linalg.norm(inside, axis=0)
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-4)
        unit = inside / lengths
        expected = published[b][window] / np.linalg.norm(published[b][window], axis=0)
        np.testing.assert_allclose(unit, expected, atol=1e-4)
        # What is outside keeps its direction and has what is left.
        assert np.linalg.norm(rest) / epsilon == pytest.approx(np.sqrt(1 - length**2), abs=1e-3)
        before = shift[b][outside]
        cosine = (rest * before).sum() / np.linalg.norm(rest) / np.linalg.norm(before)
        assert cosine == pytest.approx(1.0, abs=1e-4)
        shares.append(length)
    assert min(shares) < 0.1 and max(shares) > 0.9
    assert np.mean(shares) == pytest.approx(0.5, abs=0.1)


def test_a_part_of_the_queries_gathers_and_the_rest_is_the_published_search():
    shift = 0.05 * np.random.default_rng(0).normal(size=(COUNT, *SHAPE)).astype("float32")
    table = tensor(bump(3), "float32")
    given = (tensor(shift), 1.5, Noise(0, 0, IDS), tensor(4), tensor(3), table)
    all_, some, none = (np.asarray(move_windows(*given, g)) for g in (1.0, 0.4, 0.0))
    is_gathered = (some == all_).all(axis=(1, 2, 3))
    is_published = (some == none).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(is_gathered, ~is_published)
    assert 0.2 * COUNT < is_gathered.sum() < 0.6 * COUNT


class Stubborn(Linear):
    """Sees no change of a pixel below 0.3: only what is gathered in few pixels turns it."""

    def logits_fn(self, x):
        change = ops.relu(ops.abs(x - tensor(self.x)) - 0.3)
        margin = 0.3 - ops.sum(change, axis=(1, 2, 3))[:, None]
        return ops.concatenate([margin, ops.zeros_like(margin)], axis=1)


def test_gathering_turns_a_network_that_sees_large_changes_alone():
    stubborn = Stubborn()
    robust = [
        (stubborn.margins(stubborn.perturb(attack)) >= 0.0).mean()
        for attack in (
            Square(epsilon=1.0, queries=60, norm="l2", gathering=gathering)
            for gathering in (0.0, 0.5)
        )
    ]
    assert robust[1] < robust[0] - 0.3


@pytest.mark.parametrize("gathering", [-0.1, 1.1, "half"])
def test_a_share_of_queries_is_a_share(gathering):
    with pytest.raises((TypeError, ValueError), match="gathering.*Received: gathering="):
        Square(epsilon=1.0, norm="l2", gathering=gathering)
