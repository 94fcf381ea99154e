"""Times an epoch of every method on the same network, one part of the plan for each method."""

from collections.abc import Callable
from typing import Any

from accelerator.estimates import Rates, epoch_operations, networks_of
from accelerator.parts import Part
from benchmarks.step_parts import step_parts
from benchmarks.step_times import (
    COMPARED,
    Fitted,
    compared_config,
    method_rows,
    profile_facts,
    random_data,
)
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.environment import hardware, versions


class Profile:
    """The figures of `scripts/benchmarks/profile_step.py`, as far as time allows.

    Each method is compiled and timed when its turn comes, and all that are there are timed again
    in turn at the end, as a machine that slows down should slow all of them.

    Args:
        config: the run.
        steps: of a round.
        rounds: how often each method is timed.
        rates: what is known of the machine.
        tell: called with the figures whenever there are more.
    """

    def __init__(
        self,
        config: TrainingConfig,
        steps: int,
        rounds: int,
        rates: Rates,
        tell: Callable[[dict[str, Any]], None],
    ):
        self.config, self.steps, self.rounds = config, steps, rounds
        self.rates, self._tell = rates, tell
        self.fitted: dict[str, Fitted] = {}
        self.parts_ms: dict[str, float] = {}
        self._data = random_data(config, max(2, steps) * config.batch_size)

    def parts(self) -> list[Part]:
        """A part for each method, one that times all again, and one for the parts of a step."""
        # What takes longest to compile comes last.
        methods = sorted(COMPARED, key=lambda method: self._config(method).make_attack().replays)
        of_methods = [
            Part(f"epoch of {method}", self._estimate_of(method), self._adder(method))
            for method in methods
        ]
        again = Part("all epochs again, in turn", lambda left: self._again_seconds(), self._again)
        step = Part("parts of a step", lambda left: 3 * self.rates.fixed["logits"], self._step)
        return [*of_methods, again, step]

    def _config(self, method: str) -> TrainingConfig:
        return compared_config(self.config, method)

    def _estimate_of(self, method: str) -> Callable[[float], float]:
        # Two rounds: one that compiles, one that is timed.
        config = self._config(method)
        images = 2 * self.steps * config.batch_size
        operations = epoch_operations(config, networks_of(config), images)
        # A step of several updates is a longer one to compile, of the same convolutions.
        updates = config.make_attack().replays
        # The run's own was measured before everything else.
        is_there = method == self.config.method
        return lambda left: (
            0.0
            if is_there or method in self.fitted
            else self.rates.fixed["step"] * (3 + updates) / 4
            + self.rates.of("training", operations)
        )

    def _adder(self, method: str) -> Callable[[], None]:
        def add() -> None:
            if method not in self.fitted:
                fitted = Fitted(self._config(method), self._data, self.steps)
                fitted.measure()
                self.fitted[method] = fitted
            self._write()

        return add

    def _again_seconds(self) -> float:
        if not self.fitted:
            # As many as an epoch of eFGSM, ten steps and so on have together.
            return self.rates.of("training", self.rounds * self._operations_of_all())
        return self.rounds * sum(run.step_seconds * run.steps for run in self.fitted.values())

    def _operations_of_all(self) -> float:
        images = self.steps * self.config.batch_size
        configs = [self._config(method) for method in COMPARED]
        return sum(epoch_operations(c, networks_of(c), images) for c in configs)

    def _again(self) -> None:
        for run in self.fitted.values():
            run.seconds.clear()
        for _ in range(self.rounds):
            for run in self.fitted.values():
                run.measure()
        self._write()

    def _step(self) -> None:
        method = next(name for name in ("combined", "efgsm") if name in self.fitted)
        run = self.fitted[method]
        seconds = step_parts(run.trainer, run.config, self.rounds)
        self.parts_ms = {name: 1e3 * value for name, value in seconds.items()}
        self._write(method)

    def _write(self, parts_of: str | None = None) -> None:
        self._tell(
            {
                **profile_facts(self.config, self.steps, self.rounds),
                "peak_tflops": self.rates.peak / 1e12,
                "peak_from": "--peak-tflops",
                "methods": method_rows(self.fitted, self.rates.peak),
                "parts_of": parts_of,
                "parts_ms": self.parts_ms,
                "versions": versions(),
                "hardware": hardware(),
            }
        )
