"""A whole search: trials, finalists, and the best configuration trained and attacked in full."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_count
from keras_efgsm.evaluation import ATTACK_SETS, evaluate_robustness, make_attacks
from keras_efgsm.recipes.building import load_training_data
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records import FinalistsRecord, TrialsRecord
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.interruption import going_on
from keras_efgsm.runs.training import train
from keras_efgsm.tuning.drawing import draw_trials
from keras_efgsm.tuning.finalists import against_preset, finalists_table, run_finalists
from keras_efgsm.tuning.hypermodel import RobustHyperModel
from keras_efgsm.tuning.result import TuningResult
from keras_efgsm.tuning.search_failed import SearchFailed
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.search_options import SearchOptions
from keras_efgsm.tuning.search_space import with_values
from keras_efgsm.tuning.trials import TrialRecord, best_first, trials_table, write_trials
from keras_efgsm.tuning.tuner import RobustTuner, remove_partial_files
from keras_efgsm.tuning.workers import run_workers


def tune(
    options: SearchOptions,
    out: str | Path,
    *,
    workers: int = 1,
    finalists: int = 3,
    finalist_epochs: int | None = None,
    seeds: int = 3,
    final_epochs: int | None = None,
    final_attacks: str = "adp",
    final_attack_options: Mapping[str, Any] | None = None,
    final_images: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: str | int = "auto",
) -> TuningResult | None:
    """Searches, repeats the best trials with other seeds, and trains and attacks the winner.

    Called again with the same options after it was interrupted, it goes on: no trial, finalist or
    training that is finished is run again. In a process that keras-tuner's environment variables
    name a chief or a worker it takes that part in the trials and returns None.

    Args:
        options: the search.
        out: its folder; new or empty, or that of the same search.
        workers: how many processes of this machine run trials. Defaults to 1, this one.
        finalists: how many of the best trials are repeated. Defaults to 3.
        finalist_epochs: of each repetition. Defaults to those of the search.
        seeds: repetitions of each. Defaults to 3.
        final_epochs: of the training of the best. Defaults to those of `options.config`.
        final_attacks: what it is attacked with on the test split, see `make_attacks`. Defaults to
            `"adp"`.
        final_attack_options: `steps`, `step_size`, `targets`, `queries`. Defaults to none.
        final_images: how many test images. Defaults to all.
        callbacks: Keras callbacks of every training in this process. Defaults to none.
        verbose: as in `keras.Model.fit`. Defaults to `"auto"`.

    Raises:
        ValueError: if an option is out of range, or the folder holds something else, or another
            search is at work in it.
        KeyboardInterrupt: when interrupted.
        SearchFailed: if no trial succeeded, or workers died.

    Example:

    ```python
    config = PRESETS["digits"]
    ranges = make_ranges(config, ["lambda", "sigma"])
    tune(SearchOptions(config, ranges, trials=6, epochs=5), "searches/digits")
    ```
    """
    for name, value in (("workers", workers), ("finalists", finalists), ("seeds", seeds)):
        check_count(value, name)
    for name, given in (
        ("finalist_epochs", finalist_epochs),
        ("final_epochs", final_epochs),
        ("final_images", final_images),
    ):
        if given is not None:
            check_count(given, name)
    attacks = make_attacks(
        final_attacks,
        options.config.epsilon,
        norm=options.config.norm,
        **dict(final_attack_options or {}),
    )
    cascade = final_attacks in ATTACK_SETS or "," in final_attacks
    folder = SearchFolder(out)
    role = os.environ.get("KERASTUNER_TUNER_ID") if _has_chief() else None
    if role is not None and workers > 1:
        raise ValueError(
            "This process is one of several by its environment (KERASTUNER_ORACLE_IP); it starts "
            f"no workers. Received: workers={workers}"
        )
    if role is not None and "chief" not in role:
        folder.prepare(options)
        run_trials(folder, options, verbose, RobustHyperModel(options, callbacks=callbacks))
        return None
    hypermodel = RobustHyperModel(options, callbacks=callbacks)
    if not folder.path.exists():
        # A trainer that no trial could have is refused before the folder is there.
        hypermodel.make_trainer(options.config)
    with folder.locked(), going_on("the same command goes on with the search"):
        if folder.prepare(options):
            print(f"continuing the search in {folder.path}", flush=True)
        folder.check_data({"train": hypermodel.train, "validation": hypermodel.validation})
        if workers > 1:
            run_workers(folder, workers)
        else:
            run_trials(folder, options, verbose, hypermodel)
        if role is not None:
            print("the trials are done; for finalists and the best run give the same command "
                  "without keras-tuner's environment variables", flush=True)  # fmt: skip
            return None
        console = Console()
        trials = write_trials(folder, options)
        _check_outcome(trials)
        draw_trials(TrialsRecord.read(folder.trials), folder.picture)
        console.print(trials_table(trials, options))
        _warn_of_ends(console, trials, options)
        outcome = run_finalists(
            folder,
            hypermodel,
            trials,
            count=finalists,
            seeds=seeds,
            epochs=finalist_epochs,
            verbose=verbose,
        )
        draw_trials(
            TrialsRecord.read(folder.trials),
            folder.picture,
            FinalistsRecord.read(folder.finalists),
        )
        console.print(finalists_table(outcome))
        verdict = against_preset(outcome)
        if verdict is not None:
            console.print(verdict)
        config = replace(
            with_values(options.config, outcome["finalists"][0]["values"]),
            epochs=final_epochs or options.config.epochs,
        )
        _train_best(folder, config, callbacks, verbose)
        evaluation = _evaluate_best(folder, config, attacks, cascade, final_images, console)
    return TuningResult(config, trials, outcome, evaluation, folder)


def run_trials(
    folder: SearchFolder,
    options: SearchOptions,
    verbose: str | int = "auto",
    hypermodel: RobustHyperModel | None = None,
) -> None:
    """Runs the trials that are left, as the only process, the chief or a worker.

    Args:
        folder: the search's folder.
        options: the search.
        verbose: as in `keras.Model.fit`. Defaults to `"auto"`.
        hypermodel: what is trained. Defaults to that of the options.
    """
    if hypermodel is None:
        hypermodel = RobustHyperModel(options)
        folder.check_data({"train": hypermodel.train, "validation": hypermodel.validation})
    remove_partial_files(folder.path)
    RobustTuner(hypermodel, folder.path, verbose).search()


def _has_chief() -> bool:
    return "KERASTUNER_ORACLE_IP" in os.environ


def _check_outcome(trials: list[TrialRecord]) -> None:
    """keras-tuner's search returns as if nothing had happened when every trial failed."""
    if not best_first(trials):
        reasons = [trial.failure for trial in trials if trial.failure]
        raise SearchFailed(
            f"None of {len(trials)} trials succeeded"
            + (f"; the last one: {reasons[-1]}" if reasons else "")
        )
    unfinished = [t.number for t in trials if not t.completed and t.status != "FAILED"]
    if unfinished:
        raise SearchFailed(
            f"Trials were left unfinished: {', '.join(unfinished)}. The same command goes on."
        )


