import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm import EFGSM, AdversarialTrainer, digits_classifier, equations
from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.noise import Noise
from keras_efgsm.sample_memory.augmentation import Augmentation, View


def window(image, rows, columns, flipped):
    """The crop as it is usually written: pad, cut out, mirror."""
    size, pad = image.shape[0], 8
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    cropped = padded[pad + rows : pad + rows + size, pad + columns : pad + columns + size]
    return cropped[:, ::-1] if flipped else cropped


def view_of(rows, columns, flipped, centre=None, cutout=0, size=(6, 6)):
    def batch(value, dtype="int32"):
        return ops.convert_to_tensor(np.array([value]), dtype=dtype)

    return View(
        batch(rows),
        batch(columns),
        batch(flipped, "bool"),
        None if centre is None else tuple(batch(place) for place in centre),
        cutout,
        size,
    )


CROPS = list(itertools.product(range(-4, 5), range(-4, 5), (False, True)))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(0.1, 1.0, (6, 6, 3)).astype("float32")


def test_a_view_is_what_padding_cropping_and_mirroring_give(image):
    for rows, columns, flipped in CROPS:
        seen = view_of(rows, columns, flipped).of_images(image[None])
        expected = window(image, rows, columns, flipped)
        np.testing.assert_array_equal(ops.convert_to_numpy(seen)[0], expected)


def test_the_inverse_is_exact_for_every_crop_and_flip(image):
    for rows, columns, flipped in CROPS:
        view = view_of(rows, columns, flipped)
        seen = view.of_momentum(image[None])
        # What the view shows comes back to where it was, the rest stays as it was.
        other = np.full_like(image, -7.0)
        back = ops.convert_to_numpy(view.put_back(other[None], seen))[0]
        row, column = np.mgrid[:6, :6]
        shown = (
            (row - rows >= 0) & (row - rows < 6) & (column - columns >= 0) & (column - columns < 6)
        )
        np.testing.assert_array_equal(back, np.where(shown[..., None], image, -7.0))
        # And the view of what was put back is the view that was.
        again = view.of_momentum(view.put_back(image[None], seen))
        np.testing.assert_array_equal(ops.convert_to_numpy(again), ops.convert_to_numpy(seen))


def test_a_cut_out_square_is_grey_has_no_momentum_and_changes_none(image):
    for rows, columns, flipped in CROPS[::7]:
        view = view_of(rows, columns, flipped, centre=(1, 4), cutout=3)
        plain = view_of(rows, columns, flipped)
        hidden = np.zeros((6, 6, 1), "bool")
        hidden[0:3, 3:6] = True
        seen = ops.convert_to_numpy(view.of_images(image[None]))[0]
        expected = window(image, rows, columns, flipped)
        np.testing.assert_array_equal(seen, np.where(hidden, np.float32(0.5), expected))
        momentum = ops.convert_to_numpy(view.of_momentum(image[None]))[0]
        np.testing.assert_array_equal(momentum, np.where(hidden, np.float32(0.0), expected))
        changed = np.full_like(image, 9.0)[None]
        back = ops.convert_to_numpy(view.put_back(image[None], changed))
        unhidden = np.where(hidden, 0.0, 9.0).astype("float32") * np.ones_like(image)
        through = ops.convert_to_numpy(plain.put_back(np.zeros_like(image)[None], unhidden[None]))
        np.testing.assert_array_equal(back, np.where(through == 9.0, 9.0, image[None]))


def test_each_sample_draws_its_own_view_again_in_any_batch_and_another_at_each_step():
    augmentation = Augmentation(padding=4, flip=True, cutout=2)
    images = np.random.default_rng(1).uniform(size=(64, 6, 6, 1)).astype("float32")

    def views(step, ids):
        view = augmentation.draw(Noise(3, step, np.asarray(ids, "int32")), (6, 6, 1))
        return ops.convert_to_numpy(view.of_images(images[np.asarray(ids)]))

    whole = views(5, np.arange(64))
    np.testing.assert_array_equal(views(5, np.arange(40, 50)), whole[40:50])
    assert np.mean(np.any(views(6, np.arange(64)) != whole, axis=(1, 2, 3))) > 0.9


