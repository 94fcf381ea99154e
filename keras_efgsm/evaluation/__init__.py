"""Evaluation: how many images of a set withstand the attacks that were tried."""

from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier
from keras_efgsm.evaluation.report import AttackResult, RobustnessReport
from keras_efgsm.evaluation.robustness import ENGINES, evaluate_robustness

__all__ = [
    "ENGINES",
    "AttackResult",
    "EvaluatedModel",
    "RobustnessReport",
    "evaluate_robustness",
    "load_classifier",
]
