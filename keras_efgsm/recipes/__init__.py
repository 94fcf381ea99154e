"""How to train: configurations, presets and methods by name, and the parts built from them."""

from typing import TYPE_CHECKING, Any

from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS, Method
from keras_efgsm.recipes.parts import ATTACKS, OBJECTIVES
from keras_efgsm.recipes.presets import PRESETS

if TYPE_CHECKING:
    from keras_efgsm.recipes.optimizers import L2SGD
    from keras_efgsm.recipes.schedules import OneCycle

__all__ = [
    "ATTACKS",
    "L2SGD",
    "METHODS",
    "OBJECTIVES",
    "PRESETS",
    "Method",
    "OneCycle",
    "TrainingConfig",
]


def __getattr__(name: str) -> Any:
    # These two need Keras, which a configuration and its options do not.
    if name == "L2SGD":
        from keras_efgsm.recipes.optimizers import L2SGD

        return L2SGD
    if name == "OneCycle":
        from keras_efgsm.recipes.schedules import OneCycle

        return OneCycle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