def _warn_of_ends(console: Console, trials: list[TrialRecord], options: SearchOptions) -> None:
    best = best_first(trials)[0]
    for name, bounds in options.ranges.items():
        end = bounds.is_near_end(best.values[name])
        if end is not None:
            console.print(
                f"{name} of the best trial, {best.values[name]:.3g}, lies at the {end} end of its "
                f"range {bounds.low:g} to {bounds.high:g}: better ones may lie outside"
            )


def _train_best(
    folder: SearchFolder,
    config: TrainingConfig,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: str | int,
) -> None:
    run = RunFolder(folder.best)
    begun = run.config.exists()
    if begun:
        stored, given = run.read_config().to_dict(), config.to_dict()
        differing = [k for k in given if given[k] != stored[k] and k != "data_dir"]
        if differing:
            raise ValueError(
                "The best run was begun with other options; move it away to train it anew. They "
                f"differ in {', '.join(differing)}. Received: best={str(folder.best)!r}"
            )
    if run.metrics.exists():
        return
    print(f"the best configuration, epochs {config.epochs}: {folder.best}", flush=True)
    train(config, folder.best, resume=begun, callbacks=callbacks, verbose=verbose)


def _evaluate_best(
    folder: SearchFolder,
    config: TrainingConfig,
    attacks: list[Attack],
    cascade: bool,
    num_images: int | None,
    console: Console,
) -> dict[str, Any]:
    run = RunFolder(folder.best)
    data = load_training_data(config, "test")
    there = run.read_evaluation() if run.evaluation.exists() else None
    wanted = (num_images or len(data), [_what_it_spends(attack) for attack in attacks])
    if there is not None and wanted == (
        there.num_images,
        [(a.name, a.steps, a.rounds, a.queries) for a in there.attacks],
    ):
        print(f"evaluated already: {run.evaluation}", flush=True)
        return there.to_dict()
    report = evaluate_robustness(
        str(folder.best),
        data,
        attacks,
        cascade=cascade,
        num_images=num_images,
        split="test",
        state=folder.best / "evaluation.partial.npz",
    )
    report.write_json(run.evaluation)
    console.print(report.table())
    return run.read_evaluation().to_dict()


def _what_it_spends(attack: Attack) -> tuple[str, int | None, int, int | None]:
    spent = attack.budget
    return attack.name, spent.steps, spent.rounds, spent.queries
