"""The state of a training run on disk, written whole or not at all."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.atomic_file import atomic_file

_SCHEMA = 2
# Without checksum and only from epoch ends; written by the first version.
_OLD_SCHEMA = 1


def save_checkpoint(
    path: str | Path,
    trainer: Any,
    *,
    meta: dict,
    callbacks: dict,
    keep_old_as: str | Path | None = None,
) -> None:
    """Writes weights, optimizer, metrics, momentum and callback state to one file, atomically.

    It is an uncompressed `.npz` with a SHA-256 over names, types, shapes and contents.

    Args:
        path: the `.npz` file; what it holds is replaced only once the new state is complete.
        trainer: the compiled `AdversarialTrainer`.
        meta: plain values kept beside it, such as the epoch.
        callbacks: name to callback, for each that has `get_state()`.
        keep_old_as: where the checkpoint that was there goes. Defaults to nowhere.

    Raises:
        OSError: if it cannot be written; the old one is where it was.
    """
    digest = _Digest()
    with atomic_file(path, keep_old_as) as file, zipfile.ZipFile(file, "w") as archive:
        # One array at a time: together they are as large as the training itself.
        for name, array in _entries(trainer, meta, callbacks):
            digest.add(name, array)
            _write_array(archive, name, array)
        _write_array(archive, "sha256", digest.value())


def _entries(trainer: Any, meta: dict, callbacks: dict) -> Iterator[tuple[str, np.ndarray]]:
    states, arrays = {}, {}
    for name, callback in callbacks.items():
        states[name] = _flatten(name, callback.get_state(), arrays)
    header = {"schema": _SCHEMA, "meta": meta, "callbacks": states}
    yield "header", np.frombuffer(json.dumps(header).encode(), dtype="uint8")
    for name, variable in _targets(trainer).items():
        yield name, np.asarray(variable)
    if trainer.momentum is not None:
        yield "momentum", trainer.momentum.numpy()
    yield from arrays.items()


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


class _Digest:
    """SHA-256 over arrays and what they are."""

    def __init__(self):
        self._hash = hashlib.sha256()

    def add(self, name: str, array: np.ndarray) -> None:
        self._hash.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        self._hash.update(np.ascontiguousarray(array).reshape(-1).view("uint8"))

    def value(self) -> np.ndarray:
        return np.frombuffer(self._hash.digest(), dtype="uint8")


def _targets(trainer: Any) -> dict[str, Any]:
    """The Keras variables of a checkpoint by name: weights, seed generators, optimizer, metrics."""
    metrics = {id(variable) for variable in trainer.metrics_variables}
    # The states of seed generators, which a dropout draws from, are among the variables.
    weights = [variable for variable in trainer.variables if id(variable) not in metrics]
    return {
        **{f"weight_{i}": v for i, v in enumerate(weights)},
        **{f"optimizer_{i}": v for i, v in enumerate(trainer.optimizer.variables)},
        **{f"metric_{i}": v for i, v in enumerate(trainer.metrics_variables)},
    }


def _flatten(name: str, state: dict, arrays: dict) -> dict:
    """Moves the arrays of a callback's state to `arrays` and leaves plain values."""
    plain = {}
    for key, value in state.items():
        is_list = isinstance(value, list) and value and isinstance(value[0], np.ndarray)
        if is_list:
            plain[key] = {"arrays": len(value)}
            arrays.update({f"callback_{name}_{key}_{i}": array for i, array in enumerate(value)})
        else:
            plain[key] = value
    return plain


class Checkpoint:
    """A checkpoint read back and verified; nothing is changed until `restore`.

    Args:
        path: the file that `save_checkpoint` wrote.

    Raises:
        ValueError: if it is damaged, no checkpoint or of a newer version.
        PermissionError: if it may not be read.

    Example:

    ```python
    Checkpoint("runs/mnist/checkpoint.npz").meta["epoch"]
    ```
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            # Reading every member checks its CRC.
            with np.load(self.path, allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files}
            header = json.loads(self._arrays["header"].tobytes())
            schema = header["schema"]
            if schema == _SCHEMA:
                self._verify()
            del self._arrays["header"]
            self.meta, self._callbacks = header["meta"], header["callbacks"]
        except PermissionError:
            raise
        except Exception as error:  # whatever a damaged zip or header makes of its readers
            raise ValueError(
                "The checkpoint is damaged or no checkpoint of keras_efgsm; put back a copy, or "
                f"train anew in another folder ({error}). Received: checkpoint={self.path.name}"
            ) from error
        if schema not in (_SCHEMA, _OLD_SCHEMA):
            raise ValueError(
                f"The checkpoint must have schema {_SCHEMA} or {_OLD_SCHEMA}; it may be of a newer "
                f"version of keras_efgsm. Received: schema={schema!r}"
            )
        if schema == _OLD_SCHEMA:
            self.meta |= {"step": 0, "seconds": 0.0}

    def _verify(self) -> None:
        stored, digest = self._arrays.pop("sha256"), _Digest()
        for name, array in self._arrays.items():
            digest.add(name, array)
        if not np.array_equal(stored, digest.value()):
            raise ValueError("its checksum is wrong")

    @property
    def metrics(self) -> list[np.ndarray]:
        """The metrics' variables as they were in the running epoch."""
        names = sorted((n for n in self._arrays if n.startswith("metric_")), key=_number)
        return [self._arrays[name] for name in names]

    def restore(self, trainer: Any, callbacks: dict) -> None:
        """Puts the state into a trainer built and compiled like the one that was saved.

        The `metrics` are left to who begins the epoch, as Keras resets them there.

        Args:
            trainer: the compiled trainer, with its momentum made if it uses one.
            callbacks: name to callback, the same names as were saved.

        Raises:
            ValueError: if the checkpoint is of another network, optimizer or data set.
        """
        trainer.optimizer.build(trainer.trainable_variables)
        targets = _targets(trainer)
        if not self.metrics:
            targets = {n: v for n, v in targets.items() if not n.startswith("metric_")}
        shapes = {name: tuple(v.shape) for name, v in targets.items()}
        if trainer.momentum is not None:
            shapes["momentum"] = trainer.momentum.shape
        stored = {n: a.shape for n, a in self._arrays.items() if not n.startswith("callback_")}
        if shapes != stored or set(callbacks) != set(self._callbacks):
            differing = sorted(
                n for n in shapes.keys() | stored.keys() if shapes.get(n) != stored.get(n)
            )
            raise ValueError(
                "The checkpoint must be of the same network, optimizer and data set; these entries "
                f"differ: {differing[:4] or sorted(self._callbacks)}. "
                f"Received: checkpoint={self.path.name}"
            )
        for name, variable in targets.items():
            variable.assign(self._arrays[name])
        if trainer.momentum is not None:
            trainer.momentum.assign(self._arrays["momentum"])
        for name, callback in callbacks.items():
            state = {
                key: [self._arrays[f"callback_{name}_{key}_{i}"] for i in range(value["arrays"])]
                if isinstance(value, dict) and set(value) == {"arrays"}
                else value
                for key, value in self._callbacks[name].items()
            }
            callback.set_state(state)


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])
