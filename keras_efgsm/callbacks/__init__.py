"""Callbacks for `AdversarialTrainer.fit`."""

from keras_efgsm.callbacks.adversarial_tensorboard import (
    AdversarialTensorBoard,
    require_tensorboard,
)
from keras_efgsm.callbacks.margin_warning import MarginWarning
from keras_efgsm.callbacks.momentum_reset import MomentumReset
from keras_efgsm.callbacks.overfitting_stop import OverfittingStop
from keras_efgsm.callbacks.time_left import TimeLeft
from keras_efgsm.callbacks.weight_averaging import WeightAveraging

__all__ = [
    "AdversarialTensorBoard",
    "MarginWarning",
    "MomentumReset",
    "OverfittingStop",
    "TimeLeft",
    "WeightAveraging",
    "require_tensorboard",
]
