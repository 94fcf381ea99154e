import argparse
import dataclasses
import errno
import importlib
import json
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

import keras_efgsm.runs.training
from keras_efgsm.attacks import named_attacks
from keras_efgsm.cli import main, make_parser
from keras_efgsm.cli import train as train_command
from keras_efgsm.cli.config_options import read_config
from keras_efgsm.data import load_digits
from keras_efgsm.recipes import ATTACKS, OBJECTIVES, automatic, evaluation_command
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.recorder import RunRecorder

FAST = ["--epochs", "2", "--batch-size", "256", "--probe-images", "0"]
QUICK_ATTACK = ["--losses", "cw", "--steps", "2", "--num-images", "200"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "digits", *FAST, "--sigma", "0.05", "--out", str(out), "--quiet"]) == 0
    return RunFolder(out)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    models = tmp_path_factory.mktemp("exported_models") / "digits"
    for _ in range(2):
        # Other forms have tests of their own.
        words = ["export", str(run.path), "--to", str(models), "--forms", "saved-model,tflite"]
        assert main(words) == 0
    return models


def next_command(output):
    """The words of the command that a command ends with, which must be one."""
    (line,) = [line for line in output.splitlines() if line.startswith("next: ")]
    words = shlex.split(line.removeprefix("next: keras-efgsm "))
    make_parser(words).parse_args(words)
    return words


@pytest.fixture
def refused(capsys):
    """Runs a command and checks for exit status 2 and one line on stderr."""

    def check(message, *words):
        assert main([str(word) for word in words]) == 2
        output = capsys.readouterr()
        assert output.err.startswith(f"keras-efgsm {words[0]}: ")
        assert output.err.count("\n") == 1
        assert message in output.err
        assert "Received: " in output.err
        assert output.out == ""

    return check


@pytest.mark.parametrize(
    "words",
    ["train digits --out=", "evaluate run --json=", "export run --to=", "train digits --data-dir="],
)
def test_a_place_without_a_name_is_not_taken_for_none(refused, words):
    refused("must name a file or folder", *words.split())


# What the commands do.


def test_a_data_set_that_cannot_be_had_is_refused_with_what_to_try(tmp_path, capsys):
    words = ["train", "digits", "--dataset", "no-such-data", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("  - ")]) >= 3
    assert all(line.startswith("  - ") for line in lines[1:-1] if line != "Accepted are:")
    assert lines[-1] == "Received: dataset='no-such-data'"
    assert not (tmp_path / "run").exists()


def test_train_writes_a_run_with_the_given_options(run):
    config = run.read_config()
    changed = {"epochs": 2, "batch_size": 256, "probe_images": 0}
    changed["method_options"] = {"sigma": 0.05}
    assert config == dataclasses.replace(PRESETS["digits"], **changed)
    metrics = json.loads(run.metrics.read_text())
    assert metrics["epochs"] == 2
    assert metrics["test_images"] == 360
    assert run.classifier.exists()
    assert len(run.history.read_text().splitlines()) == 3


def test_train_prints_what_came_out_and_what_to_do_next(tmp_path, capsys):
    out = tmp_path / "with a space"
    words = ["--method", "efgsm", "--no-overfitting-stop", "--weight-averaging", "0"]
    one = ["--epochs", "1", "--batch-size", "512"]
    assert main(["train", "digits", *one, *words, "--out", str(out), "--quiet"]) == 0
    output = capsys.readouterr().out
    assert "natural accuracy, 360 test images" in output
    assert str(out) in output
    assert "next: keras-efgsm evaluate" in output
    config = RunFolder(out).read_config()
    assert config.method == "efgsm"
    assert not RunFolder(out).reconstructor.exists()
    assert not config.overfitting_stop
    assert json.loads(RunFolder(out).metrics.read_text())["stop"] is None


def evaluated(path, target, *words):
    assert main(["evaluate", str(path), *QUICK_ATTACK, "--json", str(target), *words]) == 0
    return json.loads(target.read_text())


def test_a_run_its_classifier_and_its_export_are_evaluated_alike(run, exported, tmp_path, capsys):
    needed = ["--dataset", "digits", "--epsilon", "0.2"]
    reports = [
        evaluated(run.path, tmp_path / "run.json"),
        evaluated(run.classifier, tmp_path / "keras.json", *needed),
        evaluated(exported / "1", tmp_path / "exported.json", *needed),
    ]
    natural = {report["natural_accuracy"] for report in reports}
    assert len(natural) == 1
    assert natural.pop() > 0.4
    robust = [report["attacks"][0]["robust_accuracy"] for report in reports]
    assert max(robust) - min(robust) <= 0.01
    output = capsys.readouterr().out
    assert "PGD" in output.upper()
    lines = [line for line in output.splitlines() if line.startswith("next: ")]
    of_run, of_file, _ = [next_command(line) for line in lines]
    assert of_run == ["diagnose", str(run.path)]
    assert of_file == ["diagnose", str(run.classifier), "--dataset", "digits", "--epsilon", "0.2"]
    assert not run.evaluation.exists()


