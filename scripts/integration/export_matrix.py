"""Exports every registered network in every form: a table of sizes and largest differences.

    python scripts/integration/export_matrix.py [--networks NAME ...] [--forms FORM ...]
        [--activations NAME ...] [--out results/export_matrix.json]

Each network of `CLASSIFIERS`, and six of `keras.applications` with random weights, goes through
`export_classifier` at the smallest images that it takes, and as a `.keras` file. A cell is kB and
the largest difference of logits from those of Keras, over the largest logit where that is above 1,
at batches of 1, 3, 17 and 32. The first activation is that of every network, the others go through
the lightest network of each function. A process does them in turn and gives way to a fresh one
where its memory has grown. Rows that are in the file already stay where they are not made again.
Exit status 1 if a form failed. The whole of it takes about an hour on one core.
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

# As if run from `scripts/`, whose folders are packages.
ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from integration.exported_networks import KERAS, all_cases, measure, quiet_worker
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.export.forms import FORMS
from keras_efgsm.records.environment import hardware, versions
from reporting.result_table import ResultTable

_PACKAGES = ("tf2onnx", "onnx", "onnxruntime", "openvino", "ai-edge-litert")
# A worker above this gives way to a fresh one.
_MOST_MEGABYTES = 4000
_PREFIX = "keras.applications:"


def rows_of(cases: Sequence[tuple[str, str]], forms: list[str] | None) -> Iterator[dict[str, Any]]:
    """Exports the networks one after the other, and yields a row for each.

    Args:
        cases: name and activation of each.
        forms: names in `FORMS`; None for all.
    """
    workers = _worker()
    try:
        for name, activation in cases:
            try:
                row = workers.submit(measure, name, activation, forms).result()
            except BrokenProcessPool:
                failed = "the process that exported it was killed, or its converter crashed"
                row = {"network": name, "activation": activation, "failed": failed}
            yield row
            if row.get("peak_megabytes", _MOST_MEGABYTES) >= _MOST_MEGABYTES:
                workers.shutdown()
                workers = _worker()
    finally:
        workers.shutdown(cancel_futures=True)


def _worker() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=quiet_worker)


def table_of(rows: Sequence[dict[str, Any]]) -> ResultTable:
    """The table: a line for each network, a column for each form.

    Args:
        rows: what `measure` returned.
    """
    forms = [f for f in (KERAS, *FORMS) if any(f in row.get("forms", {}) for row in rows)]
    lines = []
    for row in rows:
        images = " x ".join(map(str, row.get("image_shape", ())))
        parameters = f"{row['parameters'] / 1000:,.0f}" if "parameters" in row else "-"
        cells = [_cell(row["forms"].get(form)) if "forms" in row else "failed" for form in forms]
        name = row["network"].removeprefix(_PREFIX)
        lines.append([name, row["activation"], images, parameters, *cells])
    headings = ["network", "activation", "images", "1000 weights", *forms]
    return ResultTable(headings, lines, "kB and largest difference of logits", words=3)


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    return (
        "failed" if "failed" in found else f"{found['bytes'] / 1000:.0f}, {found['difference']:.0e}"
    )


def failures_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What failed, a line each."""
    lines = []
    for row in rows:
        where = f"{row['network']} ({row['activation']})"
        if "failed" in row:
            lines.append(f"{where}: {row['failed']}")
        for form, found in row.get("forms", {}).items():
            if "failed" in found:
                lines.append(f"{where}, {form}: {found['failed']}")
    return lines


def _read(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    if not path.exists():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return {(row["network"], row["activation"]): row for row in rows}


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    content = {"versions": versions(*_PACKAGES), "hardware": hardware(), "rows": list(rows)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Reads the options, exports and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="default: all of them")
    parser.add_argument("--forms", nargs="+", choices=tuple(FORMS), metavar="FORM")
    parser.add_argument("--activations", nargs="+", default=["relu", "silu", "gelu", "elu"])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "export_matrix.json")
    options = parser.parse_args()
    cases = all_cases(options.activations)
    if options.networks:
        known = dict.fromkeys(name.removeprefix(_PREFIX) for name, _ in cases)
        wanted = [name.removeprefix(_PREFIX) for name in options.networks]
        unknown = [name for name in wanted if name not in known]
        if unknown:
            parser.error(f"--networks must be of {', '.join(known)}. Received: {unknown}")
        cases = [case for case in cases if case[0].removeprefix(_PREFIX) in wanted]
    rows, made = _read(options.out), []
    console = Console(width=None if sys.stdout.isatty() else 200)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task(cases[0][0], total=len(cases))
        for number, row in enumerate(rows_of(cases, options.forms), start=1):
            made.append(row)
            rows[row["network"], row["activation"]] = row
            _write(options.out, list(rows.values()))
            failed = len(failures_of([row]))
            words = f"{row['network']} ({row['activation']}): {row.get('seconds', '?')} s"
            bar.console.print(f"{words}, {failed} failed" if failed else words, highlight=False)
            following = cases[number][0] if number < len(cases) else "done"
            bar.update(task, completed=number, description=following)
    console.print(table_of(made).markdown(), markup=False, soft_wrap=True)
    lines = failures_of(made)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    cells = sum(len(row.get("forms", {})) for row in made)
    console.print(f"{len(made)} networks, {cells} files, {len(lines)} failed; {options.out}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
