"""Losses and projections in float64 NumPy."""

import numpy as np

from support.networks import EPSILON, NUM_CLASSES


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def smooth(labels, smoothing):
    return (1 - smoothing) * np.eye(NUM_CLASSES)[labels] + smoothing / NUM_CLASSES


def cross_entropy(z, labels, smoothing=0.0):
    return -(smooth(labels, smoothing) * np.log(softmax(z))).sum(axis=1).mean()


def divergence(p, q):
    p, q = softmax(p), softmax(q)
    return (p * np.log(p / q)).sum(axis=1).mean()


def project(images, x):
    return np.clip(np.clip(images, x - EPSILON, x + EPSILON), 0, 1)


def weight_gradients(net, loss):
    """Gradients of `loss()` with respect to `net.weights`."""
    gradients = []
    for w in net.weights:
        gradient = np.zeros_like(w)
        for i in np.ndindex(w.shape):
            kept = w[i]
            w[i] = kept + 1e-5
            up = loss()
            w[i] = kept - 1e-5
            gradient[i] = (up - loss()) / 2e-5
            w[i] = kept
        gradients.append(gradient)
    return gradients
