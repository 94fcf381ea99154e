"""Does half precision train to the accuracy of float32? Robust accuracy by dtype policy, on digits.

    python scripts/experiments/mixed_precision.py [--methods efgsm,trades] [--seeds 2] [--epochs 25]

Each run differs from its neighbours in the dtype policy alone. All test images are attacked, in
float32, with APGD-CE and targeted APGD; `standard` is ordinary training, what is left where the
attack of a training does not work.
"""

import argparse
import dataclasses
import time

import keras
from rich.console import Console
from rich.table import Table

from keras_efgsm.callbacks import WeightAveraging
from keras_efgsm.checks import check_choice
from keras_efgsm.data import load_data, steps_per_epoch, training_dataset
from keras_efgsm.evaluation import evaluate_robustness, make_attacks
from keras_efgsm.networks.dtype_policies import DTYPE_POLICIES
from keras_efgsm.recipes.building import build_trainer
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS

# PGD's steps at the size of the digits; its start needs a rising epsilon.
OPTIONS = {name: {"steps": 10} for name in ("pgd", "trades", "alp")}


def run(config: TrainingConfig) -> list[str]:
    """Trains, attacks, and gives a row of the table."""
    train, test = (load_data(config.dataset, split) for split in ("train", "test"))
    keras.utils.set_random_seed(config.seed)
    trainer = build_trainer(config, train)
    begun = time.perf_counter()
    trainer.fit(
        training_dataset(train, config.batch_size, seed=config.seed),
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch(train, config.batch_size),
        callbacks=[WeightAveraging(config.weight_averaging)],
        shuffle=False,
        verbose=0,
    )
    seconds = time.perf_counter() - begun
    attacks = make_attacks("apgd-ce,apgd-t", config.epsilon, steps=40)
    report = evaluate_robustness(
        trainer.classifier, (test.pixels(), test.labels), attacks, cascade=True, progress=False
    )
    natural, robust = report.natural_accuracy, report.robust.mean()
    return [
        *(config.method, str(config.seed), config.dtype_policy),
        *(f"{natural:.1%}", f"{robust:.1%}", f"{seconds:.0f} s"),
    ]


def main() -> None:
    """Runs all combinations, each shown as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default="standard,efgsm,trades")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args()
    methods = [check_choice(name, "methods", tuple(METHODS)) for name in options.methods.split(",")]
    console, table = Console(), Table(title=f"digits, {options.epochs} epochs")
    for column in ("method", "seed", "dtype policy", "natural", "robust", "training"):
        table.add_column(column)
    for method in methods:
        config = PRESETS["digits"].with_method(method, **OPTIONS.get(method, {}))
        warmup = options.epochs / 5 if method in OPTIONS else 0.0
        config = dataclasses.replace(
            config, epochs=options.epochs, epsilon_warmup_epochs=warmup, overfitting_stop=False
        )
        for seed in range(options.seeds):
            for policy in DTYPE_POLICIES:
                row = run(dataclasses.replace(config, seed=seed, dtype_policy=policy))
                table.add_row(*row)
                console.print(", ".join(row))
    console.print(table)


if __name__ == "__main__":
    main()
