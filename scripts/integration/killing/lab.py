"""Trainings in forked processes that tell where they are."""

import dataclasses
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import keras

from keras_efgsm.data import ImageData, load_digits
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs import checkpoint_pair, training

START, STEP, WRITE, EPOCH_END, FINAL, DONE = range(6)
PHASES = ("start-up", "step", "checkpoint write", "epoch end", "final save", "finished run")


class Position:
    """Where a child is, in memory shared with it: phase, epoch and step; and how long phases take.

    The first step of a process counts as start-up, as it compiles.
    """

    def __init__(self):
        self._memory = mmap.mmap(-1, 64)

    def set(self, phase: int | None = None, epoch: int | None = None, step: int | None = None):
        """Changes what is given."""
        given = (phase, epoch, step)
        both = zip(given, self.get(), strict=True)
        struct.pack_into("3i", self._memory, 0, *(old if new is None else new for new, old in both))

    def get(self) -> tuple[int, int, int]:
        """Phase, epoch and step."""
        return struct.unpack_from("3i", self._memory)

    def note(self, phase: int, seconds: float) -> None:
        """Notes how long a phase took."""
        struct.pack_into("d", self._memory, 16 + 8 * phase, seconds)

    def seconds(self, phase: int) -> float:
        """How long a phase took last; of a step, with the checkpoint after it."""
        return struct.unpack_from("d", self._memory, 16 + 8 * phase)[0]


class Teller(keras.callbacks.Callback):
    """Tells where the training is, and does something at the begin of one step.

    Args:
        position: where to tell it.
        begun: when the process began, by `time.perf_counter()`.
        steps: of an epoch.
        at: the step, counted over all epochs.
        action: called there.
    """

    def __init__(
        self, position: Position, begun: float, steps: int, at: int, action: Callable | None
    ):
        super().__init__()
        self.position, self.steps, self.at, self.action = position, steps, at, action
        self.last, self.compiled = begun, False

    def on_epoch_begin(self, epoch, logs=None):
        self.position.set(epoch=epoch)

    def on_train_batch_begin(self, batch, logs=None):
        now = time.perf_counter()
        if self.compiled:
            self.position.set(STEP, step=batch)
            self.position.note(STEP, now - self.last)
        self.last = now
        if self.position.get()[1] * self.steps + batch == self.at:
            self.action()

    def on_train_batch_end(self, batch, logs=None):
        if not self.compiled:
            self.compiled = True
            now = time.perf_counter()
            self.position.note(START, now - self.last)
            self.last = now

    def on_epoch_end(self, epoch, logs=None):
        self.position.set(EPOCH_END)


class Lab:
    """One configuration trained in forked processes.

    Args:
        folder: where the runs go.
        epochs: of each run.
        images: of the data set.
        batch_size: images per step.
    """

    def __init__(self, folder: Path, epochs: int, images: int, batch_size: int):
        self.folder = folder
        self.config = dataclasses.replace(
            PRESETS["digits"], epochs=epochs, batch_size=batch_size, weight_averaging=0.9
        )
        digits, test = load_digits("train"), load_digits("test")
        self.data = ImageData(digits.images[:images], digits.labels[:images], digits.class_names)
        self.test_data = ImageData(test.images[:100], test.labels[:100], test.class_names)
        trained_on = len(self.data) - min(self.config.probe_images, len(self.data) // 10)
        self.steps = -(-trained_on // batch_size)
        self.position = Position()

    def start(
        self,
        out: Path,
        *,
        minutes: float = 0.0,
        at: int = -1,
        action: Callable | None = None,
        around: Callable | None = None,
    ) -> int:
        """Forks a training of `out`, resumed if it has begun.

        Args:
            out: the run's folder.
            minutes: `checkpoint_minutes`. Defaults to 0, after every step.
            at: step, counted over all epochs, at whose begin the child calls `action`; -2 for
                before the final save. Defaults to never.
            action: what it calls there.
            around: called in the child with the function that trains.

        Returns:
            the child's process id.
        """
        self.position.set(START, 0, 0)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            log = os.open(self.log(out), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # A shell's background jobs ignore it.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = (around or (lambda job: job()))(lambda: self._train(out, minutes, at, action))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _train(self, out: Path, minutes: float, at: int, action: Callable | None) -> int:
        position = self.position
        write, finish = checkpoint_pair.CheckpointPair.write, training.save_result

        def told_write(*args, **kwargs):
            before = position.get()[0]
            position.set(WRITE)
            write(*args, **kwargs)
            position.set(before)

        def told_finish(*args, **kwargs):
            position.set(FINAL)
            begun = time.perf_counter()
            if at == -2:
                action()
            metrics = finish(*args, **kwargs)
            position.note(FINAL, time.perf_counter() - begun)
            return metrics

        checkpoint_pair.CheckpointPair.write, training.save_result = told_write, told_finish
        try:
            training.train(
                self.config,
                out,
                resume=(out / "config.json").exists(),
                train_data=self.data,
                test_data=self.test_data,
                callbacks=[Teller(position, time.perf_counter(), self.steps, at, action)],
                checkpoint_minutes=minutes,
                deterministic=True,
                verbose=0,
            )
        except KeyboardInterrupt as interrupt:
            print(f"interrupted; {interrupt}")
            return 130
        except (OSError, ValueError) as error:
            print(f"{type(error).__name__}: {error}")
            return 2
        position.set(DONE)
        return 0

    def log(self, out: Path) -> Path:
        """What the latest child of `out` printed."""
        return self.folder / f"{out.name}.log"

    def finish(self, out: Path, minutes: float = 0.0) -> str:
        """Trains `out` to its end; returns what was printed."""
        status = os.waitpid(self.start(out, minutes=minutes), 0)[1]
        text = self.log(out).read_text()
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{out.name} failed:\n{text}")
        return text

    def signal_at(
        self, out: Path, wanted: Callable, delay: float, number: int, minutes: float = 0.0
    ) -> tuple[int, tuple[int, int, int]]:
        """Starts `out` and sends a signal `delay` seconds after `wanted(phase, epoch, step)`.

        Returns:
            exit code of the child, and where it was: phase, epoch, step.
        """
        pid = self.start(out, minutes=minutes)
        while not wanted(*self.position.get()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status), self.position.get()
            time.sleep(0.0003)
        time.sleep(delay)
        os.kill(pid, number)
        status = os.waitpid(pid, 0)[1]
        return os.waitstatus_to_exitcode(status), self.position.get()

    def reaches(self, target: int) -> Callable:
        """Whether a training has begun this step, counted over all epochs."""
        return lambda phase, epoch, step: (
            phase >= STEP and (phase >= FINAL or epoch * self.steps + step >= target)
        )
