"""The signatures of a SavedModel, read from its MetaGraphDef without TensorFlow's Python."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def _load_messages():
    # By its file: to import it as a module is to import its package, and TensorFlow with that.
    (package,) = importlib.util.find_spec("keras_efgsm").submodule_search_locations
    path = Path(package) / "serving" / "published_messages.py"
    spec = importlib.util.spec_from_file_location("published_messages", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_messages = _load_messages().build_messages
# tensorflow/core/protobuf/meta_graph.proto and framework/tensor_shape.proto: what is needed here.
_MESSAGES = build_messages(
    "tensorflow",
    {
        "MetaGraphDef": {"signature_def": (5, "map SignatureDef")},
        "SignatureDef": {
            "inputs": (1, "map TensorInfo"),
            "outputs": (2, "map TensorInfo"),
            "method_name": (3, "string"),
        },
        "TensorInfo": {
            "name": (1, "string"),
            "dtype": (2, "int32"),
            "tensor_shape": (3, "TensorShapeProto"),
        },
        "TensorShapeProto": {"dim": (2, "repeated Dim"), "unknown_rank": (3, "bool")},
        "Dim": {"size": (1, "int64"), "name": (2, "string")},
    },
)
# tensorflow/core/framework/types.proto; strings are arrays of Python bytes.
STRING = 7
DTYPES = {
    1: np.dtype("float32"),
    2: np.dtype("float64"),
    3: np.dtype("int32"),
    4: np.dtype("uint8"),
    5: np.dtype("int16"),
    6: np.dtype("int8"),
    STRING: np.dtype(object),
    9: np.dtype("int64"),
    10: np.dtype("bool"),
}
CODES = {dtype: code for code, dtype in DTYPES.items()}


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Args:
        tensor: its name in the graph, `operation:index`.
        dtype: its numpy type; `object` for strings.
        shape: its sizes, -1 where any size is taken; `None` for any rank.
    """

    tensor: str
    dtype: np.dtype
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Signature:
    """What one signature takes and gives, by the names that requests use.

    Args:
        inputs: name to tensor.
        outputs: name to tensor.
    """

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


def read_signatures(meta_graph: bytes) -> dict[str, Signature]:
    """Returns the signatures for requests, by name.

    Args:
        meta_graph: a serialized MetaGraphDef.
    """
    read = _MESSAGES["MetaGraphDef"].FromString(meta_graph)
    # The other one, `__saved_model_init_op`, is for the loader.
    names = sorted(n for n in read.signature_def if not n.startswith("__"))
    signatures = {}
    for name in names:
        definition = read.signature_def[name]
        inputs = {key: _spec(definition.inputs[key]) for key in sorted(definition.inputs)}
        outputs = {key: _spec(definition.outputs[key]) for key in sorted(definition.outputs)}
        signatures[name] = Signature(inputs, outputs)
    return signatures


def _spec(info) -> TensorSpec:
    if info.dtype not in DTYPES:
        raise ValueError(
            f"A signature may use the data types {sorted(DTYPES)} (numbers of types.proto). "
            f"Received: dtype of {info.name!r}={info.dtype}"
        )
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return TensorSpec(info.name, DTYPES[info.dtype], sizes)
