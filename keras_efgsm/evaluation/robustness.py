"""Robust accuracy: the share of images that stay correctly classified whatever attack is tried.

An engine makes adversarial images; the verdict over them, see `verdict`, is the same for every
engine: whether they lie in the ball, and how the model classifies them.
"""

import os
from collections.abc import Sequence

import keras

from keras_efgsm.attacks import Attack
from keras_efgsm.evaluation.attacking import (
    Attacking,
    check_attacks,
    check_gradients,
    check_one_radius,
    check_options,
)
from keras_efgsm.evaluation.expectation import with_eot
from keras_efgsm.evaluation.image_set import EvaluationData, check_data, shape_of_images
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.report import RobustnessReport


def evaluate_robustness(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: EvaluationData,
    attacks: Attack | Sequence[Attack],
    *,
    cascade: bool = False,
    engine: str = "native",
    batch_size: int = 250,
    seed: int = 0,
    num_images: int | None = None,
    restarts: int = 1,
    eot: int = 1,
    dataset: str | None = None,
    split: str = "test",
    state: str | os.PathLike[str] | None = None,
    keep_adversarial: bool = False,
    progress: bool = True,
) -> RobustnessReport:
    """Attacks a classifier and reports which images withstood.

    An image counts as robust against an attack if it is classified correctly clean and after
    every round of every restart; images that are misclassified clean are not attacked, and those
    that an attack turned are not attacked by its next round or restart. Each attack sees all
    correctly classified images, and the worst case is taken image by image over all attacks. In a
    cascade, the published way of AutoAttack, an attack sees only those that withstood the ones
    before it, which gives the same worst case for less work.

    Args:
        model: a classifier or where one lies, see `load_classifier`. Of a `StraightThrough` the
            artefact's own answers are counted.
        data: an `ImageData`, or `(x, y)`: float images `(n, H, W, C)` in [0, 1] and labels `(n,)`
            or one-hot `(n, K)`; or batches of such pairs: a `tf.data` set, a
            `keras.utils.PyDataset`, a generator or another iterable. Batches are read once and
            kept in a file without a name in the folder of temporary files (`TMPDIR`), four bytes a
            pixel, so that memory holds one batch at a time.
        attacks: an attack or several of the same epsilon and norm; `make_attacks` makes those of a
            set.
        cascade: whether an attack sees only the images that withstood those before it; its robust
            accuracy is then that of all so far. Defaults to `False`.
        engine: whose implementation runs: `"native"`, `"cleverhans"` (for `PGD`), or `"art"`, the
            Adversarial Robustness Toolbox (for `PGD` and `APGD` on the cross-entropy, `APGD` on
            `"dlr"`, and `Square`). Defaults to `"native"`.
        batch_size: most images in a batch; does not change the native engine's noise. Defaults to
            `250`.
        seed: seed of the attacks' noise, >= 0. Defaults to `0`.
        num_images: evaluates so many images: the first ones, or where the data are sorted by class
            as many of each class, drawn with the seed; of batches always the first ones, as the
            others are not looked at, and a warning names the classes without an image. What may
            have no end, a generator or a set that repeats, needs it. Defaults to all.
        restarts: how often an attack with a random start is run; others run once. Defaults to
            `1`.
        eot: over how many draws of a randomised classifier each pass averages the logits, and so
            every attack its gradients and decisions, see `with_eot`. A classifier that answers the
            same images differently, evaluated without it, is reported with a warning. Defaults to
            `1`.
        dataset: name for the report. Defaults to that of the `ImageData`, `"custom"` for arrays.
        split: which part of the data set this is, for the report. Defaults to `"test"`.
        state: a `.npz` file that is written after every batch. If it is there already, the
            evaluation goes on after the last batch in it; `write_json` of the report
            removes it. Batches must then come in the same order again. For the native engine.
            Defaults to none.
        keep_adversarial: whether the report has the adversarial images that were found, see
            `AdversarialImages`. They are kept on the disk: in a file beside the state, which goes
            with it, else in one without a name. Defaults to `False`.
        progress: whether to show a progress bar; there is none outside a terminal. Defaults to
            `True`.

    Raises:
        ImportError: if the engine's package is not installed.
        OSError: if the state cannot be written.
        ValueError: if the model, the data or an option is not as above, if no clean image is
            classified correctly, if an attack needs gradients that the model has not, if a twin
            gives most clean images another class, or if the state is of another evaluation.
        RuntimeError: if an attack leaves the ball or [0, 1]: its figure would mean nothing.

    Example:

    ```python
    import rich

    report = evaluate_robustness(
        "runs/mnist",
        (x_test, y_test),
        make_attacks("standard", epsilon=0.3),
        cascade=True,
        state="robustness.partial.npz",
    )
    report.write_json("robustness.json")
    rich.print(report.table())
    ```
    """
    attacks = check_attacks(attacks)
    check_one_radius(attacks)
    check_options(engine, batch_size, seed, restarts, state)
    model = with_eot(model, eot, shape_of_images(data))
    check_gradients(attacks, model)
    images = check_data(data, model, num_images, seed)
    attacking = Attacking(
        model,
        images,
        attacks,
        cascade=cascade,
        engine=engine,
        batch_size=batch_size,
        seed=seed,
        restarts=restarts,
        state=state,
        keep_adversarial=keep_adversarial,
    )
    after = [(number - 1,) if cascade and number else () for number in range(len(attacks))]
    results = attacking.run(after, progress=progress)
    tally = attacking.tally
    assert tally.correct is not None  # since `Attacking`
    return RobustnessReport(
        dataset=dataset or images.name,
        split=split,
        correct=tally.correct,
        cascade=bool(cascade),
        attacks=results,
        labels=images.labels,
        clean_classes=tally.clean_classes,
        num_classes=model.num_classes,
        class_names=images.class_names,
        adversarial=attacking.adversarial(results),
        single_draws=attacking.single_draws(),
        **attacking.about(),
    )
