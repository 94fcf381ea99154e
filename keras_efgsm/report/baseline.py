"""An ordinary model beside a run: under the same attacks, on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keras_efgsm.attacks import Attack
from keras_efgsm.attacks.registry import named_attacks
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.records import MetricsRecord
from keras_efgsm.records.wording import INTERVAL, number, percent, seconds, with_interval
from keras_efgsm.report.comparison import differences
from keras_efgsm.report.drawing import Chart
from keras_efgsm.report.examples import Examples, films_of
from keras_efgsm.report.run_charts import comparison_charts
from keras_efgsm.report.run_files import ReportedRun, read_run
from keras_efgsm.report.tables import Table
from keras_efgsm.runs.adopted import adopt_classifier
from keras_efgsm.runs.folder import RunFolder

_MODEL_FILES = (".keras", ".h5", ".hdf5")
_MOST_FILMS = 2


@dataclass(frozen=True)
class Beside:
    """A run and its baseline side by side, as the template shows them.

    Args:
        name: of the baseline.
        warning: why they cannot be compared; empty if they can.
        table: figures of both.
        charts: a line for each.
        own: images of the run under a growing epsilon; None where there are none.
        films: the same of the baseline.
    """

    name: str
    warning: str
    table: Table
    charts: list[Chart]
    own: Examples | None
    films: Examples | None


def read_baseline(
    path: str | Path, run: ReportedRun, *, data_dir: str | None = None, unsafe: bool = False
) -> ReportedRun:
    """Reads a baseline; what was not evaluated as the run was is so now.

    What is measured is kept in `NAME.report` beside its file `NAME.keras`.

    Args:
        path: a run folder, or a `.keras` or `.h5` file.
        run: what it is compared with.
        data_dir: where prepared tfds data sets lie. Defaults to that of the run.
        unsafe: as of `load_classifier`. Defaults to `False`.

    Raises:
        ValueError: if it is neither, takes other images, or the attacks of the run cannot be made
            again here.
    """
    path = Path(path)
    name = path.resolve().name
    is_file = path.suffix in _MODEL_FILES
    file = path if is_file else RunFolder(path).classifier
    if not file.is_file():
        raise ValueError(
            "A baseline must be a finished run folder, or a .keras or .h5 file. "
            f"Received: baseline={str(path)!r}"
        )
    if not is_file and RunFolder(path).evaluation.exists():
        there = read_run(path, name)
        if not differences([run, there]):
            return there
    figures, config = run.evaluation, run.config
    folder = adopt_classifier(
        file,
        config["dataset"],
        run.epsilon,
        norm=run.norm,
        attacks=same_attacks(run),
        num_images=_images_of_claim(run),
        attack_seed=figures.strongest.seed or 0,
        unsafe=unsafe,
        data_dir=data_dir or config.get("data_dir"),
        image_size=config.get("image_size"),
        channels=config.get("channels"),
        seed=config.get("seed", 0),
    )
    found = replace(read_run(folder.path), name=name)
    if is_file:
        return found
    # What training took is known of the run.
    return replace(found, metrics=MetricsRecord.read(RunFolder(path).metrics))


def _images_of_claim(run: ReportedRun) -> int:
    figures = run.evaluation
    of_one = figures.strongest.num_images if figures.worst_is_one_attack else None
    return of_one or figures.num_images


def same_attacks(run: ReportedRun) -> list[Attack]:
    """The attacks of an evaluation, made again from its figures.

    Args:
        run: the run.

    Raises:
        ValueError: if one is not known here, or is another library's.
    """
    table = named_attacks(for_evaluation=True)
    made = []
    for attack in run.evaluation.headline_attacks:
        if attack.name not in table or attack.engine not in (None, "native"):
            raise ValueError(
                "A baseline is attacked as the run was, by attacks of this library; evaluate the "
                f"run with these. Received: attack={attack.name!r}, engine={attack.engine!r}"
            )
        given = {
            "steps": attack.steps,
            "step_size": attack.step_size,
            "targets": attack.rounds,
            "queries": attack.queries,
        }
        options: dict[str, Any] = {
            option: value
            for option, value in given.items()
            if value is not None and option in table[attack.name].evaluation_options
        }
        made += make_attacks(attack.name, run.epsilon, norm=run.norm, **options)
    return made


def beside(run: ReportedRun, baseline: ReportedRun) -> Beside:
    """Both side by side.

    Args:
        run: the run.
        baseline: what it is compared with.
    """
    differing = differences([run, baseline])
    warning = ""
    if differing:
        warning = (
            f"The baseline was not evaluated alike: it differs in {', '.join(differing)}. The "
            "robust accuracies cannot be compared directly."
        )
    return Beside(
        baseline.name,
        warning,
        _table([run, baseline]),
        comparison_charts([run, baseline]),
        films_of(run.measured, _MOST_FILMS) if run.measured else None,
        films_of(baseline.measured, _MOST_FILMS) if baseline.measured else None,
    )


def _table(runs: Sequence[ReportedRun]) -> Table:
    rows = [
        [
            "robust accuracy",
            *(
                with_interval(r.evaluation.robust_accuracy, r.evaluation.interval_of_robust)
                for r in runs
            ),
        ],
        [
            "natural accuracy",
            *(
                with_interval(r.evaluation.natural_accuracy, r.evaluation.interval_of_natural)
                for r in runs
            ),
        ],
    ]
    names = dict.fromkeys(a.name for run in runs for a in run.evaluation.headline_attacks)
    for name in names:
        found = [
            next((a for a in run.evaluation.headline_attacks if a.name == name), None)
            for run in runs
        ]
        so_far = any(run.evaluation.cascade for run in runs)
        label = f"after {name}" if so_far else f"under {name}"
        rows.append([label, *(percent(a.robust_accuracy) if a else "not run" for a in found)])
    rows += [
        ["parameters", *(_parameters(run) for run in runs)],
        ["training time", *(seconds(run.metrics.training_seconds) for run in runs)],
    ]
    caption = (
        f"Both under the same attacks on the same images; in brackets the {INTERVAL} interval."
    )
    header = ["figure", *(run.name for run in runs)]
    return Table(caption, header, rows, numeric=frozenset({1, 2}), strong=0, is_narrow=True)


def _parameters(run: ReportedRun) -> str:
    return number((run.metrics.parameters or {}).get("classifier"))
