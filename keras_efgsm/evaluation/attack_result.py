"""What one attack of an evaluation achieved, per image in memory and as figures."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from keras_efgsm.attacks import Attack
from keras_efgsm.printing import brief
from keras_efgsm.records import AttackRecord, wording
from keras_efgsm.records.intervals import Interval, wilson_interval


@dataclass(frozen=True, eq=False, repr=False)
class AttackResult:
    """What one attack achieved.

    Args:
        name: the attack and its loss, such as `"pgd-cw"`.
        engine: whose implementation ran.
        loss: what it maximised; None for an attack without a choice.
        epsilon: radius of the ball in pixels of [0, 1].
        steps: gradient steps of a round; None for an attack that takes none.
        step_size: in pixels of [0, 1]; None for an attack that chooses its own.
        rounds: how many runs make the attack, one for each target class.
        queries: how many candidates it asks for; None for an attack that goes by gradients.
        restarts: how often it started; 1 for an attack without randomness.
        random_start: whether it starts at a random point.
        seed: seed of its noise.
        robust: whether `(n,)` each image was classified correctly, clean and under every restart;
            in a cascade under the attacks before it as well.
        num_attacked: how many images it saw: in a cascade those that withstood the ones before.
        num_turned: how many of these it turned.
        seconds: wall-clock time, compilation included.
        classes: what `(n,)` each image was classified as at the end, integers: what the attack
            turned it to, or its own; -1 where the logits were not finite. In a cascade an image
            that was not attacked keeps the class of the attack that turned it. Defaults to none.
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.
    """

    name: str
    engine: str
    loss: str | None
    epsilon: float
    steps: int | None
    step_size: float | None
    rounds: int
    queries: int | None
    restarts: int
    random_start: bool
    seed: int
    robust: np.ndarray
    num_attacked: int
    num_turned: int
    seconds: float
    classes: np.ndarray | None = None
    norm: str = "linf"

    @classmethod
    def of(
        cls,
        attack: Attack,
        *,
        name: str,
        engine: str,
        restarts: int,
        seed: int,
        start: np.ndarray,
        robust: np.ndarray,
        seconds: float,
        classes: np.ndarray | None = None,
    ) -> Self:
        """The result of an attack with its own settings.

        Args:
            attack: which was run.
            name: what the report calls it.
            engine: whose implementation ran.
            restarts: how often it started.
            seed: seed of its noise.
            start: whether `(n,)` each image was attacked.
            robust: whether `(n,)` each withstood.
            seconds: wall-clock time.
            classes: what `(n,)` each was classified as. Defaults to none.
        """
        spent = attack.budget
        return cls(
            name=name,
            engine=engine,
            loss=attack.chosen_loss,
            epsilon=attack.epsilon,
            steps=spent.steps,
            step_size=spent.step_size,
            rounds=spent.rounds,
            queries=spent.queries,
            restarts=restarts,
            random_start=attack.starts_at_random,
            seed=seed,
            robust=robust,
            num_attacked=int(start.sum()),
            num_turned=int(start.sum() - robust.sum()),
            seconds=seconds,
            classes=classes,
            norm=attack.norm,
        )

    def __repr__(self) -> str:
        return brief(
            self,
            name=self.name,
            epsilon=self.epsilon,
            budget=self.budget,
            num_attacked=self.num_attacked,
            num_turned=self.num_turned,
            robust_accuracy=self.robust_accuracy,
        )

    @property
    def robust_accuracy(self) -> float:
        """Share of the images in [0, 1] that withstood; in a cascade, all attacks so far."""
        return float(self.robust.mean())

    @property
    def interval(self) -> Interval:
        """The 95 % Wilson interval of `robust_accuracy`: so many images tell no more."""
        return wilson_interval(int(self.robust.sum()), len(self.robust))

    @property
    def budget(self) -> str:
        """What it could spend on an image, such as `"100 steps x 9 targets"`."""
        return wording.budget(self)

    @property
    def record(self) -> AttackRecord:
        """The figures of this attack, as a file holds them."""
        return AttackRecord(
            name=self.name,
            engine=self.engine,
            loss=self.loss,
            epsilon=self.epsilon,
            norm=None if self.norm == "linf" else self.norm,
            steps=self.steps,
            step_size=self.step_size,
            rounds=self.rounds,
            queries=self.queries,
            restarts=self.restarts,
            random_start=self.random_start,
            num_images=len(self.robust),
            num_attacked=self.num_attacked,
            num_turned=self.num_turned,
            seed=self.seed,
            robust_accuracy=self.robust_accuracy,
            robust_interval=self.interval,
            seconds=self.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures of this attack, ready for JSON."""
        return self.record.to_dict()
