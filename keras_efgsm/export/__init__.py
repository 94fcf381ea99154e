"""Export: the classifier leaves as a SavedModel, a `.tflite` file and a model card.

Only the classifier does. The trainer, its per-sample momentum and its re-constructor stay.
"""

from keras_efgsm.export.contract import Contract, ExportError, check_contract
from keras_efgsm.export.figures import check_figures
from keras_efgsm.export.model_card import write_model_card
from keras_efgsm.export.saved_model import write_saved_model
from keras_efgsm.export.tflite import tflite_logits, write_tflite
from keras_efgsm.export.verification import (
    SavedModelContents,
    check_holds_only,
    saved_model_contents,
    saved_model_difference,
    tflite_difference,
)
from keras_efgsm.export.versions import ExportResult, export_classifier
from keras_efgsm.precision import float32_twin

__all__ = [
    "Contract",
    "ExportError",
    "ExportResult",
    "SavedModelContents",
    "check_contract",
    "check_figures",
    "check_holds_only",
    "export_classifier",
    "float32_twin",
    "saved_model_contents",
    "saved_model_difference",
    "tflite_difference",
    "tflite_logits",
    "write_model_card",
    "write_saved_model",
    "write_tflite",
]
