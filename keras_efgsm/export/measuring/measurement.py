"""Measures every form of an export on its own file, and goes on where it was interrupted."""

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_count, check_seed
from keras_efgsm.data import ImageData
from keras_efgsm.data.choosing import FIRST
from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness, load_classifier, with_twin
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.export.measuring.exported_forms import Export, find_export
from keras_efgsm.export.measuring.latency import BATCH, measure_latencies, runner
from keras_efgsm.export.measuring.measurements import KERAS, KERAS_EAGER, FormResult, Measurements
from keras_efgsm.form_table import FORMS
from keras_efgsm.progress_bar import titled
from keras_efgsm.records.environment import allowed_cores, hardware, versions
from keras_efgsm.records.exported_files import size_in_bytes
from keras_efgsm.records.wording import percent
from keras_efgsm.runs.folder import RunFolder

MOST_IMAGES = 1000
"""How many images a form is measured on unless it is said."""


def measure_export(
    folder: str | os.PathLike[str],
    data: ImageData | tuple[Any, Any],
    attacks: Sequence[Attack],
    *,
    run: str | os.PathLike[str] | None = None,
    num_images: int | None = None,
    batch_size: int = 250,
    seed: int = 0,
    split: str = "test",
    calls: int = 300,
    again: bool = False,
    progress: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> Measurements:
    """Measures size, latency, natural and robust accuracy of each form of an export.

    Every form is attacked itself, by the same attacks on the same images in a cascade: one with
    gradients by its own, a file without by `with_twin`, the SavedModel being its twin. What is
    known is in `TO/NAME-N.measured.json` as soon as a form is through; called again, a form that is
    in it is not measured again, and one that was interrupted goes on after its last batch.

    Args:
        folder: the version's SavedModel, `exported_models/NAME/N`.
        data: as of `evaluate_robustness`.
        attacks: attacks of one epsilon and norm, the cheapest first.
        run: folder of the run that was exported, whose Keras model is measured beside the forms.
            Defaults to none.
        num_images: takes so many images, see `evaluate_robustness`. Defaults to `MOST_IMAGES`, or
            all where there are fewer.
        batch_size: most images in a batch. Defaults to `250`.
        seed: seed of the attacks' noise, >= 0. Defaults to `0`.
        split: which part of the data set this is, for the report. Defaults to `"test"`.
        calls: timed calls of each form with one image; a sixth as many with 100. Defaults to
            `300`.
        again: whether to forget what was measured before. Defaults to `False`.
        progress: whether to show a progress bar in a terminal. Defaults to `True`.
        tell: is given one line for each form. Defaults to silence.

    Raises:
        FileNotFoundError: if there is no export, or no run.
        ValueError: if an argument is not as above, or there are figures of other settings and
            `again` is not set.
        OSError: if the figures cannot be written.

    Example:

    ```python
    import rich

    attacks = make_attacks("square", epsilon=0.3, queries=100)
    found = measure_export(
        "exported_models/mnist/1", (x_test, y_test), attacks, num_images=8, calls=20, again=True
    )
    rich.print(found.table())
    ```
    """
    check_count(calls, "calls")
    check_seed(seed)
    check_count(batch_size, "batch_size")
    export = find_export(folder)
    paths = ({KERAS: Path(run)} if run is not None else {}) | export.forms
    if run is not None and not RunFolder(Path(run)).classifier.is_file():
        raise FileNotFoundError(
            f"`run` must be the folder of a finished run. Received: run={str(run)!r}"
        )
    # All of them first: a file that cannot be read is told before hours are spent.
    models = {form: load_classifier(path) for form, path in paths.items()}
    twin = load_classifier(export.folder)
    if num_images is None:
        num_images = min(MOST_IMAGES, len(check_data(data, twin, None).labels))
    images = check_data(data, twin, num_images, seed)
    settings = {
        "dataset": images.name,
        "split": split,
        "num_images": len(images.labels),
        "images": images.digest(),
        "epsilon": attacks[0].epsilon,
        "attacks": [attack.on_file() for attack in attacks],
        "batch_size": batch_size,
        "seed": seed,
        "versions": _versions(export.forms),
    }
    if attacks[0].norm != "linf":
        settings["norm"] = attacks[0].norm
    if images.selection != FIRST:
        settings["selection"] = images.selection
    if images.missing:
        tell(f"warning: {images.missing}")
    found = _read(export, json.loads(json.dumps(settings)), again)
    _measure_latencies(found, export, paths, models, calls, tell)
    for form, path in paths.items():
        known, digest = found.forms.get(form), models[form].identity()
        if known is not None and known.digest == digest:
            tell(f"{form}: measured before, robust {percent(known.robust)}")
            continue
        state = _state(export, form)
        subject, tried = models[form], list(attacks)
        if not subject.differentiable:
            subject, tried = with_twin(subject, twin, tried)
        with titled(form):
            report = evaluate_robustness(
                subject,
                data,
                tried,
                cascade=True,
                batch_size=batch_size,
                seed=seed,
                num_images=num_images,
                split=split,
                state=state,
                progress=progress,
            )
        file = RunFolder(path).classifier if form == KERAS else path
        name = f"{file.name}/" if file.is_dir() else file.name
        found.forms[form] = FormResult(name, digest, size_in_bytes(file), report.to_dict())
        # In the order of the forms, also where one was added to the export later.
        found.forms = {name: found.forms[name] for name in (KERAS, *FORMS) if name in found.forms}
        found.write()
        state.unlink(missing_ok=True)
        tell(
            f"{form}: natural {percent(report.natural_accuracy)}, robust "
            f"{percent(report.worst_case_accuracy)}, {report.seconds:.0f} s"
        )
    return found


def _measure_latencies(
    found: Measurements,
    export: Export,
    paths: dict[str, Path],
    models: dict[str, EvaluatedModel],
    calls: int,
    tell: Callable[[str], None],
) -> None:
    """Of all forms at once, so that they can be compared."""
    about = {
        "hardware": hardware(),
        "cores": allowed_cores(),
        "calls": calls,
        "batch": BATCH,
        "files": {form: model.identity() for form, model in models.items()},
    }
    if found.latency is not None:
        known = {**found.latency, "files": {f: found.latency["files"].get(f) for f in models}}
        if all(known[key] == about[key] for key in about):
            return
    tell(f"latency of {len(paths)} forms, {calls} calls of each in turn")
    runners = {form: runner(path) for form, path in paths.items()}
    if KERAS in paths:
        runners[KERAS_EAGER] = runner(paths[KERAS], eager=True)
    shape = next(iter(models.values())).image_shape
    measured = measure_latencies(runners, shape, calls=calls, batch_calls=max(1, calls // 6))
    forms = {form: dataclasses.asdict(latency) for form, latency in measured.items()}
    found.latency = {**about, "forms": forms}
    found.write()


def _read(export: Export, settings: dict[str, Any], again: bool) -> Measurements:
    path = export.measured
    if again:
        for form in (KERAS, *export.forms):
            _state(export, form).unlink(missing_ok=True)
    if again or not path.exists():
        return Measurements(path, settings)
    found = Measurements.read(path)
    names = sorted(settings.keys() | found.settings.keys())
    differing = [name for name in names if settings.get(name) != found.settings.get(name)]
    if differing:
        raise ValueError(
            "The figures that are there were measured with other settings; measure with those, or "
            f"all forms `again`. They differ in: {', '.join(differing)}. "
            f"Received: path={str(path)!r}"
        )
    return found


def _state(export: Export, form: str) -> Path:
    """By which an interrupted evaluation of this form goes on."""
    return export.beside(f".{form}.partial.npz")


def _versions(forms: Iterable[str]) -> dict[str, str]:
    """With those of the runtimes that answer for the files that are there."""
    found = versions()
    for package in dict.fromkeys(p for form in forms for p in FORMS[form].runtimes):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
