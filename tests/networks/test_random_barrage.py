"""BaRT: each transform, the layer that draws among them, and how it is trained."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.attacks import EFGSM
from keras_efgsm.networks import RandomBarrage
from keras_efgsm.networks.image_transforms import NUMBERS, TRANSFORMS, Draw
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.networks.requirements import read_contract
from keras_efgsm.objectives import Trades
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from keras_efgsm.trainer.trained_classifier import check_trained

SHAPE = (10, 9, 3)
RANDOM = np.random.default_rng(0)
# Away from black and white, so that nothing is clipped.
IMAGES = (0.3 + 0.4 * RANDOM.random((4, *SHAPE))).astype("float32")
each = pytest.mark.parametrize("name", TRANSFORMS)


def draw(seed):
    random, count = np.random.default_rng(seed), len(IMAGES)
    fields = random.normal(size=(count, *SHAPE)), random.random((count, *SHAPE))
    numbers = random.random((count, NUMBERS))
    return Draw(*(keras.ops.convert_to_tensor(v.astype("float32")) for v in (numbers, *fields)))


def changed(name, x, numbers):
    return keras.ops.convert_to_numpy(TRANSFORMS[name](keras.ops.convert_to_tensor(x), numbers))


@each
def test_a_transform_changes_each_image_by_its_own_numbers_and_a_little(name):
    one, other = changed(name, IMAGES, draw(0)), changed(name, IMAGES, draw(1))
    assert one.shape == IMAGES.shape and np.isfinite(one).all()
    for images in (one, other):
        # Every image, and not so much that another class would be seen.
        assert (np.abs(images - IMAGES).max(axis=(1, 2, 3)) > 1e-4).all()
        assert np.abs(images - IMAGES).mean() < 0.15
    assert (np.abs(one - other).max(axis=(1, 2, 3)) > 1e-4).all()
    # The same image under the numbers of its neighbour is another one.
    same = changed(name, np.repeat(IMAGES[:1], len(IMAGES), axis=0), draw(0))
    assert (np.abs(same[1:] - same[0]).max(axis=(1, 2, 3)) > 1e-4).all()


@each
def test_the_gradient_of_a_transform_is_that_of_differences(name, gradients):
    weights = np.random.default_rng(2).normal(size=IMAGES.shape)
    numbers = draw(0)

    def total(images):
        return keras.ops.sum(TRANSFORMS[name](images, numbers) * weights.astype("float32"))

    (found,) = gradients(total, IMAGES)
    direction = np.sign(found)
    if name in ("colour-precision", "jpeg"):
        # Straight through: the gradient of leaving the values as they are.
        np.testing.assert_allclose(found, weights, atol=0.05 if name == "jpeg" else 1e-4)
        return
    step = 0.02
    ends = [
        float((changed(name, IMAGES + side * step * direction, numbers) * weights).sum())
        for side in (1.0, -1.0)
    ]
    # All but the rounding ones are linear in the pixels.
    assert (found * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=2e-3)


def test_transforms_are_those_of_a_computation_by_hand():
    numbers = draw(0)
    u, normal = (np.asarray(part, "float64") for part in numbers[:2])
    x = IMAGES.astype("float64")

    def between(low, high, index=0):
        return (low + (high - low) * u[:, index]).reshape(-1, 1, 1, 1)

    mean = x.mean(axis=(1, 2, 3), keepdims=True)
    steps = between(8, 200).round()
    shifts = np.concatenate([between(-0.1, 0.1, i) for i in range(3)], axis=3)
    to_yuv = np.array(
        [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]]
    )
    expected = {
        "noise": x + between(0.02, 0.1) * normal,
        "contrast": mean + between(0.6, 1.4) * (x - mean),
        "colour-precision": np.round(x * steps) / steps,
        "colour-space": x + shifts @ np.linalg.inv(to_yuv).T,
    }
    weights = 0.1 + u[:, 1:]
    weights /= weights.sum(axis=1, keepdims=True)
    mixed = (x * weights[:, None, None]).sum(axis=3, keepdims=True)
    expected["grey"] = x + between(0, 1) * (mixed - x)
    for name, images in expected.items():
        np.testing.assert_allclose(changed(name, IMAGES, numbers), images, atol=2e-4)
    # With all frequencies kept and unchanged the cosine transform and its inverse are nothing.
    still = Draw(numbers.numbers, 0.0 * numbers.normal, numbers.uniform * 0.0 + 1.0)
    np.testing.assert_allclose(changed("frequency", IMAGES, still), IMAGES, atol=1e-5)
    lost = changed("frequency", IMAGES, numbers)
    np.testing.assert_allclose(lost.mean(axis=(1, 2)), IMAGES.mean(axis=(1, 2)), atol=1e-5)


def test_zoom_and_blur_are_those_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    numbers = draw(4)
    u = np.asarray(numbers.numbers)
    zoomed, blurred = changed("zoom", IMAGES, numbers), changed("blur", IMAGES, numbers)
    for index, image in enumerate(IMAGES):
        part = 0.7 + 0.3 * u[index, 0]
        at = [
            u[index, axis + 1] * (1 - part) * size + (np.arange(size) + 0.5) * part - 0.5
            for axis, size in enumerate(SHAPE[:2])
        ]
        grid = np.meshgrid(*at, indexing="ij")
        for channel in range(3):
            expected = ndimage.map_coordinates(image[..., channel], grid, order=1, mode="nearest")
            np.testing.assert_allclose(zoomed[index, ..., channel], expected, atol=1e-5)
        deviation = 0.3 + 0.7 * u[index, 0]
        expected = ndimage.gaussian_filter(image, (deviation, deviation, 0), truncate=9)
        # Away from the edges, beyond which nothing is seen here.
        np.testing.assert_allclose(blurred[index, 4:-4, 4:-4], expected[4:-4, 4:-4], atol=1e-3)


def test_swirl_turns_the_pixels_about_its_centre():
    ndimage = pytest.importorskip("scipy.ndimage")
    numbers = draw(5)
    swirled = changed("swirl", IMAGES, numbers)
    for image, found, u in zip(IMAGES, swirled, np.asarray(numbers.numbers), strict=True):
        row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
        down, across = row - u[0] * (SHAPE[0] - 1), column - u[1] * (SHAPE[1] - 1)
        # As `skimage.transform.swirl`: polar coordinates, the angle falling off with distance.
        distance, theta = np.hypot(down, across), np.arctan2(down, across)
        radius = (0.1 + 0.7 * u[2]) * max(SHAPE[:2]) / 5 * np.log(2)
        theta = theta + (0.01 + 1.99 * u[3]) * np.exp(-distance / radius)
        at = np.stack(
            [row - down + distance * np.sin(theta), column - across + distance * np.cos(theta)]
        )
        for channel in range(3):
            expected = ndimage.map_coordinates(image[..., channel], at, order=1, mode="nearest")
            np.testing.assert_allclose(found[..., channel], expected, atol=1e-4)


@pytest.fixture(scope="module")
def barrage():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, RandomBarrage(count=3, seed=1)(inputs))


def test_each_call_and_each_image_is_drawn_for_and_stays_an_image(barrage):
    extreme = np.repeat(np.round(RANDOM.random((1, *SHAPE))).astype("float32"), 6, axis=0)
    first, again = (np.asarray(barrage(extreme, training=False)) for _ in range(2))
    for images in (first, again):
        assert images.min() >= 0.0 and images.max() <= 1.0
        assert np.abs(images - extreme).max(axis=(1, 2, 3)).min() > 1e-3
        # The same image six times: no two are changed alike.
        assert len({image.tobytes() for image in images}) == 6
    assert (np.abs(first - again).max(axis=(1, 2, 3)) > 1e-3).all()


def test_an_image_goes_through_k_of_the_transforms_in_any_order(monkeypatch):
    digits = {name: 10.0**place for place, name in enumerate(("noise", "blur", "zoom"))}
    for name, digit in digits.items():
        # Each adds its digit, and the sum of the digits so far to tell the order.
        monkeypatch.setitem(TRANSFORMS, name, lambda x, _, d=digit: 0.25 * x + d * 1e-3)
    layer = RandomBarrage(count=2, transforms=tuple(digits), seed=0)
    ends = np.concatenate([np.asarray(layer(np.zeros((16, 4, 4, 1), "float32"))) for _ in range(8)])
    pairs = [(a, b) for a in digits.values() for b in digits.values() if a != b]
    expected = np.array([(0.25 * a + b) * 1e-3 for a, b in pairs])
    nearest = np.abs(ends[:, :1, 0, 0] - expected).argmin(axis=1)
    np.testing.assert_allclose(ends[:, 0, 0, 0], expected[nearest], rtol=1e-5)
    assert set(nearest) == set(range(6))


def test_grey_images_are_not_greyed_and_bad_arguments_are_refused():
    assert "grey" not in RandomBarrage().names_for(1) and "grey" in RandomBarrage().names_for(3)
    for options, message in (
        ({"count": 0}, "`count` must be a whole number >= 1.*Received: count=0"),
        ({"count": 11}, "at most the number of transforms, 10. Received: count=11"),
        ({"count": 1, "transforms": ["sharpen"]}, "`transforms` must be.*'sharpen'"),
        ({"count": 2, "transforms": ["blur"]}, "at most.*1. Received: count=2"),
        ({"seed": -1}, "`seed` must be.*Received: seed=-1"),
    ):
        with pytest.raises(ValueError, match=message):
            RandomBarrage(**options)
    with pytest.raises(ValueError, match="at most.*9. Received: count=10"):
        RandomBarrage(count=10)(np.zeros((1, 4, 4, 1), "float32"))
    with pytest.raises(ValueError, match="of one size. Received: input_shape="):
        RandomBarrage()(keras.Input((None, None, 3)))


def defended():
    ends = [layers.Flatten(), layers.Dense(3)]
    first = RandomBarrage(count=2, transforms=("noise", "contrast", "blur"), seed=0)
    return keras.Sequential([keras.Input((6, 6, 1)), first, *ends], name="defended")


def test_a_file_holds_the_layer_and_it_draws_on(tmp_path):
    model = defended()
    model.save(tmp_path / "defended.keras")
    again = read_keras_file(tmp_path / "defended.keras")
    assert again.layers[0].get_config() == model.layers[0].get_config()
    assert again.layers[0].transforms == ("noise", "contrast", "blur")
    x = np.full((2, 6, 6, 1), 0.5, "float32")
    # The state of its generator is saved as well: both draw alike from here, and anew each time.
    outputs = [[np.asarray(m(x)) for _ in range(2)] for m in (model, again)]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
    assert np.abs(outputs[0][0] - outputs[0][1]).max() > 1e-4
    assert read_contract(again).is_random


def test_a_trainer_takes_it_where_the_attack_sees_its_draw():
    told = "differently in evaluation mode; evaluate it with `--eot"
    with pytest.warns(UserWarning, match=told):
        check_trained(AdversarialTrainer(defended(), EFGSM(epsilon=0.1)))
    with (
        pytest.warns(UserWarning, match=told),
        pytest.raises(ValueError, match="under another draw than the attack.*RandomBarrage"),
    ):
        check_trained(AdversarialTrainer(defended(), EFGSM(epsilon=0.1), objective=Trades()))
