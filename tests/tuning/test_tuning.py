"""The search of hyperparameters: what it may see, what it writes, and how it survives."""

import dataclasses
import errno
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import keras_tuner
import numpy as np
import pytest

from keras_efgsm.cli import main
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.recipes.building import hold_out_probe
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records import TrialsRecord
from keras_efgsm.tuning import (
    OBJECTIVE,
    Range,
    RobustHyperModel,
    RobustTuner,
    SearchFailed,
    SearchOptions,
    driver,
    make_ranges,
    tune,
    workers,
)
from keras_efgsm.tuning.drawing import draw_trials
from keras_efgsm.tuning.driver import run_trials
from keras_efgsm.tuning.finalists import against_preset
from keras_efgsm.tuning.oracles import make_oracle
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.trials import (
    TrialRecord,
    pareto_front,
    read_trials,
    trials_table,
    write_trials,
)

pytestmark = pytest.mark.usefixtures("uncompiled")

# A number of training samples that no layer's size equals.
TRAIN_IMAGES = 187
AFTERWARDS = {
    "finalists": 1,
    "seeds": 1,
    "final_epochs": 1,
    "final_attacks": "apgd-ce",
    "final_attack_options": {"steps": 3},
    "final_images": 30,
    "verbose": 0,
}
ATTACK = ("--attacks", "apgd-cw", "--steps", "5")


def small_search(**options):
    config = dataclasses.replace(PRESETS["digits"], overfitting_stop=False)
    ranges = options.pop("ranges", None) or make_ranges(config, ["lambda", "sigma"])
    return SearchOptions(
        config,
        ranges,
        **{
            "tuner": "random",
            "trials": 2 if options.get("tuner") != "hyperband" else None,
            "epochs": 1,
            "train_images": TRAIN_IMAGES,
            "validation_images": 40,
            "attacks": "apgd-cw",
            "attack_options": {"steps": 3},
            **options,
        },
    )


def statuses(out):
    return {
        path.parent.name: json.loads(path.read_text())["status"]
        for path in out.glob("trials/trial_*/trial.json")
    }


class Finished(NamedTuple):
    """A search that was watched.

    Attributes:
        out: its folder.
        result: what `tune` returned.
        momentum: of each training, the momentum before it and whether it holds anything after it.
        trainings: one entry for each training that a callback was told of.
    """

    out: Path
    result: Any
    momentum: list[tuple[Any, bool]]
    trainings: list[Any]


@pytest.fixture(scope="module")
def finished(tmp_path_factory, uncompiled):
    """A search of two trials, its finalists and its best run."""
    out = tmp_path_factory.mktemp("search") / "out"
    measure, momentum, trainings = RobustHyperModel.measure, [], []

    def watched(self, config, trainer, *args, **kwargs):
        before = trainer.momentum
        measured = measure(self, config, trainer, *args, **kwargs)
        momentum.append((before, trainer.momentum.numpy().any()))
        return measured

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RobustHyperModel, "measure", watched)
        told = keras.callbacks.LambdaCallback(on_train_begin=trainings.append)
        result = tune(small_search(), out, callbacks=[told], **AFTERWARDS)
    return Finished(out, result, momentum, trainings)


def test_callbacks_are_called_in_each_trial_finalist_and_the_best_training(finished):
    result = finished.result
    assert len(finished.trainings) == len(result.trials) + len(result.finalists["runs"]) + 1


@pytest.mark.parametrize("train_images", [None, TRAIN_IMAGES])
def test_validation_images_are_of_the_train_split_and_in_no_training_and_no_probe(train_images):
    options = small_search(train_images=train_images)
    config = dataclasses.replace(options.config, overfitting_stop=True)
    options = dataclasses.replace(options, config=config)
    model = RobustHyperModel(options)
    trained, probe = hold_out_probe(options.config, model.train)
    everything = {image.tobytes() for image in load_data("digits", "train").images}
    held_out = {image.tobytes() for image in model.validation.images}
    trained = {image.tobytes() for image in trained.images}
    probe = {np.rint(image * 255).astype("uint8").tobytes() for image in probe[0]}
    assert held_out <= everything
    assert len(held_out) >= 38 and len(probe) > 10
    assert not held_out & trained and not held_out & probe and not probe & trained


