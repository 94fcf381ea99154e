"""The state of a training run on disk, written whole or not at all."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.archives import read_array_headers
from keras_efgsm.atomic_file import atomic_file
from keras_efgsm.records.json_text import parse_json
from keras_efgsm.records.part import Count, Part, Seconds
from keras_efgsm.runs.checkpoint_arrays import (
    Digest,
    Pieces,
    bytes_of,
    read_pieces,
    write_array,
    write_pieces,
)

_SCHEMA = 2
# Without checksum and only from epoch ends; written by the first version.
_OLD_SCHEMA = 1
# The one array that may be larger than memory.
_MOMENTUM = "momentum"


def save_checkpoint(
    path: str | Path,
    trainer: Any,
    *,
    meta: dict[str, Any],
    callbacks: dict[str, Any],
    keep_old_as: str | Path | None = None,
) -> None:
    """Writes weights, optimizer, metrics, momentum and callback state to one file, atomically.

    It is an uncompressed `.npz` with a SHA-256 over names, types, shapes and contents. The momentum
    goes there in pieces where it is on disk, and gives the same file as one in memory.

    Args:
        path: the `.npz` file; what it holds is replaced only once the new state is complete.
        trainer: the compiled `AdversarialTrainer`.
        meta: plain values kept beside it, such as the epoch.
        callbacks: name to callback, for each that has `get_state()`.
        keep_old_as: where the checkpoint that was there goes. Defaults to nowhere.

    Raises:
        OSError: if it cannot be written; the old one is where it was.
    """
    digest = Digest()
    with atomic_file(path, keep_old_as) as file, zipfile.ZipFile(file, "w") as archive:
        # One array at a time: together they are as large as the training itself.
        for name, array in _entries(trainer, meta, callbacks):
            if isinstance(array, Pieces):
                digest.begin(name, array)
                write_pieces(archive, name, array, digest)
                continue
            digest.add(name, array)
            write_array(archive, name, array)
        write_array(archive, "sha256", digest.value())


def _entries(
    trainer: Any, meta: dict[str, Any], callbacks: dict[str, Any]
) -> Iterator[tuple[str, np.ndarray | Pieces]]:
    states: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, callback in callbacks.items():
        states[name] = _flatten(name, callback.get_state(), arrays)
    header = {"schema": _SCHEMA, "meta": meta, "callbacks": states}
    yield "header", np.frombuffer(json.dumps(header).encode(), dtype="uint8")
    for name, variable in _targets(trainer).items():
        yield name, np.asarray(variable)
    if trainer.momentum is not None:
        momentum = trainer.momentum
        yield _MOMENTUM, Pieces(momentum.shape, np.dtype(momentum.dtype), momentum.chunks())
    yield from arrays.items()


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


def _flatten(name: str, state: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
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


@dataclass(frozen=True, kw_only=True)
class _Row(Part):
    """An epoch of the history in a checkpoint; its figures are in `extra`."""

    epoch: Count
    seconds: Seconds


@dataclass(frozen=True, kw_only=True)
class _Meta(Part):
    """Where a run stood."""

    epoch: Count
    step: Count
    seconds: Seconds
    rows: tuple[_Row, ...]
    stopped: bool


class Checkpoint:
    """A checkpoint read back and verified; nothing is changed until `restore`.

    The momentum, which may be larger than memory, is verified now and read again by `restore`.

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
            self._arrays: dict[str, np.ndarray] = {}
            self._momentum_shape: tuple[int, ...] | None = None
            digest = self._read()
            header = parse_json(self._arrays["header"].tobytes(), any_number=True)
            schema = header["schema"]
            if schema == _SCHEMA and not np.array_equal(self._arrays.pop("sha256"), digest):
                raise ValueError("its checksum is wrong")
            del self._arrays["header"]
            self.meta, self._callbacks = header["meta"], header["callbacks"]
            for name, values in (("meta", self.meta), ("callbacks", self._callbacks)):
                if not isinstance(values, dict):
                    raise ValueError(f"its {name} must be an object")
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

    def _read(self) -> np.ndarray:
        """Reads all but the momentum, and the digest of everything; each CRC is checked."""
        digest = Digest()
        # A header that asks for more than there is would make room for it first.
        read_array_headers(self.path)
        with zipfile.ZipFile(self.path) as archive:
            for entry in archive.namelist():
                name = entry.removesuffix(".npy")
                with archive.open(entry) as member:
                    if name == _MOMENTUM:
                        momentum = read_pieces(member)
                        digest.begin(name, momentum)
                        for piece in momentum.pieces:
                            digest.update(bytes_of(piece))
                        self._momentum_shape = momentum.shape
                        continue
                    array = np.lib.format.read_array(member, allow_pickle=False)
                self._arrays[name] = array
                if name != "sha256":
                    digest.add(name, array)
        return digest.value()

    def check_position(self) -> None:
        """Checks that it says where its run stood.

        Raises:
            ValueError: if it has no epoch, step or row of the history for each epoch.
        """
        try:
            found = _Meta.from_dict(self.meta, "meta")
            if len(found.rows) != found.epoch:
                raise ValueError(f"it has {len(found.rows)} rows of {found.epoch} epochs")
        except ValueError as error:
            raise ValueError(
                "The checkpoint must say where its run stood; put back a copy, or train anew in "
                f"another folder ({error}). Received: checkpoint={self.path.name}"
            ) from error

    @property
    def metrics(self) -> list[np.ndarray]:
        """The metrics' variables as they were in the running epoch."""
        names = sorted((n for n in self._arrays if n.startswith("metric_")), key=_number)
        return [self._arrays[name] for name in names]

    def restore(self, trainer: Any, callbacks: dict[str, Any]) -> None:
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
            shapes[_MOMENTUM] = trainer.momentum.shape
        stored = {n: a.shape for n, a in self._arrays.items() if not n.startswith("callback_")}
        if self._momentum_shape is not None:
            stored[_MOMENTUM] = self._momentum_shape
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
            self._restore_momentum(trainer.momentum)
        for name, callback in callbacks.items():
            state = {
                key: [self._arrays[f"callback_{name}_{key}_{i}"] for i in range(value["arrays"])]
                if isinstance(value, dict) and set(value) == {"arrays"}
                else value
                for key, value in self._callbacks[name].items()
            }
            callback.set_state(state)

    def _restore_momentum(self, momentum: Any) -> None:
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{_MOMENTUM}.npy") as member:
            stored = read_pieces(member)
            if stored.dtype.name != momentum.dtype:
                raise ValueError(
                    f"The stored momentum must have dtype {momentum.dtype}. "
                    f"Received: checkpoint={self.path.name} with {stored.dtype}"
                )
            momentum.assign_chunks(stored.pieces)


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])
