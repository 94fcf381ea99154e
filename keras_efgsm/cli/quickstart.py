"""`keras-efgsm quickstart`: the whole way on scikit-learn's digits, without a download."""

import argparse
import contextlib
import io
from pathlib import Path
from typing import Any

from rich.console import Console

from keras_efgsm.printing import ResultTable
from keras_efgsm.records.wording import percent
from keras_efgsm.typing import Commands


def add_command(commands: Commands) -> None:
    """Adds `quickstart` to the parser."""
    parser = commands.add_parser(
        "quickstart",
        help="train, evaluate and export on the digits data set in a few minutes",
        description="Train a robust and an ordinary classifier on digits and compare them.",
    )
    parser.add_argument("--out", help="new folder; default the first free runs/quickstart-N")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Trains both, attacks both, exports the robust one and prints one table."""
    import dataclasses

    import keras

    from keras_efgsm.backend import BACKEND
    from keras_efgsm.cli.epoch_bar import EpochBar
    from keras_efgsm.data import load_data
    from keras_efgsm.evaluation import evaluate_robustness, make_attacks
    from keras_efgsm.networks import build_classifier
    from keras_efgsm.progress_bar import titled
    from keras_efgsm.recipes.presets import PRESETS
    from keras_efgsm.runs.interruption import going_on
    from keras_efgsm.runs.training import train

    out = Path(options.out) if options.out else _first_free(Path("runs/quickstart"))
    config = dataclasses.replace(PRESETS["digits"], seed=options.seed)
    console = Console()
    console.print(
        "training a robust and an ordinary classifier of 8 x 8 digits: about two minutes",
        highlight=False,
    )
    again = f"keras-efgsm train digits --seed {config.seed} --out {out / 'robust'} --resume"
    interrupted = going_on(f"`{again}` continues this training alone")
    with interrupted, titled("robust"), EpochBar() as bar:
        result = train(config, out / "robust", callbacks=[bar], verbose=0)
    keras.utils.set_random_seed(config.seed)
    data = load_data("digits", "train")
    ordinary = build_classifier(
        config.classifier,
        data.image_shape,
        data.num_classes,
        activation=config.activation,
    )
    ordinary.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with titled("ordinary"), EpochBar() as bar:
        ordinary.fit(data.pixels(), data.labels, epochs=config.epochs, verbose=0, callbacks=[bar])
    ordinary.save(out / "ordinary.keras")
    test = load_data("digits", "test")
    attacks = make_attacks("standard", config.epsilon, queries=1000)
    console.print("attacking both with the attacks of AutoAttack")
    reports = {}
    for name, classifier in (
        ("robust (eFGSM)", result.trainer.classifier),
        ("ordinary", ordinary),
    ):
        with titled(name):
            reports[name] = evaluate_robustness(classifier, test, attacks, cascade=True)
    reports["robust (eFGSM)"].write_json(result.folder.evaluation)
    reports["ordinary"].write_json(out / "ordinary.json")
    console.print(
        f"\naccuracy on {len(test)} test images, each pixel changed by at most "
        f"{config.epsilon:g} of its range:"
    )
    console.print(_table(reports), "")
    console.print(f"run folder: {result.folder.path}", soft_wrap=True)
    if BACKEND == "tensorflow":
        from keras_efgsm.export import export_run

        with contextlib.redirect_stdout(io.StringIO()):
            exported = export_run(result.folder, out / "exported_models" / "digits")
        where, forms = exported.model_card.parent, len(exported.files)
        console.print(f"exported:   {where}, in {forms} forms", soft_wrap=True)
        console.print(f"model card: {exported.model_card}", soft_wrap=True)
    else:
        console.print("an export takes KERAS_BACKEND=tensorflow", soft_wrap=True)
    console.print(f"next:       keras-efgsm report {result.folder.path}", soft_wrap=True)
    console.print("            keras-efgsm train FOLDER --epsilon 8/255   (your own images)")


def _table(reports: dict[str, Any]) -> ResultTable:
    table = ResultTable(box=None, pad_edge=False)
    table.add_column("classifier")
    for heading in ("no attack", *(attack.name for attack in reports["ordinary"].attacks)):
        table.add_column(heading, justify="right")
    for name, report in reports.items():
        left = [report.natural_accuracy, *(attack.robust_accuracy for attack in report.attacks)]
        table.add_row(name, *(percent(figure, 1) for figure in left))
    return table


def _first_free(base: Path) -> Path:
    number = 1
    while base.with_name(f"{base.name}-{number}").exists():
        number += 1
    return base.with_name(f"{base.name}-{number}")
