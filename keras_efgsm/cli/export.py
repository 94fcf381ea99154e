"""`keras-efgsm export RUN --to FOLDER`."""

import argparse
import json
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli.train import command_line
from keras_efgsm.runs import RunFolder


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `export` to the parser."""
    parser = commands.add_parser(
        "export",
        help="write the classifier as SavedModel and TFLite with a model card",
        description="Export the classifier of a run as the next integer version of a model.",
    )
    parser.add_argument("run_folder", metavar="RUN")
    parser.add_argument("--to", required=True, help="the model's folder, exported_models/NAME")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Exports, and prints where the parts lie."""
    folder = RunFolder(options.run_folder)
    result = export_run(folder, options.to)
    console = Console()
    for label, path in (
        ("SavedModel", result.saved_model),
        ("TFLite", result.tflite),
        ("model card", result.model_card),
    ):
        console.print(f"{label}: {path}", soft_wrap=True)


def export_run(folder: RunFolder, to: str | Path):
    """Exports the classifier of a finished run with the figures of its evaluation.

    Args:
        folder: the run's folder.
        to: the model's folder; the next version is made in it.

    Raises:
        ValueError: if the run is not finished or its files cannot be read.
    """
    import keras

    from keras_efgsm.export import export_classifier

    received = f"Received: path={str(folder.path)!r}"
    if not folder.classifier.exists() or not folder.metrics.exists():
        raise ValueError(f"The path must be the folder of a finished run. {received}")
    config = folder.read_config()
    try:
        metrics = json.loads(folder.metrics.read_text())
        figures = json.loads(folder.evaluation.read_text()) if folder.evaluation.exists() else None
        classifier = keras.models.load_model(folder.classifier, compile=False)
        class_names = metrics["class_names"]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"The run's files must be readable ({error}). {received}") from error
    return export_classifier(
        classifier,
        to,
        class_names=class_names,
        figures=figures,
        config={**config.to_dict(), **_outcome(metrics)},
        command=f"{command_line(config)} --out RUN && keras-efgsm evaluate RUN && "
        f"keras-efgsm export RUN --to {to}",
    )


def _outcome(metrics: dict) -> dict:
    keys = ("epochs", "training_seconds", "hardware", "versions")
    return {f"trained_{key}": metrics[key] for key in keys if key in metrics}
