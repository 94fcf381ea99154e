"""Trains on folders of images of one's own and takes each model the whole way to a served answer.

    python scripts/integration/own_images.py [--cases NAME,...] [--keep FOLDER]

For small colour JPEGs, grey letters of 26 classes, photographs of all sizes, a `.keras` file and a
function of one's own and `keras.applications:MobileNetV3Small`, the command line trains, evaluates,
diagnoses, reports, exports and measures; at last a PNG file goes through the exported
`serving_bytes`, whose class must be that of the Keras model on the same pixels. Around that: what
is refused, and whether the refusal names the option that mends it; resuming; other recipes and
methods. One line a step; exit status 1 if one fails, or prints a line of TensorFlow's log. About
five minutes on two cores.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages; images are drawn by the tests' support.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "tests")]

import argparse
import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import NamedTuple

# Errors remain, so that one that a user would see fails its step.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from keras_efgsm.cli import main as keras_efgsm
from keras_efgsm.cli.quiet import import_everything
from support.image_folders import KINDS, make_folder

TRAINING = ("--epsilon", "0.1", "--epochs", "3", "--quiet")
ATTACKS = ("--attacks", "quick", "--num-images", "8", "--steps", "5", "--queries", "20")
LOG_LINE = re.compile(
    r"^([IWEF]\d{4} |\d{4}-\d\d-\d\d .*: [IWEF] |WARNING|Traceback)", re.MULTILINE
)
OWN_NETWORK = """
import keras


def small(image_shape, num_classes):
    return keras.Sequential([
        keras.Input(image_shape),
        keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(num_classes),
    ])
