"""Classifiers and re-constructors; any functional or sequential model of one's own works too."""

from keras_efgsm.networks.digits import digits_classifier, digits_reconstructor
from keras_efgsm.networks.mnist import (
    mnist_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
)

# By the names that presets and the command line use.
CLASSIFIERS = {
    "digits": digits_classifier,
    "mnist": mnist_classifier,
    "mnist-paper": mnist_paper_classifier,
}
RECONSTRUCTORS = {"digits": digits_reconstructor, "mnist": mnist_reconstructor}

__all__ = [
    "CLASSIFIERS",
    "RECONSTRUCTORS",
    "digits_classifier",
    "digits_reconstructor",
    "mnist_classifier",
    "mnist_paper_classifier",
    "mnist_reconstructor",
]
