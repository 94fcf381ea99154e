"""The examples of docstrings and of the documentation run."""

import dataclasses
import importlib
import inspect
import re
import shutil
import signal

import keras
import numpy as np
import pytest
from keras import ops

from keras_efgsm import equations, networks, recipes
from keras_efgsm.attacks import ATTACKS, EFGSM
from keras_efgsm.backend import BACKEND
from keras_efgsm.data import training_dataset
from keras_efgsm.diagnosis import diagnose
from keras_efgsm.form_table import FORMS
from keras_efgsm.objectives import OBJECTIVES
from keras_efgsm.sample_memory import TrainingBatch
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer
from support.doctests import ROOT, DocstringExample, can_be_imported, dotted_names, find_examples
from support.example_folder import CLASS_NAMES, SHAPE, make_folder

# One process makes the folder that all examples share.
pytestmark = pytest.mark.xdist_group("docstrings")

# That of the README runs as a stranger runs it, in `test_packaging`.
EXAMPLES = find_examples("docs", "keras_efgsm")
_SERVER = "asks a running TensorFlow Serving"
_MINUTES = "trains for minutes"
# What does not run here, by file and owner, and why.
EXCUSED = {
    "keras_efgsm/data/tfds_source.py:load_tfds": "downloads MNIST",
    "keras_efgsm/distribution/launcher.py:launch": "starts two processes",
    "keras_efgsm/distribution/strategies.py:make_strategy": "splits the processor, once",
    "keras_efgsm/networks/torch_files.py:read_torch_tensors": "reads a file of others",
    "keras_efgsm/serving/__init__.py:": _SERVER,
    "keras_efgsm/serving/asking.py:ask": _SERVER,
    "keras_efgsm/serving/grpc_client.py:GrpcClient": _SERVER,
    "keras_efgsm/serving/load.py:put_load": _SERVER,
    "keras_efgsm/serving/rest_client.py:RestClient": _SERVER,
    "keras_efgsm/tuning/driver.py:tune": _MINUTES,
    "keras_efgsm/tuning/hypermodel.py:RobustHyperModel": _MINUTES,
    "keras_efgsm/tuning/search_failed.py:SearchFailed": _MINUTES,
}
RUN = [example for example in EXAMPLES if f"{example.path}:{example.owner}" not in EXCUSED]
# What takes long, by owner, beside each example that runs the four attacks of `standard`.
LONG = ("RandomBarrage", "measure", "write_report")
_SLOW = pytest.mark.slow(reason="traces several attacks, or one of many operations")
# Whose public functions must have an example.
PLACES = (
    *("attacks", "callbacks", "comparison", "data", "diagnosis", "distances", "equations"),
    *("evaluation", "export", "networks", "objectives", "pictures", "pretrained", "recipes"),
    *("records", "report", "sample_memory", "serving", "trainer", "tuning", "universal", "updates"),
)
# What runs on every backend, all but what names these; the rest is of TensorFlow.
EVERY_BACKEND = tuple(
    f"keras_efgsm/{place}"
    for place in ("attacks/", "checks", "configured", "equations", "noise", "objectives/")
)
TENSORFLOW_ONLY = ("SPSA",)


@pytest.fixture(scope="module")
def folder(new_classifier, tmp_path_factory):
    """The folder in which examples run, as each finds it, and images that its run gets right."""
    made = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        return made, make_folder(new_classifier(shape=SHAPE, hidden=16))


class ShortTrainer(AdversarialTrainer):
    """A trainer that trains two epochs at most."""

    def fit(self, *args, epochs=1, initial_epoch=0, **options):
        epochs = min(epochs, initial_epoch + 2)
        return super().fit(*args, epochs=epochs, initial_epoch=initial_epoch, **options)


@pytest.fixture(scope="module")
def shared_trainer(new_classifier):
    """A trainer whose step is traced once, for examples that call `fit(x, y)`."""
    trainer = ShortTrainer(
        new_classifier(shape=SHAPE, hidden=16), EFGSM(epsilon=0.2), num_samples=8
    )
    trainer.compile("sgd")
    return trainer


@pytest.fixture(scope="module")
def diagnose_once():
    """`diagnose`, which takes seconds, with the first result for all that ask."""
    kept = []

    def run(*arguments, **options):
        kept.append(kept[0] if kept else diagnose(*arguments, **options))
        return kept[0]

    return run


@pytest.fixture
def objects(few_attacks, folder, shared_trainer, diagnose_once, new_classifier, new_reconstructor):
    """What an example finds, each made by a function when the example names it."""
    made, test = folder
    data = test.take(8)
    x, y = data.pixels(), data.labels

    def trained():
        classifier = new_classifier(shape=SHAPE, hidden=16)
        file = made / "runs" / "mnist" / "classifier.keras"
        classifier.set_weights(keras.models.load_model(file).get_weights())
        return classifier

    given = {
        "keras": keras,
        "np": np,
        "ops": ops,
        "equations": equations,
        "data": data,
        "class_names": CLASS_NAMES,
        "PRESETS": recipes.PRESETS,
        "trainer": shared_trainer,
        "diagnose": diagnose_once,
        "attack": EFGSM(epsilon=0.2),
    }
    images = dict.fromkeys(("x_train", "x_val"), x) | {"x_test": test.pixels()}
    labels = dict.fromkeys(("y_train", "y_val"), y) | {"y_test": test.labels}
    makers = {
        "x": lambda: ops.convert_to_tensor(x),
        "y": lambda: ops.convert_to_tensor(y, "int32"),
        "classifier": trained,
        "reconstructor": lambda: new_reconstructor(shape=SHAPE),
        "dataset": lambda: training_dataset(data, 8, seed=0),
        "batch": lambda: TrainingBatch(x, np.arange(8), y, y, np.eye(10)[y], None),
        "step": lambda: interrupt,
    }
    as_it_is = given | images | labels
    return {name: lambda value=value: value for name, value in as_it_is.items()} | makers


