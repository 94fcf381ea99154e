"""Where the gradient of a window points the wrong way."""

import argparse

import keras
import numpy as np
import pytest
from keras import ops

from experiments.misleading_windows import look, moved_windows

OPTIONS = argparse.Namespace(epsilon=0.3, sides=[1, 2], least=0.02, rounds=20)
CLEAN = np.zeros((4, 4, 1), "float32")


def classifier(curve):
    """Two classes whose margin is the sum of a curve over the pixels, less one."""
    images = keras.Input((4, 4, 1))
    margin = keras.layers.Lambda(lambda x: ops.sum(curve(x), axis=(1, 2, 3)))(images)
    logits = keras.layers.Lambda(lambda m: ops.stack([m, ops.zeros_like(m)], axis=-1))(margin)
    return keras.Model(images, logits)


def test_each_window_is_taken_to_each_end():
    moved = moved_windows(CLEAN, (CLEAN - 1.0, CLEAN + 2.0), 2)
    assert moved.shape == (2 * 3 * 3, 4, 4, 1)
    assert {float(image.sum()) for image in moved} == {-4.0, 8.0}
    np.testing.assert_array_equal(moved[-1, 2:, 2:], 2.0)


def test_of_a_curve_that_only_falls_no_window_misleads():
    # The worst corner: the gradient says so, and it is right.
    found = CLEAN + np.float32(0.3)
    assert look(classifier(lambda x: 0.5 - x), CLEAN, found, 0, OPTIONS).misleading == 0


@pytest.mark.parametrize(("deep", "turned"), [(3.0, True), (0.2, False)])
def test_a_bump_between_two_valleys_misleads_at_the_shallow_one(deep, turned):
    # Down to both ends of the ball from a bump at 0.15; the far end is the deeper one.
    model = classifier(lambda x: 0.5 - deep * ops.abs(x - 0.15) - deep * 0.5 * x)
    looked = look(model, CLEAN, CLEAN, 0, OPTIONS)
    assert looked.misleading == 4 * 4 + 3 * 3
    assert looked.turned is turned
