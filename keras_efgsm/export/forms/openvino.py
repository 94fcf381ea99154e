"""The form `openvino`: the intermediate representation of OpenVINO, an `.xml` and a `.bin` file.

Keras writes it as well, `model.export(path, format="openvino")`, and with one input and the right
answers. This form goes to the same converter by another door, for three reasons: Keras calls the
answer after a layer, not `logits`; it gives the first input Keras's own name, not `image`; and
its way through `openvino.convert_model` reports each conversion to its maker.
"""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_efgsm.export.markdown import fence
from keras_efgsm.form import Contract, Form, Given, Runner
from keras_efgsm.form_table import register_form

if TYPE_CHECKING:
    import keras
    import numpy as np

# OpenVINO would compute in bfloat16 on a processor that has it, 6e-3 away from Keras.
_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


class OpenVINO(Form):
    """Float32 files `NAME-N.xml`, the graph, and `NAME-N.bin`, the weights."""

    name = "openvino"
    ending = ".xml"
    companions = (".bin",)
    what = "OpenVINO, float32, with its weights in the `.bin` file beside it"
    packages = ("openvino",)
    extra = "openvino"
    runtimes = ("openvino",)
    limits = (
        "The OpenVINO model answers pixels outside [0, 1] as well.",
        "OpenVINO reports its use to its maker as soon as it is imported, unless "
        "`opt_in_out --opt_out`, a command that comes with it, was run once.",
    )

    def write(self, classifier: "keras.Model", path: Path, given: Given) -> None:
        del given
        import tensorflow as tf

        from keras_efgsm.export.endpoint import frozen_graph
        from keras_efgsm.export.operations import lacking

        openvino = _openvino()
        graph, _, _ = frozen_graph(classifier)
        try:
            with tempfile.TemporaryDirectory() as folder:
                tf.io.write_graph(graph, folder, "frozen.pb", as_text=False)
                model = openvino.Core().read_model(os.path.join(folder, "frozen.pb"))
                (entry,), (answer,) = model.inputs, model.outputs
                entry.tensor.set_names({"image"})
                answer.tensor.set_names({"logits"})
                openvino.serialize(model, str(path), str(path.with_suffix(".bin")))
        # What its converter cannot do, and a folder that cannot be written.
        except RuntimeError as error:
            rules = re.search(r"No conversion rule found for operations: ([\w, ]+)", str(error))
            unknown = rules[1].split(" To ")[0].split(", ") if rules else []
            received = f"classifier={classifier.name!r}"
            raise lacking("OpenVINO", unknown, error, received) from error

    def load(self, path: Path) -> "OpenVINORunner":
        return OpenVINORunner(path)

    def loading(self, file: str, contract: Contract, name: str, others: Sequence[str] = ()) -> str:
        del name, others
        shape = ", ".join(map(str, contract.image_shape))
        lines = f"""import numpy as np
import openvino
precision = {{"INFERENCE_PRECISION_HINT": "f32"}}  # else bfloat16 where the processor has it
model = openvino.Core().compile_model("{file}", "CPU", precision)
answer = model({{"image": np.zeros((1, {shape}), "float32")}})
print(answer["logits"])"""
        return f"With OpenVINO:\n\n{fence(lines, 'python')}"


class OpenVINORunner(Runner):
    """Logits of an OpenVINO model on the CPU, in float32, on the cores that the process may use.

    Args:
        path: the `.xml` file, with the `.bin` file beside it.

    Raises:
        ImportError: if OpenVINO is not installed.
        ValueError: if it cannot be read, or does not map one batch of images to logits.
    """

    def __init__(self, path: Path):
        from keras_efgsm.records.environment import allowed_cores

        received = f"Received: path={str(path)!r}"
        try:
            openvino = _openvino()
        except ImportError as error:
            raise ImportError(
                "An OpenVINO model is run by OpenVINO, an optional dependency: "
                f"pip install keras-efgsm[openvino] ({error}) {received}"
            ) from error
        try:
            settings = {**_FLOAT32, "INFERENCE_NUM_THREADS": allowed_cores()}
            self._model = openvino.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"The OpenVINO model cannot be loaded; its `.bin` file must lie beside it. {reason}"
                f" {received}"
            ) from error
        entries, answers = self._model.inputs, self._model.outputs
        shapes = [str(port.partial_shape) for port in (*entries, *answers)]
        kinds = {port.element_type.get_type_name() for port in (*entries, *answers)}
        ranks = [len(port.partial_shape) for port in (*entries, *answers)]
        sizes = list(entries[0].partial_shape)[1:] if entries else []
        if ranks != [4, 2] or kinds != {"f32"} or any(size.is_dynamic for size in sizes):
            raise ValueError(
                "The OpenVINO model must map one batch of float32 images of one size (batch, "
                "height, width, channels) to one batch of float32 logits (batch, num_classes). "
                f"{received}, shapes={shapes}, types={sorted(kinds)}"
            )
        batch = entries[0].partial_shape[0]
        if batch.is_static:
            raise ValueError(
                "The OpenVINO model must take batches of any size. "
                f"{received}, batch={batch.get_length()}"
            )
        height, width, channels = (size.get_length() for size in sizes)
        self._lock = threading.Lock()
        self.image_shape = (height, width, channels)
        self.num_classes = int(self.logits(_zeros(self.image_shape)).shape[1])

    def logits(self, images: "np.ndarray") -> "np.ndarray":
        # A graph calls it from several threads, and the model has one request, which is busy then.
        with self._lock:
            (answer,) = self._model([images]).values()
            # The tensor is one buffer, overwritten by the next call.
            logits: np.ndarray = answer.copy()
        return logits


def _zeros(image_shape: tuple[int, int, int]) -> "np.ndarray":
    import numpy as np

    return np.zeros((1, *image_shape), "float32")


def _openvino() -> Any:
    """OpenVINO without its telemetry, which its mere import would send off."""
    if sys.modules.get("openvino") is not None:
        return sys.modules["openvino"]
    kept = {k: m for k, m in sys.modules.items() if k.split(".")[0] == "openvino_telemetry"}
    # An import of what is None here fails, and OpenVINO then takes its own stub.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules["openvino_telemetry"]
        sys.modules.update(kept)
    return openvino


register_form(OpenVINO())
