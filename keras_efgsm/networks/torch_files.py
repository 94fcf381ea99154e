"""Weights in a file that PyTorch wrote, read without PyTorch and without running what it holds."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_efgsm.archives import DAMAGE
from keras_efgsm.limits import TooLarge, check_unpacked, read_file

# What a file of before PyTorch 1.6 begins with.
_MAGIC = 0x1950A86A20F9469CFC6C
# Of a state of 500 million weights.
_MOST_BYTES = 2**31
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_torch_tensors(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors of a `state_dict` that `torch.save` wrote, such as a `.pth` file.

    Both of its formats are read, the archive and the one of before PyTorch 1.6. Such a file is a
    pickle, which could run anything: here it may make dicts, lists, numbers, texts and tensors, and
    everything else is refused.

    Args:
        path: of the file, at most 2 GiB large.

    Returns:
        By name an array, in the order of the file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, holds something else, or asks for other code.

    Example:

    ```python
    tensors = read_torch_tensors("efficientnet_lite0.pth")
    tensors["_conv_stem.weight"].shape  # (32, 3, 3, 3)
    ```
    """
    received = f"Received: path={os.fspath(path)!r}"
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file of PyTorch here. {received}")
    try:
        content = io.BytesIO(read_file(path, _MOST_BYTES))
        is_archive = zipfile.is_zipfile(content)
        content.seek(0)
        found = (_read_archive if is_archive else _read_legacy)(content)
        return _tensors_of(found)
    except TooLarge:
        raise
    except (pickle.UnpicklingError, *DAMAGE) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            "The file must be a `state_dict` of tensors that `torch.save` wrote; it is damaged or "
            f"holds something else ({type(error).__name__}: {reason}). {received}"
        ) from error


class _Storage:
    """A run of numbers, whose bytes may come later than what refers to it."""

    def __init__(self, dtype: str, count: int):
        self.dtype, self.count = np.dtype(dtype), count
        self.data: bytes | None = None

    def numbers(self) -> np.ndarray:
        if self.data is None or len(self.data) != self.count * self.dtype.itemsize:
            raise ValueError("a tensor has fewer numbers in the file than it says")
        return np.frombuffer(self.data, self.dtype)


class _Tensor(NamedTuple):
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        numbers = self.storage.numbers()
        ints = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or any(
            type(number) is not int or number < 0 for number in ints
        ):
            raise ValueError("a tensor has no shape")
        size = int(np.prod(self.shape, dtype=object)) if self.shape else 1
        reach = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        # No more numbers than there are: an expanded tensor would ask for memory.
        if size > len(numbers) or (size and self.offset + reach >= len(numbers)):
            raise ValueError("a tensor lies beyond its numbers")
        if not size:
            return np.zeros(self.shape, numbers.dtype)
        width = numbers.itemsize
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [step * width for step in self.strides]
        )
        return view.copy()


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


# All that a file may name; a storage is named by its type alone.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Makes nothing but what `_ALLOWED` has, and storages."""

    def __init__(self, file: Any, storage: Callable[[str, str, int], _Storage]):
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which tensors do not need")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or dtype not in _DTYPES.values() or any(view):
            raise pickle.UnpicklingError("it refers to something else than numbers")
        if type(count) is not int or not 0 <= count <= _MOST_BYTES:
            raise pickle.UnpicklingError("it refers to a number of numbers that cannot be")
        return self._storage(str(key), dtype, count)


def _read_archive(content: io.BytesIO) -> Any:
    with zipfile.ZipFile(content) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        check_unpacked(unpacked, len(content.getbuffer()), "a file of PyTorch")
        (pickled,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        root = pickled.removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and (
            archive.read(f"{root}byteorder") != b"little"
        ):
            raise ValueError("its numbers are in the other byte order")

        def storage(key: str, dtype: str, count: int) -> _Storage:
            made = _Storage(dtype, count)
            made.data = archive.read(f"{root}data/{key}")
            return made

        return _Unpickler(archive.open(pickled), storage).load()


def _read_legacy(content: io.BytesIO) -> Any:
    storages: dict[str, _Storage] = {}

    def storage(key: str, dtype: str, count: int) -> _Storage:
        return storages.setdefault(key, _Storage(dtype, count))

    def load() -> Any:
        return _Unpickler(content, storage).load()

    if load() != _MAGIC:
        raise ValueError("it is no file of PyTorch")
    load()  # the number of the format, which never changed
    if not load().get("little_endian", True):
        raise ValueError("its numbers are in the other byte order")
    found, keys = load(), load()
    for key in keys:
        count = int.from_bytes(content.read(8), "little", signed=True)
        if count != storages[key].count:
            raise ValueError("a run of numbers has another length than was said")
        storages[key].data = content.read(count * storages[key].dtype.itemsize)
    return found


def _tensors_of(found: Any) -> dict[str, np.ndarray]:
    if not isinstance(found, dict) or not found:
        raise ValueError("it holds no dict")
    wrong = [name for name, value in found.items() if not isinstance(value, _Tensor)]
    if wrong:
        raise ValueError(f"its entry {wrong[0]!r} is no tensor")
    return {str(name): tensor.array() for name, tensor in found.items()}
