"""The parts of a plan, each of which starts only if it fits into what is left of the time."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

_UNLIKELY = "unlikely to fit"


class Budget:
    """Time from a begin to an end.

    Args:
        seconds: how long.
        begun: when it began, as `time.perf_counter` has it. Defaults to now.
    """

    def __init__(self, seconds: float, begun: float | None = None):
        self.seconds = seconds
        self.begun = time.perf_counter() if begun is None else begun

    @property
    def spent(self) -> float:
        """Seconds since the begin."""
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        """Seconds until the end, negative after it."""
        return self.seconds - self.spent

    @property
    def end(self) -> float:
        """When it ends, as `time.perf_counter` has it."""
        return self.begun + self.seconds


@dataclasses.dataclass
class Part:
    """A part of a plan.

    Args:
        name: what it is called in the table.
        estimate: seconds that it will take if so many are left, by what is known when it is
            asked; a part that can do with less may shrink to fit.
        run: does it.
        needs: names of parts without which it cannot be. Defaults to none.
        note: how much of it the last estimate was for. Defaults to nothing.
    """

    name: str
    estimate: Callable[[float], float]
    run: Callable[[], None]
    needs: Sequence[str] = ()
    note: Callable[[], str] = lambda: ""


@dataclasses.dataclass
class Record:
    """What became of a part.

    Args:
        name: of the part.
        planned: seconds as they were estimated before anything ran.
        note: how much of it was planned, and then done. Defaults to nothing.
        estimated: seconds as they were estimated when its turn came. Defaults to none.
        seconds: how long it took. Defaults to none.
        status: `"waiting"`, `"unlikely to fit"`, `"running"`, `"done"`, or why it was not done.
            Defaults to `"waiting"`.
    """

    name: str
    planned: float
    note: str = ""
    estimated: float | None = None
    seconds: float | None = None
    status: str = "waiting"

    def to_dict(self) -> dict[str, Any]:
        """As it is written."""
        return {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }


class Schedule:
    """Runs parts one after the other and keeps to the budget.

    A part that fails is told of, and the others go on without it.

    Args:
        parts: in their order.
        budget: the time that they share.
        say: prints a line.
        record: called with the records whenever one changes. Defaults to nothing.

    Example:

    ```python
    Schedule([Part("sleep", lambda left: 1.0, lambda: time.sleep(1))], Budget(10), print).run()
    ```
    """

    def __init__(
        self,
        parts: Sequence[Part],
        budget: Budget,
        say: Callable[[str], None],
        record: Callable[[list[Record]], None] = lambda records: None,
    ):
        self.parts, self.budget, self.say, self._tell = list(parts), budget, say, record
        self.records = self._plan()

    def _plan(self) -> list[Record]:
        left, records = self.budget.left, []
        for part in self.parts:
            record = Record(part.name, part.estimate(left), part.note())
            if record.planned > left:
                record.status = _UNLIKELY
            else:
                left -= record.planned
            records.append(record)
        return records

    @property
    def planned(self) -> float:
        """Seconds of all parts that are likely to fit, what was spent before them included."""
        likely = [record.planned for record in self.records if record.status != _UNLIKELY]
        return self.budget.spent + sum(likely)

    def run(self) -> None:
        """Runs what fits."""
        for part, record in zip(self.parts, self.records, strict=True):
            self._run(part, record)
            self._tell(self.records)

    def _run(self, part: Part, record: Record) -> None:
        done = {r.name for r in self.records if r.status == "done"}
        missing = [name for name in part.needs if name not in done]
        left = self.budget.left
        record.status = "waiting"
        if missing:
            record.status = f"left out: without {', '.join(missing)}"
        else:
            record.estimated, record.note = part.estimate(left), part.note()
            if record.estimated > left:
                record.status = f"left out: {record.estimated:.0f} s, {left:.0f} s are left"
        if record.status != "waiting":
            self.say(f"{part.name}: {record.status}")
            return
        record.status = "running"
        self._tell(self.records)
        self.say(f"{part.name}: {record.estimated:.0f} s estimated, {left:.0f} s are left")
        begun = time.perf_counter()
        try:
            part.run()
            record.status = "done"
        # Out of memory, a loss that is no number, a kernel that is not there: the rest may work.
        except Exception as error:
            record.status = f"failed: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
        record.seconds = time.perf_counter() - begun
        self.say(f"{part.name}: {record.status} after {record.seconds:.1f} s")

    def table(self) -> str:
        """The parts with their estimates and times, as Markdown."""
        rows = ["| part | planned s | estimated s | took s | what | |", "|---|---|---|---|---|---|"]
        for record in self.records:
            numbers = (record.planned, record.estimated, record.seconds)
            cells = ["-" if number is None else f"{number:.1f}" for number in numbers]
            rows.append(f"| {record.name} | {' | '.join([*cells, record.note, record.status])} |")
        return "\n".join(rows)


def largest_that_fits(
    choices: Sequence[int], estimate: Callable[[int], float], left: float
) -> int | None:
    """The first of these whose estimate is within what is left, None if none is.

    Args:
        choices: the wanted one first.
        estimate: seconds of a choice.
        left: seconds.
    """
    return next((choice for choice in choices if estimate(choice) <= left), None)


def choose_epochs(
    left: float,
    epoch_seconds: float,
    reserves: Sequence[float],
    *,
    enough: int,
    most: int,
) -> int:
    """How many epochs to train, which the learning rate's schedule must know before the first.

    Args:
        left: seconds.
        epoch_seconds: of an epoch, of all trainings that are to have as many.
        reserves: seconds to keep for what comes after it, the wanted ones first; the next one
            counts where the training would have fewer epochs than are enough. With the last one no
            more than these are trained, so that some of what was given up may still fit.
        enough: epochs for whose sake something else is given up.
        most: never more than these.

    Returns:
        At least 1.
    """
    epochs = 0
    for number, reserve in enumerate(reserves):
        is_last = 0 < number == len(reserves) - 1
        epochs = int(min((left - reserve) / epoch_seconds, enough if is_last else most, most))
        if epochs >= min(enough, most):
            break
    return max(epochs, 1)
