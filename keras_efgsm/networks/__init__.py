"""Classifiers and re-constructors; any functional or sequential model of one's own works too.

The last layer of each classifier is float32 whatever the dtype policy: margins are differences of
its logits, and in bfloat16 a small one would round to nothing.
"""

from keras_efgsm.networks.blocks import CIFAR10_PIXELS, PixelStatistics
from keras_efgsm.networks.cifar10 import (
    cifar10_conv4,
    cifar10_preact_resnet18,
    cifar10_resnet,
    cifar10_resnet18,
    cifar10_small_reconstructor,
    cifar10_strided,
    cifar10_strided_wide,
    cifar10_wrn10_1,
    cifar10_wrn10_2,
    cifar10_wrn22_3_reconstructor,
    cifar10_wrn22_5,
    cifar10_wrn34_10,
)
from keras_efgsm.networks.cost import multiply_adds
from keras_efgsm.networks.digits import digits_classifier, digits_reconstructor
from keras_efgsm.networks.mnist import (
    mnist_classifier,
    mnist_dense_reconstructor,
    mnist_madry_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
    mnist_resnet,
    mnist_trades_classifier,
)
from keras_efgsm.networks.residual import resnet, resnet18
from keras_efgsm.networks.synchronization import synchronize_batch_norm
from keras_efgsm.networks.threshold import (
    cifar10_threshold_classifier,
    deep_threshold_classifier,
    mnist_deep_threshold_classifier,
    mnist_threshold_classifier,
    pixel_threshold,
    threshold_classifier,
)
from keras_efgsm.networks.wide_resnet import (
    preact_resnet18,
    strided_resnet,
    wide_resnet,
    wide_resnet_reconstructor,
)

# By the names that presets and the command line use; each is called as
# `CLASSIFIERS[name](num_classes, activation="relu")`.
CLASSIFIERS = {
    "digits": digits_classifier,
    "mnist": mnist_classifier,
    "mnist-paper": mnist_paper_classifier,
    "mnist-threshold": mnist_threshold_classifier,
    "mnist-threshold-deep": mnist_deep_threshold_classifier,
    "mnist-madry": mnist_madry_classifier,
    "mnist-trades": mnist_trades_classifier,
    "mnist-resnet": mnist_resnet,
    "cifar10-threshold": cifar10_threshold_classifier,
    "cifar10-conv4": cifar10_conv4,
    "cifar10-resnet": cifar10_resnet,
    "cifar10-resnet18": cifar10_resnet18,
    "cifar10-preact-resnet18": cifar10_preact_resnet18,
    "cifar10-strided": cifar10_strided,
    "cifar10-strided-wide": cifar10_strided_wide,
    "cifar10-wrn10-1": cifar10_wrn10_1,
    "cifar10-wrn10-2": cifar10_wrn10_2,
    "cifar10-wrn22-5": cifar10_wrn22_5,
    "cifar10-wrn34-10": cifar10_wrn34_10,
}
RECONSTRUCTORS = {
    "digits": digits_reconstructor,
    "mnist": mnist_reconstructor,
    "mnist-dense": mnist_dense_reconstructor,
    "cifar10-small": cifar10_small_reconstructor,
    "cifar10-wrn22-3": cifar10_wrn22_3_reconstructor,
}

__all__ = [
    "CIFAR10_PIXELS",
    "CLASSIFIERS",
    "RECONSTRUCTORS",
    "PixelStatistics",
    "cifar10_conv4",
    "cifar10_preact_resnet18",
    "cifar10_resnet",
    "cifar10_resnet18",
    "cifar10_small_reconstructor",
    "cifar10_strided",
    "cifar10_strided_wide",
    "cifar10_threshold_classifier",
    "cifar10_wrn10_1",
    "cifar10_wrn10_2",
    "cifar10_wrn22_3_reconstructor",
    "cifar10_wrn22_5",
    "cifar10_wrn34_10",
    "deep_threshold_classifier",
    "digits_classifier",
    "digits_reconstructor",
    "mnist_classifier",
    "mnist_deep_threshold_classifier",
    "mnist_dense_reconstructor",
    "mnist_madry_classifier",
    "mnist_paper_classifier",
    "mnist_reconstructor",
    "mnist_resnet",
    "mnist_threshold_classifier",
    "mnist_trades_classifier",
    "multiply_adds",
    "pixel_threshold",
    "preact_resnet18",
    "resnet",
    "resnet18",
    "strided_resnet",
    "synchronize_batch_norm",
    "threshold_classifier",
    "wide_resnet",
    "wide_resnet_reconstructor",
]
