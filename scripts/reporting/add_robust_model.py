"""Puts a trained classifier with its figures into the package, for `keras_efgsm.load_robust`.

    python scripts/reporting/add_robust_model.py NAME --run RUN [--summary TEXT]
    python scripts/reporting/add_robust_model.py NAME --export exported_models/mnist/3
    python scripts/reporting/add_robust_model.py --cards

`--run` takes a finished run folder that `keras-efgsm evaluate RUN --attacks standard` has been
through. `--export` takes the weights of a SavedModel and what its card says: for exports whose run
is gone; the network is built again and must answer as the SavedModel does, within 1e-5. `--cards`
writes the cards of all models again from their records. Each model is a folder of
`keras_efgsm/pretrained/models` below 1 MB; one that is there is replaced.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path[:0] = [str(Path(__file__).parents[1])]

import argparse
import dataclasses
import hashlib
import tempfile

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.evaluation import ATTACK_SETS
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.pretrained.card import render_robust_model_card
from keras_efgsm.pretrained.loading import (
    CARD_FILE,
    CLASSIFIER_FILE,
    MODELS,
    RECORD_FILE,
    robust_models,
)
from keras_efgsm.records import RobustModelRecord
from keras_efgsm.runs.folder import RunFolder
from reporting.exported_model import Trained, read_export

MOST_BYTES = 2**20
LICENSE = "apache-2.0"


def add(name: str, found: Trained, summary: str, folder: Path = MODELS) -> RobustModelRecord:
    """Writes the folder of a robust model.

    Args:
        name: by which it is loaded.
        found: its classifier and what is known of it.
        summary: what it is, in one sentence.
        folder: where the folder goes. Defaults to the one of the package.

    Raises:
        ValueError: if it was not attacked by the attacks of `standard`, or its file is above 1 MB.
    """
    attacks = tuple(attack.name for attack in found.evaluation.attacks)
    if attacks != ATTACK_SETS["standard"]:
        raise ValueError(
            "A robust model must have been evaluated with `--attacks standard`. "
            f"Received: attacks={attacks}"
        )
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / CLASSIFIER_FILE
        found.classifier.save(file)
        content = file.read_bytes()
    if len(content) > MOST_BYTES:
        raise ValueError(
            f"A robust model must be at most {MOST_BYTES:,} bytes large, as it goes into the "
            f"wheel. Received: name={name!r}, of {len(content):,} bytes"
        )
    config = found.config
    record = RobustModelRecord(
        name=name,
        summary=summary,
        file=CLASSIFIER_FILE,
        sha256=hashlib.sha256(content).hexdigest(),
        license=LICENSE,
        dataset=config.dataset,
        image_shape=tuple(found.classifier.input_shape[1:]),
        class_names=found.class_names,
        parameters=found.classifier.count_params(),
        norm=config.norm,
        epsilon=config.epsilon,
        recipe=found.recipe,
        command=found.command,
        evaluation=dataclasses.replace(found.evaluation, model=name),
        **found.trained,
    )
    record = RobustModelRecord.from_dict(record.to_dict())
    (folder / name).mkdir(parents=True, exist_ok=True)
    write_atomically(folder / name / CLASSIFIER_FILE, content)
    record.write(folder / name / RECORD_FILE)
    write_atomically(folder / name / CARD_FILE, render_robust_model_card(record))
    return record


def read_run(path: Path) -> Trained:
    """The classifier of a finished run and what is known of it.

    Args:
        path: the run folder.
    """
    run = RunFolder(path)
    metrics = run.read_metrics()
    return Trained(
        read_keras_file(run.classifier),
        tuple(metrics["class_names"]),
        run.read_config(),
        run.read_evaluation(),
        {
            "trained_epochs": metrics["epochs"],
            "trained_seconds": metrics["training_seconds"],
            "trained_hardware": metrics["hardware"],
            "trained_versions": metrics["versions"],
        },
        metrics["test_images"],
    )


def write_cards() -> None:
    """Writes the card of every model from its record."""
    for name, record in robust_models().items():
        write_atomically(MODELS / name / CARD_FILE, render_robust_model_card(record))


def main() -> None:
    """Adds one model, or writes all cards."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", nargs="?", help="by which it is loaded")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a finished and evaluated run folder")
    source.add_argument("--export", type=Path, help="the version folder of an export")
    source.add_argument("--cards", action="store_true", help="only write all cards again")
    parser.add_argument("--summary", default="", help="what it is, in one sentence")
    options = parser.parse_args()
    if options.cards:
        write_cards()
        return
    if not options.name or not options.summary:
        parser.error("a model needs a name and a `--summary`")
    found = read_run(options.run) if options.run else read_export(options.export)
    print(add(options.name, found, options.summary))


if __name__ == "__main__":
    main()
