"""Evaluation: how many images of a set withstand the attacks that were tried."""

from keras_efgsm.evaluation.adversarial import AdversarialImages
from keras_efgsm.evaluation.attack_result import AttackResult
from keras_efgsm.evaluation.attack_sets import ATTACK_SETS, make_attacks
from keras_efgsm.evaluation.attacking import ENGINES
from keras_efgsm.evaluation.drawing import draw_robustness_curve
from keras_efgsm.evaluation.expectation import with_eot
from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier
from keras_efgsm.evaluation.over_epsilons import RobustnessCurve, evaluate_over_epsilons
from keras_efgsm.evaluation.report import RobustnessReport
from keras_efgsm.evaluation.robustness import evaluate_robustness
from keras_efgsm.evaluation.straight_through import StraightThrough, with_twin
from keras_efgsm.evaluation.targeted import LEAST_LIKELY, TargetedReport, evaluate_targeted
from keras_efgsm.evaluation.towards import Towards
from keras_efgsm.evaluation.transfer import Transfer

__all__ = [
    "ATTACK_SETS",
    "ENGINES",
    "LEAST_LIKELY",
    "AdversarialImages",
    "AttackResult",
    "EvaluatedModel",
    "RobustnessCurve",
    "RobustnessReport",
    "StraightThrough",
    "TargetedReport",
    "Towards",
    "Transfer",
    "draw_robustness_curve",
    "evaluate_over_epsilons",
    "evaluate_robustness",
    "evaluate_targeted",
    "load_classifier",
    "make_attacks",
    "with_eot",
    "with_twin",
]
