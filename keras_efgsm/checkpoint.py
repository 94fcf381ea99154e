"""The state of a training run on disk, written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

_SCHEMA = 1


def save_checkpoint(path: str | Path, trainer: Any, *, meta: dict, callbacks: dict) -> None:
    """Writes weights, optimizer, momentum and callback state to one file, atomically.

    Args:
        path: the `.npz` file; what it holds is replaced only once the new state is complete.
        trainer: the compiled `AdversarialTrainer`.
        meta: plain values kept beside it, such as the epoch and the run's configuration.
        callbacks: name to callback, for each that has `get_state()`.
    """
    arrays = {f"weight_{i}": np.asarray(v) for i, v in enumerate(_variables(trainer))}
    for i, variable in enumerate(trainer.optimizer.variables):
        arrays[f"optimizer_{i}"] = np.asarray(variable)
    if trainer.momentum is not None:
        arrays["momentum"] = trainer.momentum.numpy()
    states = {
        name: _flatten(name, callback.get_state(), arrays) for name, callback in callbacks.items()
    }
    header = {"schema": _SCHEMA, "meta": meta, "callbacks": states}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype="uint8")
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _variables(trainer: Any) -> list:
    """Weights and the states of seed generators, which a dropout draws from; no metrics."""
    metrics = {id(variable) for variable in trainer.metrics_variables}
    return [variable for variable in trainer.variables if id(variable) not in metrics]


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
        ValueError: if it is damaged or no checkpoint.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            # Reading every member checks its CRC.
            with np.load(self.path, allow_pickle=False) as file:
                self._arrays = {name: file[name] for name in file.files}
            header = json.loads(self._arrays.pop("header").tobytes())
            self.meta, self._callbacks = header["meta"], header["callbacks"]
            schema = header["schema"]
        except Exception as error:  # whatever a damaged zip or header makes of its readers
            raise ValueError(
                "The checkpoint is damaged or no checkpoint of keras_efgsm; start without "
                f"`--resume`, or put back a copy ({error}). Received: checkpoint={self.path.name}"
            ) from error
        if schema != _SCHEMA:
            raise ValueError(
                f"The checkpoint must have schema {_SCHEMA}. Received: schema={schema!r}"
            )

    def restore(self, trainer: Any, callbacks: dict) -> None:
        """Puts the state into a trainer built and compiled like the one that was saved.

        Args:
            trainer: the compiled trainer, with its momentum made if it uses one.
            callbacks: name to callback, the same names as were saved.

        Raises:
            ValueError: if the checkpoint is of another network, optimizer or data set.
        """
        trainer.optimizer.build(trainer.trainable_variables)
        targets = {f"weight_{i}": v for i, v in enumerate(_variables(trainer))}
        targets |= {f"optimizer_{i}": v for i, v in enumerate(trainer.optimizer.variables)}
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
