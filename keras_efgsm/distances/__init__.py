"""Minimum-distance attacks: how far an image is from the nearest one of another class."""

from keras_efgsm.distances.art_attacks import ElasticNet, Pixel, compile_art
from keras_efgsm.distances.carlini_wagner_l2 import CarliniWagnerL2
from keras_efgsm.distances.carlini_wagner_linf import CarliniWagnerLinf
from keras_efgsm.distances.deepfool import DeepFool
from keras_efgsm.distances.lbfgs import LBFGS
from keras_efgsm.distances.measure import measure_distances
from keras_efgsm.distances.minimum_attack import MinimumAttack
from keras_efgsm.distances.norms import NORMS, norm_of
from keras_efgsm.distances.report import DistanceResult, DistancesReport
from keras_efgsm.distances.table import DISTANCE_ATTACKS, make_distance_attacks

__all__ = [
    "DISTANCE_ATTACKS",
    "LBFGS",
    "NORMS",
    "CarliniWagnerL2",
    "CarliniWagnerLinf",
    "DeepFool",
    "DistanceResult",
    "DistancesReport",
    "ElasticNet",
    "MinimumAttack",
    "Pixel",
    "compile_art",
    "make_distance_attacks",
    "measure_distances",
    "norm_of",
]
