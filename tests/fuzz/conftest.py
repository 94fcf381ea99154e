"""Drawn cases: how many, from which draw, and the files that commands are given."""

import importlib
import shutil

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, save_npz
from support.command_lines import COMMAND_LINES
from support.fuzzed_commands import Place

# `make test` and `make exhaustive` draw the same cases each time; `make fuzz` draws others, ten
# times as many. A profile's `max_examples` is the factor that a test's own number is taken times.
_COMMON = {
    "database": None,  # a case that failed becomes a test of its own
    "deadline": None,  # each case has a bound that is not of this machine's load
    # Commands take a tenth of a second, which is slow for Hypothesis.
    "suppress_health_check": [HealthCheck.too_slow],
}
hypothesis.settings.register_profile("same", derandomize=True, max_examples=1, **_COMMON)
hypothesis.settings.register_profile("search", max_examples=10, print_blob=True, **_COMMON)
hypothesis.settings.load_profile("same")

TRAIN = (
    *("train", "d.npz", "--classifier", "mine.keras", "--epsilon", "0.1", "--method", "efgsm"),
    *("--reconstructor", "none", "--probe-images", "0", "--batch-size", "20", "--quiet"),
    *("--dtype-policy", "float32"),
)


def _data(count):
    labels, random = np.arange(count) % 3, np.random.default_rng(count)
    images = random.integers(0, 90, (count, 8, 8, 1), "uint8")
    images[np.arange(count), labels * 2] += 150
    return ImageData(images, labels, ("cat", "dog", "owl"))


def _done(*words):
    assert main(list(words)) == 0


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Files of every kind: data, images, a finished run, half a run, an export that is measured."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        model.save("mine.keras")
        data = _data(60)
        save_npz("d.npz", data, _data(48))
        np.save("a.npy", data.images[:2])
        (folder / "labels.txt").write_text("cat\ndog\nowl\n")
        for number in range(30):
            image = folder / "images" / data.class_names[number % 3] / f"{number}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            keras.utils.save_img(image, data.images[number], scale=False)
        _done(*TRAIN, "--epochs", "2", "--out", "run")
        _done("evaluate", "run", "--attacks", "square", "--queries", "2")
        _done("diagnose", "run", "--num-images", "40", "--steps", "2", "--queries", "5")
        # Curves have a test of their own.
        patch.setattr("keras_efgsm.report.measurements._EPSILON_FACTORS", (1.0,))
        patch.setattr("keras_efgsm.report.measurements.ITERATIONS", (1,))
        _done("report", "run", "--num-images", "20")
        with patch.context() as unfinished:
            # Which would remove the results that an interrupted one leaves.
            unfinished.setattr("keras_efgsm.comparison.Comparison.write_json", lambda *_: None)
            _done(*COMMAND_LINES["compare"])
        words = ["export", "run", "--to", "exported", "--forms", "saved-model", "tflite"]
        _done(*words, "--warm-up-batch-sizes", "1")
        patch.setattr("keras_efgsm.export.measuring.measurement.runner", lambda *a, **k: None)
        shutil.copytree("run", "half")
        for name in ("metrics.json", "classifier.keras", "curves.png", "evaluation.json"):
            (folder / "half" / name).unlink()
        config = folder / "half" / "config.json"
        config.write_text(config.read_text().replace('"epochs": 2', '"epochs": 3'))
    return folder


_LEFT_OUT = (
    # What takes long, once the input was taken.
    "keras_efgsm.trainer.adversarial_trainer:AdversarialTrainer.fit",
    "keras_efgsm.evaluation.attacking:withstand",
    "keras_efgsm.diagnosis.diagnose:_look",
    "keras_efgsm.distances.measure:_look",
    "keras_efgsm.universal.measure:_compile_answers",
    "keras_efgsm.report.measured_run:measure_model",
    "keras_efgsm.export.exporting:float32_twin",
    "keras_efgsm.export.measuring.measurement:_measure_latencies",
    "keras_efgsm.tuning.hypermodel:RobustHyperModel.fit",
    "keras_efgsm.tuning.driver:run_workers",
    # Of other processes.
    "keras_efgsm.distribution.launcher:launch",
    "keras_efgsm.serving.rest_client:RestClient.request",
    "keras_efgsm.serving.grpc_client:GrpcClient.status",
    "keras_efgsm.serving.grpc_client:GrpcClient.predict",
)


@pytest.fixture(scope="module")
def place(whole, tmp_path_factory):
    """A copy of the files, and commands that stop where their work begins."""
    place = Place(whole, tmp_path_factory.mktemp("place") / "files")
    with pytest.MonkeyPatch.context() as patch:
        for name in _LEFT_OUT:
            # A module may have the name of a function beside it.
            module, _, path = name.partition(":")
            owner, _, attribute = path.rpartition(".")
            found = importlib.import_module(module)
            patch.setattr(getattr(found, owner) if owner else found, attribute, place.accept)
        yield place


@pytest.fixture(autouse=True)
def whole_again(place):
    """Puts the files in order, whatever the case before did."""
    yield
    place.restore()
