"""Ablates a recipe: trains a configuration and one variant for each piece, and attacks them.

    python scripts/experiments/ablate.py [--preset cifar10-small] \
        [--variants alignment,weight-decay] [--seeds 0,1] [--images 500] [--attacks adp] \
        [--validation-images 5000] [OPTIONS OF keras-efgsm train]

A variant has one piece of the recipe taken out, or put in where the preset has it not; all else,
the seed included, is the same. The base is the preset with the options of `keras-efgsm train` that
are given, such as `--dataset`, `--epochs` and `--train-images`, and without the overfitting stop
(unless `--with-stop` keeps it): a variant that overfits is a result here. Each is trained into a
run folder of its own and attacked on the first test images, or with `--validation-images`, for
choosing among variants, on the first of so many images that are held out of the train split.
Interrupted, it goes on where it was; variants and seeds can be added later, by several processes
at a time as well, each with its own seeds. Writes `ablation.json` and `ablation.md` into `--out`.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import dataclasses
import json
from typing import Any

from rich.console import Console

from experiments.ablation.planning import Planned, plan, read_results
from experiments.ablation.summary import summarise, table_of, title_of
from experiments.ablation.variants import BASE, PIECES, pieces_of
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.cli.config_options import add_config_options, read_config
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import evaluate_robustness
from keras_efgsm.evaluation.attack_sets import make_attacks
from keras_efgsm.file_lock import lock_file
from keras_efgsm.recipes.building import load_training_data
from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.runs.training import train


def train_one(one: Planned, data: tuple[ImageData, ImageData], verbose: int) -> None:
    """Trains a run, or what is left of it."""
    if one.folder.metrics.exists():
        return
    train(
        one.config,
        one.folder.path,
        resume=one.folder.config.exists(),
        train_data=data[0],
        test_data=data[1],
        verbose=verbose,
    )


def partial_state(one: Planned, out: Path) -> Path:
    """Where an interrupted evaluation of a run is kept."""
    return out / f"{one.name}.partial.npz"


def watched(row: dict[str, float]) -> dict[str, float]:
    """What the overfitting stop sees of an epoch, and the accuracy on the training's own images."""
    seen = ("accuracy", "margin_robust_accuracy", "attack_shortfall", "probe_accuracy")
    return {key: round(row[key], 4) for key in seen if key in row}


def attack_one(one: Planned, test: ImageData, options: argparse.Namespace) -> dict[str, Any]:
    """Attacks a trained run and tells how it fared."""
    metrics, history = one.folder.read_metrics(), one.folder.read_history()
    # Beside the results: another set of attacks on the same run has another folder.
    state = partial_state(one, Path(options.out))
    result = {
        "changes": one.changes,
        "command": command_line(one.config),
        "config": one.config.to_dict(),
        "epochs": metrics["epochs"],
        "train_images": metrics["train_images"],
        "training_seconds": metrics["training_seconds"],
        "natural_accuracy_all": metrics["natural_accuracy"],
        "loss": history[-1]["loss"],
        "training_accuracy": history[-1]["accuracy"],
        "margin_robust_accuracy": history[-1]["margin_robust_accuracy"],
        "stop": metrics["stop"],
        "watched": [watched(row) for row in history],
        # Of each run, as those of one ablation may be made on several machines.
        "hardware": hardware(),
    }
    try:
        report = evaluate_robustness(
            one.folder.path,
            test.take(options.images),
            make_attacks(options.attacks, one.config.epsilon, steps=options.attack_steps),
            cascade=True,
            seed=0,
            state=state,
        )
    except ValueError as error:
        if "classified correctly" not in str(error):
            raise
        # A training that broke down is a result as well.
        return result | {"natural_accuracy": 0.0, "robust_accuracy": 0.0, "failed": str(error)}
    # As `keras-efgsm evaluate` does, so that the run can be reported and exported as any other.
    report.write_json(one.folder.evaluation)
    return result | {
        "natural_accuracy": report.natural_accuracy,
        "robust_accuracy": report.worst_case_accuracy,
        "attack_seconds": round(report.seconds, 1),
        "report": report.to_dict(),
    }


def diverged(one: Planned, error: ValueError, images: int) -> dict[str, Any]:
    """The result of a training whose loss became no number, which is one as well."""
    history = one.folder.read_history() if one.folder.history.exists() else []
    return {
        "changes": f"{one.changes}: diverged",
        "command": command_line(one.config),
        "config": one.config.to_dict(),
        "epochs": len(history),
        "train_images": one.config.train_images or images,
        "training_seconds": sum(row["seconds"] for row in history),
        "margin_robust_accuracy": 0.0,
        "natural_accuracy": 0.0,
        "robust_accuracy": 0.0,
        "failed": str(error),
    }


