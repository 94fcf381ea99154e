"""What it takes to add each kind of thing: its file and one line, a preset or an option one line.

The files are those of `tests/support/added`; the lines stand here. Nothing else is touched, and
the thing is reached by its name from the command line on.
"""

import dataclasses
import importlib.util
import json
import shlex
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_efgsm
import keras_efgsm.runs.folder
from keras_efgsm.attacks import ATTACKS as EVALUATION_ATTACKS
from keras_efgsm.cli import make_parser
from keras_efgsm.cli.config_options import read_config
from keras_efgsm.data import SOURCES, describe_source, load_data
from keras_efgsm.evaluation import evaluate_robustness, load_classifier, make_attacks
from keras_efgsm.export import FORMS, export_classifier
from keras_efgsm.recipes import ATTACKS, OBJECTIVES, PRESETS
from keras_efgsm.recipes.command import command_line

ADDED = Path(__file__).parents[1] / "support" / "added"
PACKAGE = Path(keras_efgsm.__file__).parent
# As a user writes them, from outside of the package.
LINES = {
    "training_attack": 'keras_efgsm.recipes.ATTACKS["darken"] = Darken',
    "objective": 'keras_efgsm.recipes.OBJECTIVES["clean"] = Clean',
    "evaluation_attack": "keras_efgsm.attacks.register_attack(Brighten)",
    "source": 'keras_efgsm.data.SOURCES["gradients"] = Gradients()',
    "form": "keras_efgsm.export.register_form(Weights())",
    "preset": 'keras_efgsm.recipes.PRESETS["quick"] = '
    'dataclasses.replace(keras_efgsm.recipes.PRESETS["digits"], epochs=2)',
}
TABLES = (ATTACKS, OBJECTIVES, EVALUATION_ATTACKS, SOURCES, FORMS)


def module_of(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    return module


@pytest.fixture
def add(monkeypatch):
    """Adds the thing of a kind by its file, if it has one, and its line; takes it away again."""
    before = [dict(table) for table in TABLES]

    def make(kind):
        names = {"keras_efgsm": keras_efgsm, "dataclasses": dataclasses}
        if (ADDED / f"{kind}.py").exists():
            monkeypatch.setitem(sys.modules, f"added_{kind}", None)  # which is undone
            module = module_of(f"added_{kind}", ADDED / f"{kind}.py")
            module.__spec__.loader.exec_module(module)
            names |= vars(module)
        exec(LINES[kind], names)

    yield make
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)
    PRESETS.pop("quick", None)


def parsed(*words):
    return read_config(make_parser(["train", *words]).parse_args(["train", *words]))


def test_each_example_is_a_file_of_its_own_and_a_line():
    assert {path.stem for path in ADDED.glob("*.py")} == set(LINES) - {"preset"}
    assert all(line.count("\n") == 0 for line in LINES.values())