"""


_ENVIRONMENT = {name: v for name, v in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


class Case(NamedTuple):
    """A training on a folder, and how far its model goes.

    Attributes:
        kind: of the images, a name of `KINDS`.
        per_class: how many of each class.
        options: of `train`, beside epsilon and epochs.
        size: `(height, width)` that the images are resized to; None for that which they have.
        forms: of the export; none for all.
        whole: whether it goes on after the evaluation.
    """

    kind: str
    per_class: int
    options: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    forms: tuple[str, ...] = ("saved-model", "tflite")
    whole: bool = True


def _network(spec: str, *options: str) -> tuple[str, ...]:
    return "--classifier", spec, *options


CASES = {
    "colour": Case("colour", 60, forms=()),
    "letters": Case("letters", 8),
    "photographs": Case("photographs", 100, size=(64, 64)),
    "own-file": Case("colour", 60, _network("own.keras"), size=(16, 16)),
    "mobilenet": Case(
        "colour", 60, _network("keras.applications:MobileNetV3Small"), size=(32, 32),
        forms=("saved-model",),
    ),
    "frozen": Case(
        "colour", 15,
        _network("keras.applications:MobileNetV3Small", "--freeze-until", "expanded_conv_4_add"),
        size=(32, 32), whole=False,
    ),
    "own-function": Case("letters", 8, _network("own_network:small"), whole=False),
    "combined": Case("colour", 15, ("--method", "combined"), whole=False),
    "pgd-trades": Case(
        "colour", 15, ("--attack", "pgd", "--objective", "trades", "--steps", "3"), whole=False
    ),
    "recipe": Case("colour", 15, ("--recipe", "cifar10-cpu"), whole=False),
}  # fmt: skip


class StepFailed(Exception):
    """A step did not do what it must; the text says what it printed."""


def run(folder: Path, names: tuple[str, ...] = tuple(CASES)) -> list[str]:
    """Takes cases through all their steps in the present process.

    Args:
        folder: an empty one, which becomes the working directory.
        names: which cases. Defaults to all.

    Returns:
        One sentence for each step that failed.
    """
    failed: list[str] = []
    import_everything()  # which says what there is of GPUs
    with contextlib.chdir(folder):
        Path("own_network.py").write_text(OWN_NETWORK, encoding="utf-8")
        for name in names:
            try:
                # What the terminal shows of a start of TensorFlow shows only in a new process.
                _take(name, CASES[name], alone=name == names[0])
            except StepFailed as error:
                failed.append(f"{name}: {error}")
                print(f"{name}: FAILED: {error}", flush=True)
    return failed


def _take(name: str, case: Case, *, alone: bool) -> None:
    images = f"{case.kind}-{case.per_class}"
    if not Path(images).exists():
        make_folder(case.kind, images, case.per_class)
    if "own.keras" in case.options:
        _write_own_file((*(case.size or ()), 3), len(KINDS[case.kind][1]))
    run_folder = f"runs/{name}"
    train = ("train", images, *TRAINING, *case.options, "--out", run_folder)
    size = ()
    if case.size is not None:
        size = ("--image-size", *map(str, case.size))
        if case.kind == "photographs" or "own.keras" in case.options:
            _step(f"{name}: a question without a size", train, refused="--image-size")
    _step(f"{name}: train", (*train, *size), f"{run_folder}/classifier.keras", alone=alone)
    _step(f"{name}: evaluate", ("evaluate", run_folder, *ATTACKS), f"{run_folder}/evaluation.json")
    if not case.whole:
        _step(f"{name}: resume what is finished", (*train, *size, "--resume"))
        return
    _step(
        f"{name}: diagnose",
        ("diagnose", run_folder),
        writes=f"{run_folder}/diagnosis.json",
    )
    page = f"{name}.html"
    _step(f"{name}: report", ("report", run_folder, "--out", page, "--num-images", "8"), page)
    export = ("export", run_folder, "--to", f"exported/{name}")
    forms = ("--forms", *case.forms) if case.forms else ()
    _step(f"{name}: export", (*export, *forms), writes=f"exported/{name}/1/saved_model.pb")
    _step(
        f"{name}: measure",
        ("measure", f"exported/{name}/1", "--run", run_folder, *ATTACKS, "--calls", "5"),
        writes=f"exported/{name}/{name}-1.measured.json",
    )
    if "own.keras" in case.options:
        model = ("evaluate", f"{run_folder}/classifier.keras", "--dataset", images)
        radius = ("--epsilon", "0.1", *ATTACKS)
        _step(f"{name}: a file of another size", (*model, *radius), refused="--image-size 16 16")
        _step(f"{name}: evaluate the file", (*model, *size, *radius))
    began = time.monotonic()
    answer = _answered(name, case)
    _say(f"{name}: a PNG through serving_bytes: {answer}", began)


def _step(
    words: str,
    arguments: tuple[str, ...],
    writes: str | None = None,
    *,
    refused: str | None = None,
    alone: bool = False,
) -> None:
    """Runs a command, checks what it printed and wrote, and prints one line.

    Args:
        words: what is done.
        arguments: of `keras-efgsm`.
        writes: a file that there must be then. Defaults to any.
        refused: what must be in the refusal. Defaults to `None`: the command must succeed.
        alone: whether in a process of its own.
    """
    began = time.monotonic()
    with _captured() as printed:
        if alone:
            words_of_process = [sys.executable, "-m", "keras_efgsm", *arguments]
            status = subprocess.run(words_of_process, env=_ENVIRONMENT, check=False).returncode
        else:
            status = keras_efgsm(arguments)
    text = printed.read_text("utf-8", errors="replace")
    command = "keras-efgsm " + " ".join(arguments)
    if status != (0 if refused is None else 2) or (refused or "") not in text:
        raise StepFailed(f"`{command}` ended with {status}:\n{text[-3000:]}")
    # In this process what is logged goes where its owner has it; the program alone is silent.
    if alone and LOG_LINE.search(text):
        raise StepFailed(f"`{command}` prints lines of a log:\n{text[-3000:]}")
    if writes is not None and not Path(writes).is_file():
        raise StepFailed(f"`{command}` wrote no {writes}:\n{text[-3000:]}")
    _say(words, began)


def _say(words: str, began: float) -> None:
    print(f"{words}, {time.monotonic() - began:.1f} s", flush=True)


@contextlib.contextmanager
def _captured() -> Iterator[Path]:
    """Takes all that is written to the terminal meanwhile, also by C++, into a file."""
    path = Path("printed.txt").absolute()
    kept = [os.dup(1), os.dup(2)]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        with open(path, "wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            with (
                open(1, "w", encoding="utf-8", closefd=False) as out,
                open(2, "w", encoding="utf-8", closefd=False) as errors,
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(errors),
            ):
                yield path
    finally:
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _write_own_file(shape: tuple[int, ...], num_classes: int) -> None:
    import keras

    keras.utils.set_random_seed(0)
    keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes),
        ]
    ).save("own.keras")


def _answered(name: str, case: Case) -> str:
    """The class of a PNG by the export, which must be that of the Keras model on its pixels."""
    import keras
    import tensorflow as tf

    from keras_efgsm.data.image_size import resize_image

    draw, classes, _ = KINDS[case.kind]
    image = draw(1, np.random.default_rng(7))
    image.save("picture.png")
    pixels = np.asarray(image)
    pixels = resize_image(pixels if pixels.ndim == 3 else pixels[..., None], case.size)
    model = keras.models.load_model(f"runs/{name}/classifier.keras")
    logits = np.asarray(model(pixels[None] / np.float32(255), training=False))[0]
    served = tf.saved_model.load(f"exported/{name}/1").signatures["serving_bytes"]
    answer = served(image_bytes=tf.constant([Path("picture.png").read_bytes()]))
    expected = np.asarray(keras.ops.softmax(logits))
    found = answer["probabilities"].numpy()[0]
    label = answer["label"].numpy()[0].decode()
    if label != classes[int(expected.argmax())] or np.abs(found - expected).max() > 1e-5:
        raise StepFailed(f"serving_bytes says {label} with {found}, the Keras model {expected}")
    return f"{label}, as of the Keras model"


def main() -> int:
    """Prints a line a step; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", default=",".join(CASES), help="separated by commas")
    parser.add_argument("--keep", help="an empty folder to work in; default: a temporary one")
    options = parser.parse_args()
    names = tuple(options.cases.split(","))
    if unknown := set(names) - set(CASES):
        parser.error(f"the cases are {', '.join(CASES)}; there is no {', '.join(sorted(unknown))}")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(options.keep or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        failed = run(folder.absolute(), names)
    print(f"{len(names)} cases, {len(failed)} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
