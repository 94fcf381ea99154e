"""What training minimises; all share `Objective.losses`."""

from keras_efgsm.objectives.cross_entropy import AdversarialCrossEntropy
from keras_efgsm.objectives.gradient_regularisation import GradientRegularisation
from keras_efgsm.objectives.joint_reconstruction import JointReconstruction
from keras_efgsm.objectives.logit_consistency import LogitConsistency
from keras_efgsm.objectives.logit_pairing import LogitPairing
from keras_efgsm.objectives.nuclear_norm import NuclearNorm
from keras_efgsm.objectives.objective import Examples, Objective, ObjectiveResult
from keras_efgsm.objectives.trades import Trades

__all__ = [
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
]
