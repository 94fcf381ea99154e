"""The part of a model card that loads each file: code that runs from the card's folder."""

from collections.abc import Sequence

from keras_efgsm.export.forms import INT8, ONNX, SAVED_MODEL, TFLITE_FORMS, file_name
from keras_efgsm.export.markdown import fence


def loading(
    name: str, version: int, image_shape: tuple[int, int, int], forms: Sequence[str]
) -> str:
    """Returns the section with a few lines of code for each form.

    Args:
        name: the model's name.
        version: its integer version.
        image_shape: `(height, width, channels)` of one image.
        forms: those of `FORMS` that were written.
    """
    shape = ", ".join(map(str, image_shape))
    parts = ["## Loading\n\nRun from the folder of this card."]
    if SAVED_MODEL in forms:
        parts += [
            "As a SavedModel:",
            fence(_saved_model(version, shape), "python"),
            "With TensorFlow Serving, which takes the highest version of the mounted folder:",
            fence(_serving(name), "sh"),
        ]
    floats = [form for form in TFLITE_FORMS if form in forms and form != INT8]
    if floats:
        names = [file_name(form, name, version) for form in floats]
        others = f" (`{'` and `'.join(names[1:])}` likewise)" if names[1:] else ""
        parts += [
            f"With LiteRT, without TensorFlow{others}:",
            fence(_litert(names[0], shape), "python"),
        ]
    if INT8 in forms:
        parts += [
            "With LiteRT in integers, whose scales the file holds:",
            fence(_litert_int8(file_name(INT8, name, version), shape), "python"),
        ]
    if ONNX in forms:
        parts += [
            "With ONNX Runtime:",
            fence(_onnx(file_name(ONNX, name, version), shape), "python"),
        ]
    return "\n\n".join(parts)


def _saved_model(version: int, shape: str) -> str:
    return f"""import tensorflow as tf
model = tf.saved_model.load("{version}")  # keep it: the signature alone does not keep the weights
serve = model.signatures["serving_default"]
answer = serve(image=tf.zeros((1, {shape})))
print(answer["probabilities"].numpy())
file = tf.io.encode_png(tf.zeros(({shape}), tf.uint8))  # or tf.io.read_file("image.png")
answer = model.signatures["serving_bytes"](image_bytes=file[tf.newaxis])
print(answer["label"].numpy(), answer["class_id"].numpy())"""


def _serving(name: str) -> str:
    return f"""docker run -p 8501:8501 -v "$PWD:/models/{name}" -e MODEL_NAME={name} \\
  tensorflow/serving"""


def _litert(file: str, shape: str) -> str:
    return f"""import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path="{file}").get_signature_runner("serving_default")
answer = model(image=np.zeros((1, {shape}), "float32"))
print(answer["logits"])"""


def _litert_int8(file: str, shape: str) -> str:
    return f"""import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path="{file}").get_signature_runner("serving_default")
scale, zero = model.get_input_details()["image"]["quantization"]
image = np.round(np.zeros((1, {shape})) / scale + zero).clip(-128, 127).astype("int8")
answer = model(image=image)
scale, zero = model.get_output_details()["logits"]["quantization"]
print((answer["logits"].astype("float32") - zero) * scale)"""


def _onnx(file: str, shape: str) -> str:
    return f"""import numpy as np
import onnxruntime
model = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
(logits,) = model.run(["logits"], {{"image": np.zeros((1, {shape}), "float32")}})
print(logits)"""
