"""The state of an evaluation, kept on disk after every batch so that it can be continued."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_efgsm.evaluation.image_file import ImageFile
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
        clean_classes: int32 `(n,)`, what the clean images are classified as; None as `correct`.
        classes: int32 `(num_attacks, n)`, what each attack has had them classified as so far,
            `NO_CLASS` where the logits were not finite; None as `correct`.
        found: takes the adversarial images, see `AdversarialImages`. Defaults to none.
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
        self.clean_classes: np.ndarray | None = None
        self.classes: np.ndarray | None = None
        self.found: ImageFile | None = None
        self.attack, self.step, self.batch_size = 0, 0, 0
        self.waiting: np.ndarray | None = None
        self.attack_seconds = [0.0] * num_attacks
        self.single_draws: np.ndarray | None = None
        self._seconds_before, self._began = 0.0, time.perf_counter()
        if self.path is not None and os.path.lexists(self.path):
            self._read(self.path)

    def begin(self, correct: np.ndarray, clean_classes: np.ndarray) -> None:
        """Takes down which clean images are right; every attack starts from those.

        Args:
            correct: bool `(n,)`.
            clean_classes: what they are classified as, integers `(n,)`.
        """
        count = len(self.attack_seconds)
        self.correct, self.clean_classes = correct, clean_classes.astype("int32")
        self.robust = np.tile(correct, (count, 1))
        self.classes = np.tile(self.clean_classes, (count, 1))
        self.save()

    def survivors_of(self, earlier: Sequence[int]) -> np.ndarray:
        """Which `(n,)` images withstood some attacks and those that these went on from.

        Args:
            earlier: the numbers of the attacks; of none, which clean images are right.
        """
        assert self.robust is not None and self.correct is not None  # since `begin`
        survivors: np.ndarray = self.correct & self.robust[list(earlier)].all(axis=0)
        return survivors

    def start(self, earlier: Sequence[int]) -> None:
        """Has the next attack begin with what earlier ones left, unless it has begun.

        Args:
            earlier: the numbers of those attacks; of none it begins with the clean images.
        """
        if self.step or self.waiting is not None:
            return
        assert self.robust is not None and self.classes is not None  # since `begin`
        assert self.clean_classes is not None
        classes = self.clean_classes
        for number in reversed(earlier):
            classes = np.where(self.robust[number], classes, self.classes[number])
        self.robust[self.attack], self.classes[self.attack] = self.survivors_of(earlier), classes

    def take(self, chosen: np.ndarray, held: np.ndarray, classes: np.ndarray, x_adv: Any) -> None:
        """Takes down what became of a batch, and saves it.

        Args:
            chosen: numbers `(b,)` of the images.
            held: whether `(b,)` each withstood.
            classes: what they were classified as, `(b,)`.
            x_adv: the adversarial images, of which the first b are theirs.
        """
        assert self.robust is not None and self.classes is not None  # since `begin`
        assert self.waiting is not None
        if self.found is not None and not held.all():
            # Of several attacks that turn an image the first one's is kept.
            is_new = ~held & self.robust[: self.attack, chosen].all(axis=0)
            self.found.write(chosen[is_new], np.asarray(x_adv)[: len(chosen)][is_new])
            # On the disk before the state says that they are.
            self.found.flush()
        self.robust[self.attack, chosen], self.waiting[chosen] = held, False
        self.classes[self.attack, chosen] = classes
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
            clean_classes=self.clean_classes,
            classes=self.classes,
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
        self.clean_classes, self.classes = record.clean_classes, record.classes
        self.waiting = record.waiting if record.round_has_begun else None
        self.attack, self.step, self.batch_size = record.attack, record.step, record.batch_size
        self.attack_seconds = list(record.attack_seconds)
        self.single_draws = record.single_draws
        self._seconds_before = record.seconds
