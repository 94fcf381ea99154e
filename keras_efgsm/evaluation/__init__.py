"""Evaluation: how many images of a set withstand the attacks that were tried."""

from keras_efgsm.evaluation.attack_sets import ATTACK_SETS, make_attacks
from keras_efgsm.evaluation.expectation import with_eot
from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier
from keras_efgsm.evaluation.report import AttackResult, RobustnessReport
from keras_efgsm.evaluation.robustness import ENGINES, evaluate_robustness
from keras_efgsm.evaluation.straight_through import StraightThrough, with_twin
from keras_efgsm.evaluation.transfer import Transfer

__all__ = [
    "ATTACK_SETS",
    "ENGINES",
    "AttackResult",
    "EvaluatedModel",
    "RobustnessReport",
    "StraightThrough",
    "Transfer",
    "evaluate_robustness",
    "load_classifier",
    "make_attacks",
    "with_eot",
    "with_twin",
]
