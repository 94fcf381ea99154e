"""`export_run`: a finished run, or any `.keras` or `.h5` file, as the next version of a model."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_efgsm.atomic_file import try_to_make
from keras_efgsm.checks import check_count
from keras_efgsm.data.image_size import check_image_size
from keras_efgsm.export.exporting import ExportResult, export_classifier
from keras_efgsm.export.figures import Figures, read_figures
from keras_efgsm.export.tflite import FEWEST_REPRESENTATIVE_IMAGES
from keras_efgsm.export.versions import check_name
from keras_efgsm.form_table import FORMS
from keras_efgsm.networks.other_forms import with_logits
from keras_efgsm.networks.own_models import MODEL_SUFFIXES, from_file, read_keras_file
from keras_efgsm.recipes.building import load_images
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.evaluation_command import command_line as evaluation_command
from keras_efgsm.recipes.methods import find_method
from keras_efgsm.runs.folder import RunFolder


class _Source(NamedTuple):
    """What is exported, and what is known of it."""

    classifier: keras.Model
    class_names: Sequence[str] | None
    config: TrainingConfig | None = None
    figures: dict[str, Any] | None = None
    metrics: Mapping[str, Any] = {}


def export_run(
    source: RunFolder | str | os.PathLike[str],
    to: str | os.PathLike[str] | None = None,
    *,
    dataset: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    class_names: Sequence[str] | None = None,
    forms: Sequence[str] | None = None,
    calibration_images: int = 500,
    calibration_seed: int | None = None,
    output: str = "auto",
    output_name: str | None = None,
    unsafe: bool = False,
    figures: Figures | None = None,
    progress: bool = True,
    license: str | None = None,
    **options: Any,
) -> ExportResult:
    """Exports the classifier of a finished run with the figures of its evaluation.

    As `keras-efgsm export` does. A run that resized its images leaves with a `serving_bytes` that
    resizes files of any size in the same way. Of a `.keras` or `.h5` file the data set says the
    class names, and gives the images that forms of integers are calibrated with. A classifier of
    one logit leaves with two, `[0, z]`, and one of several outputs with its logits alone, see
    `keras_efgsm.networks.with_logits`.

    Args:
        source: a run, its folder, or a `.keras` or `.h5` file of a classifier.
        to: the model's folder; the next version is made in it. Defaults to `exported_models/NAME`,
            NAME that of the run's folder or of the file.
        dataset: name or path of the data set. Defaults to that of the run.
        data_dir: folder of prepared tensorflow-datasets. Defaults to that of the run.
        image_size: side of a square or `(height, width)` to which images of any size are brought,
            also by `serving_bytes`. Defaults to that of the run.
        class_names: the labels, in the order of the logits. Defaults to those of the run or of the
            data set.
        forms: as in `export_classifier`. Defaults to every one that can be
            written; with fewer than 16 training images that is no form of integers.
        calibration_images: how many images of the training split those are
            calibrated with, all where there are fewer. Defaults to 500.
        calibration_seed: draws them. Defaults to the run's seed, or 0.
        output: `"probabilities"` for a classifier that ends in a softmax or sigmoid, which is taken
            off; exports answer with logits and with probabilities. Defaults to `"auto"`, logits.
        output_name: which of several outputs. Defaults to the only one, or that named `logits`.
        unsafe: whether code that is stored in the file may run, see `read_keras_file`. Defaults to
            `False`.
        figures: the evaluation, as in `export_classifier`. Defaults to that of the run.
        progress: whether to show a progress bar. Defaults to `True`.
        license: as in `export_classifier`. Defaults to none.
        **options: those of the forms, as in `export_classifier`.

    Raises:
        ValueError: if the run is not finished, its files cannot be read, a form cannot be written,
            or nothing says the class names of a model file.
        PermissionError: if `to` cannot be written.
        ExportError: as of `export_classifier`.

    Example:

    ```python
    result = export_run("runs/mnist", "exported_models/mnist", forms=["saved-model", "onnx"])
    result.model_card
    ```
    """
    path = source.path if isinstance(source, RunFolder) else Path(source)
    check_count(calibration_images, "calibration_images", minimum=16)
    size = check_image_size(image_size)
    to = _folder_for(path) if to is None else to
    # Before the images are read, which may be many.
    try_to_make(to, "to")
    if path.suffix in MODEL_SUFFIXES:
        found = _read_model_file(path, unsafe)
    else:
        found = _read_run(RunFolder(path), unsafe)
    classifier = with_logits(found.classifier, output=output, output_name=output_name)
    config = found.config
    images_of = dataset if dataset is not None else getattr(config, "dataset", None)
    class_names = class_names or found.class_names
    if figures is not None:
        found = found._replace(figures=read_figures(figures))
    if class_names is None and images_of is None:
        raise ValueError(
            f"A `{path.suffix}` file holds no class names: give `dataset` (`--dataset` on the "
            f"command line) or `class_names`. Received: path={str(path)!r}, dataset=None"
        )
    seed = calibration_seed if calibration_seed is not None else getattr(config, "seed", 0)
    calibrated = [form.name for form in FORMS.values() if form.needs_images]
    images = described = no_images = None
    if images_of is None:
        no_images = "it needs `dataset`, whose training images it is calibrated with"
    elif class_names is None or forms is None or set(forms) & set(calibrated):
        try:
            data = load_images(images_of, "train", config, data_dir=data_dir, image_size=size)
            class_names = class_names or data.class_names
            count = min(calibration_images, len(data))
            drawn = np.random.default_rng(seed).choice(len(data), count, replace=False)
            if count >= FEWEST_REPRESENTATIVE_IMAGES or forms is not None:
                images = data.pixels(np.sort(drawn))
            else:
                no_images = (
                    f"it needs at least {FEWEST_REPRESENTATIVE_IMAGES} training images to be "
                    f"calibrated with, and {data.name} has {count}"
                )
            described = f"images of the training split of {data.name}, seed {seed}"
        except (ValueError, OSError) as error:
            if forms is not None or class_names is None:
                raise
            no_images = f"the run's training images cannot be read ({error})"
    given = {
        "dataset": dataset,
        "image-size": size,
        "forms": forms,
        "calibration-images": calibration_images if calibration_images != 500 else None,
        "calibration-seed": calibration_seed,
        "output": None if output == "auto" else output,
        "output-name": output_name,
        "unsafe": "" if unsafe else None,
        # Of a run they are told by the command that makes them.
        "figures": figures if config is None and isinstance(figures, (str, os.PathLike)) else None,
        "license": license,
        **{name.replace("_", "-"): value for name, value in _changed(options).items()},
    }
    result = export_classifier(
        classifier,
        to,
        class_names=class_names or (),
        forms=forms,
        representative_images=images,
        representative_source=described,
        # So that the export resizes files as well.
        resizes=(size or getattr(config, "image_size", None)) is not None,
        figures=found.figures,
        config=None if config is None else {**_listed(config), **_outcome(found.metrics)},
        command=_command(path, to, given, found),
        progress=progress,
        license=license,
        **options,
    )
    if no_images and forms is None:
        skipped = {**result.skipped, **dict.fromkeys(calibrated, no_images)}
        result = dataclasses.replace(result, skipped=skipped)
    return result


def _folder_for(path: Path) -> Path:
    """Where a run, or a model file, is exported to if nothing else is said."""
    path = path.resolve()
    name = path.stem if path.suffix in MODEL_SUFFIXES else path.name
    try:
        return Path("exported_models") / check_name(name)
    except ValueError as error:
        raise ValueError(
            "`to` (`--to` on the command line) must be given where no model can be called like the "
            f"run. {error}"
        ) from error


def _read_run(folder: RunFolder, unsafe: bool) -> _Source:
    received = f"Received: path={str(folder.path)!r}"
    if not folder.classifier.exists() or not folder.metrics.exists():
        raise ValueError(
            "The path must be the folder of a finished run, or a `.keras` or `.h5` file with "
            f"`dataset` (`--dataset`). {received}"
        )
    config = folder.read_config()
    try:
        metrics = folder.read_metrics()
        figures = folder.read_evaluation().to_dict() if folder.evaluation.exists() else None
        classifier = read_keras_file(folder.classifier, unsafe=unsafe)
        return _Source(classifier, metrics["class_names"], config, figures, metrics)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"The run's files must be readable ({error}). {received}") from error


def _read_model_file(path: Path, unsafe: bool) -> _Source:
    if not path.exists():
        raise FileNotFoundError(f"There is no model here. Received: path={str(path)!r}")
    return _Source(from_file(path, unsafe=unsafe), None)


def _changed(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not at their defaults."""
    defaults = {k: v for form in FORMS.values() for k, v in form.options.items()}
    return {k: v for k, v in options.items() if _plain(v) != _plain(defaults.get(k))}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _command(path: Path, to: Any, given: Mapping[str, Any], found: _Source) -> str:
    """The line that makes this export again."""
    flags = "".join(
        f" --{name} {' '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
        for name, value in given.items()
        if value is not None
    ).replace("--unsafe ", "--unsafe")
    if found.config is None:
        # The card travels: of a path only the name means something elsewhere.
        return f"keras-efgsm export {path.name} --to {to}{flags}"
    lines = [f"{command_line(found.config)} --out RUN"]
    if found.figures:
        lines.append(evaluation_command(found.figures, found.metrics.get("test_images")))
    return " && ".join([*lines, f"keras-efgsm export RUN --to {to}{flags}"])


def _listed(config: TrainingConfig) -> dict[str, Any]:
    """The configuration for the card, without a re-constructor that was not trained."""
    values = config.to_dict()
    if not find_method(config.method).has_reconstructor:
        del values["reconstructor"]
    return values


def _outcome(metrics: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("epochs", "training_seconds", "hardware", "versions")
    return {f"trained_{key}": metrics[key] for key in keys if key in metrics}
