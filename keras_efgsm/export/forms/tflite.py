"""The forms `tflite`, `tflite-float16`, `tflite-dynamic` and `tflite-int8`: for LiteRT."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_efgsm.export.markdown import code, fence
from keras_efgsm.form import Contract, Form, Given, Runner, Words
from keras_efgsm.form_table import register_form

if TYPE_CHECKING:
    import keras

INT8 = "tflite-int8"

_FEWER_BITS = (
    "The figures are those of the float32 classifier. A file of fewer bits is another one, with "
    'figures of its own under "Measured on each file".'
)
_UNCHECKED = (
    "A `.tflite` file answers pixels outside [0, 1] as well, and checks the image size only where "
    "`resize_tensor_input` is called with `strict=True`."
)
_WHAT = {
    None: "LiteRT, float32",
    "float16": "LiteRT, weights in float16",
    "dynamic": "LiteRT, weights of larger layers in int8, activations in float",
    "int8": "LiteRT, int8 throughout",
}
# Float16 weights have 11 bits: 5e-4 of each product, and some of it adds up.
_TOLERANCES = {None: 1e-4, "float16": 1e-2}


class TFLite(Form):
    """A `.tflite` file that takes and answers float32.

    Args:
        quantization: `"float16"` or `"dynamic"` for smaller weights. Defaults to
            `None`: float32.
    """

    # TensorFlow has an interpreter of its own, so nothing else is needed.
    runtimes = ("ai-edge-litert",)
    family: str | None = "tflite"

    def __init__(self, quantization: str | None = None):
        self.quantization = quantization
        self.name = f"tflite-{quantization}" if quantization else "tflite"
        self.ending = f"-{quantization}.tflite" if quantization else ".tflite"
        self.what = _WHAT[quantization]
        self.tolerance = _TOLERANCES.get(quantization, math.inf)
        # What integers lose depends on the images.
        self.compared_on_images = quantization in ("dynamic", "int8")
        self.limits = (_FEWER_BITS, _UNCHECKED) if quantization else (_UNCHECKED,)

    def write(self, classifier: "keras.Model", path: Path, given: Given) -> None:
        from keras_efgsm.export import tflite

        tflite.write_tflite(
            classifier,
            path,
            quantization=self.quantization,
            representative_images=given.representative_images,
        )

    def load(self, path: Path) -> Runner:
        from keras_efgsm.export.litert_runner import TFLiteClassifier

        return TFLiteClassifier(path)

    def loading(self, file: str, contract: Contract, name: str, others: Sequence[str] = ()) -> str:
        del name
        likewise = f" (`{'` and `'.join(others)}` likewise)" if others else ""
        shape = ", ".join(map(str, contract.image_shape))
        lines = f"""import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path="{file}").get_signature_runner("serving_default")
answer = model(image=np.zeros((1, {shape}), "float32"))
print(answer["logits"])"""
        return f"With LiteRT, without TensorFlow{likewise}:\n\n{fence(lines, 'python')}"


class TFLiteInt8(TFLite):
    """A `.tflite` file that takes, computes and answers integers."""

    needs_images = True
    family = INT8

    def __init__(self) -> None:
        super().__init__("int8")

    def words(self, path: Path, contract: Contract, calibration: str | None) -> Words:
        takes, answers = f"`image` int8 {contract.batch}", f"`logits` int8 {contract.answer}"
        what = self.what
        if path.exists():
            from keras_efgsm.export.tflite import is_all_integers, tensor_scales

            if not is_all_integers(path):
                what = "LiteRT, int8, float32 where LiteRT has no operation of integers"
            entry, result = tensor_scales(path)
            takes += f", round(pixel / {entry[0]:.8g}) {entry[1]:+d}"
            answers += f", (value {-result[1]:+d}) x {result[0]:.8g}"
        notes = [f"{code(path.name)} was calibrated with {calibration}."] if calibration else []
        return Words(what, takes, answers, tuple(notes))

    def loading(self, file: str, contract: Contract, name: str, others: Sequence[str] = ()) -> str:
        del name, others
        shape = ", ".join(map(str, contract.image_shape))
        lines = f"""import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path="{file}").get_signature_runner("serving_default")
scale, zero = model.get_input_details()["image"]["quantization"]
image = np.round(np.zeros((1, {shape})) / scale + zero).clip(-128, 127).astype("int8")
answer = model(image=image)
scale, zero = model.get_output_details()["logits"]["quantization"]
print((answer["logits"].astype("float32") - zero) * scale)"""
        return f"With LiteRT in integers, whose scales the file holds:\n\n{fence(lines, 'python')}"


register_form(TFLite())
register_form(TFLite("float16"))
register_form(TFLite("dynamic"))
register_form(TFLiteInt8())