def test_a_diagnosis_comes_next_only_where_there_are_images_enough(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("keras_efgsm.diagnosis.thresholds.FEWEST", 10**6)
    evaluated(run.path, tmp_path / "run.json")
    assert next_command(capsys.readouterr().out) == ["report", str(run.path)]
    evaluated(run.classifier, tmp_path / "keras.json", "--dataset", "digits", "--epsilon", "0.2")
    assert "next:" not in capsys.readouterr().out


def test_the_figures_of_a_run_go_into_its_folder_unless_told_otherwise(run, capsys):
    try:
        assert main(["evaluate", str(run.path), *QUICK_ATTACK, "--epsilon", "0.1"]) == 0
        report = json.loads(run.evaluation.read_text())
        assert report["attacks"][0]["robust_accuracy"] <= report["natural_accuracy"]
        assert "evaluation.json" in capsys.readouterr().out
    finally:
        run.evaluation.unlink(missing_ok=True)


def test_figures_of_another_norm_than_that_of_the_training_lie_beside_its_own(
    run, refused, tmp_path, capsys
):
    beside = run.of_norm(run.evaluation, "l2")
    try:
        words = ["evaluate", str(run.path), *QUICK_ATTACK, "--norm", "l2"]
        refused("`--epsilon` must be given with `--norm l2`", *words)
        refused("no two images of shape", *words, "--epsilon", "16")
        assert main([*words, "--epsilon", "1.5"]) == 0
        assert not run.evaluation.exists()
        (attack,) = json.loads(beside.read_text())["attacks"]
        assert (attack["norm"], attack["epsilon"], attack["step_size"]) == ("l2", 1.5, 0.05)
        output = capsys.readouterr().out
        assert "1.5 (L2)" in output
        assert f"diagnose {run.path} --epsilon 1.5 --norm l2" in output
        told = evaluation_command.command_line(json.loads(beside.read_text()), test_images=360)
        assert "--norm l2 --epsilon 1.5" in told
    finally:
        beside.unlink(missing_ok=True)


def test_each_export_is_the_next_version(exported):
    versions = {p.name for p in exported.iterdir() if p.is_dir()}
    assert versions == {"1", "2"}
    for version in versions:
        assert (exported / version / "saved_model.pb").exists()


def test_an_interrupted_training_says_so_and_can_be_resumed(tmp_path, monkeypatch, capsys):
    class Interrupted(RunRecorder):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            if epoch == 1:
                raise KeyboardInterrupt

    words = ["train", "digits", *FAST, "--out", str(tmp_path / "run"), "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(keras_efgsm.runs.training, "RunRecorder", Interrupted)
        assert main(words) == 130
    assert capsys.readouterr().err == "\nkeras-efgsm train: interrupted\n"
    assert not RunFolder(tmp_path / "run").classifier.exists()
    assert main(words) == 2
    assert "`--resume`" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    assert "resuming after epoch 1 of 2" in capsys.readouterr().out
    assert len(RunFolder(tmp_path / "run").history.read_text().splitlines()) == 3


def test_the_program_shows_its_commands():
    done = subprocess.run(
        [sys.executable, "-m", "keras_efgsm", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    for command in ("train", "evaluate", "export", "quickstart"):
        assert command in done.stdout


def test_images_of_another_size_are_refused_with_the_options_that_resize_them(
    run, refused, tmp_path
):
    data = tmp_path / "large.npz"
    images = np.zeros((4, 16, 12, 1), "uint8")
    np.savez(data, x_train=images, y_train=np.arange(4) % 2, x_test=images, y_test=np.arange(4) % 2)
    mend = "`--image-size 8 8 --channels 1`"
    for command in ("evaluate", "diagnose"):
        refused(mend, command, run.classifier, "--dataset", data, "--epsilon", "0.1")
    refused(mend, "report", run.classifier, "--dataset", data, "--epsilon", "0.1")


def test_a_report_is_made_of_any_keras_file(run, few_attacks, tmp_path, capsys):
    model, page = tmp_path / "mine.keras", tmp_path / "page.html"
    shutil.copyfile(run.classifier, model)
    figures = tmp_path / "figures.json"
    evaluated(model, figures, "--dataset", "digits", "--epsilon", "1/5")
    words = ["--dataset", "digits", "--epsilon", "1/5", "--num-images", "20", "--out", str(page)]
    given = ["report", str(model), *words, "--evaluation", str(figures)]
    assert main(given) == 0
    assert "mine.report" in page.read_text()
    assert main([*given, "--overwrite"]) == 0
    (tmp_path / "mine.report" / "adopted.txt").unlink()
    model.write_bytes(run.reconstructor.read_bytes())
    assert main(given) == 2
    assert main(["report", str(run.classifier), "--epsilon", "0.2"]) == 2
    assert "`--dataset` must be given" in capsys.readouterr().err


def test_a_folder_of_images_is_trained_on_by_one_command_that_says_what_it_chose(
    tmp_path, capsys, monkeypatch
):
    digits, data = load_digits("train").take(60), tmp_path / "mine.npz"
    parts = {"x_train": digits.images[:40], "y_train": digits.labels[:40]}
    parts |= {"x_test": digits.images[40:], "y_test": digits.labels[40:]}
    np.savez(data, **parts)
    out = tmp_path / "run"
    words = ["train", str(data), "--out", str(out), "--quiet"]
    assert main(words) == 2
    assert "Which epsilon?" in capsys.readouterr().err
    assert not out.exists()
    words += ["--epsilon", "8/255", "--epochs", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "chosen by the images" in said
    assert "adam, cosine from 0.002" in said
    config = RunFolder(out).read_config()
    assert (config.epsilon, config.epochs, config.batch_size) == (8 / 255, 1, 64)
    assert parsed(command_line(config)) == config
    # A resumed run has chosen already.
    monkeypatch.setattr(automatic, "choose", lambda request: pytest.fail("chose again"))
    assert main([*words, "--resume"]) == 0


def test_the_folder_is_looked_at_before_the_precision_is_measured(run, monkeypatch):
    monkeypatch.setattr(
        keras_efgsm.runs.training, "with_dtype_policy", lambda *_: pytest.fail("was measured")
    )
    words = ["train", "digits", "--dtype-policy", "auto", "--out", str(run.path), "--quiet"]
    assert main(words) == 2


# The command line of a configuration.


def parsed(line):
    program, *words = shlex.split(line)
    assert program == "keras-efgsm"
    parser = argparse.ArgumentParser()
    train_command.add_command(parser.add_subparsers())
    return read_config(parser.parse_args(words))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "dataset": "a folder/of images",
            "epsilon": 8 / 255,
            "method_options": {
                "sigma": 0.0,
                "lambda": 0.05,
                "decay": 0.9,
                "momentum_from": "perturbation",
                "rivals": 3,
            },
            "label_smoothing": 0.3,
            "momentum_dtype": "float16",
            "epochs": 7,
            "batch_size": 50,
            "learning_rate": 1e-4,
            "weight_averaging": 0.0,
            "epsilon_factor": 1.1,
            "probe_images": 100,
            "seed": 11,
        },
        {"method_options": {"rivals": "all"}, "overfitting_stop": False},
        {"classifier": "mnist-paper", "reconstructor": "mnist"},
        {"method_options": {"overshoot": 1.5}},
        {"method_options": {"use_projection": False}},
        {"warmup_epochs": 2.0},
        {"epsilon_warmup_epochs": 3.0},
        {
            "method_options": {
                "first_visit": "corner",
                "step_size": 0.05,
                "memory": "universal",
                "consistency_weight": 5.0,
            },
            "regularizer_warmup_epochs": 1.5,
            "keep_best": True,
            "attack_in_training_mode": False,
            "dtype_policy": "auto",
        },
    ],
    ids=lambda changes: ", ".join(changes) if len(changes) < 4 else "all flags",
)
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_command_of_a_configuration_gives_it_back(preset, changes):
    base = PRESETS[preset]
    if "method_options" in changes:
        # Those that the method of the preset has: without a re-constructor no lambda.
        options = changes["method_options"].items()
        own = {name: value for name, value in options if name in base.method_options}
        changes = {"regularizer_warmup_epochs": 0.0} | changes | {"method_options": own}
    if not changes.get("overfitting_stop", True):
        # Whose probe tells which epoch is best.
        changes = changes | {"keep_best": False}
    config = dataclasses.replace(base, **changes)
    assert parsed(command_line(config)) == config


@pytest.mark.parametrize("method", METHODS)
def test_the_command_of_a_method_gives_it_back(method):
    config = PRESETS["mnist"].with_method(method)
    assert parsed(command_line(config)) == config
    other = dataclasses.replace(
        config,
        label_smoothing=0.25,
        method_options={name: 0.5 for name in config.method_options if name in ("beta", "sigma")},
    )
    assert parsed(command_line(other)) == other


def test_where_the_data_lie_stays_out_of_the_command():
    config = dataclasses.replace(PRESETS["mnist"], data_dir="somewhere/else")
    assert command_line(config) == "keras-efgsm train mnist"


# Bad input.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epsilon", "77"], "divide one given on the 0..255 scale by 255 (here 0.301961)"),
        (["--epsilon", "0"], "`epsilon` must be"),
        (["--sigma", "-0.1"], "`sigma` must be"),
        (["--lambda", "0"], "`classification_weight` must be"),
        (["--beta", "6"], "The options of eFGSM with re-constructor are: consistency_weight"),
        (["--method", "trades", "--beta", "0"], "`beta` must be"),
        (["--method", "pgd", "--steps", "0"], "`steps` must be"),
        (["--epsilon-warmup-epochs", "-1"], "`epsilon_warmup_epochs` must be"),
        (["--epochs", "0"], "`epochs` must be"),
        (["--batch-size", "-5"], "`batch_size` must be"),
        (["--rivals", "some"], "`rivals` must be"),
        (["--momentum-dtype", "int4"], "`momentum_dtype` must be"),
        (["--classifier", "resnet"], "`classifier` must be the name of a network"),
        (["--seed", "-1"], "`seed` must be"),
        (
            ["--classifier", "mnist-trades"],
            "at least 16 x 16 pixels; enlarge them by `--image-size",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_train_refuses_a_bad_option_in_one_line_and_makes_no_folder(
    refused, tmp_path, words, message
):
    refused(message, "train", "digits", *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_train_refuses_a_folder_of_another_run(refused, run):
    refused("holds a run already", "train", "digits", "--out", run.path)
    other = [*FAST, "--epochs", "3", "--sigma", "0.05"]
    refused("epochs: 2 there, 3 now", "train", "digits", *other, "--out", run.path, "--resume")


def test_train_refuses_to_resume_nothing(refused, tmp_path):
    refused("there is none in the folder", "train", "digits", "--out", tmp_path, "--resume")


def test_evaluate_refuses_what_is_no_model(refused, run, tmp_path):
    refused("There is no model here", "evaluate", tmp_path / "missing")
    refused("must be a run folder", "evaluate", tmp_path)
    (tmp_path / "model.keras").write_text("not a model")
    refused("damaged", "evaluate", tmp_path / "model.keras")


def test_evaluate_refuses_a_bad_option(refused, run):
    refused("`--dataset` must be given", "evaluate", run.classifier)
    refused("`--epsilon` must be given", "evaluate", run.classifier, "--dataset", "digits")
    refused("scale by 255", "evaluate", run.path, "--epsilon", "77")
    refused("`loss` must be one of", "evaluate", run.path, "--losses", "ce,l2")
    refused("`steps` must be", "evaluate", run.path, "--steps", "0")
    refused("`split` must be", "evaluate", run.path, "--split", "holdout")
    assert not run.evaluation.exists()


def test_where_a_result_goes_is_tried_before_the_work(
    run, exported, refused, tmp_path, monkeypatch
):
    def read_only(**options):
        raise OSError(errno.EROFS, "Read-only file system")

    def work(*args, **options):
        pytest.fail("the work has begun")

    places = {
        "diagnosis": "diagnose",
        "evaluation": "evaluate_robustness",
        "report.page": "read_run",
        "export.exporting_runs": "_read_run",
        "export.measuring.measured_export": "load_images",
    }
    # All of them first: one that is imported later would keep what it takes of another.
    modules = {name: importlib.import_module(f"keras_efgsm.{name}") for name in places}
    for name, function in places.items():
        monkeypatch.setattr(modules[name], function, work)
    out = tmp_path / "new"
    monkeypatch.setattr("keras_efgsm.atomic_file.tempfile.TemporaryFile", read_only)
    for words in (
        ["evaluate", run.path],
        ["evaluate", run.path, "--json", tmp_path / "x.json"],
        ["evaluate", run.path, "--state", tmp_path / "x.npz"],
        ["diagnose", run.path],
        ["diagnose", run.path, "--picture", tmp_path / "x.png"],
        ["report", run.path, "--out", tmp_path / "x.html"],
        ["export", run.path, "--to", out],
        ["measure", exported / "1", "--run", run.path],
        ["train", "digits", "--out", out],
    ):
        refused("(Read-only file system). Received: ", *words)
    assert list(tmp_path.iterdir()) == []


def test_a_result_below_a_file_or_in_no_folder_is_refused_before_the_work(run, refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file / "x", tmp_path / "missing" / "x"):
        for words in (
            ["evaluate", run.path, "--json", place],
            ["evaluate", run.path, "--state", place],
            ["diagnose", run.path, "--json", place],
            ["diagnose", run.path, "--picture", place],
        ):
            refused(f"must be a file in a folder that exists. Received: {words[2]}=", *words)
    refused("The folder of `out` must exist", "report", run.path, "--out", file / "x.html")
    refused("`to` must be writable (Not a directory)", "export", run.path, "--to", file / "m")
    refused("`out` must be writable", "train", "digits", "--out", file / "run")
    words = ["--trials", "1", "--epochs", "1"]
    for out in (file, file / "search"):
        refused("`out` must be writable", "tune", "digits", *words, "--out", out)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_of_a_report_that_a_kill_left_empty_is_taken_over(run, few_attacks, tmp_path):
    model, folder = tmp_path / "mine.keras", tmp_path / "mine.report"
    shutil.copyfile(run.classifier, model)
    figures = tmp_path / "figures.json"
    words = ["--dataset", "digits", "--epsilon", "1/5"]
    evaluated(model, figures, *words)
    folder.mkdir()
    (folder / ".adopted.txt.partial").write_text("half")
    words += ["--evaluation", str(figures), "--num-images", "20", "--out", str(tmp_path / "x.html")]
    assert main(["report", str(model), *words]) == 0
    assert not list(folder.glob(".*"))


def test_export_refuses_what_is_no_finished_run(refused, tmp_path):
    to = tmp_path / "models"
    refused("folder of a finished run", "export", tmp_path / "missing", "--to", to)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text("{}")
    refused("folder of a finished run", "export", tmp_path / "begun", "--to", to)
    assert not to.exists()


@pytest.mark.parametrize("words", [[], ["destroy"], ["train"], ["export"]])
def test_an_unknown_command_or_a_missing_word_ends_with_status_two(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert "usage: keras-efgsm" in capsys.readouterr().err


def test_methods_lists_every_method_attack_and_objective_and_trains_those_asked_for(capsys):
    assert main(["methods"]) == 0
    listed = capsys.readouterr().out
    words = listed.replace(",", " ").split()
    assert {*METHODS, *ATTACKS, *OBJECTIVES, *named_attacks(for_evaluation=True)} <= set(words)
    assert {*PRESETS} <= set(words)
    assert "--sigma" not in listed
    assert main(["methods", "--only", "efgsm"]) == 0
    listed = capsys.readouterr().out
    assert "--sigma" in listed and "yopo" not in listed
    words = ["--smoke", "--only", "rec,yopo", "--epochs", "1", "--num-images", "64"]
    assert main(["methods", *words]) == 0
    output = capsys.readouterr().out
    assert "[2/2] yopo" in output
    assert "1 epoch(s) on 64 images of digits" in output


def test_methods_refuses_an_unknown_one(refused):
    refused("`only` must be one of 'combined'", "methods", "--only", "magic")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--attacks quick --num-images 20",
        "--attacks standard --steps 2 --targets 2 --queries 5 --num-images 20 --seed 3",
        "--attacks pgd-ce,apgd-ce --steps 3 --restarts 2 --num-images 20",
        "--attacks apgd-ce,square --cascade --queries 5 --num-images 20",
    ],
)
def test_the_card_names_the_command_that_measured_its_figures(run, tmp_path, words):
    target = tmp_path / "figures.json"
    assert main(["evaluate", str(run.path), *words.split(), "--json", str(target)]) == 0
    told = evaluation_command.command_line(json.loads(target.read_text()), test_images=360).split()
    assert told[:3] == ["keras-efgsm", "evaluate", "RUN"]
    given = words.split()
    pairs = {given[i]: given[i + 1 : i + 2] for i in range(len(given)) if given[i][:2] == "--"}
    found = {told[i]: told[i + 1 : i + 2] for i in range(len(told)) if told[i][:2] == "--"}
    pairs, found = ({k: v for k, v in d.items() if k != "--cascade"} for d in (pairs, found))
    assert found == pairs
    assert ("--cascade" in told) == ("--cascade" in given)