def test_the_same_images_validate_every_trial_and_every_seed_of_a_finalist():
    options = small_search()
    first = RobustHyperModel(options).validation
    again = RobustHyperModel(dataclasses.replace(options, epochs=3)).validation
    np.testing.assert_array_equal(first.images, again.images)


def test_all_five_hyperparameters_are_declared_in_build_and_reach_the_training():
    config = PRESETS["digits"]
    names = ["lambda", "sigma", "label_smoothing", "decay", "learning_rate"]
    model = RobustHyperModel(small_search(ranges=make_ranges(config, names)))
    hp = keras_tuner.HyperParameters()
    model.build(hp)
    assert [p.name for p in hp.space] == names
    assert {p.name: p.sampling for p in hp.space}["lambda"] == "log"
    hp.values.update({"lambda": 2.0, "sigma": 0.05, "label_smoothing": 0.25, "decay": 0.6,
                      "learning_rate": 5e-3})  # fmt: skip
    trainer = model.build(hp)
    assert trainer.attack.sigma == 0.05 and trainer.attack.decay == 0.6
    assert trainer.objective.get_config() | {"label_smoothing": 0.25} == (
        trainer.objective.get_config()
    )
    assert 2.0 in trainer.objective.get_config().values()
    schedule = trainer.optimizer.get_config()["learning_rate"]["config"]
    assert 5e-3 in (schedule["initial_learning_rate"], schedule["warmup_target"])


def test_the_first_trial_is_the_preset(finished):
    out, result = finished.out, finished.result
    assert result.trials[0].values == {"lambda": 0.1, "sigma": 0.1}
    assert json.loads((out / "trials.json").read_text())["trials"][0]["is_preset"]


def test_the_results_name_the_attack_its_budget_the_images_and_the_seed(finished):
    out = finished.out
    content = json.loads((out / "trials.json").read_text())
    measured = content["measured_by"]
    attack = measured["attacks"][0]
    assert (attack["name"], attack["steps"], attack["epsilon"], attack["seed"]) == (
        "apgd-cw", 3, 0.2, 0,
    )  # fmt: skip
    assert measured["split"] == "validation"
    assert measured["num_images"] == len(RobustHyperModel(small_search()).validation)
    assert content["versions"]["keras-tuner"] and content["hardware"]
    for trial in content["trials"]:
        assert trial["status"] == "COMPLETED"
        assert trial["robust_accuracy"] <= trial["natural_accuracy"]
        assert trial["training_seconds"] > 0
    assert (out / "search.png").stat().st_size > 10_000


def test_the_best_run_is_trained_at_its_epochs_and_attacked_on_the_test_split(finished):
    out, result = finished.out, finished.result
    assert result.evaluation["split"] == "test" and result.evaluation["num_images"] == 30
    assert result.evaluation == json.loads((out / "best" / "evaluation.json").read_text())
    config = json.loads((out / "best" / "config.json").read_text())
    best = json.loads((out / "finalists.json").read_text())["finalists"][0]
    assert config["method_options"]["lambda"] == best["values"]["lambda"]
    assert config["epochs"] == 1


def test_the_preset_is_among_the_finalists_and_their_seeds_are_new(finished):
    result = finished.result
    rows = result.finalists["finalists"]
    assert any(row["is_preset"] for row in rows)
    assert {run["seed"] for run in result.finalists["runs"]} == {1}
    assert rows[0]["robust_accuracy"] == max(row["robust_accuracy"] for row in rows)


def test_no_file_of_a_trial_holds_the_momentum(finished):
    out = finished.out
    checkpoints = list(out.glob("trials/*/checkpoint.weights.h5"))
    assert len(checkpoints) == 2
    for checkpoint in checkpoints:
        shapes = dataset_shapes(checkpoint)
        assert len(shapes) > 10
        assert not [name for name, shape in shapes.items() if has_samples(shape)]
        assert not [name for name in shapes if "momentum" in name]
    # 187 images of 64 pixels in the smallest storage; everything else is known.
    expected = {"trial.json", "measured.json", "checkpoint.weights.h5"}
    assert {p.name for p in out.glob("trials/trial_*/*")} == expected


def dataset_shapes(path):
    shapes = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                shapes.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return shapes


