"""What an evaluation knows so far, kept on disk after every batch so that it can be continued."""

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.atomic_file import write_atomically

_SCHEMA = 1


class Tally:
    """Which images withstood which attack, up to the last batch that is through.

    Args:
        path: the `.npz` file in which it is kept. None keeps it in memory alone.
        identity: everything that decides the outcome, as values that JSON can hold: a file that
            was written under another one is refused.
        num_attacks: how many attacks the evaluation has.

    Attributes:
        correct: whether `(n,)` each clean image is classified correctly; None before that is
            known.
        robust: `(num_attacks, n)`, which images have withstood each attack so far.
        attack: number of the attack that is at work; `num_attacks` once all are through.
        step: number of its round, restarts counted on.
        waiting: whether `(n,)` each image is still to be attacked in this round; None before it
            has begun.
        batch_size: of this round.
        attack_seconds: wall-clock time of each attack.

    Raises:
        ValueError: if the file is damaged or belongs to another evaluation; it stays as it is.
        OSError: if it cannot be written.
    """

    def __init__(self, path: str | os.PathLike | None, identity: dict[str, Any], num_attacks: int):
        self.path = None if path is None else Path(path)
        self._identity = json.loads(json.dumps(identity, default=str))
        self.correct: np.ndarray | None = None
        self.robust: np.ndarray | None = None
        self.attack, self.step, self.batch_size = 0, 0, 0
        self.waiting: np.ndarray | None = None
        self.attack_seconds = [0.0] * num_attacks
        self._seconds_before, self._began = 0.0, time.perf_counter()
        if self.path is not None and os.path.lexists(self.path):
            self._read()

    def begin(self, correct: np.ndarray) -> None:
        """Takes down which clean images are right; every attack starts from those."""
        self.correct = correct
        self.robust = np.tile(correct, (len(self.attack_seconds), 1))
        self.save()

    @property
    def seconds(self) -> float:
        """Wall-clock time spent, before an interruption and since."""
        return self._seconds_before + time.perf_counter() - self._began

    def save(self) -> None:
        """Writes the file, whole or not at all."""
        if self.path is None:
            return
        header = {
            "schema": _SCHEMA,
            "identity": self._identity,
            "attack": self.attack,
            "step": self.step,
            "batch_size": self.batch_size,
            "attack_seconds": self.attack_seconds,
            "seconds": self.seconds,
            "round_has_begun": self.waiting is not None,
        }
        waiting = np.zeros_like(self.correct) if self.waiting is None else self.waiting
        file = io.BytesIO()
        np.savez(
            file,
            header=np.frombuffer(json.dumps(header).encode(), "uint8"),
            correct=self.correct,
            robust=self.robust,
            waiting=waiting,
        )
        write_atomically(self.path, file.getvalue())

    def _read(self) -> None:
        received = f"Received: state={str(self.path)!r}"
        try:
            # Reading every member checks its CRC.
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            header = json.loads(arrays["header"].tobytes())
            identity = header["identity"]
            if header["schema"] != _SCHEMA:
                raise ValueError(f"schema {header['schema']!r}")
            self.correct, self.robust = arrays["correct"], arrays["robust"]
            self.waiting = arrays["waiting"] if header["round_has_begun"] else None
            self.attack, self.step = header["attack"], header["step"]
            self.batch_size = header["batch_size"]
            self.attack_seconds = header["attack_seconds"]
            self._seconds_before = header["seconds"]
        except Exception as error:  # whatever a damaged zip or header makes of its readers
            raise ValueError(
                "The state of an interrupted evaluation must be readable; remove it to start from "
                f"the beginning ({type(error).__name__}: {error}). {received}"
            ) from error
        names = sorted(self._identity.keys() | identity.keys())
        differing = [name for name in names if self._identity.get(name) != identity.get(name)]
        if differing:
            raise ValueError(
                "The state is that of an interrupted evaluation that is not this one; continue it "
                "as it was begun, give this one another `state`, or remove it. They differ in: "
                f"{', '.join(differing)}. {received}"
            )
