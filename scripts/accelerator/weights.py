"""Weights that fit into few small files, and are bit for bit those that were measured.

Kernels are rounded to float16, sixteen times finer than the bfloat16 that they were trained
through, before anything is measured; what has one axis stays float32.
"""

import hashlib
import io
from collections.abc import Sequence

import numpy as np


def rounded(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The weights as they are stored, kernels as float16.

    Args:
        weights: of a network, in its order.

    Raises:
        ValueError: if a kernel is too large for float16, or none is a number.
    """
    with np.errstate(over="ignore"):
        stored = [np.asarray(w, "float16" if np.ndim(w) > 1 else "float32") for w in weights]
    if not all(np.isfinite(w).all() for w in stored):
        raise ValueError(
            "The weights must be finite, also in float16. Received: largest="
            f"{max(float(np.abs(w).max()) for w in weights):g}"
        )
    return stored


def restored(stored: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Stored weights as a network takes them."""
    return [np.asarray(w, "float32") for w in stored]


def digest(stored: Sequence[np.ndarray]) -> str:
    """SHA-256 of stored weights."""
    found = hashlib.sha256()
    for array in stored:
        found.update(f"{array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def split(stored: Sequence[np.ndarray], most: int) -> list[bytes]:
    """Weights as `.npz` files that are each small enough.

    Args:
        stored: the weights.
        most: bytes of arrays in a file.

    Raises:
        ValueError: if one array is larger than that.
    """
    largest = max(array.nbytes for array in stored)
    if largest > most:
        raise ValueError(f"An array must fit into {most:,} bytes. Received: {largest:,} bytes")
    parts: list[dict[str, np.ndarray]] = [{}]
    room = most
    for number, array in enumerate(stored):
        if array.nbytes > room:
            parts.append({})
            room = most
        parts[-1][f"{number:04}"] = array
        room -= array.nbytes
    return [_npz(part) for part in parts]


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def join(parts: Sequence[bytes]) -> list[np.ndarray]:
    """The weights that `split` divided, in their order.

    Args:
        parts: the content of all files.

    Raises:
        ValueError: if one of them is missing.
    """
    arrays = {}
    for part in parts:
        with np.load(io.BytesIO(part), allow_pickle=False) as file:
            arrays |= {name: file[name] for name in file.files}
    wanted = [f"{number:04}" for number in range(len(arrays))]
    if sorted(arrays) != wanted:
        raise ValueError(
            f"All parts of the weights must be there. Received: {len(arrays)} arrays, the last "
            f"{max(arrays, default=None)!r}"
        )
    return [arrays[name] for name in wanted]
