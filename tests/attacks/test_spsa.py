import sys

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks.spsa import SPSA
from keras_efgsm.backend import call_on_host
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.noise import Noise

SHAPE = (2, 3, 1)
NUM_IMAGES, NUM_CLASSES = 12, 3
IDS = np.arange(20, 20 + NUM_IMAGES, dtype="int32")
EPSILON = 0.12


class Net:
    """A network that rounds its input, so that its gradient is zero, in numpy and TensorFlow."""

    def __init__(self, levels=50.0):
        rng = np.random.default_rng(1)
        self.levels = levels
        self.weights = rng.normal(size=(6, NUM_CLASSES)).astype("float32")
        self.x = rng.uniform(-0.2, 1.2, (NUM_IMAGES, *SHAPE)).clip(0, 1).astype("float32")
        self.labels = self.logits(self.x).argmax(axis=1).astype("int32")

    def logits(self, x):
        x = np.round(np.asarray(x) * self.levels) / self.levels - 0.5
        return x.reshape(len(x), -1) @ self.weights

    def logits_fn(self, x):
        x = ops.round(x * self.levels) / self.levels - 0.5
        return ops.reshape(x, (-1, 6)) @ ops.convert_to_tensor(self.weights)

    def black_box(self, x):
        return call_on_host(self.logits, x, NUM_CLASSES)

    def turned(self, images):
        return self.logits(images).argmax(axis=1) != self.labels

    def attack(self, attack, chosen=slice(None), step=2, seed=7, logits_fn=None):
        run = compile_native(attack, logits_fn or self.logits_fn, seed)
        batch = (self.x[chosen], self.labels[chosen], IDS[chosen])
        return np.asarray(run(*map(ops.convert_to_tensor, batch), ops.convert_to_tensor(step)))


@pytest.fixture(scope="module")
def net():
    return Net()


@pytest.fixture(scope="module")
def attack():
    return SPSA(epsilon=EPSILON, steps=15, samples=32, learning_rate=0.02)


@pytest.fixture(scope="module")
def images(net, attack):
    return net.attack(attack)


def numpy_spsa(net, attack, b):
    """The attack on one image in float64: Adam on finite differences along random signs."""
    x, label = net.x[b].astype("float64"), net.labels[b]

    def margin(images):
        logits = net.logits(np.clip(images, 0.0, 1.0))
        return logits[:, label] - np.delete(logits, label, axis=1).max(axis=1)

    def project(shift):
        return np.clip(x + np.clip(shift, -attack.epsilon, attack.epsilon), 0, 1) - x

    noise = Noise(7, 2, IDS[b : b + 1])
    shift = project(np.asarray(noise.uniform(SHAPE, -attack.epsilon, attack.epsilon))[0])
    first = second = 0.0
    for step in range(1, attack.steps + 1):
        draws = noise.uniform((attack.samples // 2, *SHAPE), -1.0, 1.0, stream=step)
        signs = np.where(np.asarray(draws)[0] < 0, -1.0, 1.0)
        rise = [margin(x + shift + d * attack.delta * signs) for d in (1, -1)]
        gradient = ((rise[0] - rise[1])[:, None, None, None] / 2 * signs).mean(axis=0)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        unbiased = first / (1 - 0.9**step), second / (1 - 0.999**step)
        shift = project(shift - attack.learning_rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-7))
        if margin((x + shift)[None])[0] < 0:
            break
    return x + shift


def test_spsa_makes_the_images_of_its_formulas():
    net = Net(levels=1e5)  # so fine that rounding to float32 cannot tip a level
    attack = SPSA(epsilon=EPSILON, steps=4, samples=8, learning_rate=0.03, delta=0.02)
    images = net.attack(attack)
    for b in range(NUM_IMAGES):
        np.testing.assert_allclose(images[b], numpy_spsa(net, attack, b), atol=2e-3)
    assert 0 < net.turned(images).sum() < NUM_IMAGES


def test_spsa_turns_images_although_the_gradient_is_zero(net, images, gradients):
    (gradient,) = gradients(lambda x: ops.sum(net.logits_fn(x)), net.x)
    assert np.all(gradient == 0.0)
    assert not net.turned(net.x).any()
    assert 3 <= net.turned(images).sum() < NUM_IMAGES


def test_spsa_stays_in_the_ball_and_in_the_pixel_range(net, images):
    assert images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 1
    assert 0.05 < np.abs(images - net.x).max() <= EPSILON + 1e-6


def test_spsa_makes_the_same_images_whatever_the_batch_and_whenever_it_is_run(net, attack, images):
    for chosen in ([3], [8, 0, 3]):
        np.testing.assert_allclose(net.attack(attack, chosen), images[chosen], atol=1e-5)
    keras.random.uniform((3,))
    np.testing.assert_array_equal(net.attack(attack), images)


def test_another_seed_or_restart_of_spsa_makes_other_images(net, attack, images):
    assert np.any(net.attack(attack, step=3) != images)
    assert np.any(net.attack(attack, seed=8) != images)


def test_spsa_attacks_a_black_box_that_the_framework_cannot_see_into(net, attack, images):
    np.testing.assert_allclose(net.attack(attack, logits_fn=net.black_box), images, atol=1e-5)


@pytest.mark.tensorflow("cleverhans")
def test_spsa_is_as_strong_as_with_the_random_numbers_of_cleverhans(net, attack, images):
    """Its own optimiser with the constructor mended and nothing else changed."""
    import tensorflow as tf

    cleverhans_spsa = pytest.importorskip("cleverhans.tf2.attacks.spsa")

    class Mended(cleverhans_spsa.SPSAAdam):
        def __init__(self):
            keras.optimizers.Adam.__init__(self)
            self.lr, self._delta, self._num_samples, self._num_iters = 0.02, 0.01, 16, 1

    optimiser = Mended()

    @tf.function(autograph=False)
    def theirs(image, label):
        return cleverhans_spsa.projected_optimization(
            lambda x, y: -cleverhans_spsa.margin_logit_loss(net.logits_fn(x), y, NUM_CLASSES),
            image[None],
            label,
            EPSILON,
            15,
            optimiser,
            clip_min=0.0,
            clip_max=1.0,
            early_stop_loss_threshold=0.0,
        )[0]

    tf.random.set_seed(0)
    pairs = zip(ops.convert_to_tensor(net.x), ops.convert_to_tensor(net.labels), strict=True)
    made = np.stack([theirs(image, label) for image, label in pairs])
    # Random searches both: an image of twelve is the tolerance.
    assert net.turned(images).sum() >= net.turned(made).sum() - 1
    assert net.turned(made).any()


def test_without_cleverhans_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cleverhans.tf2.attacks", None)
    monkeypatch.delitem(sys.modules, "cleverhans.tf2.attacks.spsa")
    with pytest.raises(ImportError, match=r"pip install keras-efgsm\[cleverhans\]"):
        SPSA(epsilon=0.3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epsilon", 0),
        ("steps", 0),
        ("samples", 1),
        ("samples", 7),
        ("learning_rate", 0.0),
        ("delta", -0.1),
    ],
)
def test_bad_options_of_spsa_are_refused_with_what_was_received(name, value):
    with pytest.raises(ValueError, match=f"^`{name}` .*Received: {name}={value!r}$"):
        SPSA(**{"epsilon": 0.3, name: value})


def test_spsa_is_restored_from_its_configuration():
    attack = SPSA(epsilon=0.2, steps=7, samples=6, learning_rate=0.1, delta=0.02)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack))
    assert type(restored) is SPSA
    assert vars(restored) == vars(attack) == attack.get_config()
    assert not SPSA.needs_gradient
