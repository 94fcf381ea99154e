"""Diagnosis: does a classifier hide its gradients, so that attacks find less than there is?"""

from keras_efgsm.diagnosis.diagnose import diagnose
from keras_efgsm.diagnosis.drawing import draw_diagnosis
from keras_efgsm.diagnosis.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose", "draw_diagnosis"]
