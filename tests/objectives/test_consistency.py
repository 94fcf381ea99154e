"""Objectives of two passes: their gradients go through both, which are in the mode of the update.

Whole training steps of a network with batch norm, once more in NumPy with float64. Its statistics
are those of the batch, in the attack as in the update; gradients are central differences.
"""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import EFGSM, FGSM, NFGSM, NuclearAttack, PriorFGSM
from keras_efgsm.attacks.logits import batch_statistics_logits
from keras_efgsm.noise import Noise
from keras_efgsm.objectives import JointReconstruction, LogitConsistency, NuclearNorm
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from support.formulas import project, smooth, softmax
from support.networks import EPSILON, NUM_CLASSES, NUM_IMAGES, ROWS, SHAPE

SEED = 7
IDS = np.arange(NUM_IMAGES, dtype="int32")
UNEQUAL = np.linspace(0.2, 1.8, NUM_IMAGES)
WEIGHTS = pytest.mark.parametrize("sample_weight", [None, UNEQUAL], ids=["plain", "weighted"])


def differences(function, values):
    """The gradient of `function()` with respect to `values`, which it reads, in float64."""
    gradient = np.zeros_like(values)
    for i in np.ndindex(values.shape):
        kept = values[i]
        values[i] = kept + 1e-5
        up = function()
        values[i] = kept - 1e-5
        gradient[i] = (up - function()) / 2e-5
        values[i] = kept
    return gradient


class BatchNormNet:
    """A small smooth network with batch norm, in Keras and in NumPy, there in training mode."""

    def __init__(self):
        keras.utils.set_random_seed(3)
        self.model = keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Flatten(),
                keras.layers.Dense(9, use_bias=False),
                keras.layers.BatchNormalization(
                    beta_initializer=keras.initializers.RandomNormal(stddev=0.3),
                    gamma_initializer=keras.initializers.RandomUniform(0.5, 1.5),
                ),
                keras.layers.Activation("tanh"),
                keras.layers.Dense(NUM_CLASSES, bias_initializer="normal"),
            ]
        )
        self.reconstructor = keras.Sequential(
            [
                keras.Input((NUM_CLASSES,)),
                keras.layers.Dense(math.prod(SHAPE), bias_initializer="normal"),
                keras.layers.Reshape(SHAPE),
            ]
        )
        variables = self.model.trainable_weights + self.reconstructor.weights
        self.weights = [np.asarray(v).astype("float64") for v in variables]
        # Of the two networks together; `logits` reads the first five.
        self.variables = variables
        self.statistics = [np.zeros(9), np.ones(9)]
        random = np.random.default_rng(0)
        self.x = random.uniform(-0.2, 1.2, (NUM_IMAGES, *SHAPE)).clip(0, 1).astype("float32")
        self.labels = self.logits(self.x).argmax(axis=1).astype("int32")
        self.labels[::4] = (self.labels[::4] + 1) % NUM_CLASSES  # some are misclassified
        self.gamma = random.choice([-1.5, 0.0, 2.0], self.x.shape).astype("float32")

    def logits(self, x):
        w1, scale, shift, w2, bias = self.weights[:5]
        hidden = x.reshape(len(x), -1) @ w1
        normal = (hidden - hidden.mean(axis=0)) / np.sqrt(hidden.var(axis=0) + 1e-3)
        return np.tanh(scale * normal + shift) @ w2 + bias

    def rebuilt(self, z):
        kernel, bias = self.weights[5:]
        return (softmax(z) @ kernel + bias).reshape(-1, *SHAPE)

    def see(self, x):
        """Moves the running statistics as a pass over these images in training mode does."""
        hidden = x.reshape(len(x), -1) @ self.weights[0]
        seen = hidden.mean(axis=0), hidden.var(axis=0)
        self.statistics = [
            0.99 * old + 0.01 * new for old, new in zip(self.statistics, seen, strict=True)
        ]

    def image_gradient(self, images, loss):
        """Of the sum of `loss` of the logits: batch norm makes one image's that of all."""
        images = images.copy()
        gradient = differences(lambda: loss(self.logits(images)).sum(), images)
        # No sign of it is a matter of rounding.
        assert np.abs(gradient).min() > 3e-6
        return gradient

    def weight_gradients(self, loss):
        return [differences(loss, w) for w in self.weights]

    def cross_entropy(self, z, smoothing=0.0):
        return -(smooth(self.labels, smoothing) * np.log(softmax(z))).sum(axis=1)


