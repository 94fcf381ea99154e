"""Commands that are killed, at random moments and at random changes of files, and called again."""

import io
import json
import random
import re
import shutil
import signal
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from PIL import Image

# Runs a command that sends itself a signal right before its n-th change of a file in a folder. What
# libraries in C++ write is no event of Python; moments by the clock are for that.
PROGRAM = """
    import os, signal, sys, time

    folder, at = os.environ["KILLED_IN"], int(os.environ["KILLED_AT"])
    number, tally = int(os.environ["KILLED_BY"]), os.environ["KILLED_TALLY"]
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
    seen = 0

    def hear(event, arguments):
        global seen
        if event in changes or (event == "open" and arguments[2] & writing):
            path = arguments[0]
            if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(folder):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), number)

    sys.addaudithook(hear)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from keras_efgsm.cli import main
    status = main()
    with open(tally, "w") as file:
        file.write(f"{seen} {time.process_time()}")
    sys.exit(status)
"""

# What two runs of a command need not have in common: times, machines, folders, and the bytes that
# TensorFlow writes.
_OF_THE_MOMENT = ("seconds", "hardware", "versions", "latency", "date", "measured_with")
_OF_THE_MOMENT += ("command", "sha256", "size", "checksum")


STOPPING = "stopping after this step; once more to stop at once\n"


class Command(NamedTuple):
    """A command and the folder that it works in.

    Args:
        words: its words; `{}` stands for the folder.
        files: a folder with what it needs, which is copied for it.
        figures: the files whose content must be the same as that of a command left alone.
    """

    words: tuple[str, ...]
    files: Path
    figures: tuple[str, ...]


class Killer:
    """Kills a command again and again, and looks at what it leaves.

    Args:
        fresh: where processes come from.
        command: the command.
        folder: an empty one.
        seed: draws moments and signals.
    """

    def __init__(self, fresh, command, folder, seed):
        self.fresh, self.command, self.folder = fresh, command, folder
        self.chance = random.Random(f"{seed} {command.words[0]}")
        self.tally = folder / "tally"
        self.landed = []
        self.copies = 0
        whole = self.copy()
        self.finish(whole)
        changes, seconds = self.tally.read_text().split()
        self.changes, self.seconds = int(changes), float(seconds)
        self.names, self.figures = names_below(whole), self.read_figures(whole)

    def copy(self):
        """A new folder with what the command needs."""
        self.copies += 1
        folder = self.folder / f"{self.copies}"
        shutil.copytree(self.command.files, folder)
        return folder

    def start(self, folder, *, at=0, number=signal.SIGKILL):
        """Starts the command, which is sent a signal at its n-th change of a file."""
        self.tally.unlink(missing_ok=True)
        words = [word.format(folder) for word in self.command.words]
        env = {"KILLED_IN": folder, "KILLED_AT": at, "KILLED_BY": int(number)}
        env["KILLED_TALLY"] = self.tally
        env = {name: str(value) for name, value in env.items()}
        return self.fresh.start(*words, code=PROGRAM, env=env, cwd=folder)

    def finish(self, folder):
        """Runs the command to its end, which must be a good one."""
        done = self.start(folder).wait()
        assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
        assert "Traceback" not in done.stderr
        assert_readable(folder)
        assert leftovers(folder) == []

    def finish_as_without_a_kill(self, folder):
        """Finishes it; then all is as it would have been."""
        # Killed when all was there; an export begun anew is one more version.
        was_through = set(self.names) <= set(names_below(folder))
        self.finish(folder)
        names = names_below(folder)
        assert set(self.names) <= set(names) if was_through else names == self.names
        assert self.read_figures(folder) == self.figures

    def read_figures(self, folder):
        """What the files say that must be the same."""
        files = [path for name in self.command.figures for path in sorted(folder.glob(name))]
        assert files
        # A copy has another path, which a comparison writes down.
        texts = {str(p.relative_to(folder)): p.read_text().replace(str(folder), "") for p in files}
        return {name: of_no_moment(json.loads(text)) for name, text in texts.items()}

    def kill(self, times):
        """Kills the command so many times, and finishes it in between and in the end."""
        folder = self.copy()
        tries = 0
        while len(self.landed) < times:
            tries += 1
            assert tries < 4 * times + 10, f"{self.landed} of {tries}"
            number = self.chance.choice([signal.SIGKILL, signal.SIGTERM])
            before, left = contents_below(folder), leftovers(folder)
            if self.chance.random() < 0.6:
                at = self.chance.randint(1, self.changes)
                where = f"{number.name} at change {at} of {self.changes}"
                done = self.start(folder, at=at, number=number).wait()
            else:
                # Of the processor's time, which does not depend on what else the machine does.
                share = self.chance.uniform(0.1, 1.0)
                where = f"{number.name} after {share:.0%} of {self.seconds:.1f} s"
                running = self.start(folder)
                while (spent := running.processor_seconds()) is not None:
                    if spent >= share * self.seconds:
                        break
                    time.sleep(0.01)
                running.send_signal(number)
                done = running.wait()
            print(where, done.returncode, done.stderr.strip())
            assert_readable(folder)
            if done.returncode == 0:
                # It was through before.
                folder = self.copy()
                continue
            self.landed.append(where)
            self.check_end(number, done, folder, before, left)
            if self.chance.random() < 0.4:
                self.finish_as_without_a_kill(folder)
                folder = self.copy()
        self.finish_as_without_a_kill(folder)

    def check_end(self, number, done, folder, before, left):
        """A kill says nothing; whoever was asked says so in a line and leaves all in order."""
        assert "Traceback" not in done.stderr, done.stderr
        if number == signal.SIGKILL:
            assert done.returncode == -signal.SIGKILL
        elif done.returncode == -signal.SIGTERM:
            # Before the program had begun.
            assert contents_below(folder) == before
        else:
            name = self.command.words[0]
            assert done.returncode == 130, done.stderr
            # A training says so at once, as its step may take a while.
            said = done.stderr.removeprefix(f"\n{STOPPING}")
            # Without its name before the words of the command line are read.
            begins = (f"\nkeras-efgsm {name}: interrupted", "\nkeras-efgsm: interrupted\n")
            assert said.startswith(begins), done.stderr
            assert said.count("\n") == 2, done.stderr
            # What a kill before left may still lie there.
            assert set(leftovers(folder)) <= set(left), leftovers(folder)


