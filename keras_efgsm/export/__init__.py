"""Export: the classifier leaves as SavedModel, `.tflite` and `.onnx` files with a model card.

Only the classifier does. The trainer, its per-sample momentum and its re-constructor stay.
"""

from keras_efgsm.backend import BACKEND

if BACKEND != "tensorflow":
    raise ImportError(
        "SavedModel, TFLite and ONNX files are written by TensorFlow: save the classifier "
        '(`classifier.save("classifier.keras")`; a run folder holds it) and export it in a '
        "process with KERAS_BACKEND=tensorflow, such as `KERAS_BACKEND=tensorflow keras-efgsm "
        f"export RUN --to FOLDER`. Received: keras.backend.backend()={BACKEND!r}"
    )

from keras_efgsm.export.contents import (
    SavedModelContents,
    check_holds_only,
    saved_model_contents,
)
from keras_efgsm.export.contract import Contract, ExportError, check_contract
from keras_efgsm.export.exporting import ExportResult, export_classifier
from keras_efgsm.export.figures import check_figures
from keras_efgsm.export.forms import FORMS, file_name
from keras_efgsm.export.model_card import replace_section, write_model_card
from keras_efgsm.export.onnx_file import onnx_logits, write_onnx
from keras_efgsm.export.saved_model import write_saved_model
from keras_efgsm.export.tflite import tflite_logits, write_tflite
from keras_efgsm.export.verification import Agreement, check_agreement, measure_agreement
from keras_efgsm.export.warm_up import WARM_UP_FILE, write_warm_up_requests
from keras_efgsm.networks.precision import float32_twin

__all__ = [
    "FORMS",
    "WARM_UP_FILE",
    "Agreement",
    "Contract",
    "ExportError",
    "ExportResult",
    "SavedModelContents",
    "check_agreement",
    "check_contract",
    "check_figures",
    "check_holds_only",
    "export_classifier",
    "file_name",
    "float32_twin",
    "measure_agreement",
    "onnx_logits",
    "replace_section",
    "saved_model_contents",
    "tflite_logits",
    "write_model_card",
    "write_onnx",
    "write_saved_model",
    "write_tflite",
    "write_warm_up_requests",
]
