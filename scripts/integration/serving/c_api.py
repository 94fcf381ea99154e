"""Loads and runs an export through TensorFlow's C API alone.

    python scripts/integration/serving/c_api.py exported_models/mnist/1
        [--inputs IN.npz --outputs OUT.npz]

`TF_LoadSessionFromSavedModel` is the loader that TF Serving's SavedModel support is built on: it
restores the variables, initialises the label table from its asset, and gives a session. No Python
or Keras code of this project runs here, and `tensorflow` is never imported. Without `--inputs` each
signature answers for one black image; see `tensor_files.py` for the files.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[2]))

import argparse
import ctypes
import os
from collections.abc import Iterable, Mapping

import numpy as np

from integration.serving.png_files import encode_png
from integration.serving.signatures import (
    CODES,
    DTYPES,
    STRING,
    Signature,
    TensorSpec,
    read_signatures,
)
from integration.serving.tensor_files import read_tensors, write_tensors
from integration.serving.tensorflow_library import Buffer, Output, tensorflow_library

# The codes of tf_status.h, which are those of gRPC.
CODE_NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)
_STRING_SIZE = 24  # sizeof(TF_TString) since TensorFlow 2.4


class TensorFlowError(RuntimeError):
    """What TensorFlow answered in place of a result.

    Args:
        code: the name of its status code, for instance `"INVALID_ARGUMENT"`.
        message: its message.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


