"""Reads files as a stranger may make them, each in a process of its own, and measures its memory.

    python scripts/integration/hostile_files.py [--only WORD] [--most-mb 1000]

Each file is small and asks for much: a label of 2**31, a picture of 14000 x 14000 pixels, an array
that unpacks to gigabytes, JSON nested 100,000 deep. It is made in a temporary folder and read
through the command that would read it. One line each: the file, the exit status, the peak of
resident memory, and what was said. The first line is of a whole file, most of whose memory is
TensorFlow. Exit status 1 if a command takes `--most-mb` or more, ends otherwise than with status 2,
or says more than a line. About five minutes on one core.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

# As if run from `scripts/`, whose folders are packages.
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from integration.hostile_pictures import AS_LARGE_AS_MAY_BE, enlarged, folder_with, zeros_as_png

X, Y = np.zeros((4, 8, 8), "uint8"), np.array([0, 1, 1, 0])
TRAIN = ("train", "FILE", "--epsilon", "0.1", "--image-size", "8", "8", "--out", "new", "--quiet")
EVALUATE = ("evaluate", "FILE", "--dataset", "whole.npz", "--epsilon", "0.1")
# Reads pictures of three classes for a model of two, which is refused then: a training or an
# evaluation takes up to 980 MB itself, which would hide what a picture takes.
LOOK = ("evaluate", "model.keras", "--dataset", "FILE", "--epsilon", "0.1", "--split", "train")
LOOK += ("--image-size", "8", "8", "--channels")
COLOUR, GREY = (*LOOK, "3"), (*LOOK, "1")


class Case(NamedTuple):
    """One file.

    Attributes:
        name: what it is.
        make: writes it into the folder, and returns its name there.
        words: the command, `FILE` standing for the name.
        status: with which it ends.
    """

    name: str
    make: Callable[[Path], str]
    words: tuple[str, ...] = TRAIN
    status: int = 2


def arrays(**changes: np.ndarray | None) -> Callable[[Path], str]:
    """A data set with other arrays."""

    def make(folder: Path) -> str:
        whole = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y} | changes
        given = {name: value for name, value in whole.items() if value is not None}
        np.savez_compressed(folder / "a.npz", **given)
        return "a.npz"

    return make


def header_alone(shape: tuple[int, ...], descr: str) -> bytes:
    """The header of an array without the array."""
    file = io.BytesIO()
    values = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, values)
    return file.getvalue()


def with_member(name: str, shape: tuple[int, ...], descr: str = "|u1") -> Callable[[Path], str]:
    """A data set of which one array says more than it holds."""

    def make(folder: Path) -> str:
        arrays(**{name: None})(folder)
        with zipfile.ZipFile(folder / "a.npz", "a") as archive:
            archive.writestr(f"{name}.npy", header_alone(shape, descr))
        return "a.npz"

    return make


def unpacking(count: int) -> Callable[[Path], str]:
    """A data set of black pictures that packs a thousandfold."""

    def make(folder: Path) -> str:
        arrays(x_train=None, y_train=None)(folder)
        with zipfile.ZipFile(folder / "a.npz", "a", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
            with z.open("x_train.npy", "w", force_zip64=True) as member:
                member.write(header_alone((count, 1024, 1024), "|u1"))
                for _ in range(count):
                    member.write(bytes(2**20))
            labels = io.BytesIO()
            np.save(labels, np.arange(count) % 2)
            z.writestr("y_train.npy", labels.getvalue())
        return "a.npz"

    return make


def picture(ending: str, content: Callable[[], bytes]) -> Callable[[Path], str]:
    """A folder of images one of which has this content."""

    def make(folder: Path) -> str:
        folder_with(folder / "images", f"large.{ending}", content())
        return "images"

    return make


def many_folders(folder: Path) -> str:
    """More classes than the bound."""
    for number in range(70_000):
        (folder / "images" / str(number)).mkdir(parents=True)
    return "images"


def text(name: str, content: str) -> Callable[[Path], str]:
    """A run of which one file has this content."""

    def make(folder: Path) -> str:
        run = folder / "run"
        run.mkdir()
        (run / "config.json").write_text("{}")
        for file in ("classifier.keras", "metrics.json", "evaluation.json"):
            (run / file).write_text("{}")
        (run / name).write_text(content)
        return "run"

    return make


def keras_archive(size: int) -> Callable[[Path], str]:
    """A `.keras` file whose weights unpack to so many bytes."""

    def make(folder: Path) -> str:
        with zipfile.ZipFile(folder / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", "{}")
            with archive.open("model.weights.h5", "w", force_zip64=True) as member:
                for _ in range(size // 2**20):
                    member.write(bytes(2**20))
        return "a.keras"

    return make


def state(folder: Path) -> str:
    """The state of an evaluation whose truth values are more than it holds."""
    with zipfile.ZipFile(folder / "state.npz", "w") as archive:
        for name in ("header", "correct", "robust", "waiting"):
            archive.writestr(f"{name}.npy", header_alone((2**36,), "|b1"))
    return "state.npz"


REPORT = ("report", "FILE")
EXPORT, DEEP = ("export", "FILE", "--to", "out"), "[" * 100_000
CASES = (
    Case(
        "nothing wrong, and a training",
        lambda folder: "whole.npz",
        (*TRAIN, "--epochs", "1"),
        status=0,
    ),
    Case(".npz, one label of 2**31", arrays(y_train=np.array([0, 1, 1, 2**31]))),
    Case(
        ".npz, one label of 2**31, named classes",
        arrays(y_train=np.array([0, 1, 1, 2**31]), class_names=np.array(["a", "b"]), x_test=None),
    ),
    Case(".npz, one label of 3,000,000", arrays(y_train=np.array([0, 1, 1, 3_000_000]))),
    Case(
        ".npz, 70,000 classes",
        arrays(x_train=np.zeros((70_000, 1, 1), "uint8"), y_train=np.arange(70_000)),
    ),
    Case(".npz, 2,000 black images that unpack to 2 GB", unpacking(2000)),
    Case(".npz, a header of 2**60 pixels", with_member("x_train", (2**40, 2**10, 2**10))),
    Case(".npz, names of a gigabyte", with_member("class_names", (2,), "<U268435455")),
    Case(".npz, an array beside of 2**43 bytes", with_member("more", (2**40,), "<f8")),
    Case(".npz, objects of Python", arrays(y_train=np.array([print] * 3 + [len], object))),
    Case("PNG of 14000 x 14000", picture("png", lambda: zeros_as_png(14000, 14000))),
    Case("GIF of 60000 x 60000", picture("gif", lambda: enlarged("GIF", 60000, 60000))),
    Case("BMP of 30000 x 30000", picture("bmp", lambda: enlarged("BMP", 30000, 30000))),
    Case("JPEG of 60000 x 60000", picture("jpg", lambda: enlarged("JPEG", 60000, 60000))),
    *(
        Case(f"{name}, as large as may be", picture(ending, make), COLOUR if colour else GREY)
        for name, (ending, colour, make) in AS_LARGE_AS_MAY_BE.items()
    ),
    Case("folder of 70,000 classes", many_folders),
    Case(".keras, weights that unpack to 2 GB", keras_archive(2**31), EVALUATE),
    Case("state of an evaluation, 2**38 truth values", state, (*EVALUATE, "--state", "FILE")),
    Case("config.json nested 100,000 deep", text("config.json", DEEP), EXPORT),
    Case("config.json of 200 MB", text("config.json", " " * 200_000_000), EXPORT),
    Case(
        "config.json of five million lists",
        text("config.json", "[" + "[]," * 5_000_000 + "[]]"),
        REPORT,
    ),
    Case("metrics.json nested 100,000 deep", text("metrics.json", DEEP), EXPORT),
    Case("metrics.json of []", text("metrics.json", "[]"), EXPORT),
)


def measure(case: Case, folder: Path) -> tuple[int, float, str]:
    """Runs the command: its exit status, its peak of resident memory in MB, what it said."""
    words = list(case.words)
    if "--state" in words:
        words[1] = "model.keras"
    _in_a_fork(lambda: _make(case, folder, saved="model.keras" in words))
    name = (folder / "name").read_text()
    words = [name if word == "FILE" else word for word in words]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "keras_efgsm", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode(errors="replace").strip()
    # Linux says kilobytes, macOS bytes.
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return process.returncode, usage.ru_maxrss / unit, lines


def _in_a_fork(job: Callable[[], None]) -> None:
    """Runs a job in a process of its own: a command's peak is at least that of who starts it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            job()
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("a file could not be made")


def _make(case: Case, folder: Path, *, saved: bool) -> None:
    np.savez(folder / "whole.npz", x_train=X, y_train=Y, x_test=X, y_test=Y)
    (folder / "name").write_text(case.make(folder))
    if saved:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras

        channels = 3 if case.words[-1] == "3" else 1
        layers = [keras.Input((8, 8, channels)), keras.layers.Flatten(), keras.layers.Dense(2)]
        keras.Sequential(layers).save(folder / "model.keras")


def main() -> int:
    """Measures every case, and prints a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name holds this word")
    parser.add_argument("--most-mb", type=float, default=1000.0, help="default 1000")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    bad, figures = 0, []
    print("| file | exit | peak MB | said |\n|---|---|---|---|")
    for case in CASES:
        if options.only not in case.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            status, peak, said = measure(case, Path(folder))
        good = status == case.status and peak < options.most_mb and said.count("\n") == 0
        bad += not good
        shown = said.replace("|", "\\|").replace("\n", " ")
        print(f"| {case.name} | {status} | {peak:.0f} | {'' if good else '**'}{shown[:400]} |")
        sys.stdout.flush()
        figures.append({"file": case.name, "exit": status, "peak_mb": peak, "said": said})
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
