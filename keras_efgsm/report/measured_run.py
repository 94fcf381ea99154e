"""Measures a run for its report, once: the outcome is kept in the run's folder."""

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from keras_efgsm.attacks.ball import BALLS
from keras_efgsm.checks import check_count, check_seed
from keras_efgsm.data import load_data
from keras_efgsm.data.choosing import choose_images, missing_note
from keras_efgsm.evaluation import load_classifier
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records import ReportCurvesRecord
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.records.report_curves import MeasuredPart
from keras_efgsm.report.measurements import (
    RECONSTRUCTOR_FILE,
    load_reconstructor,
    measure_model,
    num_attacks,
)
from keras_efgsm.report.run_files import ReportedRun, norm_of
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.same_data import changed_since

CURVES_FILE = "report-curves.json"


def measure_run(
    run: ReportedRun,
    *,
    num_images: int = 200,
    seed: int = 0,
    data_dir: str | None = None,
    unsafe: bool = False,
    progress: bool = True,
) -> MeasuredPart:
    """The curves, examples and confusion of a run, from its folder where they are still right.

    They are kept in `report-curves.json` beside what they were measured with: the classifier and
    re-constructor by their contents, data set, split, epsilon, number of images, seed, versions.
    Where one differs, the file is damaged, or it is of an earlier version that measured less or
    took the first images and these lacked a class, all is measured anew.

    Args:
        run: the run.
        num_images: so many images of the evaluated split, see `evaluate_robustness`, or all there
            are. Defaults to 200.
        seed: of the attacks' noise. Defaults to 0.
        data_dir: where prepared tfds data sets lie. Defaults to that of the run.
        unsafe: as of `load_classifier`. Defaults to `False`.
        progress: whether to show a progress bar; there is none outside a terminal. Defaults to
            `True`.

    Raises:
        ValueError: if an option is out of range, or the data or a network cannot be loaded.
    """
    check_count(num_images, "num_images")
    check_seed(seed)
    split = run.evaluation.split or "test"
    with_what = {
        "classifier": _digest(RunFolder(run.path).classifier),
        "reconstructor": _digest(run.path / RECONSTRUCTOR_FILE),
        "dataset": run.config["dataset"],
        "split": split,
        "epsilon": run.epsilon,
        "num_images": num_images,
        "seed": seed,
        "versions": versions(),
    }
    kept = run.path / CURVES_FILE
    if run.norm != "linf":
        with_what["norm"] = run.norm
    if run.norm != norm_of(run.config):
        kept = RunFolder.of_norm(kept, run.norm)
    measured = _read_kept(kept, with_what)
    if measured is not None:
        return measured
    model = load_classifier(run.path, unsafe=unsafe)
    reconstructor = load_reconstructor(run.path, model)
    data = load_data(
        run.config["dataset"],
        split,
        data_dir=data_dir or run.config.get("data_dir"),
        image_size=run.config.get("image_size"),
        channels=run.config.get("channels"),
        seed=run.config.get("seed", 0),
    )
    taken = choose_images(data.labels, num_images, seed)
    missing = missing_note(
        taken.missing, data.class_names, len(taken.indices), len(np.unique(data.labels))
    )
    console = Console(stderr=True)
    for warning in filter(None, (missing, changed_since(RunFolder(run.path), data, split))):
        console.print(f"warning: {run.name}: {warning}", soft_wrap=True, markup=False)
    total = num_attacks(run.epsilon, BALLS[run.norm].diameter(data.image_shape))
    with progress_bar(progress) as bar:
        task = bar.add_task(f"attacking {run.name}", total=total, unit="attacks")
        found = measure_model(
            model,
            data.subset(taken.indices, data.name),
            run.epsilon,
            seed=seed,
            norm=run.norm,
            reconstructor=reconstructor,
            on_attack=lambda: bar.advance(task),
        )
    found |= {
        "selection": taken.selection,
        "dataset": data.name,
        "split": split,
        "epsilon": run.epsilon,
        "norm": None if run.norm == "linf" else run.norm,
        "seed": seed,
        "class_names": list(data.class_names),
        "hardware": hardware(),
        "versions": versions(),
    }
    record = ReportCurvesRecord(
        measured_with=with_what, measured=MeasuredPart.from_dict(found, "measured")
    )
    try:
        record.write(kept)
    except OSError as error:
        warnings.warn(
            f"What was measured cannot be kept in {kept} ({error}); the next report of this run "
            "measures it again.",
            stacklevel=2,
        )
    return record.measured


def _read_kept(path: Path, with_what: dict[str, Any]) -> MeasuredPart | None:
    try:
        # Whole, as its checksum says.
        record = ReportCurvesRecord.read(path)
    except (OSError, ValueError):
        return None
    if record.measured_with != with_what:
        return None
    measured = record.measured
    lacks_a_class = any(sum(row) == 0 for row in measured.confusion)
    if measured.films is None or (measured.selection is None and lacks_a_class):
        return None
    return measured


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
