"""Digests by which an evaluation knows its model and its images again."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np


def digest_of_arrays(*arrays: np.ndarray) -> str:
    """SHA-256 of the types, shapes and values of arrays.

    Args:
        *arrays: NumPy arrays, in an order that counts.
    """
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(array.reshape(-1).view("uint8").data)
    return digest.hexdigest()


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the contents of files.

    Args:
        paths: the files, in an order that counts.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def digest_of_model(model: keras.Model) -> str:
    """SHA-256 of a Keras model's weights and layers, whatever the layers are called.

    Args:
        model: a built model. Names are left out, as Keras counts them up in a process:
            the same model made twice has others.
    """
    layers = [
        (type(layer).__name__, _without_names(layer.get_config()))
        for layer in model._flatten_layers(include_self=False, recursive=True)
        if not isinstance(layer, keras.Model)
    ]
    structure = json.dumps(layers, sort_keys=True, default=str).encode()
    weights = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    return digest_of_arrays(np.frombuffer(structure, "uint8"), *weights)


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without_names(value) for key, value in config.items() if key != "name"}
    if isinstance(config, (list, tuple)):
        return [_without_names(value) for value in config]
    return config
