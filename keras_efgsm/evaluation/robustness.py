"""Robust accuracy: the share of images that stay correctly classified whatever attack is tried.

An engine makes adversarial images; the verdict over them, see `verdict`, is the same for every
engine: whether they lie in the ball, and how the model classifies them.
"""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation.cleverhans_engine import compile_cleverhans
from keras_efgsm.evaluation.expectation import doubts_of, with_eot
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.evaluation.models import EvaluatedModel
from keras_efgsm.evaluation.native_engine import compile_native
from keras_efgsm.evaluation.progress import progress_bar
from keras_efgsm.evaluation.report import AttackResult, RobustnessReport
from keras_efgsm.evaluation.spread import Spread
from keras_efgsm.evaluation.straight_through import twin_agreement
from keras_efgsm.evaluation.tally import Tally
from keras_efgsm.evaluation.transfer import Transfer
from keras_efgsm.evaluation.verdict import classify_clean, compile_judge, withstand
from keras_efgsm.records.environment import hardware, versions

ENGINES = {"native": compile_native, "cleverhans": compile_cleverhans}
"""Engines by name: each compiles an attack into a function of a batch, see `compile_native`."""


def evaluate_robustness(
    model: EvaluatedModel | keras.Model | str | os.PathLike[str],
    data: ImageData | tuple[Any, Any],
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
            or one-hot `(n, K)`.
        attacks: an attack or several of the same epsilon; `make_attacks` makes those of a set.
        cascade: whether an attack sees only the images that withstood those before it; its robust
            accuracy is then that of all so far. Defaults to `False`.
        engine: whose implementation runs: `"native"`, or `"cleverhans"` (for `PGD`). Defaults to
            `"native"`.
        batch_size: most images in a batch; does not change the native engine's noise. Defaults to
            `250`.
        seed: seed of the attacks' noise, >= 0. Defaults to `0`.
        num_images: evaluates so many images: the first ones, or where the data are sorted by class
            as many of each class, drawn with the seed. Defaults to all.
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
            removes it. For the native engine. Defaults to none.
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
    attacks = _check_attacks(attacks)
    check_choice(engine, "engine", tuple(ENGINES))
    check_count(batch_size, "batch_size")
    check_count(seed, "seed", minimum=0)
    check_count(restarts, "restarts")
    if state is not None and engine == "cleverhans":
        raise ValueError(
            "`state` is for the native engine: the random starts of cleverhans depend on all "
            f"batches before. Received: state={str(state)!r}, engine={engine!r}"
        )
    model = with_eot(model, eot)
    _check_gradients(attacks, model)
    attacks = [attack.for_classes(model.num_classes) for attack in attacks]
    images = check_data(data, model, num_images, seed)
    twin = model.twin.description if model.twin else None
    agreement = twin_agreement(model, images, batch_size) if model.twin else None
    # Before the first attack takes minutes, so that the last one's options are checked too.
    compiled = [
        ENGINES[engine](attack, model.logits_fn, seed, _reads(attack, model)) for attack in attacks
    ]
    package_versions = versions(*(("cleverhans",) if engine == "cleverhans" else ()))
    identity = {}
    if state is not None:
        identity = {
            "model": model.identity(),
            "data": images.digest(),
            "attacks": [(type(a).__qualname__, a.get_config()) for a in attacks],
            "cascade": cascade,
            "engine": engine,
            "batch size": batch_size,
            "seed": seed,
            "restarts": restarts,
            "versions": package_versions,
        }
    tally = Tally(state, identity, len(attacks))
    judge = compile_judge(model, attacks[0].epsilon)
    if tally.correct is None:
        tally.begin(classify_clean(judge, images, batch_size))
    spread = None
    if model.answers.is_random:
        # From here on the tally saves what it holds with all else.
        spread = Spread(model, images, tally.single_draws)
        if tally.single_draws is None:
            spread.take_clean(judge, batch_size)
        tally.single_draws = spread.state
    correct, withstood = tally.correct, tally.robust
    assert correct is not None and withstood is not None
    results = []
    with progress_bar(progress) as bar:
        for number, (attack, run) in enumerate(zip(attacks, compiled, strict=True)):
            runs = restarts if attack.gains_by_restarts else 1
            start = withstood[number - 1] if cascade and number else correct
            if number == tally.attack:
                if tally.step == 0 and tally.waiting is None:
                    withstood[number] = start
                withstand(run, attack, judge, images, tally, start, batch_size, runs, bar, spread)
            results.append(
                AttackResult.of(
                    attack,
                    name=_reported_name(attack, twin),
                    engine=engine,
                    restarts=runs,
                    seed=seed,
                    start=start,
                    robust=withstood[number],
                    seconds=tally.attack_seconds[number],
                )
            )
    return RobustnessReport(
        model=model.description,
        dataset=dataset or images.name,
        split=split,
        twin=twin,
        twin_agreement=agreement,
        correct=correct,
        cascade=bool(cascade),
        attacks=tuple(results),
        versions=package_versions,
        hardware=hardware(),
        seconds=tally.seconds,
        state=tally.path,
        selection=images.selection,
        images=images.contents(),
        missing=images.missing,
        eot=model.draws if model.draws > 1 else None,
        doubts=doubts_of(model),
        single_draws=None if spread is None else spread.result(correct),
    )


def _reported_name(attack: Attack, twin: str | None) -> str:
    """The attack, and whose gradients it went by if they were not those of the evaluated model."""
    if twin is None or not attack.needs_gradient:
        return attack.name
    return f"{attack.name}, gradients of {twin} (straight-through)"


def _reads(attack: Attack, model: EvaluatedModel) -> list[keras.Variable]:
    source = attack.source.variables if isinstance(attack, Transfer) else ()
    # Each once, also where the source is the model itself.
    return list({id(v): v for v in (*model.variables, *source)}.values())


def _check_attacks(attacks: Attack | Sequence[Attack]) -> list[Attack]:
    attacks = [attacks] if isinstance(attacks, Attack) else list(attacks)
    if not attacks or not all(isinstance(attack, Attack) for attack in attacks):
        raise ValueError(
            "`attacks` must be one or more attacks such as `PGD(epsilon=0.3)`. "
            f"Received: attacks={attacks!r}"
        )
    outside = [attack.name for attack in attacks if not attack.stays_in_ball]
    if outside:
        raise ValueError(
            "`attacks` must keep their images in the ball and in [0, 1]; a robust accuracy under "
            f"images outside would mean nothing. Received: attacks that do not={outside}"
        )
    epsilons = sorted({attack.epsilon for attack in attacks})
    if len(epsilons) > 1:
        raise ValueError(
            "`attacks` must share one epsilon: a worst case over several radii is that of the "
            f"largest. Evaluate each radius by itself. Received: epsilons={epsilons}"
        )
    return attacks


def _check_gradients(attacks: Sequence[Attack], model: EvaluatedModel) -> None:
    for attack in attacks:
        if isinstance(attack, Transfer):
            attack.check_fits(model)
    needing = [attack.name for attack in attacks if attack.needs_gradient]
    if needing and not model.differentiable:
        raise ValueError(
            f"{model.description} has no gradients, which {', '.join(needing)} needs. Use attacks "
            "that need none (`--attacks black-box`), or the gradients of its twin, the Keras model "
            "or SavedModel it was converted from: `--twin TWIN` (in Python `StraightThrough`) or "
            "`--transfer-from TWIN` (`Transfer`). "
            f"Received: attacks={', '.join(attack.name for attack in attacks)}"
        )
