"""Evaluates several models under the same attacks on the same images."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_count, check_seed
from keras_efgsm.comparison.contenders import Contender, check_contender, read_contenders
from keras_efgsm.comparison.kept_results import KeptResults
from keras_efgsm.comparison.measured import asked_attack, called, measured_part
from keras_efgsm.comparison.result import Comparison
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.progress_bar import titled
from keras_efgsm.recipes.building import size_options
from keras_efgsm.records import ComparedPart, ComparisonRecord, EvaluationRecord
from keras_efgsm.records.comparison import ranked
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.same_data import check_classes


def compare_models(
    models: Sequence[EvaluatedModel | keras.Model | str | os.PathLike[str]],
    data: ImageData | tuple[Any, Any],
    attacks: Attack | Sequence[Attack],
    *,
    names: Sequence[str] | None = None,
    cascade: bool = False,
    batch_size: int = 250,
    seed: int = 0,
    num_images: int | None = None,
    restarts: int = 1,
    eot: int = 1,
    dataset: str | None = None,
    split: str = "test",
    doubts: Sequence[str] | None = None,
    state: str | os.PathLike[str] | None = None,
    command_of: Callable[[ComparedPart], str] | None = None,
    on_result: Callable[[ComparedPart], None] | None = None,
    progress: bool = True,
) -> Comparison:
    """Evaluates several models under the same attacks on the same images, and ranks them.

    All models are loaded and checked before the first is attacked. They are ranked by their worst
    case, with a ranking of its own for each kind of access, as a figure under fewer attacks, or by
    the gradients of another model, is another measure:

    - `"white-box"`: a Keras model or a SavedModel, attacked by its own gradients;
    - `"twin"`: a file of another form with the SavedModel of its export beside it, or a
      `StraightThrough`: every attack by the gradients of the twin, and once more transferred;
    - `"black-box"`: a file without either, which sees only attacks that need no gradients. If none
      of the attacks needs any, all models are of this kind and see the same.

    A model whose figures are not to be trusted, such as one that draws at random without `eot`, has
    no rank.

    Args:
        models: two or more: classifiers or where they lie, see `load_classifier`; all of the same
            image shape and number of classes.
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`.
        attacks: an attack or several of the same epsilon; `make_attacks` makes those of a set.
        names: of the models. Defaults to what a report calls them.
        cascade: whether an attack sees only the images that withstood those before it. Defaults
            to `False`.
        batch_size: most images in a batch. Defaults to `250`.
        seed: seed of the attacks' noise, >= 0. Defaults to `0`.
        num_images: how many images are taken, see `evaluate_robustness`. Defaults to all.
        restarts: how often an attack with a random start is run. Defaults to `1`.
        eot: over how many draws of a randomised model each pass averages. Defaults to `1`.
        dataset: name of the data. Defaults to that of the `ImageData`, `"custom"` for arrays.
        split: which part of the data set this is. Defaults to `"test"`.
        doubts: of each model a sentence on why its figures on these images are not to be trusted,
            empty for most: such a model has no rank. Defaults to none.
        state: a `.json` file that holds the models that are finished, beside it a `.npz` file of
            the one that is at work. If it is there already, the comparison goes on from it;
            `write_json` of the result removes it. Defaults to none.
        command_of: returns the command that makes the figures of a model alone again. Defaults to
            none, which leaves commands out.
        on_result: is called with each model that is finished. Defaults to nothing.
        progress: whether to show progress bars in a terminal. Defaults to `True`.

    Raises:
        FileNotFoundError: if there is no model.
        OSError: if the state cannot be written.
        ValueError: if models, data, attacks or an option are not as above, if a model classifies
            no image correctly, or if the state is of another comparison.
        RuntimeError: if an attack leaves its ball or [0, 1].

    Example:

    ```python
    import rich

    comparison = compare_models(
        ["runs/mnist", "exported_models/mnist/1"],
        (x_test, y_test),
        make_attacks("pgd-ce", epsilon=0.3, steps=5),
        progress=False,
    )
    rich.print(comparison.table())
    comparison.write_json("comparison.json")
    comparison.write_page("comparison.html")
    ```
    """
    attacks = _check_attacks(attacks)
    for name, value in (("batch_size", batch_size), ("restarts", restarts), ("eot", eot)):
        check_count(value, name)
    check_seed(seed)
    contenders = read_contenders(models, attacks, names)
    first = contenders[0].model
    _check_data(data, contenders)
    images = check_data(data, first, num_images, seed)
    for contender in contenders:
        check_contender(contender, images, batch_size)
    asked = [attack.for_classes(first.num_classes) for attack in attacks]
    settings = {
        "data": images.digest(),
        "attacks": [(type(attack).__qualname__, attack.get_config()) for attack in asked],
        "cascade": cascade,
        "batch size": batch_size,
        "seed": seed,
        "restarts": restarts,
        "eot": eot,
        "versions": versions(),
    }
    kept = KeptResults(state, settings)
    found: list[ComparedPart] = []
    for contender, doubt in zip(contenders, doubts or [""] * len(contenders), strict=True):
        digest = contender.digest
        part = kept.find(digest, contender.access)
        if part is None:
            with titled(f"{len(found) + 1}/{len(contenders)} {contender.name}"):
                report = evaluate_robustness(
                    contender.model,
                    data,
                    contender.attacks,
                    cascade=cascade,
                    batch_size=batch_size,
                    seed=seed,
                    num_images=num_images,
                    restarts=restarts,
                    eot=eot,
                    dataset=dataset,
                    split=split,
                    state=kept.at_work(digest),
                    progress=progress,
                )
            part = measured_part(contender, digest, report, len(attacks))
            kept.keep(part)
        part = called(part, contender, doubt)
        found.append(part)
        if on_result is not None:
            on_result(part)
    if command_of is not None:
        found = [replace(part, command=command_of(part)) for part in found]
    figures = found[0].evaluation
    return Comparison(
        ComparisonRecord(
            dataset=dataset or images.name,
            split=split,
            num_images=figures.num_images,
            selection=images.selection,
            images=images.contents(),
            missing=images.missing or None,
            epsilon=attacks[0].epsilon,
            norm=_norm(figures),
            cascade=bool(cascade),
            seed=seed,
            eot=eot,
            attacks=tuple(asked_attack(attack, restarts) for attack in asked),
            models=ranked(found),
            versions=versions(),
            hardware=hardware(),
        ),
        state=kept.path,
    )


def _check_attacks(attacks: Attack | Sequence[Attack]) -> list[Attack]:
    given = [attacks] if isinstance(attacks, Attack) else list(attacks)
    if not given or not all(isinstance(attack, Attack) for attack in given):
        raise ValueError(
            "`attacks` must be one or more attacks such as `PGD(epsilon=0.3)`. "
            f"Received: attacks={attacks!r}"
        )
    epsilons = sorted({attack.epsilon for attack in given})
    if len(epsilons) > 1 or not all(attack.stays_in_ball for attack in given):
        raise ValueError(
            "`attacks` must share one epsilon and stay within it. "
            f"Received: attacks={[attack.name for attack in given]}, epsilons={epsilons}"
        )
    names = [attack.name for attack in given]
    if len(set(names)) < len(names):
        raise ValueError(f"`attacks` must have different names. Received: attacks={names}")
    return given


def _check_data(data: Any, contenders: Sequence[Contender]) -> None:
    if not isinstance(data, ImageData) and not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise ValueError(
            "`data` must be an `ImageData` or a pair (x, y) of images and labels, which each model "
            f"reads again. Received: data={type(data).__name__}"
        )
    wanted = contenders[0].model.image_shape
    shape = data.image_shape if isinstance(data, ImageData) else np.shape(data[0])[1:]
    if tuple(shape) != tuple(wanted):
        raise ValueError(
            f"The models take images of shape {tuple(wanted)}; {size_options(wanted)} brings a "
            f"data set to it. Received: images of shape {tuple(shape)}"
        )
    for contender in contenders:
        if contender.path is not None and isinstance(data, ImageData):
            # Nothing where the path is no run's.
            check_classes(RunFolder(contender.path), data)


def _norm(figures: EvaluationRecord) -> str | None:
    """What an attack says of its ball, where it knows of others than the L-infinity one."""
    return next((attack.norm for attack in figures.attacks if attack.norm), None)
