"""What every plan has: its time, its rates, its outbox, its sizes, and a watch that ends it."""

import dataclasses
import os
import threading
from typing import Any

from accelerator.estimates import Rates
from accelerator.outbox import Outbox
from accelerator.parts import Budget, Record, Schedule

# What a process that was ended by its watch says.
CUT_OFF = 3


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much a plan does.

    Args:
        train_images: of the train split; None for all.
        test_images: of the test split; None for all.
        changes: of the preset.
        standard_images: test images under `standard`.
        adp_images: test images under `adp`, fewer where they do not fit.
        sweep_images: training images that are held out for the variants of a sweep.
        sweep_attacks: steps and target classes of these attacks.
        attack_batch: images in a batch of the attacks.
        attack_options: steps, targets and queries of the attacks. Defaults to those published.
        profile_steps: steps of a round, of each method.
        profile_rounds: how often each method is timed.
        enough_epochs: for whose sake other parts of the plan are given up.
        most_epochs: none is trained for more; None for as many as the preset has.
        most_sweep_epochs: none of the variants is.
        check_images: whose logits come back, so that whoever installs can compare.
    """

    train_images: int | None
    test_images: int | None
    changes: dict[str, Any]
    standard_images: int
    adp_images: tuple[int, ...]
    sweep_images: int
    sweep_attacks: dict[str, int]
    attack_batch: int
    attack_options: dict[str, int]
    profile_steps: int
    profile_rounds: int
    enough_epochs: int
    most_epochs: int | None
    most_sweep_epochs: int
    check_images: int


REAL = Scale(
    train_images=None,
    test_images=None,
    changes={},
    standard_images=1000,
    adp_images=(10_000, 5000, 2000, 1000),
    sweep_images=1000,
    sweep_attacks={"steps": 30, "targets": 3},
    attack_batch=640,
    attack_options={},
    profile_steps=20,
    profile_rounds=3,
    enough_epochs=25,
    most_epochs=None,
    most_sweep_epochs=30,
    check_images=200,
)
REHEARSAL = Scale(
    train_images=512,
    test_images=64,
    changes={"batch_size": 32, "probe_images": 8, "reconstructor": "cifar10-small"},
    # So many that one of them is right after two epochs.
    standard_images=48,
    adp_images=(64, 48),
    sweep_images=48,
    sweep_attacks={"steps": 2, "targets": 2},
    attack_batch=32,
    attack_options={"steps": 2, "targets": 2, "queries": 5},
    profile_steps=1,
    profile_rounds=1,
    enough_epochs=2,
    most_epochs=2,
    most_sweep_epochs=1,
    check_images=16,
)


class Running:
    """A command at work.

    Args:
        budget: its time.
        rates: what is known of the machine.
        outbox: where everything goes.
        scale: how much it does.
        facts: what is written with the plan.
    """

    def __init__(
        self, budget: Budget, rates: Rates, outbox: Outbox, scale: Scale, facts: dict[str, Any]
    ):
        self.budget, self.rates, self.outbox, self.scale = budget, rates, outbox, scale
        self._facts, self._lines = dict(facts), []
        self._records: list[Record] = []
        self._lock = threading.RLock()

    def say(self, line: str) -> None:
        """Prints a line with the time, and keeps it in the log that comes back."""
        with self._lock:
            self._lines.append(f"[{self.budget.spent:6.1f} s] {line}")
            print(self._lines[-1], flush=True)
            self.outbox.put("log.txt", "\n".join(self._lines) + "\n")

    def fact(self, name: str, value: Any) -> None:
        """Writes something more with the plan."""
        self._facts[name] = value
        self.record(self._records)

    def record(self, records: list[Record]) -> None:
        """Writes what became of the parts so far."""
        with self._lock:
            self._records = records
            self.outbox.put(
                "plan.json",
                {
                    **self._facts,
                    "seconds": round(self.budget.spent, 1),
                    "parts": [record.to_dict() for record in records],
                    "rates": self.rates.to_dict(),
                    "files": self.outbox.sizes(),
                },
            )

    def run(self, schedule: Schedule) -> None:
        """Runs a schedule under the watch, and prints its table."""
        self.record(schedule.records)
        watch = threading.Timer(max(self.budget.left, 0.0), self._cut_off, [schedule])
        watch.daemon = True
        watch.start()
        schedule.run()
        watch.cancel()
        self.record(schedule.records)
        self.say("the plan is over\n" + schedule.table())

    def _cut_off(self, schedule: Schedule) -> None:
        """Ends the process where it stands: nothing can break off a compilation or an attack."""
        for record in schedule.records:
            if record.status == "running":
                record.status = "cut off: the time was over"
        self.record(schedule.records)
        self.say("the time is over; what is not done is left out\n" + schedule.table())
        os._exit(CUT_OFF)
