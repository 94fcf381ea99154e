"""Training objectives; all share `Objective.losses`.

An objective is its own file, which says all about it, and its line here. `OBJECTIVES` has all of
them by name.
"""

from keras_efgsm.objectives.cross_entropy import AdversarialCrossEntropy
from keras_efgsm.objectives.gradient_regularisation import GradientRegularisation
from keras_efgsm.objectives.joint_reconstruction import JointReconstruction
from keras_efgsm.objectives.logit_consistency import LogitConsistency
from keras_efgsm.objectives.logit_pairing import LogitPairing
from keras_efgsm.objectives.nuclear_norm import NuclearNorm
from keras_efgsm.objectives.objective import Examples, Objective, ObjectiveResult
from keras_efgsm.objectives.registry import OBJECTIVES, find_objective, register_objective
from keras_efgsm.objectives.trades import Trades

__all__ = [
    "OBJECTIVES",
    "AdversarialCrossEntropy",
    "Examples",
    "GradientRegularisation",
    "JointReconstruction",
    "LogitConsistency",
    "LogitPairing",
    "NuclearNorm",
    "Objective",
    "ObjectiveResult",
    "Trades",
    "find_objective",
    "register_objective",
]
