"""Classifiers and re-constructors of any image shape, by name, and checks of a user's own.

`CLASSIFIERS` and `RECONSTRUCTORS` are the tables; `build_classifier` also takes a `.keras` file, a
function of one's own or an application of Keras. Any functional or sequential model works.

The last layer of each classifier is float32 whatever the dtype policy: margins are differences of
its logits, and in bfloat16 a small one would round to nothing.

Importing this package, its tables and `check_classifier_spec` does not import Keras; making a
network does.
"""

import importlib
from typing import TYPE_CHECKING, Any

from keras_efgsm.networks.by_data_set import (
    cifar10_conv4,
    cifar10_preact_resnet18,
    cifar10_resnet,
    cifar10_resnet18,
    cifar10_small_reconstructor,
    cifar10_strided,
    cifar10_strided_wide,
    cifar10_threshold_classifier,
    cifar10_wrn10_1,
    cifar10_wrn10_2,
    cifar10_wrn22_3_reconstructor,
    cifar10_wrn22_5,
    cifar10_wrn34_10,
    digits_classifier,
    digits_reconstructor,
    image_shape_of,
    mnist_classifier,
    mnist_deep_threshold_classifier,
    mnist_dense_reconstructor,
    mnist_madry_classifier,
    mnist_paper_classifier,
    mnist_reconstructor,
    mnist_resnet,
    mnist_threshold_classifier,
    mnist_trades_classifier,
)
from keras_efgsm.networks.defaults import default_network, default_reconstructor
from keras_efgsm.networks.dtype_policies import AUTOMATIC, DTYPE_POLICIES
from keras_efgsm.networks.pixels import CIFAR10_PIXELS, NEUTRAL_PIXELS, PixelStatistics
from keras_efgsm.networks.specs import check_classifier_spec
from keras_efgsm.networks.table import CLASSIFIERS, RECONSTRUCTORS

if TYPE_CHECKING:
    from keras_efgsm.networks.batch_normalization import synchronize_batch_norm
    from keras_efgsm.networks.building import build_classifier
    from keras_efgsm.networks.classifiers.efficientnet_lite0 import efficientnet_lite0
    from keras_efgsm.networks.classifiers.preact_resnet18 import preact_resnet18
    from keras_efgsm.networks.classifiers.resnet import resnet, resnet18
    from keras_efgsm.networks.classifiers.strided_resnet import strided_resnet
    from keras_efgsm.networks.classifiers.threshold import (
        deep_threshold_classifier,
        pixel_threshold,
        threshold_classifier,
    )
    from keras_efgsm.networks.classifiers.tone_curve import (
        free_curve_classifier,
        free_curves,
        tone_curve,
        tone_curve_classifier,
    )
    from keras_efgsm.networks.classifiers.wide_resnet import wide_resnet
    from keras_efgsm.networks.cost import multiply_adds
    from keras_efgsm.networks.denoising import denoising_block
    from keras_efgsm.networks.freezing import freeze_until
    from keras_efgsm.networks.other_forms import with_logits
    from keras_efgsm.networks.random_barrage import RandomBarrage
    from keras_efgsm.networks.reconstructors.subpixel import subpixel_reconstructor
    from keras_efgsm.networks.reconstructors.wide_resnet import wide_resnet_reconstructor
    from keras_efgsm.networks.torch_files import read_torch_tensors
    from keras_efgsm.networks.unit_pixels import for_unit_pixels

# Where the names lie that need Keras.
_NEED_KERAS = {
    "build_classifier": "building",
    "RandomBarrage": "random_barrage",
    "deep_threshold_classifier": "classifiers.threshold",
    "denoising_block": "denoising",
    "efficientnet_lite0": "classifiers.efficientnet_lite0",
    "for_unit_pixels": "unit_pixels",
    "free_curve_classifier": "classifiers.tone_curve",
    "free_curves": "classifiers.tone_curve",
    "freeze_until": "freezing",
    "multiply_adds": "cost",
    "pixel_threshold": "classifiers.threshold",
    "preact_resnet18": "classifiers.preact_resnet18",
    "read_torch_tensors": "torch_files",
    "resnet": "classifiers.resnet",
    "resnet18": "classifiers.resnet",
    "strided_resnet": "classifiers.strided_resnet",
    "subpixel_reconstructor": "reconstructors.subpixel",
    "synchronize_batch_norm": "batch_normalization",
    "threshold_classifier": "classifiers.threshold",
    "tone_curve": "classifiers.tone_curve",
    "tone_curve_classifier": "classifiers.tone_curve",
    "wide_resnet": "classifiers.wide_resnet",
    "wide_resnet_reconstructor": "reconstructors.wide_resnet",
    "with_logits": "other_forms",
}

__all__ = [
    "AUTOMATIC",
    "CIFAR10_PIXELS",
    "CLASSIFIERS",
    "DTYPE_POLICIES",
    "NEUTRAL_PIXELS",
    "RECONSTRUCTORS",
    "PixelStatistics",
    "RandomBarrage",
    "build_classifier",
    "check_classifier_spec",
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
    "default_network",
    "default_reconstructor",
    "denoising_block",
    "digits_classifier",
    "digits_reconstructor",
    "efficientnet_lite0",
    "for_unit_pixels",
    "free_curve_classifier",
    "free_curves",
    "freeze_until",
    "image_shape_of",
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
    "read_torch_tensors",
    "resnet",
    "resnet18",
    "strided_resnet",
    "subpixel_reconstructor",
    "synchronize_batch_norm",
    "threshold_classifier",
    "tone_curve",
    "tone_curve_classifier",
    "wide_resnet",
    "wide_resnet_reconstructor",
    "with_logits",
]


def __getattr__(name: str) -> Any:
    if name in _NEED_KERAS:
        value = getattr(importlib.import_module(f"{__name__}.{_NEED_KERAS[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
