"""ZO-signSGD beside its formulas in float64, and on a network whose gradient is zero."""

import numpy as np
import pytest
from keras import ops

from keras_efgsm.attacks import ZOSignSGD
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.noise import Noise
from support.networks import IDS, Net

EPSILON = 0.12


@pytest.fixture(scope="module")
def net():
    return Net()


def in_numpy(net, attack):
    x = net.x.astype("float64")
    rows = np.arange(len(x))

    def margin(images):
        logits = net.logits(np.clip(images, 0, 1))
        true = logits[rows, net.labels].copy()
        logits[rows, net.labels] = -np.inf
        return true - logits.max(axis=1)

    def per_image(values):
        return values[:, None, None, None]

    noise = Noise(7, 2, IDS)
    image, best, lowest, held = x, x.copy(), np.full(len(x), np.inf), margin(x) > 0
    for step in range(attack.steps):
        total = np.zeros_like(x)
        for number in range(attack.directions):
            stream = step * attack.directions + number
            u = np.asarray(noise.normal(x.shape[1:], stream=stream)).astype("float64")
            rise = margin(image + attack.delta * u) - margin(image - attack.delta * u)
            total += per_image(rise) * u
        image = image - attack.step_size * np.sign(total)
        image = np.clip(np.clip(image, x - EPSILON, x + EPSILON), 0, 1)
        asked = margin(image)
        better = held & (asked < lowest)
        best[better], lowest[better] = image[better], asked[better]
        held &= asked > 0
    return best


def test_zo_sign_makes_the_images_of_its_formulas(net):
    attack = ZOSignSGD(epsilon=EPSILON, steps=3, directions=2)
    made = np.asarray(net.perturb(attack).images)
    # Where a guess is next to zero, its sign may round to either.
    assert np.mean(np.abs(made - in_numpy(net, attack)) > 1e-4) < 0.03
    assert np.abs(made - net.x).max() > 0.1


def test_zo_sign_turns_images_of_a_network_whose_gradient_is_zero(net):
    def rounded(x):
        return net.model(ops.round(x * 40.0) / 40.0)

    labels = np.argmax(rounded(net.x), axis=1).astype("int32")
    run = compile_native(ZOSignSGD(epsilon=0.4, steps=20, directions=10, delta=0.05), rounded, 0)
    arguments = map(ops.convert_to_tensor, (net.x, labels, IDS, np.int32(0)))
    made = run(*arguments)
    turned = np.argmax(rounded(made), axis=1) != labels
    assert turned.sum() >= 6


def test_its_budget_says_how_often_it_asks():
    budget = ZOSignSGD(epsilon=0.1, steps=10, directions=4).budget
    assert (budget.steps, budget.queries) == (10, 90)
    with pytest.raises(ValueError, match=r"`directions` .*Received: directions=0$"):
        ZOSignSGD(epsilon=0.1, directions=0)
