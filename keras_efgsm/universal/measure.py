"""One perturbation against a whole set: made on one half of the images, tested on the other."""

import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.backend import compiled_once
from keras_efgsm.checks import check_choice, check_count, check_seed
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation.art_estimator import art_attacks, art_estimator, one_hot, seeded_numpy
from keras_efgsm.evaluation.expectation import doubts_of, with_eot
from keras_efgsm.evaluation.image_set import batches, check_data, even_batch_size
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.universal.perturbation import UniversalPerturbation
from keras_efgsm.universal.report import UniversalReport

ENGINES = ("native", "art")
_EXAMPLES = 6
# Room for the rounding of float32.
_BALL_TOLERANCE = 1e-5


def measure_universal(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: ImageData | tuple[Any, Any],
    maker: UniversalPerturbation,
    *,
    engine: str = "native",
    batch_size: int = 100,
    num_images: int | None = None,
    eot: int = 1,
    seed: int = 0,
    dataset: str | None = None,
    split: str = "test",
    progress: bool = True,
) -> UniversalReport:
    """Makes one perturbation on half of the images and tests it on the other half.

    The fooling rate is the share of images that are given another class than clean, as in
    Moosavi-Dezfooli et al. 2017; a perturbation of the same size in a random direction stands
    beside it.

    Args:
        model: a classifier or where one lies, see `load_classifier`; one with gradients.
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`; two images at least.
        maker: makes the perturbation, and says how large it may be.
        engine: whose implementation makes it: `"native"`, or `"art"`, the iterated DeepFool of
            Moosavi-Dezfooli et al. in the Adversarial Robustness Toolbox, of which `maker` gives
            norm and epsilon alone. Defaults to `"native"`.
        batch_size: of each step and each look. Defaults to `100`.
        num_images: takes so many images, see `evaluate_robustness`. Defaults to all.
        eot: over how many draws of a randomised classifier each pass averages the logits. Defaults
            to `1`.
        seed: of the halves, of the order of images and of the random direction. Defaults to `0`.
        dataset: name for the report. Defaults to that of the `ImageData`, `"custom"` for arrays.
        split: which part of the data set this is, for the report. Defaults to `"test"`.
        progress: whether to show a progress bar; there is none outside a terminal. Defaults to
            `True`.

    Raises:
        ImportError: if the engine's package is not installed.
        ValueError: if the model, the data or an option is not as above.
        RuntimeError: if the perturbation leaves the ball.

    Example:

    ```python
    import rich

    maker = UniversalPerturbation(epsilon=0.3, steps=20)
    report = measure_universal("runs/mnist", (x_test, y_test), maker, batch_size=4)
    report.write_json("universal.json")
    rich.print(report.table())
    ```
    """
    began = time.perf_counter()
    check_choice(engine, "engine", ENGINES)
    check_count(batch_size, "batch_size")
    check_seed(seed)
    model = with_eot(model, eot)
    if not model.differentiable:
        raise ValueError(
            f"{model.description} has no gradients, by which the perturbation is made; take the "
            "Keras model or SavedModel that it was converted from. "
            f"Received: model={model.description!r}"
        )
    images = check_data(data, model, num_images, seed)
    count = len(images.labels)
    if count < 2:
        raise ValueError(f"`data` must hold two images or more. Received: images={count}")
    order = np.random.default_rng(seed).permutation(count)
    made_on, others = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
    x, x_others = images.pixels(made_on), images.pixels(others)
    answer = _compile_answers(model, batch_size)
    answers, clean = answer(x), answer(x_others)
    with progress_bar(progress) as bar:
        if engine == "art":
            perturbation = _made_by_art(model, maker, x, answers, batch_size, seed)
        else:
            task = bar.add_task("universal perturbation", total=maker.steps, unit="steps")
            perturbation = maker.make(
                model.logits_fn,
                x,
                answers,
                batch_size=batch_size,
                seed=seed,
                reads=model.variables,
                tell=lambda number: bar.update(task, completed=number + 1),
            )
    _check_ball(perturbation, maker)
    random = maker.random(model.image_shape, seed)
    predicted = answer(np.clip(x_others + perturbation, 0.0, 1.0))
    return UniversalReport(
        model=model.description,
        dataset=dataset or images.name,
        split=split,
        maker=maker,
        engine=engine,
        perturbation=perturbation,
        random=random,
        made_on=answer(np.clip(x + perturbation, 0.0, 1.0)) != answers,
        fooled=predicted != clean,
        fooled_by_random=answer(np.clip(x_others + random, 0.0, 1.0)) != clean,
        labels=images.labels[others],
        clean=clean,
        predicted=predicted,
        examples=x_others[:_EXAMPLES],
        seed=seed,
        versions=versions(*(("adversarial-robustness-toolbox",) if engine == "art" else ())),
        hardware=hardware(),
        seconds=time.perf_counter() - began,
        selection=images.selection,
        images=images.contents(),
        missing=images.missing,
        eot=model.draws if model.draws > 1 else None,
        doubts=doubts_of(model),
    )


def _compile_answers(model: EvaluatedModel, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """What gives the classes `(n,)` of images; refuses logits that are not finite."""
    logits_of = compiled_once(model.logits_fn, model.variables)

    def answer(x: np.ndarray) -> np.ndarray:
        found = np.zeros(len(x), int)
        size = even_batch_size(len(x), batch_size)
        for chosen, padded in batches(np.arange(len(x)), size):
            logits = np.asarray(logits_of(ops.convert_to_tensor(x[padded].astype("float32"))))
            if not np.isfinite(logits).all():
                raise ValueError(
                    "The classifier must return finite logits; are its weights NaN? "
                    f"Received: logits={logits[~np.isfinite(logits).all(axis=1)][0]}"
                )
            found[chosen] = logits[: len(chosen)].argmax(axis=1)
        return found

    return answer


def _made_by_art(
    model: EvaluatedModel,
    maker: UniversalPerturbation,
    x: np.ndarray,
    answers: np.ndarray,
    batch_size: int,
    seed: int,
) -> np.ndarray:
    attack = art_attacks().UniversalPerturbation(
        art_estimator(model),
        attacker="deepfool",
        attacker_params={"verbose": False},
        delta=0.0,
        max_iter=5,
        eps=maker.epsilon,
        norm=np.inf if maker.norm == "linf" else 2,
        batch_size=batch_size,
        verbose=False,
    )
    with seeded_numpy(seed):
        attack.generate(x, one_hot(answers, model.num_classes))
    return np.asarray(attack.noise, "float32").reshape(model.image_shape)


def _check_ball(perturbation: np.ndarray, maker: UniversalPerturbation) -> None:
    order: Any = np.inf if maker.norm == "linf" else 2
    size = float(np.linalg.norm(perturbation.reshape(-1), order))
    if not size <= maker.epsilon * (1.0 + _BALL_TOLERANCE):
        raise RuntimeError(
            f"The perturbation must lie within epsilon={maker.epsilon:g}; a fooling rate would "
            f"mean nothing. Received: its {maker.norm} norm={size:g}"
        )