def test_a_training_attack_trains_by_its_name_with_its_own_option(add, new_trainer, small):
    add("training_attack")
    config = parsed(
        "digits", "--attack", "darken", "--objective", "cross-entropy", "--share", "1/4"
    )
    assert parsed(*shlex.split(command_line(config))[2:]) == config
    attack = config.make_attack()
    x = np.full((1, 8, 8, 1), 0.5, "float32")
    images = keras.ops.convert_to_numpy(attack.perturb(None, x, None, None).images)
    np.testing.assert_allclose(images, x - 0.25 * config.epsilon, rtol=1e-6)
    trainer = new_trainer(attack, hidden=0, compiled={"run_eagerly": True})
    history = trainer.fit(small[0][:10], small[1][:10], batch_size=10, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_an_objective_is_minimised_by_its_name_with_its_own_option(add, new_trainer, small):
    add("objective")
    config = parsed("digits", "--attack", "fgsm", "--objective", "clean", "--strength", "3")
    assert parsed(*shlex.split(command_line(config))[2:]) == config
    assert config.label_smoothing == 0.25
    losses = {}
    for strength in (1.0, 3.0):
        options = {**config.method_options, "strength": strength}
        objective = dataclasses.replace(config, method_options=options).make_objective()
        trainer = new_trainer(
            config.make_attack(), hidden=0, objective=objective, compiled={"run_eagerly": True}
        )
        fitted = trainer.fit(small[0][:10], small[1][:10], batch_size=10, verbose=0)
        losses[strength] = fitted.history["loss"][0]
    assert losses[3.0] == pytest.approx(3 * losses[1.0], rel=1e-5)


def test_an_evaluation_attack_evaluates_by_its_name_with_its_own_option(add):
    add("evaluation_attack")
    layers = [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.set_weights([np.array([[0.0, 1.0]] * 4), np.array([0.0, -2.0])])
    x = np.array([0.3, 0.45, 0.7], "float32")[:, None, None, None] * np.ones(
        (1, 2, 2, 1), "float32"
    )
    attacks = make_attacks("brighten", 0.1, queries=7)
    report = evaluate_robustness(model, (x, np.array([0, 0, 1])), attacks, progress=False).to_dict()
    (found,) = report["attacks"]
    assert (found["name"], found["queries"]) == ("brighten", 7)
    assert found["robust_accuracy"] == pytest.approx(2 / 3)


def test_a_source_is_described_loaded_and_trained_on_by_its_name(add):
    add("source")
    assert describe_source("gradients:3").num_classes == 3
    assert load_data("gradients:3", image_size=8, channels=3).images.shape == (3, 8, 8, 3)
    config = parsed("gradients:3", "--recipe", "digits", "--epsilon", "0.1")
    assert config.dataset == "gradients:3"


def test_a_preset_is_trained_by_its_name_and_named_in_help_and_command(add):
    add("preset")
    config = parsed("quick")
    assert config == dataclasses.replace(PRESETS["digits"], epochs=2)
    assert command_line(config) == "keras-efgsm train quick"
    assert parsed("elsewhere", "--recipe", "quick").epochs == 2


def test_a_form_is_written_and_loaded_by_its_name(add, tmp_path):
    add("form")
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    linear, x = keras.Sequential(layers), np.random.default_rng(0).random((4, 4, 4, 1), "float32")
    result = export_classifier(
        linear, tmp_path / "m", class_names=["a", "b", "c"], forms=["weights"]
    )
    assert result.files == {"weights": tmp_path / "m" / "m-1-weights.npz"}
    assert "weights of a linear classifier" in result.model_card.read_text()
    answers = load_classifier(result.files["weights"]).logits_fn(x)
    np.testing.assert_allclose(answers, linear(x), rtol=1e-4, atol=1e-5)


# An option of a run has no table: it is a field, and one line in the class.

OPTION = """    sharpness: float = option("method", "how sharp it is", 1.5, check=number(0.0))
"""


@pytest.fixture
def with_option(monkeypatch):
    """The modules that know the fields, imported again with one line more in one file."""
    path = PACKAGE / "recipes" / "how_to_train.py"
    source = path.read_text() + OPTION
    packages = ("keras_efgsm.recipes", "keras_efgsm.cli", "keras_efgsm.runs.folder")
    # What is registered with Keras is imported once.
    kept = ("keras_efgsm.recipes.optimizers", "keras_efgsm.recipes.schedules")
    for name in [name for name in sys.modules if name.startswith(packages) and name not in kept]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("recipes", "cli"):
        monkeypatch.setattr(keras_efgsm, name, getattr(keras_efgsm, name))
    monkeypatch.setattr(keras_efgsm.runs, "folder", keras_efgsm.runs.folder)
    name = "keras_efgsm.recipes.how_to_train"
    read = SourceFileLoader.get_code
    monkeypatch.setattr(
        SourceFileLoader,
        "get_code",
        lambda self, module: (
            compile(source, path, "exec") if module == name else read(self, module)
        ),
    )
    return importlib.import_module


def test_a_field_is_an_option_of_the_command_line_of_the_file_and_of_the_command(
    with_option, tmp_path, capsys
):
    cli = with_option("keras_efgsm.cli")
    options = with_option("keras_efgsm.cli.config_options")
    command = with_option("keras_efgsm.recipes.command")
    folder = with_option("keras_efgsm.runs.folder").RunFolder(tmp_path / "run")

    def read(*words):
        return options.read_config(cli.make_parser(["train", *words]).parse_args(["train", *words]))

    with pytest.raises(SystemExit):
        cli.make_parser(["train", "--help"]).parse_args(["train", "--help"])
    assert "--sharpness" in capsys.readouterr().out
    config = read("digits", "--sharpness", "2/5")
    assert (config.sharpness, read("digits").sharpness) == (0.4, 1.5)
    assert "sharpness: how sharp it is. Defaults to `1.5`." in type(config).__doc__
    with pytest.raises(ValueError, match=r"`sharpness` must .* Received: sharpness=-1"):
        read("digits", "--sharpness", "-1")
    folder.prepare(config, resume=False)
    stored = json.loads(folder.config.read_text())
    assert stored["sharpness"] == 0.4
    assert folder.read_config() == config
    again = command.command_line(config)
    assert again == "keras-efgsm train digits --sharpness 0.4"
    assert read(*shlex.split(again)[2:]) == config
    # A file of before there was the option is read at its default.
    del stored["sharpness"]
    assert type(config).from_dict(stored).sharpness == 1.5
