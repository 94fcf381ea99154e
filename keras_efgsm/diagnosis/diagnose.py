"""The whole diagnosis: every sign of masking looked for on one model."""

import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.ball import check_radius
from keras_efgsm.backend import BACKEND
from keras_efgsm.checks import check_count, check_epsilon, check_norm, check_seed
from keras_efgsm.diagnosis import attack_properties, gradient_properties, thresholds
from keras_efgsm.diagnosis.findings import Diagnosis, Finding
from keras_efgsm.diagnosis.loss_surface import margin_surfaces
from keras_efgsm.diagnosis.probing import Probing
from keras_efgsm.evaluation import EvaluatedModel, load_classifier
from keras_efgsm.evaluation.expectation import doubts_of, with_eot
from keras_efgsm.evaluation.image_set import EvaluationData, check_data, shape_of_images
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records.environment import hardware, versions

SIGNS: tuple[Callable[[Probing], Finding], ...] = (
    gradient_properties.outputs_are_random,
    gradient_properties.zero_margin_gradients,
    gradient_properties.gradients_mislead,
    gradient_properties.cross_entropy_misleads,
    attack_properties.random_sampling_beats_gradients,
    attack_properties.one_step_beats_many,
    attack_properties.one_step_shows_nothing,
    attack_properties.longer_steps_do_worse,
    attack_properties.larger_epsilon_does_not_help,
    attack_properties.unbounded_attack_fails,
    attack_properties.black_box_beats_white_box,
    attack_properties.transfer_beats_white_box,
    attack_properties.restarts_keep_helping,
    attack_properties.more_iterations_do_worse,
)
"""Every sign that is looked for, in the order of the findings."""


def diagnose(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: EvaluationData,
    epsilon: float,
    *,
    num_images: int = 200,
    steps: int = 50,
    queries: int = 1000,
    samples: int = 300,
    restarts: int = 5,
    transfer_from: EvaluatedModel | keras.Model | str | os.PathLike[str] | None = None,
    eot: int = 1,
    seed: int = 0,
    batch_size: int = 250,
    norm: str = "linf",
    progress: bool = True,
) -> Diagnosis:
    """Looks for the signs of masked gradients, which make a model seem robust that is not.

    The five properties of Athalye et al., "Obfuscated gradients give a false sense of security"
    (2018), which section 2.4 of Chen & Lee repeats; zero gradients, gradients that do not keep
    their promise and random outputs; and curves over restarts and iterations. A black box is
    compared with the strongest attack by gradients (PGD on both losses with restarts, APGD-CE,
    APGD-T), image by image, so that a weak attack is not taken for masking. Counts are held
    against chance, see `keras_efgsm.diagnosis.thresholds`.

    Args:
        model: a classifier or where one lies, see `load_classifier`; one with gradients.
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`; or batches of such pairs, see `evaluate_robustness`.
        epsilon: radius of the ball in pixels of [0, 1].
        num_images: takes so many images, see `evaluate_robustness`, or all if there are fewer.
            Defaults to `200`.
        steps: gradient steps of PGD and APGD. Defaults to `50`.
        queries: queries of Square. Defaults to `1000`.
        samples: points of random sampling. Defaults to `300`.
        restarts: of PGD on the margin, at least 2. Defaults to `5`.
        transfer_from: another classifier whose adversarial images are tried. Defaults to none.
        eot: over how many draws of a randomised classifier, and of the source, each pass averages
            the logits, see `with_eot`. Defaults to `1`.
        seed: seed of all noise, >= 0. Defaults to `0`.
        batch_size: most images in a batch. Defaults to `250`.
        norm: of the ball, `"linf"`, or `"l2"` for the Euclidean length of the change of all pixels
            and channels. Defaults to `"linf"`.
        progress: whether to show a progress bar; there is none outside a terminal. Defaults to
            `True`.

    Returns:
        The findings and the verdict. A model that does not beat guessing has no findings.

    Raises:
        ValueError: if the model has no gradients, if too few images are classified correctly, if
            an argument is not as above, or on another backend than TensorFlow.

    Example:

    ```python
    import rich

    diagnosis = diagnose("runs/mnist", (x_test, y_test), epsilon=0.3)
    rich.print(diagnosis.table())
    ```
    """
    began = time.perf_counter()
    if BACKEND != "tensorflow":
        # Where it misses models that mask their gradients: what is exactly zero differs.
        raise ValueError(
            "The diagnosis runs on the TensorFlow backend, where it was shown planted models: set "
            f"KERAS_BACKEND=tensorflow and give it the .keras file. Received: backend={BACKEND!r}"
        )
    epsilon = check_epsilon(epsilon, norm=check_norm(norm))
    check_count(restarts, "restarts", minimum=2)
    for value, name in (
        (num_images, "num_images"),
        (steps, "steps"),
        (queries, "queries"),
        (samples, "samples"),
        (batch_size, "batch_size"),
    ):
        check_count(value, name)
    check_seed(seed)
    model = _with_gradients(with_eot(model, eot, shape_of_images(data)))
    check_radius(epsilon, norm, model.image_shape)
    source = None if transfer_from is None else with_eot(_source(transfer_from, model), eot)
    images = check_data(data, model, num_images, seed, or_all=True)
    x, labels = images.pixels(np.arange(len(images.labels))), images.labels
    correct = _correct(model, x, labels)
    about: dict[str, Any] = {
        "model": model.description,
        "dataset": images.name,
        "epsilon": epsilon,
        "norm": norm,
        "num_images": len(x),
        "selection": images.selection,
        "missing": images.missing,
        "num_correct": int(correct.sum()),
        "seed": seed,
        "eot": eot if eot > 1 else None,
        "doubts": doubts_of(model),
        "versions": versions(),
        "hardware": hardware(),
    }
    if not correct.any():
        raise _too_few(correct)
    if _is_guessing(correct, labels, model.num_classes):
        return Diagnosis(
            **about,
            lowest_accuracy=float(correct.mean()),
            findings=(),
            seconds=time.perf_counter() - began,
        )
    if correct.sum() < thresholds.FEWEST:
        raise _too_few(correct)
    probing = Probing(
        model,
        x[correct],
        labels[correct],
        epsilon,
        steps=steps,
        queries=queries,
        samples=samples,
        restarts=restarts,
        source=source,
        seed=seed,
        batch_size=batch_size,
        norm=norm,
    )
    findings = _look(probing, progress)
    return Diagnosis(
        **about,
        lowest_accuracy=float(probing.lowest().sum() / len(x)),
        findings=tuple(findings),
        seconds=time.perf_counter() - began,
        curves=_curves(findings),
        surfaces=margin_surfaces(probing),
    )


