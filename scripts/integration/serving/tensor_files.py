"""Inputs or outputs of several signatures in one .npz file, without pickled objects.

The keys are `SIGNATURE/NAME`; a tensor of strings has one uint8 vector for each, with the keys
`SIGNATURE/NAME/0`, `SIGNATURE/NAME/1` and so on.
"""

import os
from collections.abc import Mapping

import numpy as np

Tensors = dict[str, dict[str, np.ndarray]]


def write_tensors(path: str | os.PathLike, tensors: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Writes tensors, by signature and name.

    Args:
        path: the .npz file.
        tensors: strings are vectors of bytes.
    """
    arrays = {}
    for signature, named in tensors.items():
        for name, array in named.items():
            if array.dtype != object:
                arrays[f"{signature}/{name}"] = array
                continue
            for i, value in enumerate(array):
                arrays[f"{signature}/{name}/{i}"] = np.frombuffer(value, "uint8")
    np.savez(path, **arrays)


def read_tensors(path: str | os.PathLike) -> Tensors:
    """Returns what `write_tensors` wrote.

    Args:
        path: the .npz file.
    """
    tensors: Tensors = {}
    strings: dict[tuple[str, str], list[bytes]] = {}
    with np.load(path, allow_pickle=False) as file:
        for key in file.files:
            signature, name, *number = key.split("/")
            if number:
                strings.setdefault((signature, name), []).append(file[key].tobytes())
            else:
                tensors.setdefault(signature, {})[name] = file[key]
    for (signature, name), values in strings.items():
        vector = np.empty(len(values), object)
        vector[:] = values
        tensors.setdefault(signature, {})[name] = vector
    return tensors
