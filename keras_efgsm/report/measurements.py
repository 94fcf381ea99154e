"""Measurements of a report: accuracy by epsilon and by iterations, examples, confusion."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.ball import BALLS, Ball
from keras_efgsm.backend import compiled_once
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import EvaluatedModel
from keras_efgsm.evaluation.open_pgd import open_pgd, pgd_options
from keras_efgsm.networks.own_models import read_keras_file
from keras_efgsm.pictures.png import png_text, signed_colours
from keras_efgsm.report.films import film_radii, measure_films, picture

LOSSES = ("ce", "cw")
EPSILON_STEPS = 40
ITERATIONS = (1, 2, 5, 10, 20, 50, 100)
SHOWN_STEPS = 100
RECONSTRUCTOR_FILE = "reconstructor.keras"

_EPSILON_FACTORS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
_MOST_EXAMPLES = 8
_TIMED = 5
_BATCH = 200


class Shown(NamedTuple):
    """The images under the attack of the examples and the confusion matrix.

    Attributes:
        x: clean images `(n, H, W, C)`.
        x_adv: the same attacked; clean where they were misclassified already.
        labels: true classes `(n,)`.
        clean: probabilities `(n, K)` of the clean images.
        attacked: probabilities `(n, K)` of `x_adv`.
        milliseconds: for each image, classified clean in batches.
    """

    x: np.ndarray
    x_adv: np.ndarray
    labels: np.ndarray
    clean: np.ndarray
    attacked: np.ndarray
    milliseconds: float


def radii(epsilon: float, whole: float = 1.0) -> list[float]:
    """Radii to attack at: parts and multiples of epsilon, and one at which any image is reached.

    Args:
        epsilon: that of the evaluation.
        whole: the radius that reaches any image. Defaults to that of L-infinity.
    """
    inner = {round(factor * epsilon, 6) for factor in _EPSILON_FACTORS}
    return sorted({r for r in inner if r < whole} | {epsilon, whole})


def measure_model(
    model: EvaluatedModel,
    data: ImageData,
    epsilon: float,
    *,
    seed: int = 0,
    norm: str = "linf",
    reconstructor: keras.Model | None = None,
    on_attack: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Attacks a few images in all the ways that the report shows.

    PGD on the cross-entropy and on the margin, one random start each, step
    2.5 epsilon / iterations. Every point of a curve is measured by itself.

    Args:
        model: the classifier.
        data: the images.
        epsilon: radius of the evaluation in pixels of [0, 1].
        seed: of the attacks' noise. Defaults to 0.
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.
        reconstructor: maps probabilities `(B, K)` to images. Defaults to none.
        on_attack: called after each of `num_attacks` attacks. Defaults to nothing.

    Returns:
        A dict for JSON: `natural_accuracy`, `epsilon_curve`, `steps_curve`, `confusion`,
        `examples`, `films`, `milliseconds_per_image`.
    """
    # One graph of each for all radii and numbers of steps.
    attacks = {
        loss: compiled_once(open_pgd(model.logits_fn, loss, seed, norm), model.variables)
        for loss in LOSSES
    }
    predict = compiled_once(lambda x: ops.softmax(model.logits_fn(x)), model.variables)
    ball = BALLS[norm]
    shown = _attack_shown(attacks["cw"], predict, data, epsilon)
    on_attack()
    was_right = shown.clean.argmax(axis=1) == shown.labels
    natural = float(was_right.mean())

    def accuracies(radius: float, steps: int) -> dict[str, float]:
        found = {}
        for loss, attack in attacks.items():
            options = pgd_options(radius, steps)
            held = [np.asarray(attack(*batch, *options)[1]) for _, batch in _batches(data)]
            found[f"pgd-{loss}"] = float((np.concatenate(held) & was_right).mean())
            on_attack()
        return found

    clean_point = {"epsilon": 0.0} | {f"pgd-{loss}": natural for loss in LOSSES}
    points = radii(epsilon, ball.diameter(data.image_shape))
    by_radius = [{"epsilon": r} | accuracies(r, EPSILON_STEPS) for r in points]
    films = measure_films(
        attacks["cw"],
        predict,
        shown.x,
        shown.labels,
        shown.clean,
        film_radii(epsilon, ball.diameter(data.image_shape)),
        on_attack=on_attack,
    )
    return {
        "num_images": len(data),
        "natural_accuracy": natural,
        "epsilon_curve": [clean_point, *by_radius],
        "steps_curve": [{"steps": steps} | accuracies(epsilon, steps) for steps in ITERATIONS],
        "confusion": _confusion(shown),
        "examples": _examples(shown, epsilon, ball, reconstructor),
        "films": films,
        "milliseconds_per_image": shown.milliseconds,
    }


def num_attacks(epsilon: float, whole: float = 1.0) -> int:
    """How many attacks `measure_model` makes, see `radii`."""
    films = len(film_radii(epsilon, whole))
    return 1 + films + len(LOSSES) * (len(radii(epsilon, whole)) + len(ITERATIONS))


