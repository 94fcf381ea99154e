"""Checks of an export as files: the C API, saved_model_cli, the server's configs, the warm-up."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from integration.serving.c_api import SavedModelSession, TensorFlowError
from integration.serving.check_list import expect
from integration.serving.reference import SIGNATURES, Reference
from integration.serving.tensor_files import read_tensors, write_tensors
from integration.serving.warmup import read_warmup, replay_warmup
from keras_efgsm.serving.deployment import config_texts
from keras_efgsm.serving.server_config import BATCHING, MODELS, MONITORING, parse_config

Checks = Iterator[tuple[str, Callable[[], str]]]
_HERE = Path(__file__).parent
_SECONDS = 300


def c_api_checks(saved_model: Path, reference: Reference, work: Path) -> Checks:
    """Yields name and check of what the C API answers, in a process without TensorFlow's Python.

    Args:
        saved_model: the folder with `saved_model.pb`.
        reference: what it should answer.
        work: a folder for files.
    """

    def run_alone() -> str:
        write_tensors(work / "in.npz", reference.inputs)
        words = [str(_HERE / "c_api.py"), str(saved_model)]
        words += ["--inputs", str(work / "in.npz"), "--outputs", str(work / "out.npz")]
        last = run_python(words).strip().splitlines()[-1]
        expect(last.endswith("imported: False"), last)
        return last

    def same(name: str) -> str:
        difference = reference.difference(name, read_tensors(work / "out.npz")[name])
        images = len(next(iter(reference.inputs[name].values())))
        return f"{images} images, differs by {difference:.1e} from tf.saved_model.load"

    def refused() -> str:
        with SavedModelSession(saved_model) as session:
            try:
                session.run("serving_default", {"image": np.zeros((1, 1, 1, 1), "float32")})
            except TensorFlowError as error:
                return f"{error.code}: {error.message.splitlines()[0]}"
        raise AssertionError("an image of one pixel was answered")

    yield "loads and runs without `import tensorflow`", run_alone
    for name in SIGNATURES:
        yield f"{name} answers as in Python", lambda name=name: same(name)
    yield "a wrong size is refused in the graph", refused


def cli_checks(saved_model: Path, reference: Reference, work: Path) -> Checks:
    """Yields name and check of what saved_model_cli shows, scans and runs.

    Args:
        saved_model: the folder with `saved_model.pb`.
        reference: what it should answer.
        work: a folder for files.
    """
    base = ["-m", "tensorflow.python.tools.saved_model_cli"]
    tags = ["--dir", str(saved_model), "--tag_set", "serve"]
    commands = {"show": ["show", "--dir", str(saved_model), "--all"], "scan": ["scan", *tags]}
    for name, inputs in reference.inputs.items():
        ((key, array),) = inputs.items()
        # Strings as numpy's own, which need no pickle; no PNG or JPEG ends with a zero byte.
        array = array.astype("S") if array.dtype == object else array
        np.save(work / f"{name}.npy", array)
        commands[name] = ["run", *tags, "--signature_def", name, "--outdir", str(work / name)]
        commands[name] += ["--inputs", f"{key}={work / f'{name}.npy'}", "--overwrite"]
    pool = ThreadPoolExecutor(2)
    runs = {name: pool.submit(run_python, [*base, *words]) for name, words in commands.items()}
    pool.shutdown(wait=False)

    def show() -> str:
        found = re.findall(r"signature_def\['(\w+)'\]", runs["show"].result())
        names = sorted(name for name in found if not name.startswith("__"))
        expect(names == sorted(SIGNATURES), f"signatures {names}, expected {sorted(SIGNATURES)}")
        return ", ".join(names)

    def scan() -> str:
        text = runs["scan"].result()
        clean = [line for line in text.splitlines() if "does not contain the default deny" in line]
        expect(clean, text[-200:])
        return clean[0]

    def run(name: str) -> str:
        expect(name in runs, "the export has no such signature")
        runs[name].result()
        files = {key: work / name / f"{key}.npy" for key in reference.outputs[name]}
        # It pickles the labels; the files are its own.
        outputs = {key: np.load(file, allow_pickle=True) for key, file in files.items()}
        return f"differs by {reference.difference(name, outputs):.1e} from tf.saved_model.load"

    yield "show lists the signatures", show
    yield "scan finds no denylisted operation", scan
    for name in SIGNATURES:
        yield f"run {name}", lambda name=name: run(name)


def config_checks(name: str, versions: list[int], saved_model: Path) -> Checks:
    """Yields name and check of the server's config files and of the warm-up records.

    Args:
        name: the model's name.
        versions: those in its folder.
        saved_model: the version that is checked.
    """

    def parsed(file: str) -> Any:
        labels = {"stable": versions[-1]}
        texts = config_texts(name, versions, versions="all", labels=labels)
        return parse_config(file, texts[file])

    def models() -> str:
        (config,) = parsed(MODELS).model_config_list.config
        expect(config.base_path == f"/models/{name}", config.base_path)
        return f"{config.name} at {config.base_path}, labels {dict(config.version_labels)}"

    def batching() -> str:
        return f"max_batch_size {parsed(BATCHING).max_batch_size.value}, by field numbers"

    def monitoring() -> str:
        return f"path {parsed(MONITORING).prometheus_config.path}, by field numbers"

    def misspelt() -> str:
        said = []
        for file, text in ((MODELS, "model_config_lst {}"), (BATCHING, "max_batch_size: 3")):
            try:
                parse_config(file, text)
            except ValueError as error:
                said.append(str(error).partition("Received: ")[2])
        expect(len(said) == 2, "a misspelt config was taken")
        return said[0]

    def warmup() -> str:
        logs = read_warmup(saved_model)
        expect(logs, "no warm-up records")
        asked = {log.predict_log.request.model_spec.signature_name for log in logs}
        expect(asked == set(SIGNATURES), f"warm-up of {sorted(asked)}")
        with SavedModelSession(saved_model) as session:
            count = replay_warmup(saved_model, lambda *words: session.run(words[0], words[1]))
        return f"{count} PredictionLogs for {', '.join(sorted(asked))}, each answered"

    yield "models.config parses (ModelServerConfig)", models
    yield "batching.config parses (BatchingParameters)", batching
    yield "monitoring.config parses (MonitoringConfig)", monitoring
    yield "a misspelt key is refused", misspelt
    yield "warm-up records parse and replay", warmup


def run_python(words: list[str]) -> str:
    """Returns what a Python process prints.

    Args:
        words: its arguments.

    Raises:
        AssertionError: if it fails.
    """
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    expect(done.returncode == 0, f"rc {done.returncode}: {done.stderr[-300:]}")
    return done.stdout
