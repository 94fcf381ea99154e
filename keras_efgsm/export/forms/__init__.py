"""The forms a classifier can leave in: one file each, and one line here."""

from keras_efgsm.export.forms.onnx import ONNX
from keras_efgsm.export.forms.openvino import OpenVINO
from keras_efgsm.export.forms.saved_model import SavedModel
from keras_efgsm.export.forms.tflite import TFLite, TFLiteInt8
from keras_efgsm.form import register_form

for _form in (
    SavedModel(),
    TFLite(),
    TFLite("float16"),
    TFLite("dynamic"),
    TFLiteInt8(),
    ONNX(),
    OpenVINO(),
):
    register_form(_form)