def has_samples(shape):
    samples = len(RobustHyperModel(small_search()).train)
    return samples in shape or int(np.prod(shape)) == samples * 64


def test_keras_tuners_own_search_runs_the_hypermodel_and_its_checkpoint_has_no_momentum(tmp_path):
    tuner = keras_tuner.RandomSearch(
        RobustHyperModel(small_search()), objective=OBJECTIVE, max_trials=1, seed=1,
        directory=tmp_path, project_name="own",
    )  # fmt: skip
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.status == "COMPLETED" and 0.0 <= trial.score <= 1.0
    shapes = dataset_shapes(tmp_path / "own" / "trial_0" / "checkpoint.weights.h5")
    assert shapes and not any(has_samples(shape) for shape in shapes.values())


def test_each_trial_and_each_finalist_begins_without_a_momentum_and_fills_one(finished):
    assert len(finished.momentum) >= 3
    assert finished.momentum == [(None, True)] * len(finished.momentum)


@pytest.mark.slow(reason="searches with Hyperband")
def test_hyperband_goes_on_from_weights_and_steps_of_the_earlier_trial(tmp_path):
    options = small_search(tuner="hyperband", epochs=2, factor=2)
    model = RobustHyperModel(options)
    begun = {}

    class Watched(RobustTuner):
        def _go_on_from(self, trial_id, trainer):
            super()._go_on_from(trial_id, trainer)
            begun[trial_id] = (
                int(trainer.optimizer.iterations), trainer.momentum,
                [w.copy() for w in trainer.classifier.get_weights()],
            )  # fmt: skip

    tuner = Watched(model, tmp_path, verbose=0)
    # The first bracket is enough.
    tuner.oracle.max_trials = 3
    tuner.search()
    trials = read_trials(SearchFolder(tmp_path), options)
    continued = [trial for trial in trials if trial.goes_on_from]
    assert continued and all(trial.completed for trial in trials)
    for trial in continued:
        steps, momentum, weights = begun[trial.goes_on_from]
        assert steps == -(-len(model.train) // options.config.batch_size)
        assert momentum is None
        shapes = dataset_shapes(tmp_path / f"trials/trial_{trial.goes_on_from}" /
                                "checkpoint.weights.h5")  # fmt: skip
        assert sorted(w.shape for w in weights) == sorted(
            s for n, s in shapes.items() if n.startswith("classifier/")
        )
        parent = next(other for other in trials if other.number == trial.goes_on_from)
        assert trial.values == parent.values
        assert (parent.metrics["epochs"], trial.metrics["epochs"]) == (1.0, 1.0)


def test_the_bayesian_search_leaves_random_values_once_it_has_enough(tmp_path):
    options = small_search(tuner="bayesian", trials=20, ranges={"lambda": Range(0.01, 1.0, True)})
    oracle = make_oracle(options)
    oracle._set_project_dir(str(tmp_path), "trials")
    hp = keras_tuner.HyperParameters()
    hp.Float("lambda", 0.01, 1.0, sampling="log", default=0.1)
    oracle.update_space(hp)
    for _ in range(7):
        trial = oracle.create_trial("tuner0")
        # 0.5 is the best there is.
        score = 1.0 - abs(np.log(trial.hyperparameters.values["lambda"] / 0.5))
        oracle.update_trial(trial.trial_id, {"robust_accuracy": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    best = oracle.get_best_trials()[0].hyperparameters.values["lambda"]
    assert abs(np.log(best / 0.5)) < 0.1


def test_a_folder_of_another_search_is_refused_by_the_name_of_what_differs(finished):
    out = finished.out
    with pytest.raises(ValueError, match=r"ranges.sigma.high: 0.2 there, 0.1 now"):
        config = small_search().config
        tune(
            small_search(ranges=make_ranges(config, ["lambda", "sigma"], {"sigma": (0, 0.1)})), out
        )
    with pytest.raises(ValueError, match="seed: 0 there, 5 now"):
        tune(small_search(seed=5), out)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="new or empty folder"):
        tune(small_search(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != ".lock") == ["notes.txt"]


def test_a_second_search_in_the_same_folder_is_refused_while_one_is_at_work(tmp_path):
    folder = SearchFolder(tmp_path)
    with folder.locked(), pytest.raises(ValueError, match="Another process is at work"):
        tune(small_search(), tmp_path)
    with folder.locked():
        pass


def test_a_search_that_is_interrupted_says_that_the_same_command_goes_on(tmp_path, monkeypatch):
    def ended(error):
        def run(*args, **options):
            raise error

        monkeypatch.setattr(driver, "run_trials", run)
        with pytest.raises(type(error)) as caught:
            tune(small_search(), tmp_path)
        return str(caught.value)

    way_on = "the same command goes on with the search"
    assert ended(KeyboardInterrupt()) == way_on
    # Of the training of the best run, which has an option that a search has not.
    saved = KeyboardInterrupt("saved after epoch 1 of 2; continue with `--resume`")
    assert ended(saved) == f"saved after epoch 1 of 2; {way_on}"
    full = OSError(errno.ENOSPC, "make room or put the disk right and continue with `--resume`")
    assert ended(full).endswith(f"put the disk right and {way_on}")


def test_a_finished_search_runs_nothing_again_and_more_trials_can_be_added(finished, monkeypatch):
    out, result = finished.out, finished.result
    before = {path: path.stat().st_mtime_ns for path in out.glob("trials/*/*")}
    monkeypatch.setattr(RobustHyperModel, "measure", lambda *_, **__: pytest.fail("ran again"))
    again = tune(small_search(), out, **AFTERWARDS)
    assert {path: path.stat().st_mtime_ns for path in out.glob("trials/*/*")} == before
    assert again.finalists == result.finalists and again.evaluation == result.evaluation
    monkeypatch.undo()
    run_trials(SearchFolder(out), small_search(trials=3), verbose=0)
    assert list(statuses(out).values()).count("COMPLETED") == 3
    assert (
        before.items() <= {path: path.stat().st_mtime_ns for path in out.glob("trials/*/*")}.items()
    )


def test_a_failed_trial_is_written_down_and_the_search_goes_on(tmp_path, monkeypatch):
    measure = RobustHyperModel.measure

    def preset_fails(self, config, trainer, *args, **kwargs):
        if config.method_options["lambda"] == 0.1:
            trainer.classifier.set_weights(
                [np.full_like(w, np.nan) for w in trainer.classifier.get_weights()]
            )
        return measure(self, config, trainer, *args, **kwargs)

    monkeypatch.setattr(RobustHyperModel, "measure", preset_fails)
    options, folder = small_search(), SearchFolder(tmp_path)
    folder.prepare(options)
    run_trials(folder, options, verbose=0)
    trials = write_trials(folder, options)
    assert [trial.status for trial in trials] == ["FAILED", "COMPLETED"]
    assert "not finite" in trials[0].failure
    draw_trials(TrialsRecord.read(folder.trials), folder.picture)
    assert folder.picture.read_bytes().startswith(b"\x89PNG")
    assert trials_table(trials, options).row_count == 2


def test_a_search_whose_trials_all_fail_ends_with_the_reason(tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise MemoryError("no room for the momentum")

    monkeypatch.setattr(RobustHyperModel, "measure", fail)
    with pytest.raises(SearchFailed, match="first 3 trials all failed.*no room"):
        tune(small_search(trials=9), tmp_path / "nine", verbose=0)
    command = ["tune", "digits", "--trials", "1", "--epochs", "1", "--train-images", "187"]
    assert main([*command, "--out", str(tmp_path / "cli"), *ATTACK]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "None of 1 trials succeeded" in last and "no room for the momentum" in last


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parameters", "lambda,lambda"], "each once"),
        (["--parameters", "epsilon"], "parameters"),
        (["--method", "efgsm", "--parameters", "lambda"], "has no lambda"),
        (["--range", "sigma=0.2:0.1"], "rise"),
        (["--range", "sigma=wide"], "NAME=LOW:HIGH"),
        (["--range", "decay=0.5:0.9"], "that is searched"),
        (["--range", "lambda=0:1"], "above zero"),
        (["--tuner", "grid"], "tuner"),
        (["--tuner", "hyperband", "--trials", "5"], "counts its own"),
        (["--attacks", "pgd"], "attacks"),
        (["--final-attacks", "nothing"], "attacks"),
        (["--validation-images", "1400"], "at most half"),
        (["--train-images", "5000"], "at most"),
        (["--workers", "0"], "workers"),
        (["--finalists", "0"], "finalists"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_anything_is_written(
    tmp_path, capsys, arguments, message
):
    out = tmp_path / "out"
    assert main(["tune", "digits", "--out", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (out / "search.json").exists()


def test_a_kill_between_the_oracles_files_neither_repeats_nor_loses_a_trial(tmp_path):
    def new_oracle():
        oracle = make_oracle(small_search(trials=4))
        oracle._set_project_dir(str(tmp_path), "trials")
        hp = keras_tuner.HyperParameters()
        hp.Float("lambda", 0.01, 1.0, default=0.1)
        oracle.update_space(hp)
        return oracle

    oracle = new_oracle()
    done = oracle.create_trial("tuner0")
    running = (tmp_path / "trials" / "oracle.json").read_text()
    oracle.update_trial(done.trial_id, {"robust_accuracy": 0.5})
    done.status = "COMPLETED"
    oracle.end_trial(done)
    between = (tmp_path / "trials" / "oracle.json").read_text()
    unknown = oracle.create_trial("tuner0")

    # Finished on disk, still at work by the oracle's own file.
    (tmp_path / "trials" / "oracle.json").write_text(running)
    oracle = new_oracle()
    oracle.reload()
    assert done.trial_id not in oracle._retry_queue
    # Made on disk, not yet known to the oracle: its number is free again.
    (tmp_path / "trials" / "oracle.json").write_text(between)
    oracle = new_oracle()
    oracle.reload()
    assert list(oracle.trials) == [done.trial_id]
    assert oracle.create_trial("tuner0").trial_id == unknown.trial_id


def command(out, *more):
    return [
        sys.executable, "-m", "keras_efgsm", "tune", "digits", "--out", str(out),
        "--tuner", "random", "--trials", "2", "--epochs", "1", "--train-images", "187",
        "--validation-images", "40", *ATTACK, "--finalists", "1", "--seeds", "1",
        "--final-epochs", "1", "--final-images", "20", "--final-attacks", "apgd-ce", "--quiet",
        *more,
    ]  # fmt: skip


def wait_for_a_finished_trial(out, process):
    while "COMPLETED" not in statuses_so_far(out).values():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def statuses_so_far(out):
    # Files are written whole; between listing and reading one may be replaced.
    return statuses(out) if out.exists() else {}


@pytest.mark.slow(reason="searches in two processes, one of which is killed")
def test_a_search_killed_after_its_first_trial_goes_on_and_repeats_no_finished_one(tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for_a_finished_trial(out, process)
    process.kill()
    process.wait()
    finished = [name for name, status in statuses(out).items() if status == "COMPLETED"]
    begun = {
        name: json.loads((out / "trials" / name / "trial.json").read_text())["hyperparameters"]
        for name in statuses(out)
    }
    written = {name: (out / "trials" / name / "trial.json").stat().st_mtime_ns for name in finished}
    assert finished
    again = subprocess.run(command(out), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert list(statuses(out).values()) == ["COMPLETED"] * 2
    for name in finished:
        assert (out / "trials" / name / "trial.json").stat().st_mtime_ns == written[name]
        assert f"{name.replace('_', ' ')}: lambda" not in again.stdout
    for name, hyperparameters in begun.items():
        now = json.loads((out / "trials" / name / "trial.json").read_text())["hyperparameters"]
        assert now["values"] == hyperparameters["values"]
    assert "keras-efgsm train digits" in again.stdout.replace("\n", " ")
    assert "Traceback" not in again.stderr


@pytest.mark.slow(reason="a search by several processes, one of which is killed")
def test_a_worker_that_is_killed_is_started_again_and_no_trial_is_lost(tmp_path, monkeypatch):
    options, folder = small_search(), SearchFolder(tmp_path)
    folder.prepare(options)
    watch, started = workers._watch, []

    def kill_one(processes, names):
        oracle = tmp_path / "trials" / "oracle.json"
        while not oracle.exists() or "worker-1" not in oracle.read_text():
            assert processes.by_name["chief"].poll() is None
            time.sleep(0.05)
        processes.by_name["worker-1"].kill()
        started.append(processes.by_name["worker-1"].pid)
        watch(processes, names)
        started.append(processes.by_name["worker-1"].pid)

    monkeypatch.setattr(workers, "_watch", kill_one)
    workers.run_workers(folder, 2)
    assert started[0] != started[1]
    assert list(statuses(tmp_path).values()) == ["COMPLETED"] * 2


def test_all_processes_are_ended_when_the_chief_dies(tmp_path, monkeypatch):
    class Sleeper:
        """Stands for the processes: a chief that fails at once, a worker that waits for it."""

        def __init__(self, command, **options):
            chief = options["env"]["KERASTUNER_TUNER_ID"] == "chief"
            body = "raise SystemExit('no port')" if chief else "import time; time.sleep(600)"
            self.process = popen([sys.executable, "-c", body], **options)
            made.append(self.process)

        def __getattr__(self, name):
            return getattr(self.process, name)

    popen, made = subprocess.Popen, []
    monkeypatch.setattr(workers.subprocess, "Popen", Sleeper)
    with pytest.raises(SearchFailed, match="chief of the search died.*no port"):
        workers.run_workers(SearchFolder(tmp_path), 2)
    assert len(made) == 3 and all(process.poll() is not None for process in made)


def test_the_pareto_front_holds_what_no_other_trial_beats():
    def trial(number, robust, natural):
        metrics = {"robust_accuracy": robust, "natural_accuracy": natural}
        return TrialRecord(number, "COMPLETED", {}, metrics)

    trials = [trial("0", 0.9, 0.95), trial("1", 0.8, 0.99), trial("2", 0.8, 0.94),
              trial("3", 0.9, 0.94), trial("4", 0.7, 0.99),
              TrialRecord("5", "FAILED", {}, {})]  # fmt: skip
    assert [t.number for t in pareto_front(trials)] == ["0", "1"]


def test_options_come_back_from_their_json():
    options = small_search()
    again = SearchOptions.from_dict(json.loads(json.dumps(options.to_dict())))
    assert again == options


def test_images_of_another_source_can_be_searched_with():
    data = load_data("digits", "train")
    part = ImageData(data.images[:100], data.labels[:100], data.class_names)
    model = RobustHyperModel(small_search(), train=part, validation=part)
    assert len(model.train) == 100


def row(robust, deviation, preset=False):
    return {
        "is_preset": preset,
        "robust_accuracy": robust,
        "robust_accuracy_deviation": deviation,
        "runs": 3,
    }


def test_a_winner_is_told_apart_from_the_preset_only_beyond_chance():
    # sqrt(0.03^2 / 3 + 0.04^2 / 3) = 0.05 / sqrt(3) = 0.0289
    close = against_preset({"finalists": [row(0.85, 0.03), row(0.80, 0.04, preset=True)]})
    assert close is not None and "5.00 points" in close and "2.89: not more than" in close
    far = against_preset({"finalists": [row(0.86, 0.03), row(0.80, 0.04, preset=True)]})
    assert far is not None and "2.89: more than" in far
    once = against_preset({"finalists": [row(0.86, None), row(0.80, None, preset=True)]})
    assert once is not None and "nothing about its error" in once
    assert against_preset({"finalists": [row(0.86, 0.03, preset=True), row(0.80, 0.04)]}) is None


DEEP = "[" * 100_000


@pytest.mark.parametrize("content", ["[]", "null", "5", "{}", DEEP, "", '{"a": NaN}', "\x00"])
def test_a_damaged_oracle_is_refused_in_a_line(tmp_path, content):
    oracle = make_oracle(small_search(trials=4))
    oracle._set_project_dir(str(tmp_path), "trials")
    (tmp_path / "trials").mkdir(exist_ok=True)
    (tmp_path / "trials" / "oracle.json").write_text(content)
    with pytest.raises(ValueError, match=r"oracle\.json or a trial\.json.*Received: path="):
        oracle.reload()


@pytest.mark.parametrize(
    "content", ["[]", "null", "{}", DEEP, '{"trial_id": "0"}', '{"hyperparameters": []}']
)
def test_a_damaged_trial_is_refused_in_a_line(tmp_path, content):
    folder = SearchFolder(tmp_path)
    (tmp_path / "trials" / "trial_0").mkdir(parents=True)
    (tmp_path / "trials" / "trial_0" / "trial.json").write_text(content)
    with pytest.raises(ValueError, match=r"Received: path="):
        read_trials(folder, small_search())
