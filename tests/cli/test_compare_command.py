import re
import shlex

import keras
import numpy as np
import pytest

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, save_npz
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import ComparisonRecord, EvaluationRecord
from keras_efgsm.runs.folder import RunFolder

QUICK = ["--attacks", "pgd-ce,square", "--steps", "2", "--queries", "3", "--num-images", "30"]
SQUARE = ["--attacks", "square", "--queries", "1", "--num-images", "30"]


@pytest.fixture(autouse=True)
def without_graphs(monkeypatch):
    """What evaluations find is the same, and a trace takes far longer."""
    for module in ("native_engine", "verdict"):
        name = f"keras_efgsm.evaluation.{module}.compiled_once"
        monkeypatch.setattr(name, lambda function, reads=(): function)


def nearest_mean(x, y, noise=0.0):
    """A linear classifier whose class is that of the nearest mean."""
    means = np.array([x[y == label].mean(axis=0).ravel() for label in range(10)])
    means += noise * np.random.default_rng(0).normal(size=means.shape)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.set_weights([means.T, -0.5 * (means**2).sum(axis=1)])
    return model


@pytest.fixture
def place(digits, tmp_path, monkeypatch):
    """A folder with a run, two classifiers and their data."""
    monkeypatch.chdir(tmp_path)
    (x, y), (x_test, y_test) = digits
    names = tuple(str(label) for label in range(10))
    train, test = (
        ImageData(np.uint8(a[:60] * 255), b[:60], names) for a, b in ((x, y), (x_test, y_test))
    )
    save_npz("d.npz", train, test)
    folder = RunFolder("run")
    config = TrainingConfig(
        dataset="d.npz",
        classifier="b.keras",
        method="efgsm",
        reconstructor=None,
        epsilon=0.1,
        probe_images=0,
    )
    folder.prepare(config, resume=False)
    nearest_mean(x, y).save(folder.classifier)
    nearest_mean(x, y, noise=0.2).save("b.keras")
    nearest_mean(x, y, noise=0.1).save("c.keras")
    return tmp_path


def test_a_comparison_prints_writes_and_tells_the_command_of_each_line(place, capsys):
    assert main(["compare", "run", "b.keras", *QUICK, "--names", "ours", "theirs"]) == 0
    out = capsys.readouterr().out
    record = ComparisonRecord.read("comparison.json")
    assert [model.name for model in record.models] == ["ours", "theirs"]
    assert (record.epsilon, record.num_images, record.dataset) == (0.1, 30, "npz:d:test")
    for name in ("comparison.html", "comparison.png"):
        assert (place / name).is_file() and name in out
    assert not list(place.glob("*.partial*"))
    for model in record.models:
        assert f"{model.name}: {model.command}\n" in out
        words = shlex.split(model.command)[1:]
        assert main([*words, *(() if "--json" in words else ("--json", "theirs.json"))]) == 0
        alone = EvaluationRecord.read(f"{model.name}.json")
        assert alone.measured_with() == model.evaluation.measured_with()
        assert alone.worst_case_accuracy == model.worst_case_accuracy
        assert alone.images == record.images
    assert not RunFolder("run").evaluation.exists()


@pytest.mark.tensorflow("writes a .tflite file")
def test_the_command_of_a_file_without_gradients_names_what_it_saw(place):
    from keras_efgsm.export.tflite import write_tflite

    write_tflite(keras.models.load_model("run/classifier.keras"), place / "b.tflite")
    words = ["compare", "run", "b.tflite", "--attacks", "quick", "--num-images", "9"]
    words += ["--steps", "2", "--queries", "7"]
    assert main([*words, "--json", "q.json", "--seed", "3"]) == 0
    record = ComparisonRecord.read("q.json")
    ours, theirs = record.models
    assert theirs.access == "black-box" and theirs.accuracies[0] is None
    assert theirs.command == (
        "keras-efgsm evaluate b.tflite --dataset d.npz --epsilon 0.1 --attacks square --queries "
        "7 --cascade --num-images 9 --seed 3"
    )
    assert "--attacks quick --steps 2 --queries 7" in ours.command
    assert ours.command.endswith("--json run.json")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "two models or more"),
        (["run", "none.keras"], "There is no model here. Received: path='none.keras'"),
        (["run", "b.keras", "--names", "a"], "`names` must be 2 different names"),
        (["b.keras", "c.keras"], "`--dataset` must be given, as no model is a run folder"),
        (["b.keras", "c.keras", "--dataset", "d.npz"], "`--epsilon` must be given"),
        (["run", "b.keras", "--attacks", "none"], "`attacks` must be one of the sets"),
        (["run", "b.keras", "--num-images", "99"], "`num_images` must be at most 60"),
        (["run", "b.keras", "--image-size", "9", "9"], "`--image-size 8 8 --channels 1` brings"),
        (["run", "b.keras", "--json", "no/c.json"], "no/c.json"),
        (["run", "b.keras", "--page", "d.npz"], "`page` exists and is no report"),
        (["run", "b.keras", "--picture", "comparison.html"], "must be different files"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_the_first_attack(
    place, words, message, capsys, monkeypatch
):
    def attacked(*args, **options):
        raise AssertionError("a model was attacked")

    monkeypatch.setattr("keras_efgsm.comparison.comparing.evaluate_robustness", attacked)
    before = sorted(place.iterdir())
    assert main(["compare", *words]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert sorted(place.iterdir()) == before


def test_an_interrupted_comparison_says_how_it_goes_on_and_does(place, capsys, monkeypatch):
    from keras_efgsm.comparison import comparing

    evaluate, seen = comparing.evaluate_robustness, []

    def interrupted(model, *args, **options):
        seen.append(model.description)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return evaluate(model, *args, **options)

    monkeypatch.setattr(comparing, "evaluate_robustness", interrupted)
    words = ["compare", "run", "b.keras", "c.keras", *SQUARE]
    assert main(words) == 130
    assert "the same command continues from comparison.partial.json" in capsys.readouterr().err
    assert main(words) == 0
    assert seen == ["run", "b.keras", "b.keras", "c.keras"]
    assert len(ComparisonRecord.read("comparison.json").models) == 3
    assert not re.search("partial", " ".join(path.name for path in place.iterdir()))


def test_a_run_whose_test_images_have_changed_has_no_rank(place, monkeypatch):
    monkeypatch.setattr(
        "keras_efgsm.runs.same_data.changed_since",
        lambda folder, data, split: "the images have changed" if folder.path.name == "run" else "",
    )
    assert main(["compare", "run", "b.keras", *SQUARE]) == 0
    theirs, ours = ComparisonRecord.read("comparison.json").models
    assert (ours.name, ours.rank, ours.doubts) == ("run", None, ("The images have changed.",))
    assert theirs.rank == 1