def names_below(folder):
    """The names of all files."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def contents_below(folder):
    """The content of every file by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def leftovers(folder):
    """What an orderly end does not leave: half-written files, locks."""
    # By which an interrupted command goes on; a comparison has one for each model.
    state = re.compile(r".*\.partial(\.[0-9a-f]{12})?\.(npz|json)")
    return [
        name
        for name in names_below(folder)
        if Path(name).name.startswith(".") or ("partial" in name and not state.fullmatch(name))
    ]


def of_no_moment(value):
    """A value of JSON without times and places."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not any(word in k for word in _OF_THE_MOMENT)}
        return {k: of_no_moment(v) for k, v in kept.items()}
    return [of_no_moment(item) for item in value] if isinstance(value, list) else value


def assert_readable(folder):
    """Every file that is there under its own name is whole."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        # Of keras-tuner's, written under a name that is no result's.
        if not path.is_file() or hidden or path.name == "partial.weights.h5":
            continue
        content = path.read_bytes()
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".npz":
            with np.load(io.BytesIO(content)) as file:
                assert all(file[name] is not None for name in file.files)
        elif path.suffix == ".keras":
            assert zipfile.ZipFile(path).testzip() is None
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda name, item: None)
        elif path.suffix == ".png":
            Image.open(io.BytesIO(content)).load()
        elif path.suffix == ".html":
            assert content.rstrip().endswith(b"</html>"), path
        elif path.suffix in (".md", ".tflite", ".txt", ".csv", ".jsonl"):
            assert content, path
    for version in folder.glob("exported_models/*/[0-9]*"):
        # A folder goes last: who sees it finds the version complete.
        beside = {path.name for path in version.parent.glob(f"*-{version.name}.*")}
        name = f"{version.parent.name}-{version.name}"
        assert beside >= {f"{name}.md", f"{name}.json", f"{name}.tflite"}, beside
        assert (version / "saved_model.pb").read_bytes()
