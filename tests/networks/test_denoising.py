"""Feature denoising: the non-local block against float64 NumPy, and where networks have it."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_efgsm.networks import CLASSIFIERS, denoising_block, resnet, wide_resnet

# Fewer channels than places, and more.
SHAPES = {"few channels": (4, 3, 6), "many channels": (2, 2, 8)}


def block(shape, kind):
    """A block whose weights are random, batch normalization included."""
    features = keras.Input(shape)
    model = keras.Model(features, denoising_block(features, kind))
    random = np.random.default_rng(1)
    for weight in model.weights:
        value = random.normal(0.0, 0.5, weight.shape)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    return model


def by_hand(x, model, kind):
    """Section 4 and figure 5 of the paper, a place at a time."""
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    kernels = [np.asarray(layer.kernel, "float64")[0, 0] for layer in convolutions]
    (norm,) = (layer for layer in model.layers if isinstance(layer, layers.BatchNormalization))
    gamma, beta, mean, variance = (np.asarray(w, "float64") for w in norm.weights)
    out = np.empty_like(x)
    for image, result in zip(x, out, strict=True):
        places = image.reshape(-1, image.shape[-1])
        if kind == "gaussian":
            theta, phi = places @ kernels[0], places @ kernels[1]
            weights = np.exp(theta @ phi.T / np.sqrt(theta.shape[1]))
            weights /= weights.sum(axis=1, keepdims=True)
        else:
            weights = places @ places.T / len(places)
        y = (weights @ places) @ kernels[-1]
        y = gamma * (y - mean) / np.sqrt(variance + norm.epsilon) + beta
        result[...] = (places + y).reshape(image.shape)
    return out


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", ["gaussian", "dot-product"])
def test_the_block_adds_the_non_local_mean_of_the_paper(kind, shape):
    model = block(shape, kind)
    x = np.random.default_rng(0).normal(size=(3, *shape))
    found = keras.ops.convert_to_numpy(model(x.astype("float32")))
    np.testing.assert_allclose(found, by_hand(x, model, kind), rtol=1e-4, atol=1e-4)
    # The embeddings are those of the softmax alone, half as wide.
    widths = [layer.filters for layer in model.layers if isinstance(layer, layers.Conv2D)]
    channels = shape[-1]
    assert widths == ([channels // 2] * 2 if kind == "gaussian" else []) + [channels]


def test_a_new_block_changes_nothing():
    features = keras.Input((4, 4, 6))
    model = keras.Model(features, denoising_block(features))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype("float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), x)


@pytest.mark.parametrize(
    ("build", "groups"),
    [
        (lambda **o: wide_resnet((8, 8, 1), depth=10, width=1, **o), 3),
        (lambda **o: resnet((8, 8, 1), depth=8, **o), 3),
    ],
    ids=["wide_resnet", "resnet"],
)
def test_a_network_has_a_block_after_each_group(build, groups):
    def norms(model):
        zeros = [
            layer
            for layer in model.layers
            if isinstance(layer, layers.BatchNormalization) and not np.any(layer.gamma)
        ]
        return [layer.output.shape[1:] for layer in zeros]

    assert norms(build()) == []
    # Each at the size that its group leaves: after it, not before.
    assert norms(build(denoise="gaussian")) == [(8, 8, 16), (4, 4, 32), (2, 2, 64)][:groups]
    with pytest.raises(ValueError, match=r"`denoise` must be.*Received: denoise='median'"):
        build(denoise="median")


def test_the_names_with_denoising_are_the_plain_ones_with_blocks():
    for name in CLASSIFIERS:
        if "-denoise" in name:
            plain = CLASSIFIERS[name.split("-denoise")[0]]
            options = dict(CLASSIFIERS[name].options)
            assert options.pop("denoise") == ("dot-product" if "dot" in name else "gaussian")
            assert (CLASSIFIERS[name].function, options) == (plain.function, plain.options)
