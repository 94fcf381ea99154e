"""`keras-efgsm export RUN [--to FOLDER]`."""

import argparse
from pathlib import Path

from rich.console import Console

from keras_efgsm.cli.next_step import say_next
from keras_efgsm.cli.subject import add_model_options, model_options
from keras_efgsm.cli.trust import TRUST
from keras_efgsm.cli.values import Flat, listed, one_of
from keras_efgsm.export.forms import FORMS
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `export` to the parser."""
    parser = commands.add_parser(
        "export",
        help="write the classifier as SavedModel, TFLite, ONNX and OpenVINO with a model card",
        description="Export the classifier of a run, or of any .keras or .h5 file, as the next "
        "integer version of a model.",
        epilog=TRUST,
    )
    parser.add_argument("source", metavar="RUN", help="a run folder, or a .keras or .h5 file")
    add_model_options(parser)
    parser.add_argument(
        "--to",
        metavar="FOLDER",
        help="the model's folder; default exported_models/NAME, with the name of RUN",
    )
    parser.add_argument(
        "--dataset", help="of a model file: as for train; tells class names and calibrates"
    )
    parser.add_argument("--data-dir", help="where prepared tfds data sets lie")
    parser.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="bring images of any size to this one, also in serving_bytes; default: as the run",
    )
    parser.add_argument(
        "--forms",
        nargs="+",
        type=listed(one_of(tuple(FORMS))),
        action=Flat,
        metavar="FORM",
        help=f"any of {', '.join(FORMS)}, separated by commas; default every one that can "
        "be written; one asked for that cannot be is an error",
    )
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=500,
        help="images of the training split that tflite-int8 is calibrated with; default 500",
    )
    parser.add_argument(
        "--calibration-seed", type=int, help="which of them are drawn; default the run's seed"
    )
    parser.add_argument(
        "--warm-up-batch-sizes",
        type=listed(int),
        nargs="+",
        action=Flat,
        default=(1, 8),
        metavar="N",
        help="batch sizes of the SavedModel's warm-up requests; default 1,8",
    )
    parser.add_argument(
        "--figures",
        metavar="JSON",
        help="what `evaluate --json` wrote, for the card; default: that of the run",
    )
    parser.add_argument("--onnx-opset", type=int, default=17, help="default 17")
    parser.add_argument(
        "--license",
        metavar="ID",
        help="the model's licence as model hubs call it, such as apache-2.0, for the card",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Exports, and prints where the parts lie."""
    from keras_efgsm.export import ExportError, export_run

    try:
        result = export_run(
            options.source,
            options.to,
            dataset=options.dataset,
            data_dir=options.data_dir,
            image_size=tuple(options.image_size) if options.image_size else None,
            forms=options.forms,
            calibration_images=options.calibration_images,
            calibration_seed=options.calibration_seed,
            warm_up_batch_sizes=options.warm_up_batch_sizes,
            onnx_opset=options.onnx_opset,
            figures=options.figures,
            license=options.license,
            **model_options(options),
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
    if result.saved_model is not None and Path(options.source).is_dir():
        say_next("measure", result.saved_model, "--run", options.source)
    elif result.saved_model is not None:
        say_next("serve-config", result.saved_model.parent)
