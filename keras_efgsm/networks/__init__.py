"""Classifiers and re-constructors; any functional or sequential model of one's own works too.

The last layer of each classifier is float32 whatever the dtype policy: margins are differences of
its logits, and in bfloat16 a small one would round to nothing.
"""

from keras_efgsm.networks.cifar10 import cifar10_conv4, cifar10_small_reconstructor
from keras_efgsm.networks.digits import digits_classifier, digits_reconstructor
from keras_efgsm.networks.mnist import (
    mnist_classifier,
    mnist_madry_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
    mnist_trades_classifier,
)
from keras_efgsm.networks.residual import cifar10_resnet, mnist_resnet, resnet

# By the names that presets and the command line use.
CLASSIFIERS = {
    "digits": digits_classifier,
    "mnist": mnist_classifier,
    "mnist-paper": mnist_paper_classifier,
    "mnist-madry": mnist_madry_classifier,
    "mnist-trades": mnist_trades_classifier,
    "mnist-resnet": mnist_resnet,
    "cifar10-conv4": cifar10_conv4,
    "cifar10-resnet": cifar10_resnet,
}
RECONSTRUCTORS = {
    "digits": digits_reconstructor,
    "mnist": mnist_reconstructor,
    "cifar10-small": cifar10_small_reconstructor,
}

__all__ = [
    "CLASSIFIERS",
    "RECONSTRUCTORS",
    "cifar10_conv4",
    "cifar10_resnet",
    "cifar10_small_reconstructor",
    "digits_classifier",
    "digits_reconstructor",
    "mnist_classifier",
    "mnist_madry_classifier",
    "mnist_paper_classifier",
    "mnist_reconstructor",
    "mnist_resnet",
    "mnist_trades_classifier",
    "resnet",
]
