"""Robust accuracy: the share of images that stay correctly classified whatever attack is tried.

An engine makes adversarial images; the verdict over them is given here, the same for every
engine: whether they lie in the ball, and how the model classifies them.
"""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_choice, check_count, check_images, check_labels
from keras_efgsm.data import ImageData
from keras_efgsm.environment import hardware, versions
from keras_efgsm.evaluation.cleverhans_engine import compile_cleverhans
from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier
from keras_efgsm.evaluation.native_engine import BatchAttack, compile_native, compile_once
from keras_efgsm.evaluation.report import AttackResult, RobustnessReport

ENGINES = {"native": compile_native, "cleverhans": compile_cleverhans}
"""Engines by name: each compiles an attack into a function of a batch, see `compile_native`."""

# Room for the rounding of x - epsilon and x + epsilon in float32.
_BALL_TOLERANCE = 1e-6


class _ImageSet(NamedTuple):
    pixels: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray
    name: str


def evaluate_robustness(
    model: EvaluatedModel | keras.Model | str | os.PathLike,
    data: ImageData | tuple[Any, Any],
    attacks: Attack | Sequence[Attack],
    *,
    engine: str = "native",
    batch_size: int = 500,
    seed: int = 0,
    num_images: int | None = None,
    restarts: int = 1,
    dataset: str | None = None,
    split: str = "test",
    progress: bool = True,
) -> RobustnessReport:
    """Attacks a classifier and reports which images withstood.

    An image counts as robust against an attack if it is classified correctly clean and after the
    last step of every restart; images that are misclassified clean are not attacked, and those
    that an attack turned are not attacked by its next restart. Each attack sees all correctly
    classified images; the worst case is taken image by image over all of them.

    Args:
        model: a classifier or where one lies, see `load_classifier`.
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`.
        attacks: an attack or several of the same epsilon.
        engine: whose implementation runs: `"native"`, or `"cleverhans"` (for `PGD`). Defaults to
            `"native"`.
        batch_size: images in a batch; does not change the native engine's noise. Defaults to
            `500`.
        seed: seed of the attacks' noise, >= 0. Defaults to `0`.
        num_images: evaluates the first so many images. Defaults to all.
        restarts: how often an attack with a random start is run; others run once. Defaults to
            `1`.
        dataset: name for the report. Defaults to that of the `ImageData`, `"custom"` for arrays.
        split: which part of the data set this is, for the report. Defaults to `"test"`.
        progress: whether to show a progress bar; there is none outside a terminal. Defaults to
            `True`.

    Raises:
        ImportError: if the engine's package is not installed.
        ValueError: if the model, the data or an option is not as above.
        RuntimeError: if an attack leaves the ball or [0, 1]: its figure would mean nothing.

    Example:

    ```python
    report = evaluate_robustness(
        "runs/mnist",
        (x_test, y_test),
        [PGD(epsilon=0.3, loss="ce"), PGD(epsilon=0.3, loss="cw")],
        restarts=5,
    )
    report.write_json("robustness.json")
    rich.print(report.table())
    ```
    """
    began = time.perf_counter()
    attacks = _check_attacks(attacks)
    check_choice(engine, "engine", tuple(ENGINES))
    check_count(batch_size, "batch_size")
    check_count(seed, "seed", minimum=0)
    check_count(restarts, "restarts")
    model = load_classifier(model)
    images = _check_data(data, model, num_images)
    # Before the first attack takes minutes, so that the last one's options are checked too.
    compiled = [ENGINES[engine](attack, model.logits_fn, seed) for attack in attacks]

    predict = compile_once(tf.function(model.logits_fn, autograph=False))
    correct = _classify_clean(predict, images, batch_size)
    if not correct.any():
        warnings.warn(
            "No clean image is classified correctly, so there is nothing to attack and every "
            "robust accuracy is 0. Do the labels, and the pixels' range, fit the classifier?",
            stacklevel=2,
        )
    results = []
    with _progress_bar(progress) as bar:
        for attack, run in zip(attacks, compiled, strict=True):
            started = time.perf_counter()
            has_random_start = _has_random_start(attack)
            runs = restarts if has_random_start else 1
            robust = _withstand(run, attack, predict, images, correct, batch_size, runs, bar)
            results.append(
                AttackResult(
                    name=_name(attack),
                    engine=engine,
                    loss=_chosen_loss(attack),
                    epsilon=attack.epsilon,
                    steps=getattr(attack, "steps", 1),
                    step_size=getattr(attack, "step_size", None),
                    restarts=runs,
                    random_start=has_random_start,
                    seed=seed,
                    robust=robust,
                    seconds=time.perf_counter() - started,
                )
            )
    return RobustnessReport(
        model=model.description,
        dataset=dataset or images.name,
        split=split,
        correct=correct,
        attacks=tuple(results),
        versions=versions(*(("cleverhans",) if engine == "cleverhans" else ())),
        hardware=hardware(),
        seconds=time.perf_counter() - began,
    )


def _check_attacks(attacks: Attack | Sequence[Attack]) -> list[Attack]:
    attacks = [attacks] if isinstance(attacks, Attack) else list(attacks)
    if not attacks or not all(isinstance(attack, Attack) for attack in attacks):
        raise ValueError(
            "`attacks` must be one or more attacks such as `PGD(epsilon=0.3)`. "
            f"Received: attacks={attacks!r}"
        )
    epsilons = sorted({attack.epsilon for attack in attacks})
    if len(epsilons) > 1:
        raise ValueError(
            "`attacks` must share one epsilon: a worst case over several radii is that of the "
            f"largest. Evaluate each radius by itself. Received: epsilons={epsilons}"
        )
    return attacks


