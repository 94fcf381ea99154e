"""Attacks a trained classifier with another library's APGD and Square, as a second opinion.

    python scripts/check_with_art.py runs/mnist [--num-images 500] [--queries 2000] [--add]

PGD with a fixed step can miss what an adaptive or a black-box attack finds, so its figure should
not stand alone. This runs the Adversarial Robustness Toolbox's APGD-CE, APGD-DLR and Square on the
first images of the test split and prints robust accuracy for each and image by image over all.
`--add` puts the figures into the run's `evaluation.json`, from which the model card is written;
the card's headline is then the lowest of all. Needs the `oracles` extra.
"""

import argparse
import json
import time
import warnings

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from keras_efgsm import load_data
from keras_efgsm.runs import RunFolder, write_atomically


def make_attacks(estimator, epsilon: float, iterations: int, queries: int) -> dict:
    """The three attacks by name, each with its budget."""
    from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack

    shared = {"norm": np.inf, "eps": epsilon, "batch_size": 250, "verbose": False}
    gradient = shared | {"eps_step": epsilon / 3, "max_iter": iterations, "nb_random_init": 1}
    losses = {"apgd-ce": "cross_entropy", "apgd-dlr": "difference_logits_ratio"}
    attacks = {
        name: (AutoProjectedGradientDescent(estimator, loss_type=loss, **gradient), iterations)
        for name, loss in losses.items()
    }
    square = SquareAttack(estimator, max_iter=queries, nb_restarts=1, **shared)
    return attacks | {"square": (square, queries)}


def main() -> None:
    """Runs the attacks and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--add", action="store_true", help="to the run's evaluation.json")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of frameworks that are not installed
        from art.estimators.classification import TensorFlowV2Classifier

    folder = RunFolder(options.run)
    config = folder.read_config()
    classifier = keras.models.load_model(folder.classifier, compile=False)
    test = load_data(config.dataset, "test", config.data_dir).take(options.num_images)
    pixels, labels = test.pixels(), test.labels
    one_hot = keras.utils.to_categorical(labels, test.num_classes)
    estimator = TensorFlowV2Classifier(
        model=classifier,
        nb_classes=test.num_classes,
        input_shape=test.image_shape,
        clip_values=(0.0, 1.0),
        loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
    )

    def correct(images: np.ndarray) -> np.ndarray:
        return classifier.predict(images, verbose=0).argmax(axis=1) == labels

    console = Console()
    natural = correct(pixels)
    robust, rows = natural.copy(), []
    np.random.seed(options.seed)  # the library draws from numpy's global generator
    attacks = make_attacks(estimator, config.epsilon, options.iterations, options.queries)
    for name, (attack, steps) in attacks.items():
        begun = time.perf_counter()
        x_adv = attack.generate(pixels, one_hot)
        if np.abs(x_adv - pixels).max() > config.epsilon + 1e-6:
            raise RuntimeError(f"{name} left the ball")
        withstood = natural & correct(x_adv)
        robust &= withstood
        rows.append(
            {
                "name": name,
                "engine": "art",
                "loss": None,
                "epsilon": config.epsilon,
                "steps": steps,
                "step_size": None,
                "restarts": 1,
                "random_start": True,
                "num_images": len(test),
                "seed": options.seed,
                "robust_accuracy": float(withstood.mean()),
                "seconds": round(time.perf_counter() - begun, 1),
            }
        )
        console.print(f"{name}: {withstood.mean():.2%}, {rows[-1]['seconds']:.0f} s")
    # Image by image over the three, which no single one of them reaches.
    rows.append({**rows[-1], "name": "apgd-ce, apgd-dlr and square", "steps": None})
    rows[-1] |= {
        "robust_accuracy": float(robust.mean()),
        "seconds": sum(row["seconds"] for row in rows[:-1]),
    }
    table = Table(title=f"{test.name}, epsilon {config.epsilon:g}, {len(test)} images")
    for heading in ("attack", "iterations or queries", "robust accuracy"):
        table.add_column(heading)
    table.add_row("none", "", f"{natural.mean():.2%}")
    for row in rows:
        table.add_row(row["name"], str(row["steps"] or ""), f"{row['robust_accuracy']:.2%}")
    console.print(table)
    if options.add:
        figures = json.loads(folder.evaluation.read_text())
        kept = [attack for attack in figures["attacks"] if attack["engine"] != "art"]
        figures["attacks"] = kept + rows
        write_atomically(folder.evaluation, json.dumps(figures, indent=2) + "\n")
        console.print(f"added to {folder.evaluation}")


if __name__ == "__main__":
    main()
