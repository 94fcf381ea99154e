"""Diagnosis: does a classifier hide its gradients, so that attacks find less than there is?"""

from keras_efgsm.diagnosis.diagnose import diagnose
from keras_efgsm.diagnosis.findings import Diagnosis, Finding
from keras_efgsm.diagnosis.picture import draw_diagnosis

__all__ = ["Diagnosis", "Finding", "diagnose", "draw_diagnosis"]
