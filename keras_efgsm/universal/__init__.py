"""Universal perturbations: one for all images of a set."""

from keras_efgsm.universal.drawing import draw_universal
from keras_efgsm.universal.measure import measure_universal
from keras_efgsm.universal.perturbation import UniversalPerturbation
from keras_efgsm.universal.report import UniversalReport

__all__ = ["UniversalPerturbation", "UniversalReport", "draw_universal", "measure_universal"]
