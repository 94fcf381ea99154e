"""The form `onnx`: for ONNX Runtime."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from keras_efgsm.export.markdown import fence
from keras_efgsm.form import Contract, Form, Given, Runner
from keras_efgsm.form_table import register_form

if TYPE_CHECKING:
    import keras


class ONNX(Form):
    """A float32 `.onnx` file."""

    name = "onnx"
    ending = ".onnx"
    what = "ONNX, float32"
    packages = ("tf2onnx", "onnx", "onnxruntime")
    extra = "onnx"
    runtimes = ("onnxruntime",)
    limits = ("The `.onnx` file answers pixels outside [0, 1] as well.",)
    options: ClassVar[Mapping[str, Any]] = {"onnx_opset": 17}

    def check_options(self, options: Mapping[str, Any]) -> None:
        from keras_efgsm.export.onnx_file import check_opset

        check_opset(options["onnx_opset"])

    def write(self, classifier: "keras.Model", path: Path, given: Given) -> None:
        from keras_efgsm.export import onnx_file

        onnx_file.write_onnx(classifier, path, opset=given.options["onnx_opset"])

    def load(self, path: Path) -> Runner:
        from keras_efgsm.export.onnx_runner import ONNXClassifier

        return ONNXClassifier(path)

    def loading(self, file: str, contract: Contract, name: str, others: Sequence[str] = ()) -> str:
        del name, others
        shape = ", ".join(map(str, contract.image_shape))
        lines = f"""import numpy as np
import onnxruntime
model = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
(logits,) = model.run(["logits"], {{"image": np.zeros((1, {shape}), "float32")}})
print(logits)"""
        return f"With ONNX Runtime:\n\n{fence(lines, 'python')}"


register_form(ONNX())