@pytest.fixture
def net():
    return BatchNormNet()


def uniform(step=0):
    return np.asarray(Noise(SEED, step, IDS).uniform(SHAPE, -1.0, 1.0), "float64")


# Where each attack starts and ends.


def efgsm(net, attack, step=0):
    normal = np.asarray(Noise(SEED, step, IDS).normal(SHAPE), "float64")
    sign = np.sign(net.gamma.astype("float64"))
    start = project(net.x + sign * EPSILON + attack.sigma * normal, net.x)
    z = net.logits(start)
    others = np.where(np.eye(NUM_CLASSES)[net.labels] == 1, -np.inf, z)
    rival = others.argmax(axis=1)
    margin = z[ROWS, net.labels] - z[ROWS, rival]
    slope = net.image_gradient(start, lambda z: z[ROWS, net.labels] - z[ROWS, rival])
    distance = np.abs(margin) / np.abs(slope).sum(axis=(1, 2, 3))
    return start, project(start - distance[:, None, None, None] * np.sign(slope), net.x)


def fgsm(net, attack, step=0):
    start = net.x.astype("float64")
    slope = net.image_gradient(start, net.cross_entropy)
    return start, project(start + attack.step_size * np.sign(slope), net.x)


def n_fgsm(net, attack, step=0):
    start = np.clip(net.x + 2 * EPSILON * uniform(step), 0, 1)
    slope = net.image_gradient(start, net.cross_entropy)
    return start, np.clip(start + EPSILON * np.sign(slope), 0, 1)


ATTACKS = {
    "efgsm": (EFGSM(epsilon=EPSILON, sigma=0.03), efgsm),
    "fgsm": (FGSM(epsilon=EPSILON), fgsm),
    "n-fgsm": (NFGSM(epsilon=EPSILON), n_fgsm),
}
each_attack = pytest.mark.parametrize("name", ATTACKS)


def weighted(values, sample_weight):
    """The mean over the batch, as Keras weighs its samples."""
    return (values * (1.0 if sample_weight is None else sample_weight)).mean()


def step_of(
    net,
    attack,
    objective,
    sample_weight=None,
    *,
    rate=1.0,
    epochs=1,
    batch_size=NUM_IMAGES,
    **options,
):
    """Makes training steps: the metrics of the last, and how far they moved each weight."""
    trainer = AdversarialTrainer(
        net.model,
        attack,
        net.reconstructor if objective.needs_reconstructor else None,
        objective,
        momentum_dtype="float32",
        seed=SEED,
        **options,
    )
    trainer.compile(keras.optimizers.SGD(rate))
    trainer.make_momentum(NUM_IMAGES, verbose=False)
    if trainer.momentum is not None and trainer.momentum.shape == net.gamma.shape:
        trainer.momentum.assign_chunks([net.gamma])
    before = [np.asarray(v) for v in net.variables]
    history = trainer.fit(
        net.x,
        net.labels,
        batch_size=batch_size,
        shuffle=False,
        sample_weight=sample_weight,
        epochs=epochs,
        verbose=0,
    ).history
    moved = [old - np.asarray(v) for old, v in zip(before, net.variables, strict=True)]
    return trainer, {name: values[-1] for name, values in history.items()}, moved


def assert_statistics(net):
    """The running statistics of the network are those of the passes that `net.see` was told of."""
    norm = net.model.layers[2]
    found = [np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)]
    for ours, theirs in zip(found, net.statistics, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def assert_same(found, expected, atol=2e-5):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=atol)


def largest_difference(first, second):
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))


# Consistency.


