"""The state of an evaluation, kept on disk after every batch so that it can be continued."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.records import TallyRecord


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
        single_draws: state of the `Spread` of a classifier that draws at random; None for others.

    Raises:
        ValueError: if the file is damaged or belongs to another evaluation; it stays as it is.
        OSError: if it cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, identity: dict[str, Any], num_attacks: int
    ):
        self.path = None if path is None else Path(path)
        self._identity = json.loads(json.dumps(identity, default=str))
        self.correct: np.ndarray | None = None
        self.robust: np.ndarray | None = None
        self.attack, self.step, self.batch_size = 0, 0, 0
        self.waiting: np.ndarray | None = None
        self.attack_seconds = [0.0] * num_attacks
        self.single_draws: np.ndarray | None = None
        self._seconds_before, self._began = 0.0, time.perf_counter()
        if self.path is not None and os.path.lexists(self.path):
            self._read(self.path)

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
        has_begun = self.waiting is not None
        record = TallyRecord(
            identity=self._identity,
            attack=self.attack,
            step=self.step,
            batch_size=self.batch_size,
            attack_seconds=tuple(self.attack_seconds),
            seconds=self.seconds,
            round_has_begun=has_begun,
            correct=self.correct,
            robust=self.robust,
            waiting=self.waiting if has_begun else np.zeros_like(self.correct),
            single_draws=self.single_draws,
        )
        record.write(self.path)

    def _read(self, path: Path) -> None:
        received = f"Received: state={str(path)!r}"
        try:
            record = TallyRecord.read(path)
        except ValueError as error:
            raise ValueError(
                "The state of an interrupted evaluation must be readable; remove it to start from "
                f"the beginning ({error}). {received}"
            ) from error
        identity = record.identity
        names = sorted(self._identity.keys() | identity.keys())
        differing = [name for name in names if self._identity.get(name) != identity.get(name)]
        if differing:
            raise ValueError(
                "The state is that of an interrupted evaluation that is not this one; continue it "
                "as it was begun, give this one another `state`, or remove it. They differ in: "
                f"{', '.join(differing)}. {received}"
            )
        self.correct, self.robust = record.correct, record.robust
        self.waiting = record.waiting if record.round_has_begun else None
        self.attack, self.step, self.batch_size = record.attack, record.step, record.batch_size
        self.attack_seconds = list(record.attack_seconds)
        self.single_draws = record.single_draws
        self._seconds_before = record.seconds
