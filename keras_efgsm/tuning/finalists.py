"""Repeats the best trials with other seeds, as the best of many noisy trials is partly luck."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
from rich.table import Table

from keras_efgsm.checks import check_count
from keras_efgsm.printing import ResultTable
from keras_efgsm.progress_bar import titled
from keras_efgsm.records import FinalistsRecord
from keras_efgsm.records.wording import percent
from keras_efgsm.tuning.hypermodel import RobustHyperModel
from keras_efgsm.tuning.search_folder import SearchFolder
from keras_efgsm.tuning.search_options import SearchOptions
from keras_efgsm.tuning.trials import TrialRecord, best_first, is_preset


def choose_finalists(
    trials: Sequence[TrialRecord], options: SearchOptions, count: int
) -> list[TrialRecord]:
    """The best trials of different values, and the preset's own to compare them with.

    Args:
        trials: all of them.
        options: the search.
        count: how many of the best.
    """
    chosen: list[TrialRecord] = []
    for trial in best_first(trials):
        # A trial of Hyperband that goes on from another one has the same values.
        if _rounded(trial.values) not in [_rounded(other.values) for other in chosen]:
            chosen.append(trial)
    presets = [trial for trial in chosen[count:] if is_preset(trial, options)]
    return chosen[:count] + presets


def run_finalists(
    folder: SearchFolder,
    hypermodel: RobustHyperModel,
    trials: Sequence[TrialRecord],
    *,
    count: int = 3,
    seeds: int = 3,
    epochs: int | None = None,
    verbose: str | int = "auto",
) -> dict[str, Any]:
    """Trains the best trials with seeds that the search has not seen, and writes `finalists.json`.

    The mean of the robust validation accuracy decides. Values are rounded to three digits. Runs
    that `finalists.json` holds already are not run again.

    Args:
        folder: the search's folder.
        hypermodel: trains and measures.
        trials: all trials of the search.
        count: how many of the best; the preset's own values are added to them. Defaults to 3.
        seeds: how many trainings of each. Defaults to 3.
        epochs: of each training. Defaults to those of the search.
        verbose: as in `keras.Model.fit`. Defaults to `"auto"`.

    Returns:
        What `finalists.json` holds: `runs`, `finalists` with means, best first, and `best`.
    """
    check_count(count, "finalists")
    check_count(seeds, "seeds")
    options = hypermodel.options
    epochs = epochs or options.trial_epochs
    finalists = choose_finalists(trials, options, count)
    there = folder.finalists.exists()
    runs = FinalistsRecord.read(folder.finalists).to_dict()["runs"] if there else []
    chosen = [(trial, options.seed + 1 + number) for number in range(seeds) for trial in finalists]
    for trial, seed in chosen:
        if _find(runs, trial, seed, epochs) is None:
            runs.append(_run(hypermodel, trial, seed, epochs, verbose))
            _write(folder, runs, finalists, chosen, epochs, options)
    return _write(folder, runs, finalists, chosen, epochs, options)


def _run(
    hypermodel: RobustHyperModel, trial: TrialRecord, seed: int, epochs: int, verbose: str | int
) -> dict[str, Any]:
    keras.backend.clear_session()
    values = _rounded(trial.values)
    config = hypermodel.config_for(values, epochs, seed)
    run: dict[str, Any] = {
        "trial": trial.number, "seed": seed, "epochs": epochs, "values": values
    }  # fmt: skip
    listed = ", ".join(f"{name} {value:g}" for name, value in values.items())
    print(f"finalist {trial.number}, seed {seed}: {listed}; epochs {epochs}", flush=True)
    try:
        with titled(f"finalist {trial.number}, seed {seed}"):
            measured = hypermodel.measure(config, hypermodel.make_trainer(config), verbose=verbose)
    except keras_tuner.errors.FailedTrialError as error:
        print(f"finalist {trial.number}, seed {seed} failed: {error}", flush=True)
        return run | {"robust_accuracy": 0.0, "natural_accuracy": 0.0, "failure": str(error)}
    metrics = measured.metrics
    print(
        f"finalist {trial.number}, seed {seed}: robust "
        f"{percent(metrics['robust_accuracy'])}, natural {percent(metrics['natural_accuracy'])}",
        flush=True,
    )
    # `epochs` of the metrics are those until the stop.
    return run | {
        **{name: value for name, value in metrics.items() if name != "epochs"},
        "stop": measured.stop,
        "failure": None,
    }


def _write(
    folder: SearchFolder,
    runs: list[dict[str, Any]],
    finalists: Sequence[TrialRecord],
    chosen: Sequence[tuple[TrialRecord, int]],
    epochs: int,
    options: SearchOptions,
) -> dict[str, Any]:
    rows = []
    for trial in finalists:
        found = [_find(runs, trial, seed, epochs) for other, seed in chosen if other is trial]
        own = [run for run in found if run is not None]
        if not own:
            continue
        robust = [run["robust_accuracy"] for run in own]
        rows.append(
            {
                "trial": trial.number,
                "is_preset": is_preset(trial, options),
                "values": _rounded(trial.values),
                "runs": len(own),
                "robust_accuracy": statistics.mean(robust),
                "robust_accuracy_deviation": statistics.stdev(robust) if len(own) > 1 else None,
                "natural_accuracy": statistics.mean(run["natural_accuracy"] for run in own),
                "robust_accuracy_in_search": trial.robust_accuracy,
            }
        )
    rows.sort(key=lambda row: (-row["robust_accuracy"], -row["natural_accuracy"]))
    content = {
        "schema": FinalistsRecord.SCHEMA,
        "epochs": epochs,
        "seeds": sorted({seed for _, seed in chosen}),
        "runs": runs,
        "finalists": rows,
        "best": rows[0]["trial"] if rows else None,
    }
    FinalistsRecord.from_dict(content).write(folder.finalists)
    return content


def _find(
    runs: list[dict[str, Any]], trial: TrialRecord, seed: int, epochs: int
) -> dict[str, Any] | None:
    wanted = {"seed": seed, "epochs": epochs, "values": _rounded(trial.values)}
    return next((run for run in runs if wanted.items() <= run.items()), None)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in values.items()}


def against_preset(content: dict[str, Any]) -> str | None:
    """One sentence on whether the winner can be told apart from the preset; None if it is it.

    Two means are told apart if they differ by more than twice the standard error of their
    difference.

    Args:
        content: as `run_finalists` gives it.
    """
    rows = content["finalists"]
    preset = next((row for row in rows if row["is_preset"]), None)
    if preset is None or preset is rows[0]:
        return None
    gain = rows[0]["robust_accuracy"] - preset["robust_accuracy"]
    text = f"The winner is {100 * gain:.2f} points above the preset"
    deviations = [row["robust_accuracy_deviation"] for row in (rows[0], preset)]
    if None in deviations:
        return f"{text}; one training of each says nothing about its error."
    error = math.sqrt(
        sum(d**2 / row["runs"] for d, row in zip(deviations, (rows[0], preset), strict=True))
    )
    verdict = "more" if gain > 2 * error else "not more"
    return f"{text}, with a standard error of {100 * error:.2f}: {verdict} than chance explains."


def finalists_table(content: dict[str, Any]) -> Table:
    """The finalists as a `rich` table, best first.

    Args:
        content: as `run_finalists` gives it.
    """
    seeds = ", ".join(map(str, content["seeds"]))
    table = ResultTable(
        title=f"finalists, epochs {content['epochs']}, seeds {seeds}",
        caption="The mean of the robust validation accuracy decides.",
    )
    table.add_column("trial", justify="right")
    names = list(content["finalists"][0]["values"])
    columns = ("robust", "deviation", "natural", "robust in the search")
    for name in (*(name.replace("_", " ") for name in names), *columns):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in content["finalists"]:
        deviation = row["robust_accuracy_deviation"]
        table.add_row(
            row["trial"],
            *(f"{row['values'][name]:.4g}" for name in names),
            percent(row["robust_accuracy"]),
            "" if deviation is None else percent(deviation),
            percent(row["natural_accuracy"]),
            percent(row["robust_accuracy_in_search"]),
            "preset" if row["is_preset"] else "",
        )
    return table
