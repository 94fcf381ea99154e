"""Kills a small training at random moments, resumes it and compares it with one left alone.

    python scripts/integration/kill_and_resume.py --kills 20

Trains digits once without a break, then the same run killed with SIGKILL wherever it happens to be
(start-up, step, checkpoint write, final save) and resumed each time. Then with the newest
checkpoint truncated, bit-flipped or missing, with Ctrl-C, SIGTERM and a full disk. Each must end
with the same bits: weights, optimizer, momentum, metrics, callback state, history. Exit status 1 if
one does not. Every training is a process of its own, forked once TensorFlow is imported (Linux).
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import collections
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.table import Table

from integration.killing.comparison import differences, state
from integration.killing.lab import FINAL, PHASES, START, STEP, WRITE, Lab
from integration.killing.small_disk import fill, on_small_disk


class Rounds:
    """The rounds and what came of each.

    Args:
        lab: where trainings run.
        chance: draws the moments.
    """

    def __init__(self, lab: Lab, chance: random.Random):
        self.lab, self.chance = lab, chance
        self.table = Table(title="against the run without a break")
        for column in ("round", "processes", "what was said", "result"):
            self.table.add_column(column)
        self.failed = False
        self.total = lab.steps * lab.config.epochs
        self.reference: dict = {}

    def uninterrupted(self) -> None:
        """Trains the run that all others are compared with."""
        print(
            f"uninterrupted: {self.lab.config.epochs} epochs of {self.lab.steps} steps", flush=True
        )
        out = self.lab.folder / "uninterrupted"
        self.lab.finish(out, minutes=10.0)
        self.reference = state(out)
        arrays = [value for value in self.reference.values() if not isinstance(value, str)]
        size = sum(array.nbytes for array in arrays)
        print(
            f"  {len(arrays)} arrays, {size:,} bytes, and {len(self.reference) - len(arrays)} texts"
        )
        again = self.lab.folder / "again"
        self.lab.finish(again, minutes=10.0)
        self._compare("the same again, for reference", again, 1, "")

    def killed(self, kills: int) -> collections.Counter:
        """Kills one run at random moments; returns how many kills landed where."""
        print(f"killed {kills} times", flush=True)
        lab, chance, out = self.lab, self.chance, self.lab.folder / "killed"
        landed: collections.Counter = collections.Counter()
        in_final_save = max(1, kills // 7)
        done = 0
        for index in range(kills):
            left = kills - in_final_save - index
            if left <= 0:
                wanted, longest = (lambda phase, *_: phase >= FINAL), lab.position.seconds(FINAL)
            elif index == 0 or chance.random() < 0.1:
                wanted, longest = (lambda *_: True), lab.position.seconds(START)
            else:
                ahead = chance.uniform(0, 2 * (self.total - 1 - done) / left)
                target = min(self.total - 1, done + round(ahead))
                wanted, longest = lab.reaches(target), 1.5 * lab.position.seconds(STEP)
            # Now and then without checkpoints within the epoch, so that much of it is repeated.
            minutes = 0.0 if chance.random() < 0.8 else 10.0
            code, (phase, epoch, step) = lab.signal_at(
                out, wanted, chance.uniform(0, longest), signal.SIGKILL, minutes=minutes
            )
            name = PHASES[phase] if code == -signal.SIGKILL else f"too late (exit code {code})"
            where = f"epoch {epoch + 1}, step {step + 1}" if phase in (STEP, WRITE) else ""
            left_behind = " ".join(p.name for p in sorted(out.glob(".*partial*")))
            print(f"  {index + 1:3}  {name:18}{where:20}{left_behind}", flush=True)
            landed[name] += 1
            if STEP <= phase < FINAL:
                done = min(self.total - 1, epoch * lab.steps + step)
        said = lab.finish(out, minutes=0.0)
        self._compare(f"killed {kills} times", out, kills + 1, _last_line(said, "resuming"))
        if sum(n for name, n in landed.items() if name in PHASES) != kills:
            self.failed = True
        lab.finish(out)
        self._compare("resumed when finished", out, 1, "")
        return landed

    def damaged(self, what: str, damage: Callable[[Path], None]) -> None:
        """Kills a run, damages its newest checkpoint and resumes it."""
        print(what, flush=True)
        out = self.lab.folder / what.replace(" ", "-")
        self._kill_in_training(out)
        newest = out / "checkpoint.npz"
        damage(newest)
        said = self.lab.finish(out, minutes=0.0)
        line = _last_line(said, "falling back to checkpoint.previous.npz")
        self._compare(f"newest checkpoint {what}", out, 2, line, must_say=line)

    def both_damaged(self) -> None:
        """Damages both checkpoints: refused, and nothing in the folder is touched."""
        print("both damaged", flush=True)
        out = self.lab.folder / "both"
        self._kill_in_training(out)
        for path in out.glob("checkpoint*.npz"):
            flip_a_bit(path)
        before = {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(".")}
        code = os.waitstatus_to_exitcode(os.waitpid(self.lab.start(out), 0)[1])
        line = _last_line(self.lab.log(out).read_text(), "No checkpoint of the run can be used")
        untouched = before == {p.name: p.read_bytes() for p in out.iterdir()}
        self._add("both checkpoints damaged", 2, line, code == 2 and bool(line) and untouched)

    def _kill_in_training(self, out: Path) -> None:
        """Kills a run within a step of its second half."""
        target = self.chance.randrange(self.total // 2, self.total - 2)
        code, position = self.lab.signal_at(out, self.lab.reaches(target), 0.0, signal.SIGKILL)
        print(f"  killed at {PHASES[position[0]]}, epoch {position[1] + 1}, step {position[2] + 1}")
        # Between two renames there is no newest one.
        if code != -signal.SIGKILL or not (out / "checkpoint.npz").exists():
            self._kill_in_training(out)

    def asked_to_stop(self, number: signal.Signals) -> None:
        """Sends a signal that can be handled."""
        print(number.name, flush=True)
        out = self.lab.folder / number.name
        for _ in range(2):
            target = self.chance.randrange(self.total // 4, self.total - 2)
            # Checkpoints at epoch ends alone, but for the one of the signal.
            code, _ = self.lab.signal_at(out, self.lab.reaches(target), 0.0, number, minutes=10.0)
            line = _last_line(self.lab.log(out).read_text(), "interrupted")
            print(f"  exit code {code}: {line}")
            if code != 130 or "continue with `--resume`" not in line:
                self.failed = True
        self.lab.finish(out, minutes=10.0)
        self._compare(f"{number.name}, twice", out, 3, line, must_say=line)

    def full_disk(self, what: str, at: int, room: int) -> None:
        """Fills the disk at a step, or before the final save (-2), and resumes elsewhere."""
        print(f"full disk, {what}", flush=True)
        lab, disk = self.lab, self.lab.folder / "disk"
        disk.mkdir(exist_ok=True)
        out, ballast = lab.folder / f"full-{what.replace(' ', '-')}", disk / "ballast"
        pid = lab.start(
            disk / "run",
            at=at,
            action=lambda: fill(ballast, room),
            around=on_small_disk(disk, out, ballast),
        )
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        log = lab.log(disk / "run").read_text()
        line = _last_line(log, "No space left on device")
        if not out.exists():
            # A machine that allows no mounts.
            self._add(f"full disk, {what}", 1, log.strip().splitlines()[-1], None)
            return
        print(
            f"  exit code {code}: {line}\n  left: {' '.join(sorted(p.name for p in out.iterdir()))}"
        )
        clean = code == 2 and not list(out.glob(".*"))
        lab.finish(out, minutes=0.0)
        self._compare(f"full disk, {what}", out, 2, line, must_say=line if clean else "")

    def _compare(
        self, name: str, out: Path, processes: int, said: str, must_say: str | None = None
    ) -> None:
        differing = differences(self.reference, state(out))
        if differing:
            print(f"  DIFFERENT: {', '.join(differing[:8])}", flush=True)
        self._add(name, processes, said, not differing and must_say != "")

    def _add(self, name: str, processes: int, said: str, passed: bool | None) -> None:
        result = {True: "identical", False: "FAILED", None: "not run"}[passed]
        if name.startswith("both") and passed:
            result = "refused"
        self.failed |= passed is False
        self.table.add_row(name, str(processes), said, result)


def _last_line(text: str, phrase: str) -> str:
    lines = [line for line in text.splitlines() if phrase in line]
    return lines[-1] if lines else ""


def truncate(path: Path) -> None:
    """Cuts the file in the middle."""
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    """Changes one bit in the middle of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def main() -> int:
    """Runs all rounds and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="default: 20")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    parser.add_argument("--epochs", type=int, default=4, help="default: 4")
    parser.add_argument("--images", type=int, default=450, help="default: 450")
    parser.add_argument("--batch-size", type=int, default=50, help="default: 50")
    options = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), options.epochs, options.images, options.batch_size)
        rounds = Rounds(lab, random.Random(options.seed))
        rounds.uninterrupted()
        landed = rounds.killed(options.kills)
        rounds.damaged("truncated", truncate)
        rounds.damaged("bit-flipped", flip_a_bit)
        rounds.damaged("missing", lambda path: path.unlink())
        rounds.both_damaged()
        rounds.asked_to_stop(signal.SIGINT)
        rounds.asked_to_stop(signal.SIGTERM)
        size = (Path(folder) / "killed" / "checkpoint.npz").stat().st_size
        step = rounds.chance.randrange(lab.steps, rounds.total)
        rounds.full_disk("in a checkpoint", step, rounds.chance.randrange(size))
        rounds.full_disk("in the final save", -2, rounds.chance.randrange(20_000))
    print("\nwhere the kills landed")
    for name in (*PHASES, *(set(landed) - set(PHASES))):
        print(f"  {name:18}{'#' * landed[name]} {landed[name]}")
    print()
    Console(width=150).print(rounds.table)
    print(f"{'FAILED' if rounds.failed else 'passed'} in {time.perf_counter() - begun:.0f} s")
    return int(rounds.failed)


if __name__ == "__main__":
    sys.exit(main())
