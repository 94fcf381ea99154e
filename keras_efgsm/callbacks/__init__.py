"""Callbacks for `AdversarialTrainer.fit`."""

from keras_efgsm.callbacks.overfitting_stop import OverfittingStop
from keras_efgsm.callbacks.run_recorder import RunRecorder
from keras_efgsm.callbacks.weight_averaging import WeightAveraging

__all__ = ["OverfittingStop", "RunRecorder", "WeightAveraging"]
