"""Which images `num_images` takes."""

import dataclasses

import numpy as np
import pytest

from keras_efgsm.data import ImageData, load_digits
from keras_efgsm.data.choosing import choose_images, draw_by_class, is_sorted_by_class, missing_note
from keras_efgsm.recipes.building import hold_out_probe
from keras_efgsm.recipes.config import TrainingConfig

SORTED = np.repeat(np.arange(26), 20)


def test_of_a_sorted_set_every_class_is_drawn():
    chosen = choose_images(SORTED, 50, seed=3)
    assert chosen.selection == "by class, seed 3" and not chosen.missing
    assert len(set(chosen.indices)) == 50 and (np.diff(chosen.indices) > 0).all()
    counts = np.bincount(SORTED[chosen.indices])
    assert counts.min() == 1 and counts.max() == 2
    again, other = choose_images(SORTED, 50, seed=3), choose_images(SORTED, 50, seed=4)
    assert (again.indices == chosen.indices).all() and (other.indices != chosen.indices).any()


def test_of_a_shuffled_set_the_first_are_taken():
    labels = load_digits("test").labels
    for count in (1, 8, 200):
        chosen = choose_images(labels, count)
        assert chosen.selection == "first"
        np.testing.assert_array_equal(chosen.indices, np.arange(count))


@pytest.mark.parametrize("order", ["reversed classes", "blocks of two classes", "nearly sorted"])
def test_other_orders_that_miss_classes_are_seen(order):
    random = np.random.default_rng(0)
    labels = {
        "reversed classes": SORTED[::-1],
        "blocks of two classes": np.concatenate(
            [random.permutation(SORTED[i : i + 40]) for i in range(0, len(SORTED), 40)]
        ),
        "nearly sorted": SORTED.copy(),
    }[order]
    if order == "nearly sorted":
        labels[::10] = random.permutation(labels[::10])
    assert is_sorted_by_class(labels) or order == "blocks of two classes"
    if is_sorted_by_class(labels):
        assert not choose_images(labels, 26).missing


def test_a_draw_has_the_shares_of_the_classes_and_takes_in_a_smaller_one():
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    drawn = draw_by_class(labels, 200, 0)
    np.testing.assert_allclose(np.bincount(labels[drawn]), [140, 50, 10], atol=2)
    assert set(draw_by_class(labels, 20, 0)) < set(drawn)
    assert set(draw_by_class(labels, 2, 0)) < set(draw_by_class(labels, 3, 0))


def test_fewer_images_than_classes_are_said():
    chosen = choose_images(SORTED, 20)
    assert len(set(SORTED[chosen.indices])) == 20 and len(chosen.missing) == 6
    names = [f"letter {label}" for label in range(26)]
    note = missing_note(chosen.missing, names, 20, 26)
    assert note.startswith("6 of 26 classes have no image among the 20: 'letter ")
    assert "and 1 more" in note
    shuffled = np.random.default_rng(0).permutation(SORTED)
    assert choose_images(shuffled, 30).selection == "first" and choose_images(shuffled, 30).missing


def test_a_class_that_the_data_set_lacks_is_not_missing():
    labels = np.repeat([0, 2], 10)
    assert choose_images(labels, 4).missing == ()


@pytest.mark.parametrize("labels", [[0], [0, 0, 0, 0], [0, 1], [1, 0, 1, 0, 1, 0]])
def test_small_and_even_sets_have_their_first_images(labels):
    chosen = choose_images(np.array(labels), 1)
    assert chosen.selection == "first" or len(labels) == 2


def test_many_small_classes_give_a_probe_and_a_part_to_train_on():
    labels = np.repeat(np.arange(26), 4)
    data = ImageData(np.zeros((104, 4, 4, 1), "uint8"), labels, tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    config = TrainingConfig("mine", "digits", None, 0.1, method="efgsm", seed=3)
    rest, probe = hold_out_probe(config, data)
    assert (len(rest), len(set(probe[1])), len(probe[1])) == (94, 10, 10)
    few = hold_out_probe(dataclasses.replace(config, train_images=9, probe_images=0), data)[0]
    assert len(few) == len(set(few.labels)) == 9


def test_all_images_are_all_images():
    for count in (None, len(SORTED), len(SORTED) + 1):
        chosen = choose_images(SORTED, count)
        assert chosen.selection == "first" and len(chosen.indices) == len(SORTED)
