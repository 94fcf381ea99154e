"""`keras-efgsm quickstart`: the whole way on scikit-learn's digits, without a download."""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table


def add_command(commands: argparse._SubParsersAction) -> None:
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
    from keras_efgsm.data import load_data
    from keras_efgsm.evaluation import evaluate_robustness, make_attacks
    from keras_efgsm.networks import CLASSIFIERS
    from keras_efgsm.recipes.presets import PRESETS
    from keras_efgsm.runs.training import train

    out = Path(options.out) if options.out else _first_free(Path("runs/quickstart"))
    config = dataclasses.replace(PRESETS["digits"], seed=options.seed)
    console = Console()
    console.print(f"training a robust classifier on digits, epsilon {config.epsilon:g}")
    result = train(config, out / "robust", verbose=0)
    console.print(f"  {result.metrics['training_seconds']:.0f} s; now the same network ordinarily")
    keras.utils.set_random_seed(config.seed)
    data = load_data("digits", "train")
    ordinary = CLASSIFIERS[config.classifier](data.num_classes, activation=config.activation)
    ordinary.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ordinary.fit(data.pixels(), data.labels, epochs=config.epochs, verbose=0)
    ordinary.save(out / "ordinary.keras")
    test = load_data("digits", "test")
    attacks = make_attacks("standard", config.epsilon, queries=1000)
    console.print("attacking both with the standard attacks")
    reports = {
        name: evaluate_robustness(classifier, test, attacks, cascade=True)
        for name, classifier in (
            ("robust (eFGSM)", result.trainer.classifier),
            ("ordinary", ordinary),
        )
    }
    reports["robust (eFGSM)"].write_json(result.folder.evaluation)
    reports["ordinary"].write_json(out / "ordinary.json")
    exports = []
    if BACKEND == "tensorflow":
        from keras_efgsm.export import export_run

        exported = export_run(result.folder, out / "exported_models" / "digits")
        exports = [
            ("SavedModel", exported.saved_model),
            ("TFLite", exported.tflite),
            ("model card", exported.model_card),
        ]
    table = Table(
        title=f"digits, {len(test)} test images, epsilon {config.epsilon:g}, seed 0: accuracy "
        "clean and after each attack on what the ones before left"
    )
    table.add_column("classifier")
    for heading in ("natural", *(attack.name for attack in reports["ordinary"].attacks)):
        table.add_column(heading, justify="right")
    for name, report in reports.items():
        left = [report.natural_accuracy, *(attack.robust_accuracy for attack in report.attacks)]
        table.add_row(name, *(f"{figure:.1%}" for figure in left))
    console.print(table)
    for label, path in (
        ("run folder", result.folder.path),
        ("training curves", result.folder.curves),
        *exports,
    ):
        console.print(f"{label:>16}: {path}", soft_wrap=True)
    if not exports:
        console.print(
            f"to export it: KERAS_BACKEND=tensorflow keras-efgsm export {result.folder.path} --to "
            f"{out / 'exported_models' / 'digits'}",
            soft_wrap=True,
        )


def _first_free(base: Path) -> Path:
    number = 1
    while base.with_name(f"{base.name}-{number}").exists():
        number += 1
    return base.with_name(f"{base.name}-{number}")
