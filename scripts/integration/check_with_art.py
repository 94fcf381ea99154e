"""Attacks a classifier with another library's APGD and Square beside ours, as a second opinion.

    python scripts/integration/check_with_art.py MODEL [--norm l2] [--num-images 500] [--json FILE]

Runs the Adversarial Robustness Toolbox's APGD-CE, APGD-DLR and Square on the first images of the
test split, then ours with the same budgets and targeted APGD, and prints for each the robust
accuracy and the seconds; at last the seconds of as many gradients alone, below which no attack by
gradients comes. MODEL is a run folder, or a `.keras` file or an exported version with
`--dataset` and `--epsilon`. `--norm l2` has all of them in the L2 ball, `--json` keeps what was
printed. `--add` puts the other library's figures into the run's `evaluation.json`, from which the
model card is written; the card's headline is then the lowest of all. Needs the `oracles` extra.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from keras_efgsm import ImageData, load_data
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.attacks import APGD, Square, TargetedAPGD
from keras_efgsm.attacks.ball import BALLS, change_of
from keras_efgsm.checks import NORMS
from keras_efgsm.evaluation import evaluate_robustness, load_classifier
from keras_efgsm.evaluation.art_estimator import art_estimator
from keras_efgsm.records import AttackRecord, EvaluationRecord
from keras_efgsm.records.environment import allowed_cores, hardware, versions
from keras_efgsm.records.wording import radius
from keras_efgsm.runs.folder import RunFolder


def make_attacks(estimator, epsilon: float, norm: str, iterations: int, queries: int) -> dict:
    """The three attacks by name, each with its budget."""
    from art.attacks.evasion import AutoProjectedGradientDescent, SquareAttack

    order = BALLS[norm].order
    shared = {"norm": order, "eps": epsilon, "batch_size": 250, "verbose": False}
    # The first step, which it halves: in L2 that of the paper, which serves it best there.
    step = epsilon * (2.0 if norm == "l2" else 1 / 3)
    gradient = shared | {"eps_step": step, "max_iter": iterations, "nb_random_init": 1}
    losses = {"apgd-ce": "cross_entropy", "apgd-dlr": "difference_logits_ratio"}
    attacks = {
        name: (AutoProjectedGradientDescent(estimator, loss_type=loss, **gradient), iterations)
        for name, loss in losses.items()
    }
    square = SquareAttack(estimator, max_iter=queries, nb_restarts=1, **shared)
    return attacks | {"square": (square, queries)}


def row_of(name: str, engine: str, steps: int, withstood: np.ndarray, seconds: float, **more):
    """A line of the table, as `evaluation.json` holds it."""
    return {
        "name": name,
        "engine": engine,
        "loss": None,
        "steps": steps,
        "step_size": None,
        "restarts": 1,
        "random_start": True,
        "num_images": len(withstood),
        "robust_accuracy": float(withstood.mean()),
        "seconds": round(seconds, 1),
        **more,
    }


def seconds_of_gradients(predict, pixels: np.ndarray, labels: np.ndarray, count: int) -> float:
    """What gradients of the cross-entropy take alone: no attack of as many steps takes less.

    Args:
        predict: images to logits.
        pixels: the images.
        labels: their classes.
        count: how many.
    """

    @tf.function(autograph=False)
    def gradients(x, y, times):
        def again(i, total):
            with tf.GradientTape() as tape:
                tape.watch(x)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, predict(x))
            return i + 1, total + tf.reduce_sum(tape.gradient(losses, x))

        return tf.while_loop(lambda i, _: i < times, again, (0, 0.0))

    x, y = tf.constant(pixels), tf.constant(labels)
    gradients(x, y, 1)
    begun = time.perf_counter()
    gradients(x, y, count)[1].numpy()
    return time.perf_counter() - begun


def figures_of(options, data: ImageData, natural: np.ndarray, rows: list[dict]) -> dict:
    """What was printed, and what it was made with."""
    return {
        "model": options.model,
        "dataset": data.name,
        "num_images": len(data),
        "natural_accuracy": float(natural.mean()),
        "attacks": rows,
        "versions": versions("adversarial-robustness-toolbox"),
        "hardware": hardware(),
        "cores": allowed_cores(),
    }


def main() -> None:
    """Runs the attacks and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--dataset", help="default: that of the run")
    parser.add_argument("--epsilon", type=float, help="default: that of the run")
    parser.add_argument("--norm", choices=NORMS, help="default: that of the run, else linf")
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--attacks", default="apgd-ce,apgd-dlr,square")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--add", action="store_true", help="to the run's evaluation.json")
    parser.add_argument("--json", help="where the figures go")
    options = parser.parse_args()
    folder = RunFolder(options.model)
    config = folder.read_config() if folder.config.exists() else None
    dataset = options.dataset or config.dataset
    own = config.norm if config else "linf"
    norm = options.norm or own
    if norm != own and not options.epsilon:
        parser.error("--epsilon must be given for another norm than that of the run")
    epsilon = options.epsilon or config.epsilon
    model = load_classifier(options.model)
    test = load_data(dataset, "test", config.data_dir if config else None).take(options.num_images)
    pixels, labels = test.pixels(), test.labels
    one_hot = keras.utils.to_categorical(labels, test.num_classes)
    predict = tf.function(model.logits_fn, autograph=False)

    def correct(images: np.ndarray) -> np.ndarray:
        return predict(tf.constant(images)).numpy().argmax(axis=1) == labels

    console = Console()
    natural = correct(pixels)
    robust, rows = natural.copy(), []
    more = {"epsilon": epsilon, "seed": options.seed}
    if norm != "linf":
        more["norm"] = norm
    np.random.seed(options.seed)  # that library draws from numpy's global generator
    attacks = make_attacks(art_estimator(model), epsilon, norm, options.iterations, options.queries)
    chosen = options.attacks.split(",")
    for name in chosen:
        attack, steps = attacks[name]
        begun = time.perf_counter()
        x_adv = attack.generate(pixels, one_hot)
        if change_of(x_adv, pixels, norm).max() > epsilon * (1 + 1e-5) + 1e-6:
            raise RuntimeError(f"{name} left the ball")
        withstood = natural & correct(x_adv)
        robust &= withstood
        rows.append(row_of(name, "art", steps, withstood, time.perf_counter() - begun, **more))
        console.print(f"{name}: {withstood.mean():.2%}, {rows[-1]['seconds']:.0f} s")
    # Image by image over all, which no single one of them reaches.
    together = row_of(" and ".join(chosen), "art", None, robust, 0.0, **more)
    together["seconds"] = sum(row["seconds"] for row in rows)
    rows.append(together)
    ball = {"epsilon": epsilon, "norm": norm}
    ours = {
        "apgd-ce": APGD(steps=options.iterations, **ball),
        "apgd-dlr": APGD(steps=options.iterations, loss="dlr", **ball),
        "apgd-t": TargetedAPGD(steps=options.iterations, **ball),
        "square": Square(queries=options.queries, **ball),
    }
    own_rows = []
    for name, attack in ours.items():
        if name not in chosen and name != "apgd-t":
            continue
        report = evaluate_robustness(model, test, attack, seed=options.seed)
        steps = options.queries if name == "square" else options.iterations
        seconds = report.attacks[0].seconds
        own_rows.append(row_of(name, "ours", steps, report.robust, seconds, **more))
    table = Table(title=f"{test.name}, epsilon {radius(epsilon, norm)}, {len(test)} images")
    for heading in ("attack", "by", "iterations or queries", "robust accuracy", "seconds"):
        table.add_column(heading)
    table.add_row("none", "", "", f"{natural.mean():.2%}", "")
    for row in rows + own_rows:
        count = str(row["steps"] or "") + (" x 9 targets" if row["name"] == "apgd-t" else "")
        figures = (f"{row['robust_accuracy']:.2%}", f"{row['seconds']:.1f}")
        table.add_row(row["name"], row["engine"], count, *figures)
    console.print(table)
    alone = seconds_of_gradients(model.logits_fn, pixels, labels, options.iterations)
    console.print(f"{options.iterations} gradients of all images, and nothing else: {alone:.1f} s")
    theirs = {row["name"]: row["seconds"] for row in rows}
    for row in own_rows:
        other = theirs.get("apgd-dlr" if row["name"] == "apgd-t" else row["name"])
        if other and row["seconds"]:
            console.print(f"{row['name']}: {row['seconds'] / other:.3f} of the time of theirs")
    if options.json:
        figures = figures_of(options, test, natural, rows + own_rows)
        figures["gradient_seconds"] = round(alone, 1)
        write_atomically(Path(options.json), json.dumps(figures, indent=2) + "\n")
        console.print(f"figures: {options.json}")
    if options.add:
        file = folder.evaluation if norm == own else RunFolder.of_norm(folder.evaluation, norm)
        figures = EvaluationRecord.read(file)
        kept = [attack for attack in figures.attacks if attack.engine != "art"]
        added = [AttackRecord.from_dict(row) for row in rows]
        dataclasses.replace(figures, attacks=(*kept, *added)).write(file)
        console.print(f"added to {file}")


if __name__ == "__main__":
    main()
