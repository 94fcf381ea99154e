"""A cascade of attacks that are compiled already, reported as `evaluate_robustness` does."""

from collections.abc import Callable, Sequence
from pathlib import Path

from keras_efgsm.attacks import Attack
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import AttackResult, EvaluatedModel, RobustnessReport
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.evaluation.tally import Tally
from keras_efgsm.evaluation.verdict import classify_clean, withstand
from keras_efgsm.progress_bar import progress_bar
from keras_efgsm.records.environment import hardware, versions


def run_cascade(
    model: EvaluatedModel,
    data: ImageData,
    attacks: Sequence[tuple[Attack, Callable]],
    judge: Callable,
    *,
    batch_size: int,
    seed: int,
    name: str,
    split: str,
    state: Path | None = None,
) -> RobustnessReport:
    """Attacks the images that withstood the attacks before.

    Args:
        model: what is attacked.
        data: the images.
        attacks: each with what was compiled of it, as `compile_native` does.
        judge: gives logits and whether a batch lies in the ball, see `compile_judge`.
        batch_size: most images in a batch.
        seed: of the attacks' noise, which they were compiled with.
        name: what the report calls the classifier.
        split: what it calls the images.
        state: file that is written after every batch, for whoever looks at what there is.
            Defaults to none.

    Raises:
        ValueError: if no clean image is classified correctly.
        RuntimeError: if an attack leaves the ball.
    """
    images = check_data(data, model, None)
    identity = {"attacks": [(type(a).__qualname__, a.get_config()) for a, _ in attacks]}
    tally = Tally(state, identity, len(attacks))
    clean = classify_clean(judge, images, batch_size)
    tally.begin(images.holds(clean), clean)
    results = []
    with progress_bar(False) as bar:
        for number, (attack, run) in enumerate(attacks):
            earlier = [number - 1] if number else []
            start = tally.survivors_of(earlier)
            tally.start(earlier)
            withstand(run, attack, judge, images, tally, start, batch_size, 1, bar)
            results.append(
                AttackResult.of(
                    attack,
                    name=attack.name,
                    engine="native",
                    restarts=1,
                    seed=seed,
                    start=start,
                    robust=tally.robust[number],
                    seconds=tally.attack_seconds[number],
                    classes=tally.classes[number],
                )
            )
    return RobustnessReport(
        model=name,
        dataset=data.name,
        split=split,
        correct=tally.correct,
        cascade=True,
        attacks=tuple(results),
        versions=versions(),
        hardware=hardware(),
        seconds=tally.seconds,
        labels=images.labels,
        clean_classes=tally.clean_classes,
        num_classes=model.num_classes,
        class_names=images.class_names,
    )