@each_attack
@WEIGHTS
def test_the_gradient_of_consistency_goes_through_both_logits(net, name, sample_weight):
    attack, images_of = ATTACKS[name]
    start, x_adv = images_of(net, attack)
    held = net.logits(start)

    def parts(start_logits):
        z = net.logits(x_adv)
        squares = ((z - start_logits) ** 2).mean(axis=1)
        return weighted(net.cross_entropy(z, 0.1), sample_weight), weighted(squares, sample_weight)

    def loss(start_logits):
        classification, consistency = parts(start_logits)
        return classification + 10.0 * consistency

    through_both = net.weight_gradients(lambda: loss(net.logits(start)))
    through_one = net.weight_gradients(lambda: loss(held))
    net.see(x_adv)
    classification, consistency = parts(held)
    assert consistency > 1e-3

    _, logs, moved = step_of(net, attack, LogitConsistency(10.0, 0.1), sample_weight)
    assert logs["loss"] == pytest.approx(classification + 10.0 * consistency, rel=1e-4)
    assert logs["classification_loss"] == pytest.approx(classification, rel=1e-4)
    assert logs["consistency_loss"] == pytest.approx(consistency, rel=1e-4)
    assert_same(moved, through_both)
    # It is no small matter: what holds the logits of the start fixed is another step.
    assert largest_difference(moved, through_one) > 0.05
    # They follow the adversarial images, and these once.
    assert_statistics(net)


@WEIGHTS
def test_the_consistency_of_the_joint_loss_goes_through_both_logits(net, sample_weight):
    attack, images_of = ATTACKS["efgsm"]
    start, x_adv = images_of(net, attack)
    held = net.logits(start)

    def loss(start_logits):
        z = net.logits(x_adv)
        errors = ((net.rebuilt(z) - net.x) ** 2).mean(axis=(1, 2, 3))
        inner = net.cross_entropy(z, 0.1) + 10.0 * ((z - start_logits) ** 2).mean(axis=1)
        return weighted(errors + 0.3 * inner, sample_weight)

    through_both = net.weight_gradients(lambda: loss(net.logits(start)))
    through_one = net.weight_gradients(lambda: loss(held))
    net.see(x_adv)
    expected = loss(held)

    objective = JointReconstruction(0.3, 0.1, consistency_weight=10.0)
    _, logs, moved = step_of(net, attack, objective, sample_weight)
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)
    assert_same(moved, through_both)
    assert largest_difference(moved, through_one) > 0.02
    assert_statistics(net)


def test_without_a_weight_the_step_is_that_of_the_cross_entropy(net):
    """The logits of the start have no part in it then, neither in value nor in gradient."""
    attack, images_of = ATTACKS["efgsm"]
    _, x_adv = images_of(net, attack)
    expected = net.weight_gradients(lambda: net.cross_entropy(net.logits(x_adv), 0.1).mean())
    _, _, moved = step_of(net, attack, LogitConsistency(0.0, 0.1))
    assert_same(moved, expected)


# FGSM-PGI.


