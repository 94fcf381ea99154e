"""`keras-efgsm export RUN --to FOLDER`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli import evaluate
from keras_efgsm.cli.train import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.folder import RunFolder

_FORMS = ("saved-model", "tflite", "tflite-float16", "tflite-dynamic", "tflite-int8", "onnx")


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `export` to the parser."""
    parser = commands.add_parser(
        "export",
        help="write the classifier as SavedModel, TFLite and ONNX with a model card",
        description="Export the classifier of a run as the next integer version of a model.",
    )
    parser.add_argument("run_folder", metavar="RUN")
    parser.add_argument("--to", required=True, help="the model's folder, exported_models/NAME")
    parser.add_argument(
        "--forms",
        nargs="+",
        choices=_FORMS,
        metavar="FORM",
        help=f"any of {', '.join(_FORMS)}; default every one that can be written",
    )
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=500,
        help="images of the run's training split that tflite-int8 is calibrated with; default 500",
    )
    parser.add_argument(
        "--calibration-seed", type=int, help="which of them are drawn; default the run's seed"
    )
    parser.add_argument(
        "--warm-up-batch-sizes",
        type=int,
        nargs="+",
        default=(1, 8),
        metavar="N",
        help="batch sizes of the SavedModel's warm-up requests; default 1 8",
    )
    parser.add_argument("--onnx-opset", type=int, default=17, help="default 17")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Exports, and prints where the parts lie."""
    from keras_efgsm.export import ExportError

    try:
        result = export_run(
            RunFolder(options.run_folder),
            options.to,
            forms=options.forms,
            calibration_images=options.calibration_images,
            calibration_seed=options.calibration_seed,
            warm_up_batch_sizes=options.warm_up_batch_sizes,
            onnx_opset=options.onnx_opset,
        )
    except ExportError as error:
        # One line like any other refusal: the classifier given has no such form.
        raise ValueError(str(error)) from error
    console = Console()
    for form, path in result.files.items():
        console.print(f"{form}: {path}", soft_wrap=True)
    console.print(f"model card: {result.model_card}", soft_wrap=True)
    for form, reason in result.skipped.items():
        console.print(f"{form} skipped: {reason}", soft_wrap=True, markup=False)


def export_run(
    folder: RunFolder,
    to: str | Path,
    *,
    forms: Sequence[str] | None = None,
    calibration_images: int = 500,
    calibration_seed: int | None = None,
    warm_up_batch_sizes: Sequence[int] = (1, 8),
    onnx_opset: int = 17,
):
    """Exports the classifier of a finished run with the figures of its evaluation.

    Args:
        folder: the run's folder.
        to: the model's folder; the next version is made in it.
        forms: as in `export_classifier`. Defaults to every one that can be
            written; without the run's training images that is not int8.
        calibration_images: how many images of the run's training split int8
            is calibrated with, all where there are fewer. Defaults to 500.
        calibration_seed: draws them. Defaults to the run's seed.
        warm_up_batch_sizes: as in `export_classifier`. Defaults to `(1, 8)`.
        onnx_opset: as in `export_classifier`. Defaults to 17.

    Raises:
        ValueError: if the run is not finished, its files cannot be read, or a
            form cannot be written.
    """
    import dataclasses

    import keras

    from keras_efgsm.checks import check_count
    from keras_efgsm.export import export_classifier

    received = f"Received: path={str(folder.path)!r}"
    if not folder.classifier.exists() or not folder.metrics.exists():
        raise ValueError(f"The path must be the folder of a finished run. {received}")
    check_count(calibration_images, "calibration_images", minimum=16)
    config = folder.read_config()
    try:
        metrics = folder.read_metrics()
        figures = folder.read_evaluation().to_dict() if folder.evaluation.exists() else None
        classifier = keras.models.load_model(folder.classifier, compile=False)
        class_names = metrics["class_names"]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"The run's files must be readable ({error}). {received}") from error
    images = source = no_images = None
    if forms is None or "tflite-int8" in forms:
        seed = config.seed if calibration_seed is None else calibration_seed
        try:
            images, source = _training_images(config, calibration_images, seed)
        except (ValueError, OSError) as error:
            if forms is not None:
                raise
            no_images = f"the run's training images cannot be read ({error})"
    given = {
        "forms": (forms, None),
        "calibration-images": (calibration_images, 500),
        "calibration-seed": (calibration_seed, None),
        "warm-up-batch-sizes": (tuple(warm_up_batch_sizes), (1, 8)),
        "onnx-opset": (onnx_opset, 17),
    }
    options = "".join(
        f" --{option} {' '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for option, (value, default) in given.items()
        if value != default
    )
    result = export_classifier(
        classifier,
        to,
        class_names=class_names,
        forms=forms,
        representative_images=images,
        representative_source=source,
        figures=figures,
        config={**config.to_dict(), **_outcome(metrics)},
        command=" && ".join(
            [
                f"{command_line(config)} --out RUN",
                *([evaluate.command_line(figures, metrics.get("test_images"))] if figures else []),
                f"keras-efgsm export RUN --to {to}{options}",
            ]
        ),
        warm_up_batch_sizes=warm_up_batch_sizes,
        onnx_opset=onnx_opset,
    )
    if no_images:
        skipped = {**result.skipped, "tflite-int8": no_images}
        result = dataclasses.replace(result, skipped=skipped)
    return result


def _training_images(config: TrainingConfig, count: int, seed: int):
    """Some images of the run's training split, in [0, 1], and what they are."""
    import numpy as np

    from keras_efgsm.data import load_data

    data = load_data(config.dataset, "train", config.data_dir)
    count = min(count, len(data))
    chosen = np.sort(np.random.default_rng(seed).choice(len(data), count, replace=False))
    return data.pixels(chosen), f"images of the training split of {data.name}, seed {seed}"


def _outcome(metrics: dict) -> dict:
    keys = ("epochs", "training_seconds", "hardware", "versions")
    return {f"trained_{key}": metrics[key] for key in keys if key in metrics}
