"""Makes the picture of an image and its attacked twin, for an ordinary and a robust model.

    python scripts/reporting/attacked_twin.py [--epsilon 0.1] [--num-images 500] [--out FOLDER]

The ordinary model is the robust one's network, trained on the clean images of MNIST by the command,
which takes a minute or two on two cores; its weights are not kept. Each is attacked by its own
gradients, in the same way, PGD on the margin. The image shown is the first of the test set that
both classify correctly and whose twin the ordinary model takes for another class. Writes
`attacked_twin.json`, with all figures and the images, and from it `attacked_twin.png` and
`attacked_twin-dark.png`, which `redraw.py` draws again without training.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.attacks import PGD
from keras_efgsm.checks import check_count, check_epsilon
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness, load_classifier
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.networks import CLASSIFIERS
from keras_efgsm.pictures.png import png_text, signed_colours
from keras_efgsm.records.environment import hardware, versions
from reporting.twin_picture import draw_twin

_NETWORK = "mnist"
_BATCH = 250


def train_ordinary(train: ImageData, epochs: int, seed: int) -> keras.Model:
    """Ordinary training, on clean images alone.

    Args:
        train: the images.
        epochs: how often all are seen.
        seed: of weights and order.
    """
    keras.utils.set_random_seed(seed)
    model = CLASSIFIERS[_NETWORK](train.image_shape, train.num_classes)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(train.pixels(), train.labels, batch_size=128, epochs=epochs, verbose=2)
    return model


def attacked(model: EvaluatedModel, attack: PGD, test: ImageData, seed: int) -> dict[str, Any]:
    """Probabilities of the clean and the attacked images, and the latter.

    Args:
        model: whose gradients are followed.
        attack: the attack.
        test: the images.
        seed: of its start.
    """
    run = compile_native(attack, model.logits_fn, seed, model.variables)
    x, found = test.pixels(), {"clean": [], "attacked": [], "x_adv": []}
    for start in range(0, len(x), _BATCH):
        part = slice(start, start + _BATCH)
        images, labels = ops.convert_to_tensor(x[part]), ops.convert_to_tensor(test.labels[part])
        ids = ops.arange(start, start + len(images), dtype="int32")
        x_adv = run(images, labels, ids, ops.convert_to_tensor(0, "int32"))
        found["clean"].append(np.asarray(ops.softmax(model.logits_fn(images))))
        found["attacked"].append(np.asarray(ops.softmax(model.logits_fn(x_adv))))
        found["x_adv"].append(np.asarray(x_adv))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def shown_model(
    name: str, found: dict[str, Any], x: np.ndarray, index: int, epsilon: float, about: Any
) -> dict[str, Any]:
    """What the picture shows of a model.

    Args:
        name: what it is called.
        found: as `attacked` gives it.
        x: the clean image `(H, W, C)`.
        index: its place.
        epsilon: radius, shown at full strength.
        about: further figures of it.
    """
    x_adv = found["x_adv"][index]
    change = x_adv - x
    return {
        "name": name,
        **about,
        "clean": {"png": png_text(x), **_answer(found["clean"][index])},
        "twin": {"png": png_text(x_adv), **_answer(found["attacked"][index])},
        "change": {
            "png": png_text(signed_colours(change, epsilon)),
            "largest": float(np.abs(change).max()),
        },
    }


def _answer(probabilities: np.ndarray) -> dict[str, Any]:
    predicted = int(probabilities.argmax())
    return {"predicted": predicted, "probability": float(probabilities[predicted])}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trains, attacks, and returns what `attacked_twin.json` holds."""
    epsilon = check_epsilon(options.epsilon)
    count = check_count(options.num_images, "num_images")
    train, test = load_data("mnist", "train"), load_data("mnist", "test").take(count)
    robust = load_classifier(options.robust)
    ordinary = load_classifier(train_ordinary(train, options.epochs, options.seed))
    attack = PGD(epsilon=epsilon, steps=options.steps, loss="cw")
    models, found = {"Ordinary model": ordinary, "Robust model": robust}, {}
    about: dict[str, dict[str, Any]] = {
        "Ordinary model": {"training": f"{options.epochs} epochs on clean images, Adam"},
        "Robust model": {"model": options.robust},
    }
    for name, model in models.items():
        found[name] = attacked(model, attack, test, options.seed)
        report = evaluate_robustness(model, test, attack, seed=options.seed)
        about[name] |= {
            "natural_accuracy": report.natural_accuracy,
            "robust_accuracy": report.worst_case_accuracy,
        }
    classes = {
        (name, kind): found[name][kind].argmax(axis=1)
        for name in models
        for kind in ("clean", "attacked")
    }
    wanted = classes["Ordinary model", "attacked"] != test.labels
    for name in models:
        wanted &= classes[name, "clean"] == test.labels
    if not wanted.any():
        raise ValueError(
            "The attack must turn an image of the ordinary model; give a larger epsilon. "
            f"Received: epsilon={epsilon}, num_images={count}"
        )
    index = int(np.flatnonzero(wanted)[0])
    x = test.pixels(slice(index, index + 1))[0]
    return {
        "dataset": test.name,
        "index": index,
        "label": int(test.labels[index]),
        "num_images": count,
        "epsilon": epsilon,
        "attack": f"pgd-cw, {options.steps} steps, each model by its own gradients",
        "seed": options.seed,
        "models": [
            shown_model(name, found[name], x, index, epsilon, about[name]) for name in models
        ],
        "hardware": hardware(),
        "versions": versions(),
    }


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--robust", default="exported_models/mnist/3", help="an exported version")
    parser.add_argument("--epsilon", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=100, help="of the attack")
    parser.add_argument("--epochs", type=int, default=2, help="of the ordinary model")
    parser.add_argument("--num-images", type=int, default=500, help="that are attacked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    options = parser.parse_args()
    try:
        shown = measure(options)
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "attacked_twin.json", json.dumps(shown, indent=1) + "\n")
        draw_twin(shown, options.out / "attacked_twin.png")
        draw_twin(shown, options.out / "attacked_twin-dark.png", theme="dark")
    except (ValueError, OSError) as error:
        print(f"attacked_twin: {error}", file=sys.stderr)
        return 2
    for model in shown["models"]:
        said = {
            kind: (model[kind]["predicted"], model[kind]["probability"])
            for kind in ("clean", "twin")
        }
        print(f"{model['name']}: {model['robust_accuracy']:.1%} robust, {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
