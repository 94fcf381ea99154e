"""Search of hyperparameters with keras-tuner, by the robust accuracy that a real attack leaves."""

from keras_efgsm.tuning.driver import tune
from keras_efgsm.tuning.hypermodel import OBJECTIVE, RobustHyperModel
from keras_efgsm.tuning.result import TuningResult
from keras_efgsm.tuning.search_failed import SearchFailed
from keras_efgsm.tuning.search_options import TUNERS, SearchOptions
from keras_efgsm.tuning.search_space import SEARCHABLE, Range, make_ranges
from keras_efgsm.tuning.tuner import RobustTuner

__all__ = [
    "OBJECTIVE",
    "SEARCHABLE",
    "TUNERS",
    "Range",
    "RobustHyperModel",
    "RobustTuner",
    "SearchFailed",
    "SearchOptions",
    "TuningResult",
    "make_ranges",
    "tune",
]