def load_splits(base: TrainingConfig, held_out: int) -> tuple[ImageData, ImageData]:
    """What is trained on and what is attacked: train and test split, or two parts of the first."""
    train = load_training_data(base, "train")
    if not held_out:
        return train, load_training_data(base, "test")
    if not held_out < len(train):
        raise ValueError(
            f"`validation_images` must be less than {len(train)}, the images of the train split. "
            f"Received: validation_images={held_out}"
        )
    return train.split(held_out / len(train), seed=0)


def ablate(base: TrainingConfig, options: argparse.Namespace) -> None:
    """Trains and attacks what is not there yet, and writes the figures after each."""
    console = Console()
    if options.variants is None:
        variants, reasons = pieces_of(base)
        for name, reason in reasons.items():
            console.print(f"without {name}: {reason}", markup=False)
    else:
        variants = [
            check_choice(name, "variants", tuple(PIECES))
            for name in options.variants.split(",")
            if name != BASE
        ]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    check_count(options.images, "images")
    check_count(options.validation_images, "validation_images", minimum=0)
    make_attacks(options.attacks, base.epsilon, steps=options.attack_steps)
    out, runs = Path(options.out), Path(options.runs)
    planned = plan(base, variants, seeds, runs)
    target = out / "ablation.json"
    key = {"attacks": options.attacks, "images": options.images, "steps": options.attack_steps}
    if options.validation_images:
        key["validation_images"] = options.validation_images
    results = read_results(target, key, planned)
    data = load_splits(base, options.validation_images)
    data[1].take(options.images)
    out.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(planned, 1):
        if one.name not in results:
            console.print(f"[{number}/{len(planned)}] {one.name}: {one.changes}", markup=False)
            try:
                train_one(one, data, options.verbose)
                results[one.name] = attack_one(one, data[1], options)
            except ValueError as error:
                if "diverged" not in str(error):
                    raise
                results[one.name] = diverged(one, error, len(data[0]))
            results = keep(target, key, base, planned, one, results[one.name])
            partial_state(one, out).unlink(missing_ok=True)
        found = results[one.name]
        console.print(
            f"    natural {found['natural_accuracy']:.1%}, robust {found['robust_accuracy']:.1%}; "
            f"training {found['training_seconds']:.0f} s, "
            f"attacks {found.get('attack_seconds', 0):.0f} s"
        )
    table = table_of(summarise(results), title_of(key, base, results))
    write_atomically(out / "ablation.md", table.markdown())
    console.print(table.rich())
    console.print(f"figures: {target}", soft_wrap=True)


def keep(
    target: Path,
    key: dict[str, Any],
    base: TrainingConfig,
    planned: list[Planned],
    one: Planned,
    found: dict[str, Any],
) -> dict[str, Any]:
    """Adds a run to the figures, which another process may be adding to; returns all of them."""
    with lock_file(target.with_name(".figures.lock"), wait=True):
        results = {**read_results(target, key, planned), one.name: found}
        content = {
            "base": base.to_dict(),
            "attack": key,
            "hardware": hardware(),
            "versions": versions(),
            "summary": summarise(results),
            "runs": results,
        }
        write_atomically(target, json.dumps(content, indent=2) + "\n")
    return results


def read_options(words: list[str] | None = None) -> tuple[TrainingConfig, argparse.Namespace]:
    """The base and the options of the ablation; options unknown here are those of `train`."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="Further options are those of `keras-efgsm train`, for the base.",
        allow_abbrev=False,
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cifar10-small")
    parser.add_argument("--variants", help="comma-separated; default: all that the base can have")
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument("--images", type=int, default=500, help="test images that are attacked")
    parser.add_argument("--attacks", default="adp", help="as in `keras-efgsm evaluate`")
    parser.add_argument(
        "--validation-images",
        type=int,
        default=0,
        help="attack images held out of the train split instead; default: none",
    )
    parser.add_argument("--attack-steps", type=int, help="default: as published")
    parser.add_argument(
        "--with-stop", action="store_true", help="keep the overfitting stop of the preset"
    )
    parser.add_argument("--verbose", type=int, default=2, help="of the training: 0, 1 or 2")
    parser.add_argument("--runs", help="run folders; default runs/ablation/PRESET")
    parser.add_argument("--out", help="results folder; default results/ablation/PRESET")
    options, of_training = parser.parse_known_args(words)
    kind = options.preset + ("-validation" if options.validation_images else "")
    options.runs = options.runs or f"runs/ablation/{kind}"
    options.out = options.out or f"results/ablation/{kind}"
    training = argparse.ArgumentParser(prog="ablate", add_help=False)
    add_config_options(training)
    given = training.parse_args([options.preset, *of_training])
    base = read_config(given)
    if not options.with_stop:
        base = dataclasses.replace(base, overfitting_stop=False, keep_best=False)
    return base, options


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    try:
        ablate(*read_options())
    except (ValueError, OSError) as error:
        print(f"ablate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
