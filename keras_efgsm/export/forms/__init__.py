"""The forms of an export: one file each, which registers itself, and one line here."""

import importlib

from keras_efgsm.form_table import FORMS

__all__ = ["FORMS"]

# In the order in which exports list them.
_FILES = (
    "saved_model",
    "tflite",
    "onnx",
    "openvino",
)

for _file in _FILES:
    importlib.import_module(f"{__name__}.{_file}")