def interrupt():
    """What Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def run_example(objects, folder, tmp_path, monkeypatch):
    """Runs an example in its own copy of the folder, with what it names."""
    monkeypatch.chdir(tmp_path)
    # In a job in the background SIGINT is ignored, and what waits for it would wait for ever.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    # A class that an example registers is gone afterwards.
    monkeypatch.setattr("keras_efgsm.attacks.registry.ATTACKS", dict(ATTACKS))
    monkeypatch.setattr("keras_efgsm.objectives.registry.OBJECTIVES", dict(OBJECTIVES))
    monkeypatch.setattr("keras_efgsm.recipes.parts.ATTACKS", dict(recipes.ATTACKS))

    def run(example):
        if any(entry.name in example.code for entry in folder[0].iterdir()):
            shutil.copytree(folder[0], tmp_path, dirs_exist_ok=True)
        words = set(re.findall(r"\w+", example.code))
        forms = dict(FORMS)
        try:
            if example.path.endswith(".md"):
                # What a page imports is as short as what a docstring is given.
                monkeypatch.setattr("keras_efgsm.AdversarialTrainer", ShortTrainer)
                monkeypatch.setattr("keras_efgsm.diagnose", objects["diagnose"]())
            found = {name: make() for name, make in objects.items() if name in words}
            # Only a diagnosis takes more than a few images.
            few = {name: found[name][:8] for name in ("x_test", "y_test") if name in found}
            example.run(found if "diagnose" in words else found | few)
        finally:
            FORMS.clear()
            FORMS.update(forms)

    yield run
    signal.signal(signal.SIGINT, handler)


def marked(example):
    is_slow = example.owner in LONG or '"standard"' in example.code
    return pytest.param(example, id=str(example), marks=[_SLOW] if is_slow else [])


@pytest.mark.parametrize("example", [marked(example) for example in RUN])
def test_an_example_runs(example, run_example):
    everywhere = example.path.startswith(EVERY_BACKEND)
    if BACKEND != "tensorflow" and (
        not everywhere or any(name in example.code for name in TENSORFLOW_ONLY)
    ):
        pytest.skip("of the TensorFlow backend")
    run_example(example)


def test_what_is_excused_is_there():
    assert len(EXAMPLES) - len(RUN) == len(EXCUSED)


@pytest.mark.tensorflow("an export and a report need it")
@pytest.mark.parametrize("place", PLACES)
def test_what_is_public_has_an_example(place):
    """Every function that a namespace offers."""
    module = importlib.import_module(f"keras_efgsm.{place}")
    names = getattr(module, "__all__", [name for name in vars(module) if name[0] != "_"])
    public = [getattr(module, name) for name in names]
    ours = [part for part in public if getattr(part, "__module__", "").startswith("keras_efgsm.")]
    functions = [part for part in ours if inspect.isfunction(part)]
    assert not [part.__name__ for part in functions if "```python" not in str(part.__doc__)]


@pytest.mark.parametrize("make", [networks.digits_classifier, networks.digits_reconstructor])
def test_the_example_of_a_network_by_data_set_runs(make, run_example):
    (code,) = re.findall("```python\n(.*?)```", inspect.getdoc(make), re.DOTALL)
    run_example(DocstringExample("keras_efgsm/networks/by_data_set.py", make.__name__, 1, code))


def test_a_wrong_value_behind_an_example_is_found(run_example):
    (example,) = find_examples("keras_efgsm/records/wording.py")[:1]
    wrong = dataclasses.replace(example, code="percent(0.5)  # '51.00 %'")
    with pytest.raises(AssertionError, match="is not '51"):
        run_example(wrong)


@pytest.mark.tensorflow("its modules are named as well")
def test_every_name_that_is_offered_can_be_imported():
    """Dotted names of the package, wherever a docstring or the documentation names one."""
    missing = [f"{place}: {name}" for place, name in dotted_names() if not can_be_imported(name)]
    assert not missing


def test_every_attack_and_objective_has_an_example():
    told = {example.owner for example in EXAMPLES}
    ours = [
        part
        for part in (*ATTACKS.values(), *OBJECTIVES.values())
        if part.__module__.startswith("keras_efgsm.")
    ]
    assert {part.__name__ for part in ours} <= told


def test_an_example_is_found_by_its_file_its_owner_and_its_line():
    (example,) = find_examples("keras_efgsm/attacks/pgd.py")
    assert (example.owner, example.module) == ("PGD", "keras_efgsm.attacks.pgd")
    lines = (ROOT / example.path).read_text().splitlines()
    assert lines[example.line - 1].strip() == "```python"
    assert lines[example.line].strip() == example.code.strip().splitlines()[0]


def test_an_example_that_fails_names_its_place(run_example):
    (example,) = find_examples("keras_efgsm/attacks/pgd.py")
    broken = type(example)(example.path, example.owner, example.line, "1 / 0")
    with pytest.raises(ZeroDivisionError) as error:
        run_example(broken)
    assert str(error.traceback[-1].path).endswith(str(broken))