def test_offsets_and_flips_are_drawn_evenly():
    count = 20_000
    ids = np.arange(count, dtype="int32")
    view = Augmentation(padding=2, flip=True).draw(Noise(0, 1, ids), (6, 6, 1))
    position = np.tile(np.arange(36, dtype="float32").reshape(1, 6, 6, 1) + 1, (count, 1, 1, 1))
    seen = ops.convert_to_numpy(view.of_images(position))[:, 2:4, 2:4, 0]
    # The four pixels in the middle are always inside and tell offset and flip.
    _, counts = np.unique(seen.reshape(count, -1), axis=0, return_counts=True)
    assert len(counts) == 5 * 5 * 2
    assert counts.min() > 0.75 * count / 50
    assert counts.max() < 1.25 * count / 50


class KnownDirection(Attack):
    """Pushes each pixel the way its own grey level says, as a stand-in for a steady gradient."""

    uses_momentum = True
    momentum_limit = 20.0

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        # Padding is black; a pixel of the image is 0.25 or 0.75.
        direction = ops.where(x > 0.5, 1.0, ops.where(x > 0.1, -1.0, 0.0))
        return Perturbed(images=x, momentum=equations.update_momentum(momentum, direction, 0.95))


def wrong_signs(augmentation, epochs=6):
    """Share of the momentum whose sign is not that of its own pixel, after some epochs."""
    pattern = np.where(np.random.default_rng(2).uniform(size=(48, 8, 8, 1)) > 0.5, 0.75, 0.25)
    images, labels = pattern.astype("float32"), np.arange(48) % 10
    trainer = AdversarialTrainer(
        digits_classifier(), KnownDirection(epsilon=0.1), augmentation=augmentation
    )
    trainer.compile(optimizer=keras.optimizers.SGD(0.0))
    trainer.fit(images, labels, batch_size=16, epochs=epochs, verbose=0)
    signs = np.sign(trainer.momentum.numpy())
    assert np.mean(signs != 0) > 0.9
    return np.mean(signs != np.sign(images - 0.5))


def test_momentum_follows_its_pixels_through_epochs_of_crops_and_flips():
    aligned = wrong_signs(Augmentation(padding=2, flip=True))
    # A corner may not have been shown yet.
    assert aligned < 0.02
    # The same pattern under momentum that stays where it is in the view: nearly chance.
    unaligned = wrong_signs(Augmentation(padding=2, flip=True, aligned=False))
    assert unaligned > 0.3
    print(f"\nwrong signs: aligned {aligned:.1%}, unaligned {unaligned:.1%}")


def test_without_padding_and_flip_nothing_changes():
    def weights(augmentation):
        keras.utils.set_random_seed(0)
        images = np.random.default_rng(3).uniform(size=(32, 8, 8, 1)).astype("float32")
        trainer = AdversarialTrainer(
            digits_classifier(), EFGSM(epsilon=0.1), augmentation=augmentation
        )
        trainer.compile(optimizer="adam")
        trainer.fit(images, np.arange(32) % 10, batch_size=16, epochs=2, verbose=0)
        return trainer.classifier.get_weights()

    for plain, viewed in zip(weights(None), weights(Augmentation()), strict=True):
        np.testing.assert_array_equal(plain, viewed)


def test_a_trainer_keeps_its_augmentation_over_a_round_trip():
    trainer = AdversarialTrainer(
        digits_classifier(),
        EFGSM(epsilon=0.1),
        augmentation=Augmentation(padding=2, flip=True, cutout=3, aligned=False),
        attack_in_training_mode=True,
    )
    again = AdversarialTrainer.from_config(trainer.get_config())
    assert again.augmentation.get_config() == trainer.augmentation.get_config()
    assert again.attack_in_training_mode


@pytest.mark.parametrize("option", ["padding", "cutout"])
def test_a_size_that_is_no_whole_number_is_refused(option):
    with pytest.raises(ValueError, match=f"{option}.*Received"):
        Augmentation(**{option: -1})


def test_an_augmentation_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="augmentation=.flip."):
        AdversarialTrainer(digits_classifier(), EFGSM(epsilon=0.1), augmentation="flip")
