"""Tensors in the JSON of TF Serving's REST API: from a request, and into a response.

Refusals and their words follow TF Serving's json_tensor.cc.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from integration.serving.c_api import TensorFlowError
from integration.serving.signatures import Signature

_MOST_DIMENSIONS = 64  # numpy's limit
_BYTES_SUFFIX = "_bytes"  # outputs of such a name are written as base64


def read_request(
    body: bytes, find: Callable[[str], Signature]
) -> tuple[str, dict[str, np.ndarray], bool]:
    """Returns signature, inputs by name, and whether the request is in row format.

    Args:
        body: the JSON of a predict request, with `instances` (row format: a list of
            images) or `inputs` (column format: one tensor, or one for each name).
        find: takes a signature's name and gives the signature, or raises.

    Raises:
        TensorFlowError: if it is no such request.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise _refused(f"JSON Parse error: {reason}") from None
    if not isinstance(document, dict):
        raise _refused(f"JSON Value: {_short(document)} Is not object")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise _refused("'signature_name' key must be a string value.")
    inputs = find(name).inputs
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        raise _refused("expecting only one of 'inputs' or 'instances' keys to exist")
    if has_rows:
        return name, _read_rows(document["instances"], inputs), True
    if not has_columns:
        raise _refused("Missing 'inputs' or 'instances' key")
    columns = document["inputs"]
    if not isinstance(columns, dict) or _is_base64(columns):
        if len(inputs) > 1:
            raise _refused("inputs is a plain value/list, but multiple input tensors are required")
        columns = {next(iter(inputs)): columns}
    for missing in set(inputs) - set(columns):
        raise _refused(f"Missing named input: {missing} in 'inputs' object.")
    return name, {key: _tensor(columns[key], inputs[key].dtype) for key in inputs}, False


def _read_rows(rows: Any, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise _refused("Excepting 'instances' to be an list/array")
    if not rows:
        raise _refused("No values in 'instances' array")
    if isinstance(rows[0], dict) and not _is_base64(rows[0]):
        for i, row in enumerate(rows):
            if not isinstance(row, dict) or set(row) != set(inputs):
                raise _refused(
                    f"Failed to process element: {i} of 'instances' list. JSON object: "
                    f"{_short(row)} keys must be equal to: {','.join(sorted(inputs))}"
                )
        columns = {key: [row[key] for row in rows] for key in inputs}
    elif len(inputs) > 1:
        raise _refused("instances is a plain list, but multiple input tensors are required")
    else:
        columns = {next(iter(inputs)): rows}
    return {key: _tensor(value, inputs[key].dtype) for key, value in columns.items()}


def _tensor(value: Any, dtype: np.dtype) -> np.ndarray:
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        if not first:
            break
        first = first[0]
    if len(shape) > _MOST_DIMENSIONS:
        raise _refused(f"JSON Value is nested too deeply: {len(shape)} lists in one another")
    values: list[Any] = []
    try:
        _collect(value, shape, 0, dtype, values)
    except RecursionError:
        raise _refused("JSON Value is nested too deeply") from None
    array = np.empty(len(values), dtype)
    try:
        with np.errstate(over="raise"):
            array[:] = values
    except (OverflowError, FloatingPointError):
        raise _refused(f"Cannot convert JSON values to {dtype} without loss") from None
    return array.reshape(shape)


def _collect(value: Any, shape: list[int], level: int, dtype: np.dtype, values: list) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise _refused(
                f"JSON Value: {_short(value)} found at incorrect level: {level + 1} in the JSON "
                f"DOM. Expected at level: {len(shape)}"
            )
        values.append(_scalar(value, dtype))
        return
    if level >= len(shape):
        raise _refused(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise _refused(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    for item in value:
        _collect(item, shape, level + 1, dtype, values)


def _scalar(value: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "O":
        if isinstance(value, str):
            return value.encode()
        if not _is_base64(value):
            raise _refused(f"JSON Value: {_short(value)} not formatted correctly for base64 data")
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError):
            raise _refused("Unable to base64 decode") from None
    kinds = (int, float) if dtype.kind == "f" else (bool,) if dtype.kind == "b" else (int,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and dtype.kind != "b"):
        raise _refused(
            f"JSON Value: {_short(value)} Type: {type(value).__name__} is not of expected type: "
            f"{dtype}"
        )
    return value


def write_response(outputs: Mapping[str, np.ndarray], *, rows: bool) -> bytes:
    """Returns the JSON of a predict response.

    Args:
        outputs: name to array.
        rows: whether it is in row format, one entry for each image.

    Raises:
        TensorFlowError: if in row format the outputs have other numbers of images.
    """
    values = {name: _values(name, array) for name, array in outputs.items()}
    if not rows:
        (only, *others) = values.values()
        return json.dumps({"outputs": values if others else only}, indent=1).encode()
    if len({array.shape[:1] for array in outputs.values()}) != 1:
        raise _refused("Tensors of a row format response must have one batch size")
    (only, *others) = values.values()
    if not others:
        return json.dumps({"predictions": only}, indent=1).encode()
    predictions = [
        dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)
    ]
    return json.dumps({"predictions": predictions}, indent=1).encode()


def _values(name: str, array: np.ndarray) -> Any:
    if array.dtype == object:
        texts = [
            {"b64": base64.b64encode(value).decode()}
            if name.endswith(_BYTES_SUFFIX)
            else value.decode("utf-8", "replace")
            for value in array.ravel()
        ]
        flat = np.empty(len(texts), object)
        flat[:] = texts
        return flat.reshape(array.shape).tolist()
    if array.dtype == np.float32:
        # The shortest decimal that gives the same float32, not the digits of its float64.
        texts = np.array([float(str(value)) for value in array.ravel()], "float64")
        return texts.reshape(array.shape).tolist()
    return array.tolist()


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _refused(message: str) -> TensorFlowError:
    return TensorFlowError("INVALID_ARGUMENT", message)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
