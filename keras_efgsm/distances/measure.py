"""The distance to the decision boundary, measured image by image."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from rich.progress import Progress

from keras_efgsm.attacks.losses import still_correct
from keras_efgsm.backend import compiled_once
from keras_efgsm.checks import check_choice, check_count, check_seed
from keras_efgsm.data import ImageData
from keras_efgsm.distances.art_attacks import compile_art
from keras_efgsm.distances.minimum_attack import Finder, MinimumAttack
from keras_efgsm.distances.norms import NORMS, norm_of
from keras_efgsm.distances.report import DistanceResult, DistancesReport
from keras_efgsm.evaluation.expectation import doubts_of, with_eot
from keras_efgsm.evaluation.image_set import ImageSet, batches, check_data, even_batch_size
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.verdict import classify_clean
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.typing import Tensor


def compile_native(attack: MinimumAttack, model: EvaluatedModel, seed: int = 0) -> Finder:
    """The library's own attack on a classifier.

    Args:
        attack: the attack.
        model: the classifier.
        seed: not used: these attacks draw no random numbers. Defaults to `0`.

    Raises:
        ValueError: if the attack is run by another library alone.
    """
    return attack.compile(model.logits_fn, model.variables)


ENGINES: dict[str, Callable[[MinimumAttack, EvaluatedModel, int], Finder]] = {
    "native": compile_native,
    "art": compile_art,
}
"""Engines by name: each makes a function of images and labels of an attack and a classifier."""


def measure_distances(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: ImageData | tuple[Any, Any],
    attacks: MinimumAttack | Sequence[MinimumAttack],
    *,
    engine: str = "native",
    batch_size: int = 250,
    num_images: int | None = None,
    eot: int = 1,
    seed: int = 0,
    dataset: str | None = None,
    split: str = "test",
    progress: bool = True,
) -> DistancesReport:
    """Measures how far images are from the nearest image of another class that attacks find.

    Images that are misclassified clean have the distance 0 and are not attacked. What an attack
    returns counts only if it lies in [0, 1] and the classifier gives it another class, when asked
    once more.

    Args:
        model: a classifier or where one lies, see `load_classifier`; one with gradients, but for
            `Pixel`.
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`.
        attacks: an attack or several of one norm; `make_distance_attacks` makes them from names.
        engine: whose implementation runs: `"native"`, or `"art"`, the Adversarial Robustness
            Toolbox. Defaults to `"native"`.
        batch_size: most images in a batch. Defaults to `250`.
        num_images: measures so many images, see `evaluate_robustness`. Defaults to all.
        eot: over how many draws of a randomised classifier each pass averages the logits, see
            `with_eot`. Defaults to `1`.
        seed: of the draw of images, and of attacks that draw random numbers. Defaults to `0`.
        dataset: name for the report. Defaults to that of the `ImageData`, `"custom"` for arrays.
        split: which part of the data set this is, for the report. Defaults to `"test"`.
        progress: whether to show a progress bar; there is none outside a terminal. Defaults to
            `True`.

    Raises:
        ImportError: if the engine's package is not installed.
        ValueError: if the model, the data or an option is not as above, if no clean image is
            classified correctly, or if the engine does not run an attack.
        RuntimeError: if an attack leaves [0, 1].

    Example:

    ```python
    import rich

    report = measure_distances("runs/mnist", (x_test, y_test), DeepFool(norm="l2"), num_images=8)
    report.write_json("distances.json")
    rich.print(report.table())
    ```
    """
    began = time.perf_counter()
    attacks = _check_attacks(attacks, check_choice(engine, "engine", tuple(ENGINES)))
    check_count(batch_size, "batch_size")
    check_seed(seed)
    model = with_eot(model, eot)
    needing = [attack.kind for attack in attacks if attack.needs_gradient]
    if needing and not model.differentiable:
        raise ValueError(
            f"{model.description} has no gradients, which {', '.join(needing)} needs; measure the "
            "Keras model or SavedModel that it was converted from. "
            f"Received: attacks={', '.join(attack.kind for attack in attacks)}"
        )
    images = check_data(data, model, num_images, seed)
    # Before the first one takes minutes.
    compiled = [ENGINES[engine](attack, model, seed) for attack in attacks]
    judge = _compile_judge(model, attacks[0].norm)
    correct = images.holds(classify_clean(judge, images, batch_size))
    results = []
    with progress_bar(progress) as bar:
        for attack, run in zip(attacks, compiled, strict=True):
            start = time.perf_counter()
            distances, predicted = _look(run, attack, judge, images, correct, batch_size, bar)
            results.append(
                DistanceResult(
                    name=attack.kind,
                    engine=engine,
                    options=attack.get_config(),
                    budget=attack.budget,
                    distances=distances,
                    predicted=predicted,
                    attacked=correct,
                    seconds=time.perf_counter() - start,
                )
            )
    return DistancesReport(
        model=model.description,
        dataset=dataset or images.name,
        split=split,
        norm=attacks[0].norm,
        correct=correct,
        attacks=tuple(results),
        versions=versions(*(("adversarial-robustness-toolbox",) if engine == "art" else ())),
        hardware=hardware(),
        seconds=time.perf_counter() - began,
        selection=images.selection,
        images=images.contents(),
        missing=images.missing,
        eot=model.draws if model.draws > 1 else None,
        doubts=doubts_of(model),
    )


def _check_attacks(
    attacks: MinimumAttack | Sequence[MinimumAttack], engine: str
) -> list[MinimumAttack]:
    attacks = [attacks] if isinstance(attacks, MinimumAttack) else list(attacks)
    if not attacks or not all(isinstance(attack, MinimumAttack) for attack in attacks):
        raise ValueError(
            '`attacks` must be one or more attacks such as `DeepFool(norm="l2")`. '
            f"Received: attacks={attacks!r}"
        )
    norms = sorted({attack.norm for attack in attacks}, key=NORMS.index)
    if len(norms) > 1:
        raise ValueError(f"`attacks` must share one norm. Received: norms={norms}")
    for attack in attacks:
        if engine not in attack.engines:
            raise ValueError(
                f"`{attack.kind}` is not run by this engine, but by {', '.join(attack.engines)}. "
                f"Received: engine={engine!r}"
            )
    return attacks


def _compile_judge(model: EvaluatedModel, norm: str) -> Callable[..., Any]:
    """Compiles what says of images their logits, whether they lie in [0, 1], and their distance."""

    def judge(x_adv: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = model.logits_fn(x_adv)
        is_inside = ops.all((x_adv >= 0.0) & (x_adv <= 1.0))
        return logits, is_inside, norm_of(x_adv - x, norm)

    return compiled_once(judge, model.variables)


def _look(
    run: Finder,
    attack: MinimumAttack,
    judge: Callable[..., Any],
    images: ImageSet,
    correct: np.ndarray,
    batch_size: int,
    bar: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Distances and predicted classes `(n,)` of what one attack finds."""
    chosen = np.flatnonzero(correct)
    distances = np.where(correct, np.inf, 0.0)
    predicted = np.full(len(correct), -1)
    task = bar.add_task(attack.kind, total=len(chosen), unit="images")
    size = even_batch_size(len(chosen), batch_size)
    for some, padded in batches(chosen, size):
        x = ops.convert_to_tensor(images.pixels(padded))
        labels = ops.convert_to_tensor(images.labels[padded])
        x_adv = run(x, labels)
        logits, is_inside, reached = judge(x_adv, x)
        if not is_inside:
            pixels = np.asarray(x_adv)
            raise RuntimeError(
                f"{attack.kind} must stay within [0, 1]; a distance would mean nothing. "
                f"Received: pixels from {pixels.min():g} to {pixels.max():g}"
            )
        # An image that drives the logits to NaN is not classified correctly.
        held = np.asarray(still_correct(logits, labels))[: len(some)]
        distances[some] = np.where(held, np.inf, np.asarray(reached)[: len(some)])
        predicted[some] = np.asarray(logits)[: len(some)].argmax(axis=1)
        bar.advance(task, len(some))
    return distances, predicted
