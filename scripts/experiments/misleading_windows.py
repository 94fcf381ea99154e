"""Counts the windows whose gradient points the wrong way, where Square finds what gradients do not.

    python scripts/experiments/misleading_windows.py MODEL [MODEL ...] [--dataset mnist] \
        [--epsilon 0.3] [--num-images 300] [--looked-at 40] [--sides 1,2,4] [--json FILE]

Of each model, a name of `keras-efgsm`'s robust models or a path, the first test images are attacked
by APGD-CE and targeted APGD; Square then attacks what withstood both. Where it turns an image, is
there something at its pixels that the gradients did not tell? From the worst image that APGD found
each square window is taken to either end of the ball. One is *misleading* if that lowers the
margin by more than `--least` logits although the gradient there says that it rises, or nothing.
The last column follows the worst of them, again and again up to `--rounds` times.
"""

import sys
from pathlib import Path

# As if run from `scripts/`, whose folders are packages.
sys.path.insert(0, str(Path(__file__).parents[1]))

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm import load_robust, robust_models
from keras_efgsm.atomic_file import write_atomically
from keras_efgsm.backend import input_gradient
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.equations import margin
from keras_efgsm.evaluation import load_classifier
from keras_efgsm.evaluation.attack_sets import make_attacks
from keras_efgsm.records.environment import hardware, versions
from reporting.windows_table import windows_table


@dataclass(frozen=True)
class Looked:
    """What one image's windows told: how many mislead, and whether to follow them turns it."""

    misleading: int
    turned: bool


def _margins(classifier: Any, images: np.ndarray, label: int) -> np.ndarray:
    labels = ops.full((len(images),), label, dtype="int32")
    return ops.convert_to_numpy(margin(classifier(ops.convert_to_tensor(images)), labels))


def moved_windows(found: np.ndarray, ends: Sequence[np.ndarray], side: int) -> np.ndarray:
    """The image with each window of `side` pixels taken to each of the ends, `(M, H, W, C)`."""
    rows, columns = (size - side + 1 for size in found.shape[:2])
    moved = np.repeat(found[None], len(ends) * rows * columns, axis=0)
    places = [(end, i, j) for end in ends for i in range(rows) for j in range(columns)]
    for image, (end, i, j) in zip(moved, places, strict=True):
        image[i : i + side, j : j + side] = end[i : i + side, j : j + side]
    return moved


def look(
    classifier: Any,
    clean: np.ndarray,
    found: np.ndarray,
    label: int,
    options: argparse.Namespace,
) -> Looked:
    """Takes each window of an image that an attack found to either end of its ball.

    Args:
        classifier: images `(B, H, W, C)` to logits `(B, K)`.
        clean: the image `(H, W, C)`, pixels in [0, 1].
        found: the attack's image in the ball around it.
        label: true class.
        options: `epsilon`, `sides`, `least` and `rounds` of the command.
    """

    def value(x: Any) -> tuple[Any, tuple]:
        return margin(classifier(x), ops.full((1,), label, dtype="int32")), ()

    radius = options.epsilon
    ends = (np.maximum(clean - radius, 0.0), np.minimum(clean + radius, 1.0))
    first = None
    for _ in range(options.rounds):
        slope = input_gradient(value, ops.convert_to_tensor(found[None]))[2]
        before = _margins(classifier, found[None], label)[0]
        moved = np.concatenate([moved_windows(found, ends, side) for side in options.sides])
        change = _margins(classifier, moved, label) - before
        said = np.sum((moved - found) * ops.convert_to_numpy(slope), axis=(1, 2, 3))
        misleading = (change < -options.least) & (said >= 0.0)
        first = int(misleading.sum()) if first is None else first
        if not misleading.any():
            break
        found = moved[np.argmin(np.where(misleading, change, np.inf))]
        if _margins(classifier, found[None], label)[0] < 0.0:
            return Looked(first, True)
    return Looked(first or 0, False)


def study(name: str, data: ImageData, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for the images that Square alone turns, and one for those that withstand it too."""
    classifier = load_robust(name) if name in robust_models() else load_classifier(name).logits_fn
    x, y = data.pixels(), np.asarray(data.labels)
    correct = np.asarray(ops.argmax(classifier(ops.convert_to_tensor(x)), axis=-1)) == y
    x, y = x[correct], y[correct]
    worst, lowest = x, np.full(len(x), np.inf)
    for attack in make_attacks("adp", options.epsilon):
        images = ops.convert_to_numpy(attack(classifier, x, y))
        logits = classifier(ops.convert_to_tensor(images))
        margins = ops.convert_to_numpy(margin(logits, ops.convert_to_tensor(y)))
        better = margins < lowest
        worst = np.where(better[:, None, None, None], images, worst)
        lowest = np.minimum(lowest, margins)
    standing = lowest > 0.0
    x, y, worst = x[standing], y[standing], worst[standing]
    (square,) = make_attacks("square", options.epsilon, queries=options.queries)
    logits = classifier(ops.convert_to_tensor(square(classifier, x, y)))
    by_square = np.asarray(ops.argmax(logits, axis=-1)) != y
    rows = []
    for group, members in (("Square alone turns", by_square), ("withstand all", ~by_square)):
        chosen = np.flatnonzero(members)[: options.looked_at]
        looked = [look(classifier, x[i], worst[i], int(y[i]), options) for i in chosen]
        rows.append(
            {
                "model": name,
                "group": group,
                "images": int(members.sum()),
                "looked_at": len(chosen),
                "misleading_windows": [one.misleading for one in looked],
                "turned_by_following": sum(one.turned for one in looked),
            }
        )
    return rows


def read_options() -> argparse.Namespace:
    """Reads and checks the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--epsilon", type=float, default=0.3)
    parser.add_argument("--num-images", type=int, default=300)
    parser.add_argument("--looked-at", type=int, default=40, help="images of each group")
    parser.add_argument("--queries", type=int, default=5000, help="of Square")
    parser.add_argument("--least", type=float, default=0.02, help="logits")
    parser.add_argument(
        "--sides", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 4]
    )
    parser.add_argument("--rounds", type=int, default=20, help="of following them")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    check_count(options.num_images, "num_images")
    check_count(options.looked_at, "looked_at")
    check_count(options.rounds, "rounds")
    check_number(options.epsilon, "epsilon", minimum=0.0, strict=True)
    check_number(options.least, "least", minimum=0.0)
    return options


def run(options: argparse.Namespace) -> None:
    """Studies each model, prints the table and writes the figures."""
    keras.utils.set_random_seed(0)
    data = load_data(options.dataset, "test").take(options.num_images)
    rows = [row for name in options.models for row in study(name, data, options)]
    print(windows_table(rows).markdown())
    if options.json:
        record = {
            "command": "python scripts/experiments/misleading_windows.py " + " ".join(sys.argv[1:]),
            "dataset": data.name,
            "rows": rows,
            "versions": versions(),
            "hardware": hardware(),
        }
        write_atomically(options.json, json.dumps(record, indent=2) + "\n")


def main() -> int:
    """Reads the options; bad input is told of in one line."""
    try:
        run(read_options())
    except (ValueError, OSError) as error:
        print(f"misleading_windows: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