def test_two_epochs_of_fgsm_pgi_follow_its_prior_and_train_through_both_logits(net):
    rate, decay, step_size = 0.2, 0.3, 0.07
    x = net.x.astype("float64")
    # A sample that was not seen before starts in a random corner of its ball.
    eta, past = EPSILON * np.sign(uniform()), 0.0
    values = []
    for _ in range(2):
        start = project(x + eta, x)
        slope = net.image_gradient(start, net.cross_entropy)
        x_adv = project(start + step_size * np.sign(slope), x)
        past = decay * past + slope / np.abs(slope).mean()
        eta = np.clip(eta + step_size * np.sign(past), -EPSILON, EPSILON)

        def loss(start=start, x_adv=x_adv):
            z = net.logits(x_adv)
            squares = ((z - net.logits(start)) ** 2).mean(axis=1)
            return (net.cross_entropy(z, 0.1) + 4.0 * squares).mean()

        values.append(loss())
        gradients = net.weight_gradients(loss)
        net.see(x_adv)
        for w, gradient in zip(net.weights, gradients, strict=True):
            w -= rate * gradient

    attack = PriorFGSM(epsilon=EPSILON, step_size=step_size, decay=decay)
    trainer, logs, _ = step_of(net, attack, LogitConsistency(4.0, 0.1), rate=rate, epochs=2)
    assert logs["loss"] == pytest.approx(values[-1], rel=1e-4)
    assert_same([np.asarray(v) for v in net.variables], net.weights)
    assert_statistics(net)
    g, prior = np.split(trainer.momentum.numpy(), 2, axis=-1)
    np.testing.assert_allclose(g, past, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(prior / attack.momentum_limit * EPSILON, eta, atol=1e-6)
    assert np.abs(values[1] - values[0]) > 1e-2


@pytest.mark.parametrize(
    "attack", [EFGSM(epsilon=EPSILON, sigma=0.03), PriorFGSM(epsilon=EPSILON)], ids=lambda a: a.name
)
def test_a_gradient_through_the_attack_is_the_same_with_its_memory_on_disk(attack, tmp_path):
    ends = []
    for storage in ("memory", "disk"):
        net = BatchNormNet()
        options = {"momentum_storage": storage, "momentum_directory": tmp_path}
        trainer, _, _ = step_of(net, attack, LogitConsistency(), rate=0.1, epochs=3, **options)
        ends.append([*trainer.get_weights(), trainer.momentum.numpy()])
    assert_same(*ends, atol=1e-5)
    assert np.any(ends[0][-1])


# The nuclear norm.


@each_attack
@WEIGHTS
def test_a_step_of_the_nuclear_norm_goes_through_both_predictions(net, name, sample_weight):
    attack, images_of = ATTACKS[name]
    _, x_adv = images_of(net, attack)
    held = net.logits(net.x.astype("float64"))

    def parts(origin=None):
        natural = net.logits(net.x.astype("float64"))
        rows = net.logits(x_adv) - (natural if origin is None else origin)
        if sample_weight is not None:
            rows = rows * sample_weight[:, None]
        nuclear = np.linalg.svd(rows, compute_uv=False).sum() / NUM_IMAGES
        return weighted(net.cross_entropy(natural, 0.2), sample_weight), nuclear

    def loss(origin=None):
        classification, nuclear = parts(origin)
        return classification + 4.0 * nuclear

    through_both, through_one = (
        net.weight_gradients(lambda origin=origin: loss(origin)) for origin in (None, held)
    )
    classification, nuclear = parts()
    # Both passes are in training mode, that of the clean images first.
    net.see(net.x.astype("float64"))
    net.see(x_adv)

    _, logs, moved = step_of(net, attack, NuclearNorm(4.0, 0.2), sample_weight)
    assert logs["classification_loss"] == pytest.approx(classification, rel=1e-4)
    assert logs["nuclear_loss"] == pytest.approx(nuclear, rel=1e-4)
    assert logs["loss"] == pytest.approx(classification + 4.0 * nuclear, rel=1e-4)
    assert_same(moved, through_both, atol=1e-4)
    assert largest_difference(moved, through_one) > 0.05
    assert_statistics(net)


@pytest.mark.parametrize(
    "attack", [FGSM(epsilon=EPSILON), NuclearAttack(epsilon=EPSILON)], ids=lambda a: a.name
)
def test_the_nuclear_norm_of_a_smaller_last_batch_is_over_its_own_size(net, attack):
    """Batches of 5, 5 and 2 images, whose size is not known when the step is compiled."""
    expected, logits_of = 0.0, batch_statistics_logits(net.model)
    for step, first in enumerate((0, 5, 10)):
        rows = slice(first, first + 5)
        made = attack.perturb(
            logits_of,
            ops.convert_to_tensor(net.x[rows]),
            ops.convert_to_tensor(net.labels[rows]),
            Noise(SEED, step, IDS[rows]),
        )
        x_adv = np.asarray(made.images, "float64")
        change = net.logits(x_adv) - net.logits(net.x[rows].astype("float64"))
        # Each batch counts by its images: their number times the sum over it.
        expected += np.linalg.svd(change, compute_uv=False).sum() / NUM_IMAGES
    trainer, logs, _ = step_of(net, attack, NuclearNorm(4.0), rate=0.0, batch_size=5)
    assert int(trainer.optimizer.iterations) == 3
    assert logs["nuclear_loss"] == pytest.approx(expected, rel=1e-4)