def _look(probing: Probing, progress: bool) -> list[Finding]:
    signs = [
        sign
        for sign in SIGNS
        if sign is not attack_properties.transfer_beats_white_box or probing.source is not None
    ]
    findings = []
    with progress_bar(progress) as bar:
        task = bar.add_task("", total=len(signs), unit="signs")
        for sign in signs:
            bar.update(task, description=sign.__name__.replace("_", " "))
            findings.append(sign(probing))
            bar.advance(task)
    return findings


def _with_gradients(model: EvaluatedModel) -> EvaluatedModel:
    if not model.differentiable:
        raise ValueError(
            "A diagnosis compares attacks by gradients with others, and a TFLite file has no "
            "gradients; diagnose its Keras twin, the run folder, `.keras` file or SavedModel it "
            f"was converted from. Received: model={model.description!r}"
        )
    return model


def _source(source: Any, model: EvaluatedModel) -> EvaluatedModel:
    # One of other images is not asked about random ones; `with_eot` asks one that fits.
    loaded = source if isinstance(source, EvaluatedModel) else load_classifier(source)
    if not loaded.differentiable or (loaded.image_shape, loaded.num_classes) != (
        model.image_shape,
        model.num_classes,
    ):
        raise ValueError(
            "`transfer_from` must be a classifier with gradients that takes images of shape "
            f"{model.image_shape} and knows {model.num_classes} classes. Received: "
            f"transfer_from={loaded.description!r}, image_shape={loaded.image_shape}, "
            f"num_classes={loaded.num_classes}, differentiable={loaded.differentiable}"
        )
    return loaded


def _correct(model: EvaluatedModel, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    logits = np.concatenate(
        [
            np.asarray(model.logits_fn(ops.convert_to_tensor(x[i : i + 250])))
            for i in range(0, len(x), 250)
        ]
    )
    if not np.isfinite(logits).all():
        raise ValueError(
            "The classifier must return finite logits; are its weights NaN? Received: images with "
            f"logits that are not={int((~np.isfinite(logits).all(axis=1)).sum())} of {len(x)}"
        )
    correct: np.ndarray = logits.argmax(axis=1) == labels
    return correct


def _too_few(correct: np.ndarray) -> ValueError:
    return ValueError(
        f"At least {thresholds.FEWEST} images must be classified correctly, so that counts can be "
        "told from chance; give more images, of this split or, if it has no more, of another, and "
        "check that labels and the pixels' range fit the classifier. Received: "
        f"correct images={int(correct.sum())} of {len(correct)}"
    )


def _is_guessing(correct: np.ndarray, labels: np.ndarray, num_classes: int) -> bool:
    """Whether always naming the most frequent class would do as well, chance taken into account."""
    guess = np.bincount(labels, minlength=num_classes).max() / len(labels)
    return guess < 1.0 and not thresholds.is_more(int(correct.sum()), len(correct), guess)


def _curves(findings: list[Finding]) -> dict[str, list[dict[str, float]]]:
    """The curves as rows, from the figures of their findings."""
    figures = {finding.name: finding.figures for finding in findings}

    def rows(axis: str, **series: dict[str, float]) -> list[dict[str, float]]:
        points = next(iter(series.values()))
        return [
            {axis: float(point)} | {name: values[point] for name, values in series.items()}
            for point in points
        ]

    iterations = figures["more_iterations_do_worse"]
    return {
        "epsilon": rows("epsilon", margin=figures["larger_epsilon_does_not_help"]["accuracies"]),
        "step": rows("step", either=figures["longer_steps_do_worse"]["accuracies"]),
        "iterations": rows(
            "iterations",
            margin=iterations["accuracies"],
            **{"cross-entropy": iterations["accuracies_cross_entropy"]},
        ),
        "restarts": rows("restarts", margin=figures["restarts_keep_helping"]["accuracies"]),
    }