def _attack_shown(
    attack: Callable[..., Any], predict: Callable[..., Any], data: ImageData, epsilon: float
) -> Shown:
    x, labels = data.pixels(), data.labels
    x_adv, clean, attacked = x.copy(), [], []
    for part, batch in _batches(data):
        clean.append(np.asarray(predict(batch[0])))
        # As in an evaluation, what is misclassified clean is lost without an attack.
        was_right = clean[-1].argmax(axis=1) == labels[part]
        made = np.asarray(attack(*batch, *pgd_options(epsilon, SHOWN_STEPS))[0])
        x_adv[part] = np.where(was_right[:, None, None, None], made, x[part])
        attacked.append(np.asarray(predict(ops.convert_to_tensor(x_adv[part]))))
    milliseconds = _milliseconds(predict, x[:_BATCH])
    return Shown(x, x_adv, labels, np.concatenate(clean), np.concatenate(attacked), milliseconds)


def _batches(data: ImageData) -> Iterator[tuple[slice, tuple[Any, ...]]]:
    """Which images, and they, their labels and ids as tensors."""
    for start in range(0, len(data), _BATCH):
        part = slice(start, min(start + _BATCH, len(data)))
        images = ops.convert_to_tensor(data.pixels(part))
        ids = ops.arange(part.start, part.stop, dtype="int32")
        yield part, (images, ops.convert_to_tensor(data.labels[part]), ids)


def _milliseconds(predict: Callable[..., Any], x: np.ndarray) -> float:
    """Of an image in a batch; the quickest of a few, as other work on a machine only slows it."""
    images, times = ops.convert_to_tensor(x), []
    for _ in range(_TIMED):
        begun = time.perf_counter()
        np.asarray(predict(images))
        times.append(time.perf_counter() - begun)
    return 1000 * min(times) / len(x)


def _confusion(shown: Shown) -> list[list[int]]:
    """Counts by true class (rows) and predicted class (columns)."""
    num_classes = shown.attacked.shape[1]
    counts = np.zeros((num_classes, num_classes), int)
    np.add.at(counts, (shown.labels, shown.attacked.argmax(axis=1)), 1)
    return counts.tolist()


def _examples(
    shown: Shown, epsilon: float, ball: Ball, reconstructor: keras.Model | None
) -> list[dict[str, Any]]:
    if shown.x.shape[3] not in (1, 3):
        return []
    chosen = choose_examples(
        shown.clean.argmax(axis=1) == shown.labels, shown.attacked.argmax(axis=1) == shown.labels
    )
    rebuilt = None
    if reconstructor is not None:
        rebuilt = keras.ops.convert_to_numpy(reconstructor(shown.attacked[chosen], training=False))
    examples = []
    for position, index in enumerate(chosen):
        change = shown.x_adv[index] - shown.x[index]
        full = float(ball.full_strength(change, epsilon))
        examples.append(
            {
                "label": int(shown.labels[index]),
                "size": [int(side) for side in shown.x.shape[1:3]],
                "clean": picture(shown.x[index], shown.clean[index]),
                "adversarial": picture(shown.x_adv[index], shown.attacked[index]),
                "perturbation": {"png": png_text(signed_colours(change, full))},
                "largest_change": float(np.abs(change).max()),
                "reconstruction": None if rebuilt is None else {"png": png_text(rebuilt[position])},
            }
        )
    return examples


def choose_examples(was_right: np.ndarray, withstood: np.ndarray) -> np.ndarray:
    """The first images that were turned and the first that withstood, half of each if there are.

    Args:
        was_right: whether `(n,)` each clean image was classified correctly.
        withstood: the same under the attack.
    """
    turned = np.flatnonzero(was_right & ~withstood)
    held = np.flatnonzero(withstood)
    half = _MOST_EXAMPLES // 2
    count_turned = min(len(turned), max(half, _MOST_EXAMPLES - len(held)))
    return np.concatenate([turned[:count_turned], held[: _MOST_EXAMPLES - count_turned]])


def load_reconstructor(folder: Path, model: EvaluatedModel) -> keras.Model | None:
    """The re-constructor saved beside a run's classifier; None where there is none.

    Raises:
        ValueError: if it cannot be loaded or does not fit the classifier.
    """
    path = folder / RECONSTRUCTOR_FILE
    if not path.exists():
        return None
    received = f"Received: path={str(path)!r}"
    try:
        reconstructor = read_keras_file(path)
    except ValueError as error:
        raise ValueError(f"The re-constructor cannot be loaded ({error}). {received}") from error
    shapes = (tuple(reconstructor.input_shape), tuple(reconstructor.output_shape))
    if shapes != ((None, model.num_classes), (None, *model.image_shape)):
        raise ValueError(
            f"The re-constructor must map {model.num_classes} probabilities to images of shape "
            f"{model.image_shape}. {received}, shapes={shapes}"
        )
    return reconstructor
