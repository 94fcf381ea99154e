"""How to train: configurations, presets and methods by name, and the parts built from them."""

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS, Method
from keras_efgsm.recipes.optimizers import L2SGD
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.schedules import OneCycle

__all__ = ["L2SGD", "METHODS", "PRESETS", "Method", "OneCycle", "TrainingConfig"]
