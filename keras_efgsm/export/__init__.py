"""Export: the classifier leaves as SavedModel, `.tflite`, `.onnx` and OpenVINO files with a card.

Only the classifier does. The trainer, its per-sample momentum and its re-constructor stay.

Everything here is imported when it is first used: which forms there are is known without
TensorFlow, and on every backend.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_efgsm.export.contents import (
        SavedModelContents,
        check_holds_only,
        saved_model_contents,
    )
    from keras_efgsm.export.contract import check_contract
    from keras_efgsm.export.exporting import ExportResult, export_classifier
    from keras_efgsm.export.exporting_runs import export_run
    from keras_efgsm.export.figures import check_figures, read_figures
    from keras_efgsm.export.markdown import replace_section
    from keras_efgsm.export.measuring.measured_export import measure
    from keras_efgsm.export.model_card import write_model_card
    from keras_efgsm.export.onnx_file import onnx_logits, write_onnx
    from keras_efgsm.export.saved_model import write_saved_model
    from keras_efgsm.export.tflite import tflite_logits, write_tflite
    from keras_efgsm.export.verification import check_agreement, measure_agreement
    from keras_efgsm.export.warm_up import WARM_UP_FILE, write_warm_up_requests
    from keras_efgsm.form import Contract, ExportError, Form, Given, Runner, Words
    from keras_efgsm.form_table import FORMS, register_form
    from keras_efgsm.networks.precision import float32_twin
    from keras_efgsm.records.export import Agreement, ExportRecord

# Where each name comes from; the modules of the last group write with TensorFlow.
_ON_EVERY_BACKEND = {
    "keras_efgsm.form": ("Contract", "ExportError", "Form", "Given", "Runner", "Words"),
    "keras_efgsm.form_table": ("FORMS", "register_form"),
    "keras_efgsm.export.figures": ("check_figures", "read_figures"),
    "keras_efgsm.records.export": ("Agreement", "ExportRecord"),
}
_WITH_TENSORFLOW = {
    "keras_efgsm.export.contents": (
        "SavedModelContents",
        "check_holds_only",
        "saved_model_contents",
    ),
    "keras_efgsm.export.contract": ("check_contract",),
    "keras_efgsm.export.exporting_runs": ("export_run",),
    "keras_efgsm.export.exporting": ("ExportResult", "export_classifier"),
    "keras_efgsm.export.measuring.measured_export": ("measure",),
    "keras_efgsm.export.markdown": ("replace_section",),
    "keras_efgsm.export.model_card": ("write_model_card",),
    "keras_efgsm.export.onnx_file": ("onnx_logits", "write_onnx"),
    "keras_efgsm.export.saved_model": ("write_saved_model",),
    "keras_efgsm.export.tflite": ("tflite_logits", "write_tflite"),
    "keras_efgsm.export.verification": ("check_agreement", "measure_agreement"),
    "keras_efgsm.export.warm_up": ("WARM_UP_FILE", "write_warm_up_requests"),
    "keras_efgsm.networks.precision": ("float32_twin",),
}

__all__ = [
    "FORMS",
    "WARM_UP_FILE",
    "Agreement",
    "Contract",
    "ExportError",
    "ExportRecord",
    "ExportResult",
    "Form",
    "Given",
    "Runner",
    "SavedModelContents",
    "Words",
    "check_agreement",
    "check_contract",
    "check_figures",
    "check_holds_only",
    "export_classifier",
    "export_run",
    "float32_twin",
    "measure",
    "measure_agreement",
    "onnx_logits",
    "read_figures",
    "register_form",
    "replace_section",
    "saved_model_contents",
    "tflite_logits",
    "write_model_card",
    "write_onnx",
    "write_saved_model",
    "write_tflite",
    "write_warm_up_requests",
]


def __getattr__(name: str) -> Any:
    for modules, needs_tensorflow in ((_ON_EVERY_BACKEND, False), (_WITH_TENSORFLOW, True)):
        for module, names in modules.items():
            if name in names:
                if needs_tensorflow:
                    _check_backend()
                importlib.import_module("keras_efgsm.export.forms")
                return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _check_backend() -> None:
    from keras_efgsm.backend import BACKEND

    if BACKEND != "tensorflow":
        raise ImportError(
            "SavedModel, TFLite and ONNX files are written by TensorFlow: save the classifier "
            '(`classifier.save("classifier.keras")`; a run folder holds it) and export it in a '
            "process with KERAS_BACKEND=tensorflow, such as `KERAS_BACKEND=tensorflow keras-efgsm "
            f"export RUN --to FOLDER`. Received: keras.backend.backend()={BACKEND!r}"
        )
