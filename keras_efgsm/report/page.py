"""Fills in the template of the page and writes it in one piece."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.records.wording import norm_name
from keras_efgsm.report.baseline import read_baseline
from keras_efgsm.report.comparison import compare
from keras_efgsm.report.measured_run import measure_run
from keras_efgsm.report.run_files import ReportedRun, read_run
from keras_efgsm.report.run_section import run_section
from keras_efgsm.report.templates import check_page, fill_in


def write_report(
    paths: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    num_images: int = 200,
    seed: int = 0,
    data_dir: str | None = None,
    overwrite: bool = False,
    unsafe: bool = False,
    progress: bool = True,
    norm: str | None = None,
    baseline: str | os.PathLike[str] | None = None,
) -> Path:
    """Writes one self-contained HTML page on one or several evaluated runs.

    Args:
        paths: a run folder or several.
        out: the page. An older report there is replaced.
        num_images: how many images the curves, examples and confusion are measured on. Defaults
            to 200.
        seed: of these attacks' noise. Defaults to 0.
        data_dir: where prepared tfds data sets lie. Defaults to that of each run.
        overwrite: whether `out` is replaced even if it is not a report. Defaults to `False`.
        unsafe: whether code that is stored in a classifier's file may run, see `load_classifier`.
            Defaults to `False`.
        progress: whether to show progress bars in a terminal. Defaults to `True`.
        norm: of the balls, see `checks.NORMS`: takes the figures that `evaluate --norm` left in a
            run that was trained for another norm. Defaults to that of each training.
        baseline: a run folder or `.keras` file, such as one of ordinary training, that is shown
            beside the run, of which there must be one. Unless it was evaluated as the run was, it
            is attacked so now. Defaults to none.

    Returns:
        The path of the page.

    Raises:
        ValueError: if a path is not a finished and evaluated run, or `out` is something else.
        OSError: if the page cannot be written.

    Example:

    ```python
    write_report("runs/mnist", "report.html", num_images=100)
    ```
    """
    out = Path(out)
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise ValueError(f"A report needs a run folder or several. Received: paths={given!r}")
    folders = [Path(path) for path in given]
    if baseline is not None and len(folders) > 1:
        raise ValueError(
            "A baseline is shown beside one run; several runs are compared without one. "
            f"Received: baseline={str(baseline)!r}, paths={[str(path) for path in folders]}"
        )
    # All that can be refused is refused before the first attack takes its time.
    check_page(out, overwrite)
    names = _names(folders)
    runs = [read_run(path, name, norm) for path, name in zip(folders, names, strict=True)]
    options: dict[str, Any] = {
        "num_images": num_images,
        "seed": seed,
        "data_dir": data_dir,
        "unsafe": unsafe,
        "progress": progress,
    }
    other = None
    if baseline is not None:
        other = read_baseline(Path(baseline), runs[0], data_dir=data_dir, unsafe=unsafe)
        other = replace(other, measured=measure_run(other, **options))
    measured = [replace(run, measured=measure_run(run, **options)) for run in runs]
    write_atomically(out, render_page(measured, other))
    return out


def render_page(runs: Sequence[ReportedRun], baseline: ReportedRun | None = None) -> str:
    """The HTML of a report.

    Args:
        runs: what it is on; what a run does not have is left out.
        baseline: what is shown beside the only run. Defaults to none.

    Example:

    ```python
    render_page([read_run("runs/mnist")])[:15]  # "<!DOCTYPE html>"
    ```
    """
    return fill_in(
        "report/page.html",
        "report",
        comparison=compare(runs) if len(runs) > 1 else None,
        balls=_balls(runs),
        sections=[run_section(run, f"run-{index}", baseline) for index, run in enumerate(runs, 1)],
    )


def _balls(runs: Sequence[ReportedRun]) -> str:
    """What the robust accuracies hold in: "an L2 ball", or "an L-infinity or L2 ball"."""
    names = dict.fromkeys(norm_name(run.norm) for run in runs)
    return f"an {' or '.join(names)} ball"


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with as many of their parents as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise ValueError(
            f"Each run may be given once. Received: paths={[str(folder) for folder in folders]!r}"
        )
    depth = 1
    while len({p[-depth:] for p in parts}) < len(parts):
        depth += 1
    return ["/".join(p[-depth:]) for p in parts]