def _check_data(
    data: ImageData | tuple[Any, Any], model: EvaluatedModel, num_images: int | None
) -> _ImageSet:
    is_image_data = isinstance(data, ImageData)
    if not is_image_data and not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise ValueError(
            "`data` must be an `ImageData` or a pair (x, y) of images and labels. "
            f"Received: data={type(data).__name__}"
        )
    x, y = (data.images, data.labels) if is_image_data else map(np.asarray, data)
    if tuple(x.shape[1:]) != model.image_shape:
        raise ValueError(
            f"The classifier takes images of shape {model.image_shape}. "
            f"Received: images.shape={x.shape}"
        )
    if num_images is not None and check_count(num_images, "num_images") > len(x):
        raise ValueError(
            f"`num_images` must be at most {len(x)}, the size of the data. "
            f"Received: num_images={num_images}"
        )
    if not is_image_data:
        check_images(x)
    check_labels(y, model.num_classes, len(x))
    x, y = x[:num_images], y[:num_images]
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    return _ImageSet(
        pixels=data.pixels if is_image_data else lambda chosen: x[chosen].astype("float32"),
        labels=labels.astype("int32"),
        name=data.name if is_image_data else "custom",
    )


def _batches(indices: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of one size: the indices, and the same with the last one repeated to fill up.

    A shorter last batch would be a second trace of the attack.
    """
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        yield chosen, np.pad(chosen, (0, size - len(chosen)), mode="edge")


def _classify_clean(predict: Callable, images: _ImageSet, batch_size: int) -> np.ndarray:
    count = len(images.labels)
    correct = np.zeros(count, bool)
    for chosen, padded in _batches(np.arange(count), min(batch_size, count)):
        logits = predict(tf.constant(images.pixels(padded))).numpy()[: len(chosen)]
        if not np.isfinite(logits).all():
            raise ValueError(
                "The classifier must return finite logits; are its weights NaN? "
                f"Received: logits of a clean image={logits[~np.isfinite(logits).all(axis=1)][0]}"
            )
        correct[chosen] = logits.argmax(axis=1) == images.labels[chosen]
    return correct


def _withstand(
    run: BatchAttack,
    attack: Attack,
    predict: Callable,
    images: _ImageSet,
    correct: np.ndarray,
    batch_size: int,
    restarts: int,
    bar: Progress,
) -> np.ndarray:
    """Which images are still classified correctly after every restart of one attack."""
    robust = correct.copy()
    size = min(batch_size, max(1, int(correct.sum())))
    title = f"{_name(attack)} 1/{restarts}"
    task = bar.add_task(title, total=int(correct.sum()), robust=correct.mean())
    for restart in range(restarts):
        for chosen, padded in _batches(np.flatnonzero(robust), size):
            x, labels = images.pixels(padded), tf.constant(images.labels[padded])
            ids = tf.constant(padded.astype("int32"))
            x_adv = run(tf.constant(x), labels, ids, tf.constant(restart))
            _check_in_ball(x_adv.numpy(), x, attack)
            logits = predict(x_adv).numpy()[: len(chosen)]
            # An image that drives the logits to NaN is not classified correctly.
            held = np.isfinite(logits).all(axis=1)
            held &= logits.argmax(axis=1) == images.labels[chosen]
            robust[chosen] = held
            # Before the first run is through, the images behind this batch are not known yet.
            known = len(robust) if restart else chosen[-1] + 1
            bar.update(task, advance=len(chosen), robust=robust[:known].mean())
        if restart + 1 < restarts:
            # The next run attacks the survivors only.
            total = bar.tasks[task].completed + int(robust.sum())
            bar.update(task, total=total, description=f"{_name(attack)} {restart + 2}/{restarts}")
    bar.update(task, robust=robust.mean())
    return robust


def _check_in_ball(x_adv: np.ndarray, x: np.ndarray, attack: Attack) -> None:
    distance = float(np.abs(x_adv - x).max())
    low, high = float(x_adv.min()), float(x_adv.max())
    # Written so that NaN fails.
    if not (
        distance <= attack.epsilon + _BALL_TOLERANCE
        and low >= -_BALL_TOLERANCE
        and high <= 1.0 + _BALL_TOLERANCE
    ):
        raise RuntimeError(
            f"{_name(attack)} must stay within epsilon={attack.epsilon:g} and [0, 1]; a robust "
            f"accuracy under it would mean nothing. Received: largest change={distance:g}, "
            f"pixels from {low:g} to {high:g}"
        )


def _chosen_loss(attack: Attack) -> str | None:
    """The loss if it is an option of this attack; every attack has one it is described by."""
    return attack.get_config().get("loss")


def _name(attack: Attack) -> str:
    loss = _chosen_loss(attack)
    return f"{attack.name}-{loss}" if loss else attack.name


def _has_random_start(attack: Attack) -> bool:
    # eFGSM has no such option; its start is random unless its spread is zero.
    return bool(getattr(attack, "random_start", getattr(attack, "sigma", 0.0) > 0.0))


def _progress_bar(wanted: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("robust so far {task.fields[robust]:.2%}"),
        TimeRemainingColumn(),
        console=console,
        disable=not (wanted and console.is_terminal),
    )