class SavedModelSession:
    """A SavedModel in a session of TensorFlow's C API. Threads may run it at the same time.

    Args:
        path: the folder with `saved_model.pb`.
        tag: which of its graphs. Defaults to `"serve"`.

    Raises:
        TensorFlowError: if it cannot be loaded.

    Example:

    ```python
    with SavedModelSession("exported_models/mnist/1") as session:
        image = np.zeros((1, 28, 28, 1), "float32")
        session.run("serving_default", {"image": image})["probabilities"]
    ```
    """

    def __init__(self, path: str | os.PathLike, tag: str = "serve"):
        self._library = lib = tensorflow_library()
        self._graph, self._session = lib.TF_NewGraph(), None
        status, options = lib.TF_NewStatus(), lib.TF_NewSessionOptions()
        buffer, tags = lib.TF_NewBuffer(), (ctypes.c_char_p * 1)(tag.encode())
        try:
            self._session = lib.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(path), tags, 1, self._graph, buffer, status
            )
            self._check(status)
            self.meta_graph = _read_buffer(buffer)
        except BaseException:
            self.close()
            raise
        finally:
            lib.TF_DeleteBuffer(buffer)
            lib.TF_DeleteSessionOptions(options)
            lib.TF_DeleteStatus(status)
        self.signatures: dict[str, Signature] = read_signatures(self.meta_graph)

    def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Iterable[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature, by name; strings are arrays of bytes.

        Args:
            signature: the name of the signature.
            inputs: its inputs, by name. They are handed over as they are: type and
                shape are the graph's to check.
            outputs: which outputs to compute. Defaults to all.

        Raises:
            KeyError: if the signature, an input or an output has another name.
            TensorFlowError: if the graph refuses the inputs.
        """
        chosen, lib = self.signatures[signature], self._library
        names = list(chosen.outputs if outputs is None else outputs)
        feeds = self._outputs(chosen.inputs[name] for name in inputs)
        fetches = self._outputs(chosen.outputs[name] for name in names)
        values, results = (ctypes.c_void_p * len(inputs))(), (ctypes.c_void_p * len(names))()
        status = lib.TF_NewStatus()
        try:
            for i, array in enumerate(inputs.values()):
                values[i] = _new_tensor(lib, np.asarray(array))
            run = (feeds, values, len(values), fetches, results, len(results))
            lib.TF_SessionRun(self._session, None, *run, None, 0, None, status)
            self._check(status)
            return {name: _read_tensor(lib, results[i]) for i, name in enumerate(names)}
        finally:
            for tensor in values:
                _delete_input(lib, tensor)
            for tensor in results:
                lib.TF_DeleteTensor(tensor)
            lib.TF_DeleteStatus(status)

    def close(self) -> None:
        """Frees the session and its graph."""
        lib, status = self._library, self._library.TF_NewStatus()
        if self._session:
            lib.TF_CloseSession(self._session, status)
            lib.TF_DeleteSession(self._session, status)
        if self._graph:
            lib.TF_DeleteGraph(self._graph)
        lib.TF_DeleteStatus(status)
        self._session = self._graph = None

    def __enter__(self) -> "SavedModelSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, status: int) -> None:
        code = self._library.TF_GetCode(status)
        if code:
            name = CODE_NAMES[code] if code < len(CODE_NAMES) else "UNKNOWN"
            message = self._library.TF_Message(status).decode("utf-8", "replace")
            raise TensorFlowError(name, message)

    def _outputs(self, specs: Iterable[TensorSpec]) -> ctypes.Array:
        found = []
        for spec in specs:
            operation, _, index = spec.tensor.partition(":")
            pointer = self._library.TF_GraphOperationByName(self._graph, operation.encode())
            if not pointer:
                raise TensorFlowError("INTERNAL", f"the graph has no operation {operation!r}")
            found.append(Output(pointer, int(index or 0)))
        return (Output * len(found))(*found)


def _read_buffer(buffer: "ctypes._Pointer[Buffer]") -> bytes:
    return ctypes.string_at(buffer.contents.data, buffer.contents.length)


def _new_tensor(lib: ctypes.CDLL, array: np.ndarray) -> int:
    is_string = array.dtype.kind in "OS"
    code = STRING if is_string else CODES.get(array.dtype)
    if code is None:
        raise TensorFlowError("INVALID_ARGUMENT", f"no tensor holds arrays of {array.dtype}")
    size = array.size * _STRING_SIZE if is_string else array.nbytes
    dims = (ctypes.c_int64 * max(1, array.ndim))(*array.shape)
    tensor = lib.TF_AllocateTensor(code, dims, array.ndim, size)
    if not tensor:
        raise TensorFlowError("RESOURCE_EXHAUSTED", f"no memory for a tensor of {size} bytes")
    data = lib.TF_TensorData(tensor)
    if not is_string:
        ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
        return tensor
    for i, value in enumerate(array.ravel()):
        place = data + i * _STRING_SIZE
        lib.TF_StringInit(place)
        lib.TF_StringCopy(place, bytes(value), len(value))
    return tensor


def _delete_input(lib: ctypes.CDLL, tensor: int | None) -> None:
    if not tensor:
        return
    if lib.TF_TensorType(tensor) == STRING:
        # The tensor frees its own memory, not the long strings that its elements point to.
        for place in _string_places(lib, tensor):
            lib.TF_StringDealloc(place)
    lib.TF_DeleteTensor(tensor)


def _string_places(lib: ctypes.CDLL, tensor: int) -> range:
    data = lib.TF_TensorData(tensor) or 0
    return range(data, data + lib.TF_TensorByteSize(tensor), _STRING_SIZE)


def _read_tensor(lib: ctypes.CDLL, tensor: int) -> np.ndarray:
    shape = [lib.TF_Dim(tensor, i) for i in range(lib.TF_NumDims(tensor))]
    code = lib.TF_TensorType(tensor)
    if code == STRING:
        strings = [
            ctypes.string_at(lib.TF_StringGetDataPointer(place), lib.TF_StringGetSize(place))
            for place in _string_places(lib, tensor)
        ]
        array = np.empty(len(strings), object)
        array[:] = strings
        return array.reshape(shape)
    size = lib.TF_TensorByteSize(tensor)
    data = ctypes.string_at(lib.TF_TensorData(tensor), size) if size else b""
    return np.frombuffer(data, DTYPES[code]).reshape(shape).copy()


def black_images(signatures: Mapping[str, Signature]) -> dict[str, dict[str, np.ndarray]]:
    """Returns inputs of one black image for each signature, a PNG where it takes strings.

    Args:
        signatures: those of an export; `serving_default` gives the image's size.
    """
    shape = signatures["serving_default"].inputs["image"].shape[1:]
    inputs: dict[str, dict[str, np.ndarray]] = {}
    for name, signature in signatures.items():
        ((key, spec),) = signature.inputs.items()
        if spec.dtype == object:
            file = encode_png(np.zeros(shape, "uint8"))
            inputs[name] = {key: np.array([file], object)}
        else:
            inputs[name] = {key: np.zeros((1, *shape), spec.dtype)}
    return inputs


def main(words: list[str] | None = None) -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("saved_model", help="the folder with saved_model.pb")
    parser.add_argument("--inputs", help="an .npz with inputs of signatures")
    parser.add_argument("--outputs", help="the .npz to write their outputs to")
    options = parser.parse_args(words)
    try:
        with SavedModelSession(options.saved_model) as session:
            asked = session.signatures
            inputs = read_tensors(options.inputs) if options.inputs else black_images(asked)
            outputs = {name: session.run(name, inputs[name]) for name in inputs}
    except (TensorFlowError, OSError, KeyError) as error:
        parser.exit(1, f"c_api: {error}\n")
    for name, answer in outputs.items():
        shapes = ", ".join(f"{key} {value.dtype}{value.shape}" for key, value in answer.items())
        print(f"{name}: {shapes}")
        if "label" in answer:
            print(f"  labels: {[label.decode() for label in answer['label'][:10]]}")
    if options.outputs:
        write_tensors(options.outputs, outputs)
    version = tensorflow_library().TF_Version().decode()
    print(
        f"TensorFlow {version} by its C API; `tensorflow` imported: {'tensorflow' in sys.modules}"
    )


if __name__ == "__main__":
    main()
